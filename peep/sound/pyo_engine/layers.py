"""The recipes of the layers that can be synthesised live, by name.

Their figures are what looked right in spectra and measured right in level; where a
figure follows the value it stands as five, for 0, ¼, ½, ¾ and 1. `level_db` was
measured (BS.1770, minutes at each value, several seeds) and is held by a test.
"""

from collections.abc import Mapping

from peep.sound.pyo_engine.layer import Recipe
from peep.sound.pyo_engine.layers_air import hum, leaves, wind
from peep.sound.pyo_engine.layers_life import crickets, frogs
from peep.sound.pyo_engine.layers_water import rain, stream, surf

RECIPES: Mapping[str, Recipe] = {
    "crickets": Recipe(crickets, level_db=(0.0, 0.0, 0.0, 0.0, 0.0)),
    "frogs": Recipe(frogs, level_db=(0.0, 0.0, 0.0, 0.0, 0.0)),
    "hum": Recipe(hum, level_db=(0.0, 0.0, 0.0, 0.0, 0.0)),
    "leaves": Recipe(leaves, level_db=(0.0, 0.0, 0.0, 0.0, 0.0)),
    "rain": Recipe(rain, level_db=(0.0, 0.0, 0.0, 0.0, 0.0)),
    "stream": Recipe(stream, level_db=(-7.6, -8.0, -9.1, -10.9, -12.9)),
    "surf": Recipe(surf, level_db=(0.0, 0.0, 0.0, 0.0, 0.0)),
    "wind": Recipe(wind, level_db=(-3.4, -8.6, -11.8, -14.7, -16.6)),
}
