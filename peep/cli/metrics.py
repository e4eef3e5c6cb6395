"""`peep metrics`: what running agents and servers have counted, for Prometheus."""

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import msgspec

from peep.cli import asking, common
from peep.metrics import Family, exposition, merged
from peep.net.control import ReadMetrics

_EXAMPLES = """\
  peep metrics                  of every agent and server of yours that runs
  peep metrics --of server > /var/lib/node_exporter/peep.prom

If several processes answer, the label `process` tells them apart.
"""


class _Metrics(msgspec.Struct, frozen=True):
    metrics: tuple[Family, ...]


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "metrics",
        "Print what running agents and servers have counted, as Prometheus reads it.",
        _EXAMPLES,
    )
    asking.add_of(made, "all of yours")
    return made


def run(argv: Sequence[str]) -> int:
    """Ask everybody who is meant; exit code 1 if one does not answer, or none runs."""
    args = parser().parse_args(argv)
    said = asking.ask_each(args.of, ReadMetrics(), _Metrics)
    kinds = Counter(one.kind for one in said)
    found = {}
    for one in said:
        if one.answer is None:
            common.say(f"peep: {one.who}: {one.problem}")
        else:
            name = one.kind if kinds[one.kind] == 1 else f"{one.kind}-{one.pid}"
            found[name] = one.answer.metrics
    families = merged(found) if len(said) > 1 else chain(*found.values())
    print(exposition(families), end="")
    return int(len(found) < len(said))
