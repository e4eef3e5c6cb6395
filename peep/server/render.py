"""A log as sound, from its own timestamps: the offline caller of the pipeline.

The clock is moved by hand from line to line. Lines without a time stand at the line
before them; several logs are merged by time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from peep.errors import PeepError
from peep.loglines import LineSplitter, LogLine, Timestamps
from peep.server.pipeline import Pipeline
from peep.sound.engine import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from random import Random

    from peep.rules import RuleSet
    from peep.sound.offline import OfflineEngine
    from peep.theme import Theme

READ_BYTES = 256 * 1024
TAIL_S = 3.0  # after the last line: longer than any one-shot and its reverberation
# A log of a year at --speed 1 would fill the disk before anyone noticed.
MAX_SOUND_S = 24 * 3600.0


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every line."""

    lines: int
    undated: int
    unmatched: int
    signals: int
    cues: int
    suppressions: dict[str, int]
    events: dict[str, int]
    seconds: float
    integrated_lufs: float | None
    true_peak_dbtp: float | None


def read_log(path: Path, hint: float) -> Iterator[LogLine]:
    """Yield a log's lines with their own times, never going back; 0.0 if unknown."""
    times = Timestamps(hint)
    splitter = LineSplitter(str(path))
    last = 0.0
    with path.open("rb") as file:
        blocks = iter(lambda: file.read(READ_BYTES), b"")
        for lines in (*map(splitter.feed, blocks), splitter.finish()):
            for line in lines:
                last = max(last, times.read(line.text))
                yield msgspec.structs.replace(line, when=last)


def span_s(logs: Sequence[Path]) -> tuple[float, float]:
    """Return the first and the last time in these logs, in Unix seconds."""
    first, last = float("inf"), 0.0
    for path in logs:
        for line in read_log(path, path.stat().st_mtime):
            if line.when:
                first = min(first, line.when)
                last = max(last, line.when)
    if not last:
        names = ", ".join(str(path) for path in logs)
        raise PeepError(f"no line of {names} begins with a time that Peep knows")
    return first, last


def render(
    logs: Sequence[Path],
    rules: RuleSet,
    theme: Theme,
    engine: OfflineEngine,
    *,
    rng: Random,
    speed: float,
    progress: Callable[[float, float], None] = lambda _share, _total_s: None,
) -> Rendered:
    """Render logs through the engine.

    `progress` is told the share done, 0…1, and the seconds of sound there are in all.
    PeepError if no line has a time, or the sound would be longer than a day.
    """
    first, last = span_s(logs)
    total_s = (last - first) / speed
    if total_s > MAX_SOUND_S:
        needed = (last - first) / MAX_SOUND_S
        raise PeepError(
            f"these logs span {(last - first) / 3600:.0f} hours: at --speed {speed:g} "
            f"that is over a day of sound; take --speed {needed:.0f} or more"
        )
    pipeline = Pipeline(theme, engine, engine.start(), rng)
    progress(0.0, total_s)
    lines = undated = unmatched = 0
    events: Counter[str] = Counter()
    readers = [read_log(path, path.stat().st_mtime) for path in logs]
    for line in heapq.merge(*readers, key=lambda line: line.when):
        at_s = max(0.0, line.when - first) / speed
        progress(at_s / total_s if total_s else 0.0, total_s)
        _advance(pipeline, engine, at_s)
        lines += 1
        undated += not line.when
        event = rules.event(line)
        if event is None:
            unmatched += 1
            continue
        events[event.name] += 1
        pipeline.feed(event, at_s)
    _advance(pipeline, engine, total_s + TAIL_S)
    pipeline.finish()
    meters = engine.stop()
    progress(1.0, total_s)
    tally = pipeline.tally
    return Rendered(
        lines=lines,
        undated=undated,
        unmatched=unmatched,
        signals=tally.signals,
        cues=tally.cues,
        suppressions={str(k): n for k, n in sorted(tally.suppressions.items())},
        events=dict(events.most_common()),
        seconds=meters.frames / SAMPLE_RATE_HZ,
        integrated_lufs=_finite(meters.integrated_lufs),
        true_peak_dbtp=_finite(meters.true_peak_dbtp),
    )


def _advance(pipeline: Pipeline, engine: OfflineEngine, to_s: float) -> None:
    """Let time pass: do what comes due on the way, and render up to there."""
    while (due := pipeline.next_timer()) is not None and due <= to_s:
        engine.advance(max(0.0, due))
        pipeline.handle_timer(due if due > 0 else 0.0)
    engine.advance(to_s)


def _finite(value: float) -> float | None:
    return round(value, 1) if value > float("-inf") else None
