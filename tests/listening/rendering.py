"""What a theme sounds like, rendered by the product's own path, with what was told.

Signals at their times go through the real pipeline (mixer, graph, buses, limiter), the
time moved by hand: minutes come as fast as they can be made. What the engine was told,
and what became of each signal, is kept beside the sound.

One graph lives in a process: a rendering ends the sound of every other one.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from peep.config.themes import load_theme
from peep.mixer.commands import Bus
from peep.mixer.room import HEADPHONES
from peep.server.pipeline import Pipeline, Tally
from peep.sound.buses import SUMMED
from peep.sound.engine import BLOCK_FRAMES, CHANNELS, SAMPLE_RATE_HZ, Gap, Meters
from peep.sound.master import Master
from peep.sound.pyo_engine.graph import Graph
from peep.sound.samples import Samples, make_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from peep.mixer.commands import Command
    from peep.mixer.outcomes import Outcome
    from peep.mixer.room import Room
    from peep.signals import Signal
    from peep.sound.ring import Ring
    from peep.theme import SoundBank, Theme

ORIGIN = "script"


class Made(NamedTuple):
    """A theme with its sounds, made; `directory` is where its files lie."""

    theme: Theme
    samples: Samples
    directory: Path


class At(NamedTuple):
    """A signal of a script, and when it comes."""

    at_s: float
    signal: Signal


class Told(NamedTuple):
    """A command to the engine, and when it begins to act: at the start of a block."""

    at_s: float
    command: Command


class Rendering(NamedTuple):
    """A mix, shape (n, 2) at 48 kHz, and what was told on the way.

    `outcomes` are (when, what became of a signal). The sound lags one block behind
    what was told, for the limiter's look-ahead. `bed` is the bed by itself, where that
    was asked for, as if it were never lowered: layers and beats.
    """

    sound: NDArray[np.float32]
    told: list[Told]
    outcomes: list[tuple[float, Outcome]]
    tally: Tally
    bed: NDArray[np.float32]


@cache
def made(name: str) -> Made:
    """Return a theme by its name or path, its sounds made. Raises PeepError."""
    theme, directory = load_theme(name)
    return Made(theme, make_samples(theme, directory), directory)


class TappedGraph(Graph):
    """A graph whose bed is listened to before it is mixed with the rest."""

    def __init__(
        self, it: Made, seed: int, take_bed: Callable[[NDArray[np.float32]], None]
    ) -> None:
        super().__init__(it.theme, it.samples, seed)
        self._take_bed = take_bed

    def block(self) -> NDArray[np.float32]:
        """Make the next block, as the graph does."""
        block = super().block()
        pairs = block.reshape(BLOCK_FRAMES, SUMMED, CHANNELS)
        self._take_bed(pairs[:, Bus.BED].copy())
        return block


class HeldEngine:
    """Implements Engine: blocks are given to `take`; time passes only in `advance`."""

    note: str | None = None
    ring: Ring | None = None

    def __init__(
        self,
        it: Made,
        seed: int,
        take: Callable[[NDArray[np.float32]], None],
        take_bed: Callable[[NDArray[np.float32]], None] | None = None,
    ) -> None:
        self._bank = it.samples.bank
        self._master = Master(
            Graph(it.theme, it.samples, seed)
            if take_bed is None
            else TappedGraph(it, seed, take_bed)
        )
        self._take = take
        self._blocks = 0
        self.told: list[Told] = []

    def start(self) -> SoundBank:
        """Say what was made."""
        return self._bank

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands for the present moment."""
        now_s = self._blocks * BLOCK_FRAMES / SAMPLE_RATE_HZ
        self.told += [Told(now_s, command) for command in commands]
        self._master.apply(commands)

    def advance(self, to_s: float) -> None:
        """Render up to a moment, rounded to a block."""
        while self._blocks < round(to_s * SAMPLE_RATE_HZ / BLOCK_FRAMES):
            self._take(self._master.block())
            self._blocks += 1

    def meters(self) -> Meters:
        """Return the reading of all that was rendered."""
        return self._master.meters()

    def failure(self) -> str | None:
        """Return nothing: there is no output."""

    def look(self) -> Gap | None:
        """Return nothing: it is never made anew."""

    def stop(self) -> Meters:
        """Return the last reading."""
        return self.meters()


def render(
    it: Made,
    script: Iterable[At],
    seconds: float,
    *,
    seed: int = 1,
    room: Room = HEADPHONES,
    bed: bool = False,
) -> Rendering:
    """Render a script, in the order of its times, for so long.

    Signals come from an agent that is called as their host, or from ORIGIN.
    `bed`: keep the bed by itself, too.
    """
    blocks: list[NDArray[np.float32]] = []
    beds: list[NDArray[np.float32]] = []
    take_bed = beds.append if bed else None
    engine = HeldEngine(it, seed, blocks.append, take_bed)
    outcomes, tally = play(engine, it.theme, script, seconds, seed=seed, room=room)
    sound = np.concatenate(blocks)
    alone = np.concatenate(beds) if bed else np.zeros((0, 2), np.float32)
    return Rendering(sound, engine.told, outcomes, tally, alone)


def play(
    engine: HeldEngine,
    theme: Theme,
    script: Iterable[At],
    seconds: float,
    *,
    seed: int = 1,
    room: Room = HEADPHONES,
) -> tuple[list[tuple[float, Outcome]], Tally]:
    """Play a script through an engine; return what became of its signals."""
    outcomes: list[tuple[float, Outcome]] = []
    now_s = 0.0
    pipeline = Pipeline(
        theme,
        engine,
        engine.start(),
        random.Random(seed),
        lambda outcome: outcomes.append((now_s, outcome)),
        room=room,
    )

    def let_pass(to_s: float) -> None:
        nonlocal now_s
        while (due := pipeline.next_timer()) is not None and due <= to_s:
            now_s = max(0.0, due)
            engine.advance(now_s)
            pipeline.handle_timer(now_s)
        now_s = to_s
        engine.advance(to_s)

    for at_s, signal in script:
        let_pass(at_s)
        pipeline.feed(signal, at_s, signal.host or ORIGIN)
    let_pass(seconds)
    pipeline.finish()
    return outcomes, pipeline.tally
