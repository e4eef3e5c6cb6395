"""How many voices fit real time, beside scsynth and beside a loop in C.

The same job for all three, at 48 kHz in blocks of 256: V voices, each reading one mono
table of three seconds at the rate of one of the five zones that hosts are spread over
(a fifth as it was made, the others 3 or 6 % higher or lower), with its own gain, panned
by equal power into a stereo sum, without end, and soft enough that no limiter acts.

Ours is the product's: its voices, buses, limiter and its ring, in one process without a
card. What sounds as it was made is copied (pyo's TableScan), the rest is read in
straight lines between samples (TableRead). scsynth (Debian's supercollider-server)
renders a score, its own start taken off: PlayBuf, which reads in cubic curves whatever
the rate (Phasor and BufRd, in straight lines, cost it about as much: `--plain`), under
an envelope, for by that its voices would fade where they are cut off; ours fade by
tails, and none is cut off here. C is a loop per voice that copies or reads in straight
lines, like ours. Beside it, ours with no voice as it was made.

From the seconds of CPU that so many voices take, a line (a base, and so much a voice)
says how many would fill one second of CPU a second: these are compared, medians of
interleaved runs. Then what Peep's whole engine takes with 64 voices and all the live
layers of the recipes that there are, eight at least, as a share of a core.

    python tests/bench/mix.py [--seconds S] [--runs N] [--plain]

Ends with RATIO mix-scsynth (ours ÷ scsynth, allowed 0.8), RATIO mix-c (printed, without
a target of its own) and RATIO mix-core (a quarter of a core ÷ used).
"""

from __future__ import annotations

import argparse
import ctypes
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
from helpers.chain import LEVEL, pans, rates, table
from helpers.supercollider import AUDIO, Unit, definition, message, score

RATE_HZ, BLOCK = 48_000, 256
CHAIN = Path(__file__).parent / "helpers" / "chain.py"
COUNTS = (64, 256)
ALLOWED_CORE = 0.25
VOICES, LAYERS = 64, 8
SHADED = "peep, none as made"

C_LOOP = """
#include <math.h>
typedef struct { double at, rate; float left, right; } voice;
void block(const float *table, long n, voice *v, int voices, float *out) {
    for (int i = 0; i < 512; i++) out[i] = 0;
    for (int k = 0; k < voices; k++) {
        double at = v[k].at;
        for (int i = 0; i < 256; i++) {
            long j = (long)at;
            float x = table[j];
            if (v[k].rate != 1) x += (at - j) * (table[j + 1] - x);
            out[2 * i] += x * v[k].left;
            out[2 * i + 1] += x * v[k].right;
            at += v[k].rate;
            if (at >= n - 1) at -= n - 1;
        }
        v[k].at = at;
    }
}
"""


# ---- the three ---------------------------------------------------------------------


def ours(*words: object) -> float:
    """CPU seconds; in a process of its own, for pyo has one server a process."""
    done = subprocess.run(
        [sys.executable, CHAIN, *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    return float(done.stdout)


def scsynth(voices: int, seconds: float, directory: Path, *, plain: bool) -> float:
    """CPU seconds, those of a score without voices and without length taken off."""
    all_of_it = _scsynth(voices, seconds, directory, plain=plain)
    return all_of_it - _scsynth(0, 0.1, directory, plain=plain)


def _reading(rate: float, *, plain: bool) -> list[Unit]:
    """Return what reads the table, over and over; its last unit gives the sound."""
    if plain:
        # trigger, rate, start, end, where a trigger leads; buffer, phase, loop, lines
        frames = float(len(table()))
        return [
            Unit("Phasor", AUDIO, (0.0, rate, 0.0, frames, 0.0), 1),
            Unit("BufRd", AUDIO, (0.0, (0, 0), 1.0, 2.0), 1),
        ]
    # buffer, rate, trigger, start, loop, done action
    return [Unit("PlayBuf", AUDIO, (0.0, rate, 1.0, 0.0, 1.0, 0.0), 1)]


def _scsynth(voices: int, seconds: float, directory: Path, *, plain: bool) -> float:
    wav = directory / "table.wav"
    if not wav.exists():
        soundfile.write(wav, table(), RATE_HZ, subtype="FLOAT")
    first: list[bytes] = [message("/b_allocRead", 0, str(wav))]
    for k, (rate, pan) in enumerate(zip(rates(voices), pans(voices), strict=True)):
        units = _reading(rate, plain=plain)
        last = len(units) - 1
        units += [
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
            Unit("BinaryOpUGen", AUDIO, ((last, 0), (last + 1, 0)), 1, 2),
            Unit("Pan2", AUDIO, ((last + 2, 0), pan, 0.25), 2),
            Unit("Out", AUDIO, (0.0, (last + 3, 0), (last + 3, 1)), 0),
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
    """Say whether as many voices sounded for as long."""
    sound, _ = soundfile.read(path)
    # Voices of one rate read the same at the same time: they add up by amplitude.
    sides: dict[float, np.ndarray] = {}
    for rate, pan in zip(rates(voices), pans(voices), strict=True):
        angle = (pan + 1) * np.pi / 4
        sides.setdefault(rate, np.zeros(2))
        sides[rate] += np.cos(angle), np.sin(angle)
    power = sum(np.square(side).mean() for side in sides.values())
    rms = np.sqrt(np.square(sound).mean())
    likeness = rms / (0.25 * LEVEL * np.sqrt(power))
    return len(sound) >= 0.95 * seconds * RATE_HZ and 0.8 < likeness < 1.1


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


def fit(times: dict[int, float], seconds: float) -> float:
    """Return how many voices take a second of CPU a second."""
    few, many = COUNTS
    each = (times[many] - times[few]) / (many - few) / seconds
    base = times[few] / seconds - few * each
    return (1 - base) / each


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--plain", action="store_true", help="scsynth without cubics")
    args = parser.parse_args()
    for program, package in (("scsynth", "supercollider-server"), ("gcc", "gcc")):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing: apt-get install {package}")
    fits: dict[str, list[float]] = {SHADED: [], "peep": [], "scsynth": [], "C": []}
    cores = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for run in range(args.runs):
            for who, job in (
                (SHADED, lambda v: ours("voices", v, args.seconds, "shaded")),
                ("peep", lambda v: ours("voices", v, args.seconds, "mixed")),
                (
                    "scsynth",
                    lambda v: scsynth(v, args.seconds, directory, plain=args.plain),
                ),
                ("C", lambda v: c_loop(v, args.seconds, directory)),
            ):
                times = {count: job(count) for count in COUNTS}
                fits[who].append(fit(times, args.seconds))
            cores.append(ours("engine", VOICES, LAYERS, args.seconds) / args.seconds)
            told = ", ".join(f"{who} {f[-1]:,.0f}" for who, f in fits.items())
            say(f"run {run + 1}: {told} voices; engine {cores[-1]:.1%} of a core")
    medians = {who: statistics.median(found) for who, found in fits.items()}
    for who, found in fits.items():
        say(
            f"{who}: {medians[who]:,.0f} voices fit real time "
            f"({min(found):,.0f} to {max(found):,.0f})"
        )
    core = statistics.median(cores)
    say(
        f"{VOICES} voices and {LAYERS} live layers: {core:.1%} of a core "
        f"({min(cores):.1%} to {max(cores):.1%})"
    )
    say(f"RATIO mix-scsynth {medians['peep'] / medians['scsynth']:.3f} 0.8")
    say(f"RATIO mix-c {medians['peep'] / medians['C']:.3f} 0")
    say(f"RATIO mix-core {ALLOWED_CORE / core:.3f} 1")


if __name__ == "__main__":
    main()
