"""A short run of tests/differential.py; the long one is run by hand."""

import random

from differential import Differential

from peep.config.rulepacks import load_rules, shipped_packs


def test_the_engine_takes_ugly_lines_as_a_plain_loop_does():
    both = Differential(load_rules(shipped_packs()))
    lines = both.lines(2000, random.Random(1))
    assert [found for line in lines if (found := both.difference(line))] == []
