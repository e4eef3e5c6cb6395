"""Hostile datagrams by the million, against the real machines: `make fuzz N=10000000`.

What is forged, and what must hold, stands in attacks.py. Here both attacks are run,
one process each; memory must not grow. The same seed gives the same run, to the byte.
"""

import argparse
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from attacks import ATTACKS, CHECK_EVERY, Failure
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from peep.protocol import noise

MEMORY_MB = 8.0  # growth after warm-up that is not a leak yet
WARM_UP = 0.2  # of all datagrams


def show(line, stream=sys.stdout, end="\n"):
    """Write a line at once: a run is long."""
    stream.write(line + end)
    stream.flush()


def memory_mb():
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def draw_keys_from(rng):
    """Let ephemeral keys come from the seed too: the same run, to the byte."""

    def pair(side):
        return X25519PrivateKey.from_private_bytes(rng.randbytes(32))

    noise._Side._pair = pair


def attack(name, number, seed, seconds):
    """Run one attack, for so long at most, and return its report."""
    draw_keys_from(random.Random(seed))
    one = ATTACKS[name](seed)
    began, marks, terminal = time.perf_counter(), {}, sys.stderr.isatty()
    tenths = set()

    def progress(done):
        rate = done / (time.perf_counter() - began)
        tenth = done * 10 // number
        if done >= WARM_UP * number:
            marks.setdefault("warm", memory_mb())
        if terminal or tenth not in tenths:
            tenths.add(tenth)
            line = (
                f"{name}: {done:,} of {number:,}, {rate:,.0f}/s, {memory_mb():.1f} MB"
            )
            show(line, sys.stderr, "\r" if terminal else "\n")

    while one.done < number and time.perf_counter() < began + seconds:
        one.run(min(number - one.done, 8 * CHECK_EVERY), progress)
    rate = one.done / (time.perf_counter() - began)
    grown = memory_mb() - marks.get("warm", memory_mb())
    lines = [
        f"{name}: {one.done:,} datagrams, {rate:,.0f}/s",
        f"  {one.world.now:,.0f} s of its time; memory grew by {grown:.1f} MB",
        *(f"  {count:>12,}  {what}" for what, count in one.counts.most_common()),
        "  most in a table: " + ", ".join(f"{k} {v}" for k, v in one.most.items()),
    ]
    if grown > MEMORY_MB:
        raise Failure("\n".join([*lines, f"more than {MEMORY_MB} MB: a leak"]))
    return "\n".join(lines)


def main():
    """Run both attacks, one process each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("number", nargs="?", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=ATTACKS, help="one attack, not both")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most")
    given = parser.parse_args()
    names = [given.only] if given.only else list(ATTACKS)
    failed = False
    with ProcessPoolExecutor(len(names)) as pool:
        more = given.number, given.seed, given.seconds
        runs = [pool.submit(attack, name, *more) for name in names]
        for run in runs:
            try:
                show(run.result())
            except Failure as problem:
                failed = True
                show(f"{problem}\nto see it again: --seed {given.seed}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
