"""What an audition plays: steps in time, each with words for the screen.

A *tour* goes through a whole theme in the order in which one would learn it: families,
pairs (what begins and what ends, one after the other), alerts, Peep's own events, a
heartbeat and one that is missed, layers that rise from nothing to full, the unknown,
the pulse. A sound that stands for several names is played once, with all of them.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from peep.config.meanings import Meaning, meanings, pair_of
from peep.mixer.commands import (
    PULSE_VOICE,
    VOICES,
    Beat,
    Bus,
    Command,
    Level,
    Play,
)
from peep.theme import SoundBank, Theme

PAUSE_S = 0.7  # between two sounds: long enough to read the next name
PAIR_S = 0.25  # within a pair
SETTLE_S = 1.5  # for a layer to fall silent before the next
RISE_S = 8.0
RISE_STEPS = 20
UNKNOWN_S = 5.0
BEATS_S = 4.0
BEAT_HZ = 1.0
FADE_S = 0.5

TITLES = {
    "families": "families of events",
    "endings": "pairs: what begins, and what ends",
    "alerts": "alerts",
    "events": "single events",
    "heartbeats": "heartbeats: a beat, and one that is missed",
    "states": "states: layers that rise from nothing to full",
    "unknown": "states that nobody knows any more",
    "pulse": "Peep's own pulse",
}


class Step(msgspec.Struct, frozen=True):
    """What happens at a moment, in seconds from the start; `says` may be ""."""

    at_s: float
    says: str
    commands: tuple[Command, ...] = ()


class Audition:
    """Writes steps, one after the other: `steps`."""

    def __init__(self, theme: Theme, bank: SoundBank) -> None:
        self.steps: list[Step] = []
        self.now_s = 0.0
        self._theme = theme
        self._bank = bank
        self._voice = 0
        self._turns: dict[str, int] = {}

    def tour(self) -> None:
        """Add all meanings of the theme."""
        found = meanings(self._theme)
        for table, title in TITLES.items():
            rows = [it for it in found if it.table == table]
            if rows:
                self._step(f"-- {title}")
                self.play(rows)

    def play(self, rows: Iterable[Meaning]) -> None:
        """Add these meanings, those with one sound together."""
        for group in _together(rows):
            how = group[0]
            match how.table:
                case "states" | "layers":
                    for layer in (how.layer, *(name for _, name in how.above)):
                        self._rise(layer, how, _line(layer, group))
                case "unknown":
                    self._hold(how, UNKNOWN_S, _line(how.layer, group))
                case "heartbeats":
                    self._beat(how, _line(how.sound, group))
                case "sounds":
                    self._variants(how)
                case "pulse":
                    self._one(how.sound, how, _line(how.sound, group), PULSE_VOICE)
                    self._one(how.sound, how, "", PULSE_VOICE)
                case _:
                    begins = pair_of(self._theme, how)
                    if begins:
                        self._one(begins, how, "")
                        self.now_s += PAIR_S - PAUSE_S
                    self._one(how.sound, how, _line(how.sound, group))

    def _variants(self, how: Meaning) -> None:
        for number in range(how.variants):
            says = f"{how.name} ({number + 1} of {how.variants})"
            self._one(how.sound, how, says)

    def _rise(self, layer: str, how: Meaning, says: str) -> None:
        for step in range(RISE_STEPS + 1):
            value = step / RISE_STEPS
            level = Level(layer, value, how.gain_db, how.pan, FADE_S)
            self._step("" if step else says, level)
            self.now_s += RISE_S / RISE_STEPS
        self._fall(layer, how)

    def _hold(self, how: Meaning, seconds: float, says: str) -> None:
        self._step(says, Level(how.layer, 1.0, how.gain_db, how.pan, FADE_S))
        self.now_s += seconds
        self._fall(how.layer, how)

    def _fall(self, layer: str, how: Meaning) -> None:
        self._step("", Level(layer, None, how.gain_db, how.pan, FADE_S))
        self.now_s += SETTLE_S

    def _beat(self, how: Meaning, says: str) -> None:
        self._step(says, Beat(0, how.sound, BEAT_HZ, how.gain_db, how.pan))
        self.now_s += BEATS_S
        self._step("", Beat(0, how.sound, 0.0, 0.0, 0.0))
        self.now_s += PAUSE_S
        if how.miss:
            self._one(how.miss, how, f"{how.miss:<16} a beat that is missed")

    def _one(self, sound: str, how: Meaning, says: str, voice: int = -1) -> None:
        """Add a sound once, in its next form."""
        variants = self._bank.variants[sound]
        turn = self._turns.get(sound, 0) % len(variants)
        self._turns[sound] = turn + 1
        if voice < 0:
            voice = self._voice
            self._voice = (voice + 1) % VOICES
        bus = Bus.ALERTS if how.level == "alert" else Bus.EVENTS
        self._step(says, Play(voice, sound, turn, how.gain_db, how.pan, bus))
        self.now_s += variants[turn].duration_s + PAUSE_S

    def _step(self, says: str, *commands: Command) -> None:
        self.steps.append(Step(self.now_s, says, commands))


def _together(rows: Iterable[Meaning]) -> Iterator[list[Meaning]]:
    """Give rows with the same sound or layer as one, in order."""
    groups: dict[tuple[str, str, str], list[Meaning]] = {}
    for it in rows:
        groups.setdefault((it.table, it.sound, it.layer), []).append(it)
    yield from groups.values()


def _line(sound: str, group: Sequence[Meaning]) -> str:
    says = group[0].says if len(group) == 1 else ""
    names = ", ".join(it.name for it in group)
    return f"{sound:<16} {names}" + (f": {says}" if says else "")
