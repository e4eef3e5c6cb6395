"""How many more alerts are recognised in a storm of ours than in the references.

The reference, tests/listening/reference.py, is classic's own gain law with our sounds,
and plain beeps, from the same script, at the same loudness, in the same room, before
the same kind of listener. For each seed the difference to the better of the two is
printed; their median, divided by the 0.2 that ours must be ahead, is the result.

    python tests/bench/listen.py [--theme T] [--seeds N] [--seconds S]

Ends with RATIO listen-alerts-gain (1 or more is within).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

# Before numpy is loaded: threads of its own make small products slow on few cores.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

from listening.reference import MORE, TEST_S, recalls


def main() -> None:
    """Print a line a seed, and the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theme", default="wetland")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=TEST_S)
    args = parser.parse_args()
    gains = []
    for seed in range(1, args.seeds + 1):
        found = recalls(args.theme, seed, args.seconds)
        gains.append(found.gain)
        say(
            f"seed {seed}: alerts recalled: ours {found.ours:.2f}, "
            f"classic {found.classic:.2f}, beeps {found.beeps:.2f}"
        )
    say(f"gain: {min(gains):.2f} to {max(gains):.2f}")
    say(f"RATIO listen-alerts-gain {statistics.median(gains) / MORE:.3f} 1")


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
