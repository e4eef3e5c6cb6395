"""Real-time priority: given where it may be, and no trouble where it may not."""

import os
import subprocess
import sys

import pytest

from peep.sound.hurry import hurry

CHILD = """
import os
from peep.sound.hurry import hurry
hurry()
print(os.sched_getscheduler(0) == os.SCHED_FIFO)
"""


def granted():
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True
    )
    return done.stdout == "True\n"


def test_a_process_that_is_hurried_is_before_all_that_is_not_in_a_hurry():
    if not granted():
        pytest.skip("no real-time priority is granted here")
    own = os.sched_getscheduler(0)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    hurry(other.pid)
    # Above nothing of the sound server, whose own is 5 and more.
    assert os.sched_getscheduler(other.pid) == os.SCHED_FIFO
    assert 1 <= os.sched_getparam(other.pid).sched_priority < 5
    assert os.sched_getscheduler(0) == own
    other.communicate(b"\n")


def test_a_process_that_is_gone_is_no_trouble():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    hurry(gone.pid)
