"""What all tests share.

Property tests draw the same examples every time, so that a change is judged by itself
and not by its luck. To look for new ones: HYPOTHESIS_PROFILE=search ./test -k property

Where coverage is measured, a test that computes much takes four times as long, and each
process that it starts half a second more. Those whose code other tests reach as well
are marked `untraced`: they run as they are, and nothing is measured.
"""

import os
import warnings

# As peep.sound does, before some test loads numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageWarning
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# All of these; others say it themselves.
UNTRACED = {"browser", "netns", "property"}
# Last: by then nothing runs beside it (see ./test).
PLAYING = {"audio", "browser"}
_IN_CHILDREN = "COVERAGE_PROCESS_CONFIG"  # by it coverage tells processes to measure


def pytest_configure(config):
    config.addinivalue_line("markers", "untraced: coverage is not measured")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name in UNTRACED:
            item.add_marker("untraced")
    items.sort(key=lambda item: item.path.parent.name in PLAYING)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    measuring = Coverage.current()
    if measuring is None or item.get_closest_marker("untraced") is None:
        return (yield)
    told = os.environ.pop(_IN_CHILDREN, None)
    measuring.stop()
    try:
        return (yield)
    finally:
        with warnings.catch_warnings():
            # That what is measured was imported already, which is as it should be.
            warnings.simplefilter("ignore", CoverageWarning)
            measuring.start()
        if told is not None:
            os.environ[_IN_CHILDREN] = told
