"""No step in the sound, whatever happens: a stress render, block by block.

    python tests/stress.py [--minutes M] [--seed N] [SCENE …]

Random signals (calm, busy, storm, of all tiers), states, heartbeats, and an operator
who mutes, solos, snoozes, turns gains, has quiet hours and starts the engine anew, go
through the real mixer, graph, buses and limiter.

The measure. A step or a corner shows in the second difference of the samples, where a
sound as such has little. What the sound has by itself is bounded: whatever is mixed by
gains that move smoothly has at each moment at most the sum of the second differences of
all that sounds, each times its gain. Every one-shot's is known from its samples (the
highest of the block that is read and of its neighbours), every layer's from minutes of
it alone, at rest. The *ratio* is what came out, highest of a block, divided by that
sum; 8 is allowed, for the corners at the ends of fades. Where nothing is to sound, and
for what nobody can hear, the sum counts as FLOOR.

The scenes: `tones` are one-shots and beats low and smooth, in which a step of a
hundredth of their level is found; `layer:NAME` is one live layer, `layers` are all, and
`wetland` is the whole theme. The layers alone share the minutes of one scene.
tests/audio/test_stress.py plants steps, to see that they are found.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from peep.config.themes import load_theme
from peep.mixer import controls
from peep.mixer.commands import BEATS, Beat, Bus, Level, Play, Stop
from peep.mixer.mixer import Mixer
from peep.signals import Event, Heartbeat, State, Tier
from peep.sound.child import _fade
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.master import Master
from peep.sound.pyo_engine.graph import Graph
from peep.sound.pyo_engine.layers import RECIPES
from peep.sound.samples import Samples, make_samples
from peep.theme import (
    LayerSpec,
    PulseSpec,
    SoundBank,
    SoundSpec,
    Theme,
    Variant,
    Voicing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ALLOWED = 8.0
BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
FLOOR = 1e-5  # -100 dBFS
LATE_BLOCKS = 1  # what the limiter gives later than the graph
CUT_BLOCKS = 3  # for which a sound that was cut off goes on
STRAY = 1.2  # a beat's gain strays by 1 dB, and a shade of pitch bends more
FAMILIES = ("access", "refusal", "mail", "web", "database", "system", "network", "job")
VALUES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Scene(NamedTuple):
    """A theme, its samples, and how much each layer bends by itself, by value."""

    theme: Theme
    samples: Samples
    bends: dict[str, list[float]]


class Worst(NamedTuple):
    """The block with the highest ratio: when, how high, and what was told before."""

    at_s: float = 0.0
    ratio: float = 0.0
    bend: float = 0.0
    allowed: float = 0.0
    told: tuple[str, ...] = ()


def bend_of(sound: np.ndarray) -> float:
    """Return the highest second difference of a sound, shape (n,) or (n, 2)."""
    return float(np.abs(np.diff(sound, 2, axis=0)).max(initial=0.0))


# ---- scenes ------------------------------------------------------------------------


def tones() -> Scene:
    """Return one-shots and beats of low tones."""
    rng = np.random.default_rng(1)
    arrays, variants, sounds = {}, {}, {}
    for n, family in enumerate((*FAMILIES, "alarm", "beat", "pulse")):
        sounds[family] = SoundSpec(name=family, recipe="frog", variants=2)
        made = []
        for variant in range(2):
            hz = 90 + 20 * n + 7 * variant
            seconds = float(rng.uniform(0.3, 2.5))
            t_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
            edge = np.sin(np.minimum(1, np.minimum(t_s, t_s[::-1]) / 0.03) * np.pi / 2)
            tone = 0.2 * edge**2 * np.sin(2 * np.pi * hz * t_s)
            arrays[family, variant] = tone.astype(np.float32)
            made.append(Variant(seconds, -20.0))
        variants[family] = tuple(made)
    theme = Theme(
        name="tones",
        sounds=sounds,
        families={name: Voicing(sound=name) for name in FAMILIES},
        alerts={"default": Voicing(sound="alarm")},
        heartbeats={
            "default": Voicing(sound="beat", gain_db=-6.0, overdue_s=3.0, miss="job")
        },
        pulse=PulseSpec(sound="pulse", every_s=3.0),
    )
    return Scene(theme, Samples(arrays, SoundBank(variants)), {})


def layers(*names: str) -> Scene:
    """Return live layers, all if none are named, each following states of its name.

    Above the middle the next one takes over.
    """
    names = names or tuple(RECIPES)
    made = {name: LayerSpec(name=name, recipe=name) for name in names}
    states = {
        name: Voicing(sound=name, fade_s=0.5, above=((0.5, after),))
        for name, after in zip(names, (*names[1:], names[0]), strict=True)
    }
    theme = Theme(name="layers", layers=made, states=states)
    return Scene(theme, Samples({}, SoundBank({})), _bends(theme))


def wetland() -> Scene:
    """Return the theme that is shipped."""
    theme, directory = load_theme("wetland")
    return Scene(theme, make_samples(theme, directory), _bends(theme))


SCENES: dict[str, Callable[[], Scene]] = {
    "tones": tones,
    "wetland": wetland,
    "layers": layers,
    **{f"layer:{name}": functools.partial(layers, name) for name in RECIPES},
}


def _bends(theme: Theme, seconds: float = 12.0) -> dict[str, list[float]]:
    """Return how much each layer bends at VALUES, at 0 dB in the middle."""
    found: dict[str, list[float]] = {name: [] for name in theme.layers}
    graph = Graph(theme, Samples({}, SoundBank({})), 7)
    for name in theme.layers:
        for value in VALUES:
            graph.apply(Level(name, value, 0.0, 0.0, 0.05))
            blocks = []
            for _ in range(round(seconds / BLOCK_S)):
                block = graph.block().reshape(BLOCK_FRAMES, -1, 2)
                blocks.append(block[:, Bus.BED].copy())
            settled = np.concatenate(blocks[round(1.0 / BLOCK_S) :])
            # All the way to one side a layer is half as loud again.
            found[name].append(np.sqrt(2) * bend_of(settled))
        graph.apply(Level(name, None, 0.0, 0.0, 0.05))
        for _ in range(round(0.5 / BLOCK_S)):
            graph.block()
    return found


# ---- what sounds, as far as it bends ----------------------------------------------


class _Shot(NamedTuple):
    bends: np.ndarray  # by block of its samples
    gain: float
    began: int
    rate: float
    bus: Bus


class Model:
    """Follows the commands, and bounds how much all that sounds may bend."""

    def __init__(self, scene: Scene) -> None:
        self._bends = scene.bends
        self._tables = {key: _profile(one) for key, one in scene.samples.arrays.items()}
        self.cuts = 0
        self.renew()

    def renew(self) -> None:
        """The engine is a new one: nothing sounds."""
        self._shots: dict[int, _Shot] = {}
        self._cut: list[tuple[int, _Shot]] = []
        self._levels: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._beats = [(0.0, 0)] * BEATS  # how much, and since when no more

    def take(self, command: object, block: int) -> None:
        """Take a command that acts from this block on."""
        match command:
            case Play(voice=voice):
                self._cut_off(voice, block)
                profile = self._tables[command.sound, command.variant]
                gain = 10 ** (command.gain_db / 20)
                self._shots[voice] = _Shot(
                    profile, gain, block, command.rate, command.bus
                )
            case Stop(voice=voice):
                self._cut_off(voice, block)
            case Level(layer=layer, value=value, fade_s=fade_s):
                until = block * BLOCK_S + fade_s + 0.1
                bends = self._bends[layer]
                gain = 10 ** (command.gain_db / 20)
                now = 0.0 if value is None else gain * np.interp(value, VALUES, bends)
                # What it was counts until the fade is over.
                self._levels[layer] = [
                    (b, min(u, until)) for b, u in self._levels[layer]
                ]
                self._levels[layer].append((float(now), np.inf))
            case Beat(beat=beat, rate_hz=rate_hz):
                if not rate_hz:
                    lasts = 3.0
                    self._beats[beat] = self._beats[beat][0], block + lasts / BLOCK_S
                    return
                highest = max(
                    profile.max()
                    for (sound, _), profile in self._tables.items()
                    if sound == command.sound
                )
                much = STRAY * highest * 10 ** (command.gain_db / 20)
                much = max(much, self._beats[beat][0])
                self._beats[beat] = much, np.inf

    def bound(self, block: int, gains: dict[Bus, float]) -> float:
        """Return how much this block may bend, at the gains of the buses."""
        buses = dict.fromkeys(Bus, 0.0)
        self._cut = [(b, shot) for b, shot in self._cut if block < b + CUT_BLOCKS]
        for shot in (*self._shots.values(), *(shot for _, shot in self._cut)):
            buses[shot.bus] += _now(shot, block)
        now_s = block * BLOCK_S
        for levels in self._levels.values():
            levels[:] = [one for one in levels if one[1] > now_s]
            buses[Bus.BED] += max((much for much, _ in levels), default=0.0)
        buses[Bus.BED] += sum(much for much, until in self._beats if block < until)
        total = sum(much * gains[bus] for bus, much in buses.items())
        return total * gains[Bus.MASTER]

    def _cut_off(self, voice: int, block: int) -> None:
        shot = self._shots.pop(voice, None)
        if shot is not None and _now(shot, block):
            self._cut.append((block, shot))
            self.cuts += 1


def _profile(sound: np.ndarray) -> np.ndarray:
    """Return how much a sound bends, by block, neighbours included."""
    bends = np.abs(np.diff(np.pad(sound.astype(float), 2), 2))
    bends = np.pad(bends, (0, -len(bends) % BLOCK_FRAMES)).reshape(-1, BLOCK_FRAMES)
    each = np.pad(bends.max(axis=1), 1)
    return np.max([each[:-2], each[1:-1], each[2:]], axis=0)


def _now(shot: _Shot, block: int) -> float:
    at = int((block - shot.began) * shot.rate)
    near = shot.bends[max(0, at - 1) : at + 2]
    return STRAY * shot.gain * float(near.max(initial=0.0))


# ---- what happens ------------------------------------------------------------------


class World:
    """Signals and an operator, at random, through a mixer."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.rng = random.Random(seed)
        self.scene = scene
        self.mixer = Mixer(scene.theme, scene.samples.bank, random.Random(seed))
        self.told: list[str] = []
        self._rate_hz = 200.0  # a storm at once: short renders have one, too
        self._next_s = dict.fromkeys(("event", "state", "beat", "act", "calm"), 0.0)

    def commands(self, now: float) -> list[object]:
        """Return what the mixer says by now."""
        rng, mixer, made = self.rng, self.mixer, []
        while now >= self._next_s["event"]:
            self._next_s["event"] += rng.expovariate(self._rate_hz)
            made += mixer.feed(self._event(), now, "a", class_name="c")
        if now >= self._next_s["state"]:
            self._next_s["state"] = now + rng.expovariate(3.0)
            names = list(self.scene.theme.states) or ["none"]
            state = State(
                name=rng.choice(names),
                value=rng.choice((0.0, 1.0, rng.random())),
                pan=rng.uniform(-1, 1),
                gain_db=rng.choice((0.0, 0.0, -9.0)),
                host=f"h{rng.randrange(9)}",
            )
            made += mixer.feed(state, now, rng.choice("ab"), class_name="c")
        if now >= self._next_s["beat"]:
            self._next_s["beat"] = now + rng.expovariate(0.7)
            rate_hz = rng.choice((0.0, 0.5, 2.0, 7.0))
            beat = Heartbeat(name=f"beat.b{rng.randrange(9)}", rate_hz=rate_hz)
            made += mixer.feed(beat, now, rng.choice("ab"), class_name="c")
        if now >= self._next_s["calm"]:
            self._next_s["calm"] = now + rng.uniform(1.0, 6.0)
            self._rate_hz = rng.choice((0.5, 5.0, 50.0, 400.0))
        if now >= self._next_s["act"]:
            self._next_s["act"] = now + rng.expovariate(0.8)
            made += self._act(now)
        due = mixer.next_timer()
        if due is not None and now >= due:
            made += mixer.handle_timer(now)
        while mixer.next_event() is not None:
            pass
        return made

    def _event(self) -> Event:
        rng = self.rng
        tier = rng.choices((Tier.ROUTINE, Tier.NOTABLE, Tier.ALERT), (80, 15, 2))[0]
        return Event(
            name=f"x.e{rng.randrange(60)}",
            tier=tier,
            family=rng.choice(FAMILIES),
            pan=rng.uniform(-1, 1),
            gain_db=rng.choice((0.0, 0.0, 3.0, -12.0)),
            host=f"h{rng.randrange(9)}",
            priority=rng.randrange(256),
        )

    def _act(self, now: float) -> list[object]:
        rng, mixer = self.rng, self.mixer
        scope = rng.choice(
            (
                controls.ALL,
                controls.Scope("host", f"h{rng.randrange(9)}"),
                controls.Scope("name", "x"),
                controls.Scope("class", "c"),
                controls.Scope("tier", rng.choice(("routine", "notable", "alert"))),
            )
        )
        act = rng.choice(
            (
                controls.Mute(scope, rng.uniform(0.05, 2.0)),
                controls.Mute(scope, 0.5),
                controls.Unmute(scope),
                controls.Solo(scope),
                controls.Unsolo(scope),
                controls.Snooze(scope, rng.uniform(0.05, 2.0)),
                controls.Gain(scope, rng.choice((-20.0, -3.0, 0.0, 3.0))),
                controls.Clear(),
                controls.Clear(),
                "quiet",
                "loud",
                "late",
                "forget",
            )
        )
        self.told = [*self.told[-3:], f"{now:.3f} {act}"]
        match act:
            case "quiet" | "loud":
                return [*mixer.quiet(act == "quiet", now)]
            case "late":
                return [*mixer.late("a", now)]
            case "forget":
                return [*mixer.forget("b")]
        return [*mixer.control(act, now)]


def render(
    scene: Scene, seconds: float, seed: int, *, renew_s: float = 17.0
) -> tuple[Worst, np.ndarray, Counter[str]]:
    """Render so much stress; return the worst block, the sound, and what was told."""
    world, model = World(scene, seed), Model(scene)
    master = Master(Graph(scene.theme, scene.samples, seed))
    recent: list[tuple[int, str]] = []
    tally: Counter[str] = Counter()
    worst, renewed = Worst(), 0
    bounds = [FLOOR] * (LATE_BLOCKS + 2)
    sound = np.zeros((2, 2), np.float32)
    parts = []
    for block in range(round(seconds / BLOCK_S)):
        now = block * BLOCK_S
        told = world.commands(now)
        ending = round(renew_s / BLOCK_S) - 4
        fade = block - renewed - ending
        if fade >= 4:
            # As a server does it: the sound fades out, another engine takes over.
            renewed = block
            master = Master(Graph(scene.theme, scene.samples, seed + block))
            model.renew()
            told = world.mixer.restore(now)
            world.told.append(f"{now:.3f} another engine")
            tally["hand-over"] += 1
        before = _gains_of(master)
        for command in told:
            model.take(command, block)
            tally[type(command).__name__] += 1
            recent.append((block, f"{now:.3f} {command}"))
        recent = [one for one in recent if one[0] > block - 6]
        master.apply(told)
        made = master.block()
        if 0 <= fade < 4:
            made = made * _fade(fade)
        gains = {bus: max(g, before[bus]) for bus, g in _gains_of(master).items()}
        bounds = [*bounds[1:], model.bound(block, gains)]
        sound = np.concatenate((sound[-2:], made))
        parts.append(made)
        bend, allowed = bend_of(sound), max(FLOOR, *bounds)
        if bend / allowed > worst.ratio:
            story = (*world.told[-3:], *(one for _, one in recent[-8:]))
            worst = Worst(now, bend / allowed, bend, allowed, story)
    assert master.ignored == 0, "all commands made sense"
    tally["cut off"] = model.cuts
    return worst, np.concatenate(parts), tally


def _gains_of(master: Master) -> dict[Bus, float]:
    return dict(zip(Bus, master._buses._gain, strict=True))


def main() -> None:
    """Render the scenes; say how they did, and fail if any has a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("scenes", nargs="*", default=list(SCENES), metavar="SCENE")
    args = parser.parse_args()
    failed = False
    for name in args.scenes:
        minutes = args.minutes / (len(RECIPES) if name.startswith("layer:") else 1)
        worst, sound, tally = render(SCENES[name](), 60 * minutes, args.seed)
        rms_db = 10 * np.log10(np.square(sound).mean())
        told = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
        sys.stdout.write(
            f"{name}: {minutes:.3g} min, {rms_db:.0f} dBFS; {told}\n"
            f"  highest ratio {worst.ratio:.2f} of {ALLOWED:g} allowed, at "
            f"{worst.at_s:.3f} s ({worst.bend:.2e} where {worst.allowed:.2e} is due)\n"
        )
        if worst.ratio > ALLOWED:
            failed = True
            for line in worst.told:
                sys.stdout.write(f"    {line}\n")
        sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
