"""Reading a log, or what is piped in, line by line."""

from collections.abc import Iterator

from peep.errors import PeepError
from peep.loglines import LineSplitter, LogLine

STDIN = "-"
READ_BYTES = 256 * 1024


def lines_of(name: str) -> Iterator[LogLine]:
    """Yield the lines of a file, or of standard input where it is called `-`."""
    for lines in batches_of(name):
        yield from lines


def batches_of(name: str) -> Iterator[list[LogLine]]:
    """Yield lines as they are read, many at a time; PeepError if they cannot be."""
    splitter = LineSplitter(name)
    try:
        with open(0 if name == STDIN else name, "rb", closefd=name != STDIN) as file:
            for block in iter(lambda: file.read1(READ_BYTES), b""):
                yield splitter.feed(block)
            yield splitter.finish()
    except OSError as problem:
        raise PeepError(f"cannot read {name}: {problem.strerror}") from None
