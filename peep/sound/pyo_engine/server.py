"""pyo's server in manual mode: one a process, used again by graph after graph.

pyo allows 256 servers in the life of a process, so one is kept and booted anew; a
seed set before booting makes every random object that follows repeat itself. All of
pyo that Peep uses is reached through this package, and nowhere else is it imported.
"""

import ctypes

import numpy as np
import pyo
from numpy.typing import NDArray

from peep.sound.buses import SUMMED
from peep.sound.engine import BLOCK_FRAMES, CHANNELS, SAMPLE_RATE_HZ

_SETTLING_BLOCKS = 4  # the server itself fades in over 5 ms when first started

WIDTH = CHANNELS * SUMMED  # a stereo pair for each bus

_server: "pyo.Server | None" = None


def boot(seed: int) -> tuple["pyo.Server", NDArray[np.float32]]:
    """Boot the process's server, which ends every graph built before.

    Returns the server and a view, shape (256, WIDTH), of the block it last made.
    """
    global _server  # noqa: PLW0603 - one server a process is pyo's own limit
    if _server is None:
        _server = pyo.Server(
            sr=SAMPLE_RATE_HZ,
            nchnls=WIDTH,
            buffersize=BLOCK_FRAMES,
            duplex=0,
            audio="manual",
            verbosity=1,
        )
    else:
        _server.shutdown()
    _server.setGlobalSeed(seed)
    _server.boot()
    _server.start()
    for _ in range(_SETTLING_BLOCKS):
        _server.process()
    block = ctypes.c_float * WIDTH * BLOCK_FRAMES
    view = np.ctypeslib.as_array(block.from_address(int(_server.getOutputAddr(), 16)))
    return _server, view
