"""From a file's bytes to a YAML tree that is safe to walk.

Bounded on the way: the size of the file, how deep it nests, and how much it holds
once every alias is expanded (a kilobyte of aliases of aliases can stand for 10^9
values). What passes is a tree that is finite and shallow.
"""

import os
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

import yaml

from peep.config.problems import safe

MAX_FILE_BYTES = 1024 * 1024  # a thousand rules with samples take a third of it
MAX_DEPTH = 40  # the deepest shape of ours has six levels; recursion stays harmless
MAX_NODES = 200_000  # with aliases expanded: more than any real file has, and quick

# libyaml's parser where PyYAML was built with it: ten times as fast.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Mark(Protocol):
    # PyYAML has two, its own and libyaml's.
    @property
    def line(self) -> int: ...


class RefusedError(Exception):
    """A file that is not read any further, and the line (0: the file as a whole)."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read(path: Path) -> str:
    """Return the text of a regular file; raises RefusedError."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RefusedError(0, "not a regular file")
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise RefusedError(0, f"cannot be read: {reason}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RefusedError(line, "not UTF-8 text") from error


def compose(text: str) -> yaml.Node | None:
    """Return the tree of a YAML text, None where it is empty; raises RefusedError."""
    try:
        if len(text.encode()) > MAX_FILE_BYTES:
            raise RefusedError(0, f"larger than {MAX_FILE_BYTES} bytes")
        _check_depth(text)
        top = yaml.compose(text, Loader=_LOADER)
    except UnicodeEncodeError as error:
        raise RefusedError(0, "not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise RefusedError(*_syntax_problem(text, error)) from error
    if top is not None:
        _check_size(top, {}, 0)
    return top


def _open_at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a named pipe waits for a writer.
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _check_depth(text: str) -> None:
    # Composing recurses, in C where nothing counts the frames; so depth is judged on
    # the flat stream of events first.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise RefusedError(_line(event.start_mark), "nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(at: yaml.Node, sizes: dict[yaml.Node, int], depth: int) -> int:
    """Return how many values there are with every alias expanded."""
    known = sizes.get(at)
    if known is not None:
        return known
    if depth > MAX_DEPTH:
        line = _line(at.start_mark)
        raise RefusedError(line, "aliases nest too deeply, or in a circle")
    size = 1
    if isinstance(at, yaml.CollectionNode):
        for child in at.value:
            parts = child if isinstance(child, tuple) else (child,)
            size += sum(_check_size(part, sizes, depth + 1) for part in parts)
    if size > MAX_NODES:
        line = _line(at.start_mark)
        raise RefusedError(line, f"more than {MAX_NODES} values, aliases expanded")
    sizes[at] = size
    return size


def _syntax_problem(text: str, error: yaml.YAMLError) -> tuple[int, str]:
    if isinstance(error, yaml.reader.ReaderError):
        code = error.character
        number = ord(code) if isinstance(code, str) else code
        line = text.count("\n", 0, error.position) + 1
        return line, f"not YAML: it contains the character U+{number:04X}"
    assert isinstance(error, yaml.MarkedYAMLError)
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "unreadable"
    return _line(mark), f"not YAML: {safe(problem)}"


def _line(mark: _Mark | None) -> int:
    return 0 if mark is None else mark.line + 1
