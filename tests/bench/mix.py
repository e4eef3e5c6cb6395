"""How many voices fit real time, beside scsynth and beside a loop in C.

The same job for all three, at 48 kHz in blocks of 256: V voices, each reading one mono
table of a few seconds, resampled a little, with a gain of its own, panned by equal
power into a stereo sum, without end. Ours is the product's: its slots, its buses, its
limiter and its ring, in one process without a card. scsynth (Debian's
supercollider-server) renders a score, its own start taken off. C is a loop per voice.

From the seconds of CPU that so many voices take, a line (a base, and so much a voice)
says how many would fill one second of CPU a second: these are compared, medians of
interleaved runs. Then what Peep's whole engine takes with 64 voices and all the live
layers of the recipes that there are, eight at least, as a share of a core.

    python tests/bench/mix.py [--seconds S] [--runs N]

Ends with RATIO mix-scsynth (ours ÷ scsynth, allowed 0.8), RATIO mix-c (printed, without
a target of its own) and RATIO mix-core (a quarter of a core ÷ used).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from helpers.supercollider import AUDIO, SCALAR, Unit, definition, message, score

RATE_HZ, BLOCK = 48_000, 256
TABLE_S = 3.0
COUNTS = (64, 256)
ALLOWED_CORE = 0.25
VOICES, LAYERS = 64, 8

C_LOOP = """
#include <math.h>
typedef struct { double at, rate; float left, right; } voice;
void block(const float *table, long n, voice *v, int voices, float *out) {
    for (int i = 0; i < 512; i++) out[i] = 0;
    for (int k = 0; k < voices; k++) {
        double at = v[k].at;
        for (int i = 0; i < 256; i++) {
            long j = (long)at;
            float f = at - j, x = table[j] + f * (table[j + 1] - table[j]);
            out[2 * i] += x * v[k].left;
            out[2 * i + 1] += x * v[k].right;
            at += v[k].rate;
            if (at >= n - 1) at -= n - 1;
        }
        v[k].at = at;
    }
}
"""


def table() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (0.05 * rng.standard_normal(round(TABLE_S * RATE_HZ))).astype(np.float32)


def rates(voices: int) -> list[float]:
    return [0.94 + 0.12 * k / voices for k in range(voices)]


def pans(voices: int) -> list[float]:
    return [-1 + 2 * k / voices for k in range(voices)]


# ---- the three ---------------------------------------------------------------------


def ours(voices: int, seconds: float) -> float:
    """CPU seconds; in a process of its own, for pyo has one server a process."""
    done = subprocess.run(
        [sys.executable, __file__, "--ours", str(voices), str(seconds)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    return float(json.loads(done.stdout))


def run_ours(voices: int, seconds: float) -> float:
    from peep.mixer.commands import Bus
    from peep.sound.buses import Buses
    from peep.sound.limiter import Limiter
    from peep.sound.pyo_engine.server import boot
    from peep.sound.pyo_engine.graph import _gains, _recording
    from peep.sound.pyo_engine.voices import Take, Voice
    from peep.sound.ring import make_ring

    server, view = boot(1)
    data = _recording(np.tile(table(), max(1, round(seconds / TABLE_S) + 1)))
    made = [Voice(data) for _ in range(voices)]
    for voice, rate, pan in zip(made, rates(voices), pans(voices), strict=True):
        voice.play(Take(data, _gains(-12.0, pan), Bus.EVENTS, rate), 0)
    buses, limiter, ring = Buses(), Limiter(), make_ring()

    def block() -> None:
        server.process()
        ring.write(limiter.process(buses.mix(view)))

    for _ in range(50):
        block()
    begin = time.process_time()
    for _ in range(round(seconds * RATE_HZ / BLOCK)):
        block()
    return time.process_time() - begin


def scsynth(voices: int, seconds: float, directory: Path) -> float:
    """CPU seconds, those of a score without voices and without length taken off."""
    return _scsynth(voices, seconds, directory) - _scsynth(0, 0.1, directory)


def _scsynth(voices: int, seconds: float, directory: Path) -> float:
    wav = directory / "table.wav"
    if not wav.exists():
        soundfile.write(wav, table(), RATE_HZ, subtype="FLOAT")
    first: list[bytes] = [message("/b_allocRead", 0, str(wav))]
    for k, (rate, pan) in enumerate(zip(rates(voices), pans(voices), strict=True)):
        units = [
            # buffer, rate, trigger, start, loop, done action
            Unit("PlayBuf", AUDIO, (0.0, rate, 1.0, 0.0, 1.0, 0.0), 1),
            # gate, level, bias, time scale, done action; then the envelope: from 0,
            # two segments, held after the first, no loop; 1 in 0.5 ms, 0 in 15 ms
            Unit(
                "EnvGen",
                AUDIO,
                (
                    *(1.0, 1.0, 0.0, 1.0, 0.0),
                    *(0.0, 2.0, 1.0, -99.0),
                    *(1.0, 0.0005, 1.0, 0.0),
                    *(0.0, 0.015, 1.0, 0.0),
                ),
                1,
            ),
            Unit("BinaryOpUGen", AUDIO, ((0, 0), (1, 0)), 1, 2),
            Unit("Pan2", AUDIO, ((2, 0), pan, 0.25), 2),
            Unit("Out", AUDIO, (0.0, (3, 0), (3, 1)), 0),
        ]
        first.append(message("/d_recv", definition(f"v{k}", units)))
        first.append(message("/s_new", f"v{k}", 1000 + k, 1, 0))
    path = directory / f"{voices}.osc"
    path.write_bytes(score([(0.0, first), (seconds, [message("/c_set", 0, 0.0)])]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = directory / f"{voices}.wav"
    done = subprocess.run(
        [
            *("scsynth", "-N", str(path), "_", str(out), str(RATE_HZ), "WAV", "float"),
            *("-o", "2", "-z", str(BLOCK), "-m", "65536", "-n", "4096"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or (voices and not _sounds(out, voices, seconds)):
        raise SystemExit(f"scsynth did not do the job: {done.stdout}{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _sounds(path: Path, voices: int, seconds: float) -> bool:
    """Say whether as many voices sounded for as long: noise adds up by power."""
    sound, _ = soundfile.read(path)
    wanted = 0.05 * 0.25 * np.sqrt(voices / 2)
    rms = np.sqrt(np.square(sound).mean())
    return len(sound) >= 0.95 * seconds * RATE_HZ and 0.5 < rms / wanted < 2.0


class Voice(ctypes.Structure):
    _fields_ = (
        ("at", ctypes.c_double),
        ("rate", ctypes.c_double),
        ("left", ctypes.c_float),
        ("right", ctypes.c_float),
    )


def c_loop(voices: int, seconds: float, directory: Path) -> float:
    library = directory / "loop.so"
    if not library.exists():
        source = directory / "loop.c"
        source.write_text(C_LOOP)
        subprocess.run(
            ["gcc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True
        )
    block = ctypes.CDLL(str(library)).block
    data = table()
    made = (Voice * voices)(
        *(
            Voice(0.0, rate, 0.25 * (1 - pan) / 2, 0.25 * (1 + pan) / 2)
            for rate, pan in zip(rates(voices), pans(voices), strict=True)
        )
    )
    out = np.zeros((BLOCK, 2), np.float32)
    begin = time.process_time()
    for _ in range(round(seconds * RATE_HZ / BLOCK)):
        block(
            data.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_long(len(data)),
            made,
            voices,
            out.ctypes.data_as(ctypes.c_void_p),
        )
    return time.process_time() - begin


# ---- the whole engine --------------------------------------------------------------


def run_engine(seconds: float) -> float:
    """Return the share of a core that 64 voices and all live layers take."""
    from peep.config.themes import load_theme
    from peep.mixer.commands import Bus, Level
    from peep.sound.master import Master
    from peep.sound.pyo_engine.graph import Graph, _gains, _recording
    from peep.sound.pyo_engine.layers import RECIPES
    from peep.sound.pyo_engine.voices import Take, Voice
    from peep.sound.ring import make_ring
    from peep.sound.samples import make_samples
    from peep.theme import LayerSpec
    import msgspec

    theme, directory = load_theme("wetland")
    layers = {name: LayerSpec(name=name, recipe=name) for name in RECIPES}
    if len(layers) < LAYERS:
        raise SystemExit(f"there are {len(layers)} recipes of layers, not {LAYERS}")
    theme = msgspec.structs.replace(theme, layers=layers)
    graph = Graph(theme, make_samples(theme, directory), 1)
    data = _recording(np.tile(table(), round(seconds / TABLE_S) + 2))
    made = [Voice(data) for _ in range(VOICES)]
    for number, (rate, pan) in enumerate(zip(rates(VOICES), pans(VOICES), strict=True)):
        made[number].play(Take(data, _gains(-24.0, pan), Bus.EVENTS, rate), 0)
        graph._sounding[-number - 1] = made[number]
    master, ring = Master(graph), make_ring()
    master.apply([Level(name, 0.6, 0.0, 0.0, 0.1) for name in list(layers)[:LAYERS]])
    for _ in range(100):
        ring.write(master.block())
    begin = time.process_time()
    for _ in range(round(seconds * RATE_HZ / BLOCK)):
        ring.write(master.block())
    return (time.process_time() - begin) / seconds


def fit(times: dict[int, float], seconds: float) -> float:
    """Return how many voices take a second of CPU a second."""
    few, many = COUNTS
    each = (times[many] - times[few]) / (many - few) / seconds
    base = times[few] / seconds - few * each
    return (1 - base) / each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--ours", nargs=2, metavar=("VOICES", "SECONDS"))
    parser.add_argument("--engine", type=float, metavar="SECONDS")
    args = parser.parse_args()
    if args.ours:
        print(json.dumps(run_ours(int(args.ours[0]), float(args.ours[1]))))
        return
    if args.engine:
        print(json.dumps(run_engine(args.engine)))
        return
    for program, package in (("scsynth", "supercollider-server"), ("gcc", "gcc")):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing: apt-get install {package}")
    fits: dict[str, list[float]] = {"peep": [], "scsynth": [], "C": []}
    cores = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for run in range(args.runs):
            for who, job in (
                ("peep", lambda v: ours(v, args.seconds)),
                ("scsynth", lambda v: scsynth(v, args.seconds, directory)),
                ("C", lambda v: c_loop(v, args.seconds, directory)),
            ):
                times = {count: job(count) for count in COUNTS}
                fits[who].append(fit(times, args.seconds))
            done = subprocess.run(
                [sys.executable, __file__, "--engine", str(args.seconds)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
            cores.append(float(json.loads(done.stdout)))
            told = ", ".join(f"{who} {f[-1]:,.0f}" for who, f in fits.items())
            print(f"run {run + 1}: {told} voices; engine {cores[-1]:.1%} of a core")
    medians = {who: statistics.median(found) for who, found in fits.items()}
    for who, found in fits.items():
        print(
            f"{who}: {medians[who]:,.0f} voices fit real time "
            f"({min(found):,.0f}–{max(found):,.0f})"
        )
    core = statistics.median(cores)
    print(
        f"{VOICES} voices and {LAYERS} live layers: {core:.1%} of a core "
        f"({min(cores):.1%}–{max(cores):.1%})"
    )
    print(f"RATIO mix-scsynth {medians['peep'] / medians['scsynth']:.3f} 0.8")
    print(f"RATIO mix-c {medians['peep'] / medians['C']:.3f} 0")
    print(f"RATIO mix-core {ALLOWED_CORE / core:.3f} 1")


if __name__ == "__main__":
    main()
