"""`peep keytest`: a keyboard of a theme's sounds, in a terminal."""

from __future__ import annotations

import contextlib
import os
import random
import select
import string
import sys
import termios
from typing import TYPE_CHECKING

import msgspec

from peep.cli import common
from peep.cli.audition import add_output, output_of, started, until_stopped
from peep.config.meanings import meanings
from peep.config.problems import safe
from peep.config.themes import load_theme
from peep.errors import ConfigError, PeepError
from peep.mixer.casting import Casting
from peep.mixer.commands import VOICES, Bus, Level, Play
from peep.sound.live import LiveEngine

if TYPE_CHECKING:
    import argparse
    import threading
    from collections.abc import Iterator, Sequence

    from peep.config.meanings import Meaning
    from peep.mixer.commands import Command
    from peep.theme import SoundBank, Theme

_EXAMPLES = """\
  peep keytest
  peep keytest --theme dry --output device:USB

A letter plays a sound, a digit sets the level of the chosen layer (0 is silence), tab
chooses the next one, space silences all layers, q ends.
"""
LETTERS = string.ascii_lowercase.replace("q", "") + string.ascii_uppercase
LOOK_S = 0.2  # how often a signal, or a failure of the sound, is looked for
FADE_S = 0.5
_READ_BYTES = 64  # of what somebody pastes, at a time
_QUIT = "q\x03\x04"  # and Ctrl-C, Ctrl-D
_ESCAPE = "\x1b"  # alone it ends; with more behind it, it is an arrow or the like
_FULL = 9
_KINDS = {"alerts": "alert ", "heartbeats": "heartbeat "}
_LFLAG, _CC = 3, 6  # what tcgetattr returns, by place


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser("keytest", "Press keys and hear the sounds.", _EXAMPLES)
    common.add_config(made)
    add_output(made)
    return made


def run(argv: Sequence[str]) -> int:
    """Play what is pressed, until q."""
    args = parser().parse_args(argv)
    if not sys.stdin.isatty():
        raise ConfigError(["keytest reads keys, and needs a terminal for that"])
    output = output_of(args)
    settings = common.settings(args.config)
    theme, directory = load_theme(args.theme or settings.server.theme)
    common.say(f"making the sounds of {theme.name}")
    engine = LiveEngine(theme, directory, output, seed=0)
    try:
        keyboard = Keyboard(theme, started(engine))
        stop = until_stopped()
        with raw(sys.stdin.fileno()):
            # Only now, for whoever reads it may press.
            print(keyboard.legend(), flush=True)
            _press(keyboard, engine, sys.stdin.fileno(), stop)
    finally:
        engine.stop()
    return 0


class Key(msgspec.Struct, frozen=True):
    """What a letter plays, and what that stands for."""

    sound: str
    names: str
    how: Meaning


class Keyboard:
    """Keys become commands, and words for the screen."""

    def __init__(self, theme: Theme, bank: SoundBank) -> None:
        # Not for secrets: which of a sound's variants plays.
        self._casting = Casting(theme, bank, random.Random())  # noqa: S311
        self.keys = keys_of(theme)
        self._layers: dict[str, Meaning] = {}
        for it in meanings(theme):
            for layer in filter(None, (it.layer, *(name for _, name in it.above))):
                self._layers.setdefault(layer, it)
        self._order = list(self._layers)
        self._chosen = 0
        self._voice = 0

    def legend(self) -> str:
        """Return what each key does, a line each."""
        rows = [f"  {key}  {it.sound:<16} {it.names}" for key, it in self.keys.items()]
        layers = ", ".join(self._order)
        rows.append(f"  0 to 9 set the level of a layer, tab takes the next: {layers}")
        rows.append("  space silences all layers, q ends")
        return "\n".join(map(safe, rows))

    def press(self, key: str) -> tuple[str, list[Command]]:
        """Return what to say and to do; nothing for a key that means nothing."""
        if key in self.keys:
            return self._play(self.keys[key])
        if key == " ":
            return "silence", [self._level(name, None) for name in self._order]
        if not self._order:
            return "", []
        if key == "\t":
            self._chosen = (self._chosen + 1) % len(self._order)
            return self._order[self._chosen], []
        if key in string.digits:
            name, digit = self._order[self._chosen], int(key)
            value = (digit - 1) / (_FULL - 1) if digit else None
            return f"{name} {digit}", [self._level(name, value)]
        return "", []

    def _play(self, key: Key) -> tuple[str, list[Command]]:
        self._voice = (self._voice + 1) % VOICES
        bus = Bus.ALERTS if key.how.level == "alert" else Bus.EVENTS
        variant = self._casting.variant(key.sound)
        played = Play(
            self._voice, key.sound, variant, key.how.gain_db, key.how.pan, bus
        )
        return f"{key.sound}: {key.names}", [played]

    def _level(self, name: str, value: float | None) -> Level:
        how = self._layers[name]
        return Level(name, value, how.gain_db, how.pan, FADE_S)


def keys_of(theme: Theme) -> dict[str, Key]:
    """Return a key for each sound that stands for something, as far as letters go."""
    names: dict[str, list[str]] = {}
    first: dict[str, Meaning] = {}
    for it in meanings(theme):
        for sound, name in ((it.sound, it.name), (it.miss, f"{it.name} missed")):
            if sound:
                first.setdefault(sound, it)
                kind = _KINDS.get(it.table, "")
                names.setdefault(sound, []).append(f"{kind}{name}")
    return {
        letter: Key(sound, ", ".join(said), first[sound])
        for letter, (sound, said) in zip(LETTERS, names.items(), strict=False)
    }


@contextlib.contextmanager
def raw(terminal: int) -> Iterator[None]:
    """Give keys as they are pressed, unseen; put the terminal back on every exit.

    Ctrl-C and its like come as keys too, so that nothing ends or stops this between.
    """
    was = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[_LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    changed[_CC][termios.VMIN], changed[_CC][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, changed)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(terminal, termios.TCSANOW, was)
            # What was pressed too late is not for the shell.
            termios.tcflush(terminal, termios.TCIFLUSH)


def _press(
    keyboard: Keyboard, engine: LiveEngine, terminal: int, stop: threading.Event
) -> None:
    """Do what keys say until q, a signal, or the terminal's end."""
    while not stop.is_set():
        failure = engine.failure()
        if failure:
            raise PeepError(failure)
        if not select.select([terminal], [], [], LOOK_S)[0]:
            continue
        for key in _read(terminal):
            if key in _QUIT:
                return
            says, commands = keyboard.press(key)
            if says:
                print(safe(says), flush=True)
            engine.send(commands)


def _read(terminal: int) -> str:
    """Return the keys that wait; Escape, and a terminal that is gone, are a q."""
    try:
        keys = os.read(terminal, _READ_BYTES).decode("ascii", "replace")
    except OSError:
        return "q"
    if keys in ("", _ESCAPE):
        return "q"
    return "" if keys.startswith(_ESCAPE) else keys
