"""What the console sees of a server: console/port.py, filled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from peep.console.port import CueSeen, LayerSeen, Now
from peep.loglines import printable
from peep.mixer.outcomes import Cue, Outcome
from peep.signals import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.clock import Clock
    from peep.server.knobs import Knobs
    from peep.server.pipeline import Pipeline
    from peep.sound.engine import Engine
    from peep.sound.ring import Ring

MAX_CUES: Final = 200  # of the last ones; the journal has all


class View:
    """Implements Port."""

    def __init__(
        self,
        pipeline: Pipeline,
        engine: Engine,
        knobs: Knobs,
        *,
        clock: Clock,
        agents: Callable[[], int],
        theme: str,
        output: str,
    ) -> None:
        assert engine.ring is not None, "only what can be listened to has a console"
        self.ring: Ring = engine.ring
        self._pipeline = pipeline
        self._engine = engine
        self._knobs = knobs
        self._clock = clock
        self._agents = agents
        self._theme = theme
        self._output = output
        self._cues: deque[CueSeen] = deque(maxlen=MAX_CUES)
        self._count = 0
        self._frames = 0
        self._grown_at = clock.now()

    def outcome(self, outcome: Outcome) -> None:
        """Take what became of a signal: events that are heard are shown."""
        if not isinstance(outcome, Cue) or not isinstance(outcome.signal, Event):
            return
        event = outcome.signal
        self._count += 1
        self._cues.append(
            CueSeen(
                number=self._count,
                at=self._clock.wall(),
                name=event.name,
                tier=event.tier.name.lower(),
                host=event.host,
                sound=outcome.sound,
                text=printable(event.text.encode("utf-8", "replace")),
                count=event.count,
                others=len(outcome.carried),
                late=outcome.late,
            )
        )

    def now(self, after: int) -> Now:
        """Return what is sounding, and the cues with numbers above `after`."""
        now = self._clock.now()
        sounding = self._pipeline.sounding(now)
        meters = self._engine.meters()
        return Now(
            at=self._clock.wall(),
            theme=self._theme,
            output=self._output,
            agents=self._agents(),
            age_s=self._age_s(now),
            failure=self._engine.failure(),
            momentary_lufs=_finite(meters.momentary_lufs),
            true_peak_dbtp=_finite(meters.true_peak_dbtp),
            voices=tuple(voice.sound for voice in sounding.voices),
            layers=tuple(
                LayerSeen(layer=it.layer, value=it.value, name=it.name, host=it.host)
                for it in sounding.layers
            ),
            held=self._knobs.in_words(),
            cues=tuple(cue for cue in self._cues if cue.number > after),
        )

    def _age_s(self, now: float) -> float:
        frames = self.ring.frames
        if frames != self._frames:
            self._frames, self._grown_at = frames, now
        return now - self._grown_at


def _finite(value: float) -> float | None:
    return round(value, 1) if value > float("-inf") else None
