"""What is wrong with configuration, and how it is put to the operator.

A problem is one line, `file:line: path: message`, safe to print: what came from a
file is quoted by `shown`, cut and with its control characters made visible.
"""

import re
from collections.abc import Iterable

from peep.errors import ConfigError

MAX_PROBLEMS = 50  # more than anyone mends in one go
_MAX_SHOWN = 60  # characters of a value: enough to find it by
_MAX_LISTED = 12  # names offered where none of them resembles what was written
_MAX_GUESSED = 40  # characters; comparing longer words costs time and helps nobody

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
SURROGATES = "\ud800-\udfff"
# Control characters, line separators, bidirectional marks and overrides: nothing that
# belongs in a name or may be sent to a terminal.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069" + SURROGATES + "]"
)


class Problems:
    """What is wrong so far, over one or several files; bounded."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, str]] = []
        self._files: list[str] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, file: str, line: int, path: str, message: str) -> None:
        """Write one down; line 0 means the file as a whole."""
        self._count += 1
        if self._count <= MAX_PROBLEMS:
            where = f"{safe(file)}:{line}" if line else safe(file)
            if file not in self._files:
                self._files.append(file)
            text = ": ".join(filter(None, (where, path, message)))
            self._lines.append((self._files.index(file), line, text))

    def raise_if_any(self) -> None:
        """Raise ConfigError with a line for each problem, top down, if there is one."""
        lines = [text for _, _, text in sorted(self._lines, key=lambda row: row[:2])]
        if self._count > MAX_PROBLEMS:
            lines.append(f"… and {self._count - MAX_PROBLEMS} more")
        if lines:
            raise ConfigError(lines)


def safe(text: str) -> str:
    """Return text with everything that a terminal might obey made visible."""
    return UNSAFE.sub(_visible, text)


def shown(text: str) -> str:
    """Return text as a message quotes it: cut, safe to print, in quotes."""
    cut = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    return f"'{safe(cut)}'"


def joined(path: str, key: str) -> str:
    """Return the path of a key below a path."""
    if not _SIMPLE_KEY.fullmatch(key):
        return f"{path}[{shown(key)}]"
    return f"{path}.{key}" if path else key


def hint(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)", or else what there is to choose from."""
    # Loaded only where it is used.
    import difflib  # noqa: PLC0415

    names = sorted(known)
    near = difflib.get_close_matches(word[:_MAX_GUESSED], names, n=1)
    if near:
        return f" (did you mean '{near[0]}'?)"
    more = ", …" if len(names) > _MAX_LISTED else ""
    return f" (known: {', '.join(names[:_MAX_LISTED])}{more})" if names else ""


def _visible(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
