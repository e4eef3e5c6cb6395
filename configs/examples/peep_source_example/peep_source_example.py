"""How many files wait in a directory: {waiting: /var/spool/outgoing, many: 50}."""

from pathlib import Path

from peep.signals import State, clamp_unit


def check(options):
    keys = options.section("path", "many", short="path")
    return keys["path"].text(), keys["many"].integer(100, low=1)


class Waiting:
    interval_s = 5.0

    def __init__(self, spec, clock, marks):
        self.path, self.many = spec

    def describe(self):
        return f"what waits in {self.path}"

    def poll(self, now):
        count = sum(1 for _ in Path(self.path).iterdir())
        yield State(name="waiting.files", value=clamp_unit(count / self.many))


open_source = Waiting
