"""The recipes of the layers that can be synthesised live, by name.

Their figures are what looked right in spectra and measured right in level; where a
figure follows the value it stands as five, for 0, ¼, ½, ¾ and 1. `level_db` was
measured (BS.1770, minutes at each value, several seeds) and is held by a test.
"""

from collections.abc import Mapping

from peep.sound.pyo_engine.layer import Recipe
from peep.sound.pyo_engine.layers_air import hum, leaves, wind
from peep.sound.pyo_engine.layers_glass import bottles, harmonica, shards
from peep.sound.pyo_engine.layers_life import crickets, frogs
from peep.sound.pyo_engine.layers_water import rain, stream, surf

RECIPES: Mapping[str, Recipe] = {
    "bottles": Recipe(bottles, level_db=(-11.9, -11.0, -10.7, -11.2, -11.8)),
    "crickets": Recipe(crickets, level_db=(-14.5, -13.8, -13.7, -13.3, -12.7)),
    "frogs": Recipe(frogs, level_db=(-11.1, -12.1, -12.9, -12.8, -12.4)),
    "harmonica": Recipe(harmonica, level_db=(-36.2, -34.2, -32.1, -30.1, -28.1)),
    "hum": Recipe(hum, level_db=(-22.3, -22.5, -21.9, -21.3, -20.7)),
    "leaves": Recipe(leaves, level_db=(-7.7, -11.6, -14.1, -15.9, -17.7)),
    "rain": Recipe(rain, level_db=(-11.3, -12.6, -13.3, -14.2, -15.3)),
    "shards": Recipe(shards, level_db=(-13.1, -12.6, -13.0, -13.4, -13.8)),
    "stream": Recipe(stream, level_db=(-5.8, -6.4, -7.8, -9.8, -12.2)),
    "surf": Recipe(surf, level_db=(-13.2, -12.3, -12.9, -13.8, -15.1)),
    "wind": Recipe(wind, level_db=(-2.8, -7.2, -11.2, -13.5, -15.6)),
}
