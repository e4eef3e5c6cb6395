"""`peep audition`: each meaning of a theme, with its name on the screen."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from peep.cli import common
from peep.cli.theme_check import known_events
from peep.clock import SystemClock
from peep.config.meanings import meanings, named, sounds_of
from peep.config.problems import hint, safe, shown
from peep.config.themes import load_theme
from peep.errors import ConfigError, EngineError, PeepError
from peep.sound.engine import SAMPLE_RATE_HZ
from peep.sound.live import LiveEngine
from peep.sound.offline import OfflineEngine
from peep.sound.outputs import NO_CARD, parse_output
from peep.sound.tour import Audition, Step

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from peep.config.meanings import Meaning
    from peep.signals import Event
    from peep.theme import SoundBank, Theme

_EXAMPLES = """\
  peep audition                            all that the theme in use has: a tour
  peep audition mail --theme dry           a family; or a sound, an event, a state
  peep audition --tour --out tour.flac     as a file, where there is no sound card
"""
TAIL_S = 1.0  # after the last sound
LOOK_S = 0.2  # how often a failure of the sound is looked for
SEED = 1  # the same tour each time
NO_CARD_MEND = "write a file (--out FILE), or name an output (--output)"


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "audition", "Hear what each sound means, its name on the screen.", _EXAMPLES
    )
    common.add_config(made)
    made.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a family, event, ending, state, sound or layer (default: all of them)",
    )
    made.add_argument("--tour", action="store_true", help="all, in the order to learn")
    add_output(made)
    return made


def add_output(made: argparse.ArgumentParser) -> None:
    """Add --theme, --output and --out."""
    made.add_argument("--theme", metavar="NAME", help="its name, or a directory")
    made.add_argument(
        "--output",
        default="auto",
        metavar="WHERE",
        help="auto, device, device:NAME, file:PATH or null (default: auto)",
    )
    made.add_argument(
        "--out", type=Path, metavar="FILE", help="write a .flac, .wav or .ogg file"
    )


def output_of(args: argparse.Namespace) -> str:
    """Return where the sound is to go; ConfigError if it cannot be heard there."""
    text = f"file:{args.out}" if args.out is not None else args.output
    try:
        kind = parse_output(text).kind
    except EngineError as refused:
        raise ConfigError([f"--output: {refused}"]) from None
    if kind == "stream":
        raise ConfigError(["--output stream: nobody listens to this from afar"])
    return str(text)


def run(argv: Sequence[str]) -> int:
    """Play; exit code 1 if there is nothing to play it on."""
    args = parser().parse_args(argv)
    if args.name and args.tour:
        raise ConfigError([f"either {shown(args.name)} or --tour"])
    settings = common.settings(args.config)
    output = output_of(args)
    spec = parse_output(output)
    theme, directory = load_theme(args.theme or settings.server.theme)
    rows = _rows(theme, args.name, known_events(settings)) if args.name else []
    # No more sounds than are wanted: it is ready the sooner.
    wanted = sounds_of(theme, rows) if rows else tuple(theme.sounds)
    cut = {name: it for name, it in theme.sounds.items() if name in wanted}
    theme = msgspec.structs.replace(theme, sounds=cut)

    def steps(bank: SoundBank) -> Sequence[Step]:
        audition = Audition(theme, bank)
        if rows:
            audition.play(rows)
        else:
            audition.tour()
        return [*audition.steps, Step(audition.now_s + TAIL_S, "")]

    common.say(f"making the sounds of {theme.name}")
    if spec.kind == "file":
        out = Path(spec.argument)
        return _write(OfflineEngine(theme, directory, out, SEED), steps, out)
    return _play(LiveEngine(theme, directory, output, SEED), steps)


def _play(engine: LiveEngine, steps: Callable[[SoundBank], Sequence[Step]]) -> int:
    """Play at the pace of the clock, until the end or Ctrl-C."""
    try:
        bank = started(engine)
        stop = until_stopped()
        clock = SystemClock()
        began = clock.now()
        for step in steps(bank):
            while (early_s := began + step.at_s - clock.now()) > 0:
                if stop.wait(min(early_s, LOOK_S)):
                    return 0
                _complain(engine)
            _show(step)
            engine.send(step.commands)
    finally:
        engine.stop()
    return 0


def started(engine: LiveEngine) -> SoundBank:
    """Start an engine; PeepError if nobody could hear it."""
    bank = engine.start()
    if engine.note == NO_CARD:
        raise PeepError(f"no sound card here: {NO_CARD_MEND}")
    return bank


def _complain(engine: LiveEngine) -> None:
    failure = engine.failure()
    if failure:
        raise PeepError(failure)


def _write(
    engine: OfflineEngine, steps: Callable[[SoundBank], Sequence[Step]], out: Path
) -> int:
    """Write all of it into a file, as fast as it goes; Ctrl-C ends it early."""
    bank = engine.start()
    stop = until_stopped()
    for step in steps(bank):
        engine.advance(step.at_s)
        if stop.is_set():
            break
        _show(step)
        engine.send(step.commands)
    meters = engine.stop()
    common.say(f"{meters.frames / SAMPLE_RATE_HZ:.0f} s of sound in {out}")
    return 0


def until_stopped() -> threading.Event:
    """Return what Ctrl-C, SIGTERM and a closed terminal set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _show(step: Step) -> None:
    if step.says:
        minutes, seconds = divmod(int(step.at_s), 60)
        print(safe(f"{minutes}:{seconds:02d}  {step.says}"), flush=True)


def _rows(theme: Theme, name: str, known: Mapping[str, Event]) -> list[Meaning]:
    """Return what a name stands for; ConfigError if that is nothing."""
    rows = named(theme, name, known)
    if not rows:
        names = {it.name for it in meanings(theme)} | {*theme.sounds, *theme.layers}
        near = hint(name, names | known.keys())
        raise ConfigError([f"nothing is called {shown(name)} in {theme.name}{near}"])
    return rows
