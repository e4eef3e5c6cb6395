"""Signals → mixer → engine, and a tally of what became of each.

One pipeline, two callers: the live server with the system's clock, the renderer with
a clock moved by hand.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from peep.mixer.mixer import Mixer
from peep.mixer.outcomes import Suppression
from peep.mixer.room import HEADPHONES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from peep.mixer.commands import Command
    from peep.mixer.controls import Act, Control
    from peep.mixer.outcomes import Outcome
    from peep.mixer.room import Room
    from peep.mixer.sounding import Sounding
    from peep.reasons import Reason
    from peep.signals import Signal
    from peep.sound.engine import Engine
    from peep.theme import SoundBank, Theme


class Tally:
    """How many signals came, and what became of them.

    What a cue carries counts as a cue. `late` are the alerts among the cues that were
    told long after they happened; `groups` are those that alerts were told in.
    """

    def __init__(self) -> None:
        self.signals = 0
        self.cues = 0
        self.late = 0
        self.groups = 0
        self.suppressions: Counter[Reason] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if isinstance(outcome, Suppression):
            self.suppressions[outcome.reason] += 1
            return
        heard = 1 + len(outcome.carried)
        self.cues += heard
        self.late += heard * outcome.late
        self.groups = max(self.groups, outcome.group)  # they are numbered


class Pipeline:
    """Feeds the mixer, drives the engine, keeps the tally."""

    def __init__(
        self,
        theme: Theme,
        engine: Engine,
        bank: SoundBank,
        rng: Random,
        tell: Callable[[Outcome], None] = lambda _: None,
        *,
        room: Room = HEADPHONES,
    ) -> None:
        self._mixer = Mixer(theme, bank, rng, room=room)
        self._engine = engine
        self._tell = tell
        self.tally = Tally()

    def feed(  # noqa: PLR0917 - a signal, and all that is known of it
        self,
        signal: Signal,
        now: float,
        origin: str = "",
        age_s: float = 0.0,
        number: int = 0,
        class_name: str = "",
    ) -> None:
        """Take one signal; `number` comes back in its outcome."""
        self.tally.signals += 1
        self._do(self._mixer.feed(signal, now, origin, age_s, number, class_name))

    def suppress(self, signal: Signal, reason: Reason, number: int = 0) -> None:
        """Account for a signal that is not to be mixed at all."""
        self.tally.signals += 1
        self._told(Suppression(signal, reason, number))

    def forget(self, origin: str) -> None:
        """Let whatever came from an origin fall silent."""
        self._do(self._mixer.forget(origin))

    def late(self, origin: str, now: float) -> None:
        """Take what came from an origin for unknown: it has not been heard lately."""
        self._do(self._mixer.late(origin, now))

    def returned(self, origin: str) -> None:
        """Take an origin that was late for heard again."""
        self._do(self._mixer.returned(origin))

    def handle_timer(self, now: float) -> None:
        """Do what has come due."""
        self._do(self._mixer.handle_timer(now))

    def next_timer(self) -> float | None:
        """Return when handle_timer wants to be called, or None."""
        return self._mixer.next_timer()

    def control(self, act: Act, now: float) -> None:
        """Do what the operator says. Raises PeepError for what makes no sense."""
        self._do(self._mixer.control(act, now))

    def controls(self, now: float) -> tuple[Control, ...]:
        """Return what the operator's acts have left in force."""
        return self._mixer.controls(now)

    def quiet(self, *, on: bool, now: float) -> None:
        """Let quiet hours begin or end."""
        self._do(self._mixer.quiet(on, now))

    def restore(self, now: float) -> None:
        """Tell an engine that is new all that the one before it had been told."""
        self._do(self._mixer.restore(now))

    def sounding(self, now: float) -> Sounding:
        """Return what sounds."""
        return self._mixer.sounding(now)

    def finish(self) -> None:
        """Account for what will never sound."""
        self._mixer.drain()
        self._do([])

    def _do(self, commands: Sequence[Command]) -> None:
        if commands:
            self._engine.send(commands)
        while (outcome := self._mixer.next_event()) is not None:
            self._told(outcome)

    def _told(self, outcome: Outcome) -> None:
        self.tally.add(outcome)
        self._tell(outcome)
