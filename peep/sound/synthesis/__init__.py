"""Recipes: natural one-shots as arrays.

A recipe is a function of a random generator and the theme's parameters that returns
one form of a sound: mono, 48 kHz, any level. The same generator state gives the same
samples. What a theme may set of each recipe stands beside it in PARAMS.
"""

from collections.abc import Callable, Mapping

import numpy as np

from peep.sound.synthesis import birds, frogs, insects, land, struck, water
from peep.sound.synthesis.tools import Floats, Params

Recipe = Callable[[np.random.Generator, Mapping[str, float]], Floats]

RECIPES: dict[str, Recipe] = {
    "bell": struck.bell,
    "cricket": insects.cricket,
    "cuckoo": birds.cuckoo,
    "curlew": birds.curlew,
    "drop": water.drop,
    "frog": frogs.frog,
    "owl": birds.owl,
    "peeper": frogs.peeper,
    "pulse": water.pulse,
    "rustle": land.rustle,
    "songbird": birds.songbird,
    "stone": struck.stone,
    "thunder": land.thunder,
    "woodpecker": struck.woodpecker,
}

PARAMS: dict[str, Params] = {
    "bell": struck.BELL,
    "cricket": insects.CRICKET,
    "cuckoo": birds.CUCKOO,
    "curlew": birds.CURLEW,
    "drop": water.DROP,
    "frog": frogs.FROG,
    "owl": birds.OWL,
    "peeper": frogs.PEEPER,
    "pulse": water.PULSE,
    "rustle": land.RUSTLE,
    "songbird": birds.SONGBIRD,
    "stone": struck.STONE,
    "thunder": land.THUNDER,
    "woodpecker": struck.WOODPECKER,
}
