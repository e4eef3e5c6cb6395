"""What the operator turned, and what the time of day turns.

Each act goes to the mixer, into the journal's notes and into a file, so that a restart
changes nothing that was asked for. The file holds what is in force as JSON, times as
Unix seconds; what ended while nobody was here is let go. Quiet hours are looked at
here, for the mixer knows no time of day.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from peep.errors import PeepError
from peep.mixer.controls import Act, Clear, Control, Gain, Mute, Scope, Snooze

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from peep.clock import Clock
    from peep.config.quiet import QuietSpan
    from peep.server.pipeline import Pipeline

LOOK_S: Final = 5.0  # between looks at the time of day
MAX_FILE_BYTES: Final = 1 << 20  # of 256 controls, many times over


class Kept(msgspec.Struct, frozen=True):
    """A control as it lies in the file; `until` is Unix seconds, None is for good."""

    control: Control
    until: float | None


_decoder = msgspec.json.Decoder(tuple[Kept, ...])


class Knobs:
    """Between whoever turns them and the mixer."""

    def __init__(
        self,
        pipeline: Pipeline,
        path: Path | None,
        quiet: Sequence[QuietSpan],
        *,
        clock: Clock,
        say: Callable[[str], None],
        note: Callable[[str, str], None],
    ) -> None:
        """Keep controls at `path`, if given; `note` takes what was done, to what."""
        self._pipeline = pipeline
        self._path = path
        self._quiet = quiet
        self._clock = clock
        self._say = say
        self._note = note
        self._is_quiet = False
        self._look_at = float("-inf")

    def start(self) -> None:
        """Turn everything to where it was, and to the time of day."""
        wall, now = self._clock.wall(), self._clock.now()
        for kept in self._read():
            left_s = None if kept.until is None else kept.until - wall
            if left_s is None or left_s > 0:
                control = msgspec.structs.replace(kept.control, left_s=left_s)
                try:
                    self._pipeline.control(control.act(), now)
                except PeepError as problem:
                    self._say(f"{self._path}: {problem}: passed over")
        held = self.in_words()
        if held:
            self._say(f"still in force: {', '.join(held)} (peep unmute, peep controls)")
        self.handle_timer(now)

    def act(self, act: Act) -> tuple[Control, ...]:
        """Do it; return what is in force then. Raises PeepError."""
        now = self._clock.now()
        self._pipeline.control(act, now)
        what, about = words(act)
        self._note(what, about)
        self._say(f"{what} {about}".rstrip())
        self._write()
        return self.controls()

    def controls(self) -> tuple[Control, ...]:
        """Return what is in force."""
        return self._pipeline.controls(self._clock.now())

    def in_words(self) -> tuple[str, ...]:
        """Return what is in force, for people."""
        said = tuple(control_words(one) for one in self.controls())
        return (*said, "quiet hours") if self._is_quiet else said

    def handle_timer(self, now: float) -> None:
        """Let quiet hours begin and end."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        local = time.localtime(self._clock.wall())
        minute = 60 * local.tm_hour + local.tm_min
        quiet = any(span.covers(minute) for span in self._quiet)
        if quiet != self._is_quiet:
            self._is_quiet = quiet
            self._pipeline.quiet(on=quiet, now=now)
            self._note("quiet" if quiet else "loud", "quiet hours")

    def next_timer(self) -> float | None:
        """Return when to look again, or None."""
        return self._look_at if self._quiet else None

    def _read(self) -> tuple[Kept, ...]:
        if self._path is None:
            return ()
        try:
            with self._path.open("rb") as file:
                return _decoder.decode(file.read(MAX_FILE_BYTES))
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError) as problem:
            self._say(f"{self._path}: {problem}: nothing is muted now")
            return ()

    def _write(self) -> None:
        if self._path is None:
            return
        wall = self._clock.wall()
        kept = [
            Kept(one, None if one.left_s is None else wall + one.left_s)
            for one in self.controls()
        ]
        new = self._path.with_suffix(".new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(fd, msgspec.json.encode(kept))
                os.fsync(fd)
            finally:
                os.close(fd)
            new.replace(self._path)
        except OSError as problem:
            with contextlib.suppress(OSError):
                new.unlink()
            self._say(f"{self._path}: {problem.strerror}: a restart will forget this")


def words(act: Act) -> tuple[str, str]:
    """Return what an act does, and to what, for people."""
    what = str(act.__struct_config__.tag)
    match act:
        case Clear():
            return what, ""
        case Mute(scope=scope, for_s=float(for_s)) | Snooze(scope=scope, for_s=for_s):
            return what, f"{scope_words(scope)} for {span_words(for_s)}"
        case Gain(scope=scope, gain_db=gain_db):
            return what, f"{scope_words(scope)} {gain_db:+g} dB"
        case _:
            return what, scope_words(act.scope)


def control_words(control: Control) -> str:
    """Return a control for people."""
    left = "" if control.left_s is None else f" for {span_words(control.left_s)}"
    gain = f" {control.gain_db:+g} dB" if control.what == "gain" else ""
    return f"{control.what} {scope_words(control.scope)}{gain}{left}"


def scope_words(scope: Scope) -> str:
    """Return a scope as it is written: all, or KIND:VALUE."""
    return scope.kind if scope.kind == "all" else f"{scope.kind}:{scope.value}"


def span_words(seconds: float) -> str:
    """Return a time as people say it, rounded."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
