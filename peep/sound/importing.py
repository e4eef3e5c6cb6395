"""A folder of recordings becomes a theme: by their names, with all else from another.

Theory
------
*Names.* A file's own name says what it is for, or else that of the nearest folder that
does: `mail-1.flac`, `Mail 2.wav` and `mail/blackbird.ogg` are three variants for the
family mail. Case, blanks and a number at the end mean nothing. What words there are
stands in WORDS; also the endings that the other theme has (logout), and any name of an
event (ssh.login-failed).

*Nothing is believed.* What lies there is others' work: how much is looked at, and how
large it may be, is bounded; what cannot be read is left out and said.

The recordings are copied as they are. Nothing is written over, and a theme is there
whole or not at all.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from peep.config.credits import CREDITS
from peep.config.meanings import FAMILIES, PEEPS_OWN
from peep.config.problems import hint, shown
from peep.config.themes import MAX_VARIANTS, THEME_FILE
from peep.errors import ConfigError
from peep.signals import Event, name_problem
from peep.sound.recordings import SUFFIXES, RecordingError, read_recording
from peep.theme import Theme

MAX_LOOKED_AT = 10_000  # names in a folder and those below it: no collection is larger
MAX_TAKEN_BYTES = 256 * 2**20  # what a theme copies: a hundred times what one needs

# What a file may be called, besides endings and events → table and name in a theme.
WORDS: Mapping[str, tuple[str, str]] = {
    **{family: ("families", family) for family in FAMILIES},
    "default": ("families", "default"),
    "alert": ("alerts", "default"),
    **{f"alert-{family}": ("alerts", family) for family in FAMILIES},
    **{name.partition(".")[2]: ("events", name) for name in PEEPS_OWN},
    "heartbeat": ("heartbeats", "default"),
    "missed": ("heartbeats", "miss"),
    "pulse": ("pulse", "pulse"),
}
_NUMBER = re.compile(r"[\s_.-]*\(?\d+\)?$")
_BLANKS = re.compile(r"[\s_]+")


class Slot(msgspec.Struct, frozen=True):
    """What recordings are for: a place in a theme, the sound, its files in order."""

    table: str
    name: str
    sound: str
    level: str
    files: list[Path]


class Gathered(msgspec.Struct, frozen=True):
    """What a folder has: slots, and what was left out and why (file, reason)."""

    slots: tuple[Slot, ...]
    left_out: tuple[tuple[str, str], ...]


def gather(
    folder: Path,
    base: Theme,
    known: Mapping[str, Event],
    looked: Callable[[int], None] = lambda _: None,
) -> Gathered:
    """Look through a folder for what a theme laid over `base` could have.

    `known` are the events of the rules by name; `looked` is told how many recordings
    were read. Raises ConfigError if there are too many files.
    """
    slots: dict[str, Slot] = {}
    left_out: list[tuple[str, str]] = []
    left_bytes = MAX_TAKEN_BYTES
    for number, path in enumerate(_recordings(folder)):
        looked(number)
        inside = path.relative_to(folder)
        word = word_of(inside, base)
        if word is None:
            word = _plain(inside.stem)
            near = hint(word, [*WORDS, *base.endings])
            left_out.append((str(inside), f"nothing is called {shown(word)}{near}"))
            continue
        files = slots[word].files if word in slots else []
        problem = _problem(path, files, left_bytes)
        if problem:
            left_out.append((str(inside), problem))
            continue
        files.append(path)
        left_bytes -= path.stat().st_size
        slots[word] = _slot(word, base, known, files)
    return Gathered(tuple(slots.values()), tuple(left_out))


def word_of(inside: Path, base: Theme) -> str | None:
    """Return what a recording is for in a word, by its path in the folder."""
    for name in (inside.stem, *(part.name for part in inside.parents)):
        word = _plain(name)
        if word in WORDS or word in base.endings:
            return word
        if "." in word and name_problem(word) is None:
            return word
    return None


def _slot(
    word: str, base: Theme, known: Mapping[str, Event], files: list[Path]
) -> Slot:
    """Return the place of a word; its sound bears a name that the other has not."""
    ending = ("endings" if word in base.endings else "events", word)
    table, name = WORDS.get(word, ending)
    sound = f"own-{word}" if word in base.sounds else word
    level = {"alerts": "alert", "pulse": "pulse"}.get(table, "routine")
    if name == "miss":
        level = "notable"
    if table == "events":
        was = base.for_event(known.get(name, Event(name=name)))
        level = base.sounds[was.sound].level if was else "routine"
    return Slot(table, name, sound, level, files)


def theme_text(
    name: str, folder: Path, extends: str, base: Theme, slots: tuple[Slot, ...]
) -> str:
    """Return the theme.yaml of a theme that is laid over another."""
    lines = [
        f"# Recordings of {shown(str(folder))}, as `peep theme import` found them.",
        "#",
        "# What is not said here is as in the theme that this one extends. After a",
        "# change: peep theme check; to hear it: peep audition.",
        "",
        f"theme: {name}",
        f"about: recordings over {base.name}",
        f"extends: {json.dumps(extends)}",
        "",
        "# Each file is a variant; they take turns. `level` is how loud: routine,",
        "# notable, alert or pulse.",
        "sounds:",
    ]
    for slot in slots:
        lines.append(f"  {slot.sound}:")
        lines.append("    files:")
        for number, file in enumerate(slot.files, 1):
            was = shown(str(file.relative_to(folder)))
            lines.append(f"      - {_file(slot, number)}   # was {was}")
        lines.append(f"    level: {slot.level}")
    for table in ("families", "alerts", "endings", "events"):
        rows = [
            f"  {it.name}: {{sound: {it.sound}}}" for it in slots if it.table == table
        ]
        lines += ["", f"{table}:", *rows] if rows else []
    sounds = {(it.table, it.name): it.sound for it in slots}
    return "\n".join([*lines, *_beating(sounds, base), ""])


def credits_text(name: str, slots: tuple[Slot, ...], by: str, licence: str) -> str:
    """Return the CREDITS.md of a theme; what is not known stands as a question mark."""
    rows = [
        f"| {_file(slot, number)} | {by or '?'} | ? | {licence or '?'} |"
        for slot in slots
        for number in range(1, len(slot.files) + 1)
    ]
    return "\n".join(
        [
            f"# {name}: where its sounds come from",
            "",
            "Please write in each line who made the recording, where it is from, and",
            "its licence as it stands there: `peep theme check` asks for it.",
            "",
            "| file | by | from | licence |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def write_theme(target: Path, text: str, credit: str, slots: tuple[Slot, ...]) -> None:
    """Make a theme's directory, whole or not at all; ConfigError if it is there."""
    if os.path.lexists(target):
        raise ConfigError([f"{target} is there already: nothing is written over"])
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".import-", dir=target.parent))
    try:
        (made / THEME_FILE).write_text(text, encoding="utf-8")
        (made / CREDITS).write_text(credit, encoding="utf-8")
        for slot in slots:
            for number, file in enumerate(slot.files, 1):
                shutil.copyfile(file, made / _file(slot, number))
        made.chmod(0o755)
        made.rename(target)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _recordings(folder: Path) -> Iterator[Path]:
    """Give what may be a recording by its name, in order; no linked folders."""
    looked_at = 0
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(it for it in folders if not it.startswith("."))
        looked_at += len(folders) + len(files)
        if looked_at > MAX_LOOKED_AT:
            raise ConfigError([f"{folder}: more than {MAX_LOOKED_AT} files"])
        for name in sorted(files, key=_in_order):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(at, name)


def _in_order(name: str) -> tuple[str | int, ...]:
    """Sort mail-10 after mail-9."""
    parts = re.split(r"(\d{1,18})", name.lower())
    return tuple(int(part) if n % 2 else part for n, part in enumerate(parts))


def _plain(name: str) -> str:
    """Return what a name says, without case, blanks and a number at the end."""
    plain = _NUMBER.sub("", name.lower().strip())
    return _BLANKS.sub("-", plain).strip("-.")


def _problem(path: Path, files: list[Path], left_bytes: int) -> str:
    """Say why a recording cannot be taken, or nothing."""
    if len(files) >= MAX_VARIANTS:
        return f"there are {MAX_VARIANTS} variants already; more are not told apart"
    try:
        read_recording(path)
        if path.stat().st_size > left_bytes:
            return f"all together is more than {MAX_TAKEN_BYTES >> 20} MiB"
    except RecordingError as refused:
        return str(refused)
    return ""


def _file(slot: Slot, number: int) -> str:
    return f"{slot.sound}-{number}{slot.files[number - 1].suffix.lower()}"


def _beating(sounds: Mapping[tuple[str, str], str], base: Theme) -> Iterator[str]:
    """Give the lines of heartbeats and pulse: new sounds, all else as it was."""
    beat, miss = (sounds.get(("heartbeats", name)) for name in ("default", "miss"))
    was = base.heartbeats.get("default")
    if beat or (miss and was):
        # A beat comes again and again, so it is soft: where nothing is said, 12 dB.
        keys = {"sound": beat, "gain_db": "-12", "overdue_s": "10", "miss": miss}
        if was:
            keys["sound"] = beat or was.sound
            keys["gain_db"] = f"{was.gain_db:g}"
            keys["overdue_s"] = f"{was.overdue_s:g}"
            keys["miss"] = miss or was.miss
        said = ", ".join(f"{key}: {value}" for key, value in keys.items() if value)
        yield from ("", "heartbeats:", f"  default: {{{said}}}")
    pulse = sounds.get(("pulse", "pulse"))
    if pulse:
        every_s = base.pulse.every_s if base.pulse else 8.0
        yield from ("", f"pulse: {{sound: {pulse}, every_s: {every_s:g}}}")
