"""The door for all YAML: a file becomes checked values, or all that is wrong with it.

A `Node` is a place in a file. Its getters (`text`, `integer`, `choice`, …) return a
value of the type they are named for, always: where the file says something else they
write a problem down and return the default. So a checker is straight code, and the
operator sees every mistake at once::

    node = load(path)
    server = node.section("port", "classes")  # any other key is a problem
    port = server["port"].integer(2001, low=1, high=65535)
    classes = server["classes"].texts(("public",))
    node.problems.raise_if_any()  # ConfigError, one line each

Nothing raises before `raise_if_any`; a file that cannot be read or is not YAML gives
one problem and a node that stays silent. A key that is missing, or has no value (as
when everything below it is commented out), takes the default; a getter without a
default makes the key compulsory.

Scalars are judged as they are written, not as YAML 1.1 would have them: where text is
wanted, a bare `no`, `2001` or `22:22` is refused with the advice to quote it; where a
number is wanted, only plain decimals are one (no octal, hexadecimal or sexagesimal).
Aliases may be used, but what they expand to is bounded; merge keys (`<<`) are unknown.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from peep.config.composing import RefusedError, compose, read
from peep.config.problems import SURROGATES, UNSAFE, Problems, hint, joined, shown

MAX_TEXT_LENGTH = 4096  # a long path, a long pattern

SHORT = ""  # the key that the value of a short form stands under (see `Node.kind`)

_CORE = "tag:yaml.org,2002:"
_TRUE = ("yes", "true", "on")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(
    r"[-+]?((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?"
)
_UNENCODABLE = re.compile(f"[{SURROGATES}]")


class Node:
    """A place in a YAML file, present or not.

    `line` counts from 1; `path` is as in "agent.sources[2].interval_s".
    """

    def __init__(
        self,
        file: str,
        problems: Problems,
        *,
        at: yaml.Node | None = None,
        line: int = 0,
        path: str = "",
        silent: bool = False,
        entries: "Mapping[str, Node] | None" = None,
    ) -> None:
        self.file = file
        self.problems = problems
        self.path = path
        self.line = line if at is None else at.start_mark.line + 1
        self._at = None if _tag(at) == "null" else at
        # Below what was refused already: defaults, and no more complaints.
        self._silent = silent
        self._entries = entries

    @property
    def given(self) -> bool:
        """Whether the file says anything here."""
        return self._at is not None or self._entries is not None

    @property
    def is_mapping(self) -> bool:
        """Whether a mapping stands here."""
        return isinstance(self._at, yaml.MappingNode) or self._entries is not None

    @property
    def is_list(self) -> bool:
        """Whether a list stands here."""
        return isinstance(self._at, yaml.SequenceNode)

    @property
    def is_flag(self) -> bool:
        """Whether yes or no stands here, in any word that YAML has for them."""
        return self._at is not None and _tag(self._at) == "bool"

    def problem(self, message: str) -> None:
        """Write down what is wrong with this place."""
        if not self._silent:
            self.problems.add(self.file, self.line, self.path, message)

    def text(
        self,
        default: str | None = None,
        *,
        max_length: int = MAX_TEXT_LENGTH,
        control: bool = False,
    ) -> str:
        """Return text that is not empty; `control` lets control characters in."""
        scalar = self._scalar("text", required=default is None)
        if scalar is None:
            return default or ""
        if _tag(scalar) not in ("str", "value"):
            self.problem(f"expected text, found {_described(scalar)}: quote it")
        elif not scalar.value:
            self.problem("expected text, found none")
        elif len(scalar.value) > max_length:
            self.problem(f"longer than {max_length} characters")
        elif (_UNENCODABLE if control else UNSAFE).search(scalar.value):
            self.problem(f"control characters in {shown(scalar.value)}")
        else:
            return str(scalar.value)
        return default or ""

    def choice(self, options: Iterable[str], default: str | None = None) -> str:
        """Return one of the options."""
        known = tuple(options)
        value = self.text(default)
        if value in known or value == (default or ""):
            return value
        self.problem(f"unknown {shown(value)}{hint(value, known)}")
        return default or ""

    def number(
        self, default: float | None = None, *, low: float = -1e9, high: float = 1e9
    ) -> float:
        """Return a number in low…high."""
        return self._amount("a decimal number", _DECIMAL, default, low, high)

    def integer(
        self, default: int | None = None, *, low: int = -(10**9), high: int = 10**9
    ) -> int:
        """Return a whole number in low…high."""
        return int(self._amount("a whole decimal number", _WHOLE, default, low, high))

    def flag(self, *, default: bool | None = None) -> bool:
        """Return yes or no, in any of the words that YAML has for them."""
        scalar = self._scalar("yes or no", required=default is None)
        if scalar is None:
            return bool(default)
        if _tag(scalar) != "bool":
            self.problem(f"expected yes or no, found {_described(scalar)}")
            return bool(default)
        return str(scalar.value).lower() in _TRUE

    def nodes(self, *, required: bool = False) -> "tuple[Node, ...]":
        """Return the places in a list."""
        if not self.is_list:
            self._refuse("a list", required=required)
            return ()
        assert self._at is not None
        return tuple(
            self._child(at, f"{self.path}[{index}]")
            for index, at in enumerate(self._at.value)
        )

    def texts(
        self,
        default: tuple[str, ...] | None = None,
        *,
        empty: bool = False,
        max_length: int = MAX_TEXT_LENGTH,
        control: bool = False,
    ) -> tuple[str, ...]:
        """Return a list of texts; one text alone is a list of one.

        A list without any is refused, unless `empty` allows it or it is the default.
        """
        if not self.given and default is not None:
            return default
        alone = isinstance(self._at, yaml.ScalarNode)
        nodes = (self,) if alone else self.nodes(required=True)
        if self.is_list and not nodes:
            if not empty and default != ():
                self.problem("expected at least one text, found an empty list")
            return ()
        found = (node.text(max_length=max_length, control=control) for node in nodes)
        return tuple(text for text in found if text)

    def items(self, *, required: bool = False) -> "tuple[tuple[str, Node], ...]":
        """Return keys and places of a mapping whose keys are free."""
        if self._entries is not None:
            return tuple(self._entries.items())
        if not self.is_mapping:
            self._refuse("a mapping", required=required)
            return ()
        assert self._at is not None
        found: dict[str, Node] = {}
        for key_at, value_at in self._at.value:
            key_node = self._child(key_at, self.path)
            key = key_node.text()
            if key in found:
                first = found[key].line
                key_node.problem(f"{shown(key)} stands here twice (see line {first})")
            elif key:
                found[key] = self._child(value_at, joined(self.path, key))
        return tuple(found.items())

    def section(
        self, *keys: str, short: str = "", required: bool = False
    ) -> "dict[str, Node]":
        """Return a place for each key of a mapping that has no others.

        `short` names the key that the value of a short form stands for (see `kind`).
        """
        found = dict(self.items(required=required))
        if short and short not in found and SHORT in found:
            found[short] = found.pop(SHORT)
        for key, node in found.items():
            if key == SHORT:
                node.problem("no value is expected here, only options by name")
            elif key not in keys:
                node.problem(f"unknown key {shown(key)}{hint(key, keys)}")
        refused = self._silent or (not self.is_mapping and (self.given or required))
        return {
            key: found.get(key)
            or Node(
                self.file,
                self.problems,
                line=self.line,
                path=joined(self.path, key),
                silent=refused,
            )
            for key in keys
        }

    def kind(self, kinds: Iterable[str]) -> "tuple[str, Node]":
        """Say which kind of thing stands here, and where its options are.

        There are four ways to write one, and the options node is alike for all:
        `{kind: tail, path: X}`, short `{tail: X}` (also with further options),
        `{tail: {path: X}}`, and `tail` alone. The checker of a kind reads them by
        `options.section("path", …, short="path")`. An unknown kind is a problem, and
        "" is returned.
        """
        known = tuple(kinds)
        if isinstance(self._at, yaml.ScalarNode):
            return self._of_kind(self.text(), known, {})
        entries = dict(self.items(required=True))
        if "kind" in entries:
            return self._of_kind(entries.pop("kind").choice(known), known, entries)
        if not entries:
            if self.is_mapping:
                self.problem(f"no kind{hint('', known)}")
            return self._of_kind("", known, {})
        name = next((key for key in entries if key in known), next(iter(entries)))
        value = entries.pop(name)
        if value.is_mapping and not entries:
            entries = dict(value.items())
        elif value.given:
            entries[SHORT] = value
        return self._of_kind(name, known, entries)

    def _of_kind(
        self, name: str, known: tuple[str, ...], entries: "Mapping[str, Node]"
    ) -> "tuple[str, Node]":
        if name and name not in known:
            self.problem(f"unknown kind {shown(name)}{hint(name, known)}")
            name = ""
        options = Node(
            self.file,
            self.problems,
            line=self.line,
            path=self.path,
            silent=self._silent or not name,
            entries=entries if name else {},
        )
        return name, options

    def _child(self, at: yaml.Node, path: str) -> "Node":
        return Node(self.file, self.problems, at=at, path=path, silent=self._silent)

    def _scalar(self, wanted: str, *, required: bool) -> yaml.ScalarNode | None:
        if isinstance(self._at, yaml.ScalarNode):
            return self._at
        self._refuse(wanted, required=required)
        return None

    def _refuse(self, wanted: str, *, required: bool) -> None:
        if self.given:
            self.problem(f"expected {wanted}, found {_described(self._at)}")
        elif required:
            self.problem(f"missing (expected {wanted})")

    def _amount(
        self,
        wanted: str,
        pattern: re.Pattern[str],
        default: float | None,
        low: float,
        high: float,
    ) -> float:
        fallback = low if default is None else default
        scalar = self._scalar(wanted, required=default is None)
        if scalar is None:
            return fallback
        # A style means quotes: text, whatever it looks like.
        if scalar.style or not pattern.fullmatch(scalar.value):
            self.problem(f"expected {wanted}, found {_described(scalar)}")
            return fallback
        value = float(scalar.value)
        if not low <= value <= high:
            self.problem(f"{scalar.value} is not in {low:g} … {high:g}")
            return fallback
        return value


def load(path: Path, problems: Problems | None = None) -> Node:
    """Read a YAML file; one that cannot be read is a problem, not an exception."""
    problems = Problems() if problems is None else problems
    try:
        text = read(path)
    except RefusedError as error:
        return _refused(str(path), problems, error)
    return parse(text, str(path), problems)


def parse(text: str, file_name: str, problems: Problems | None = None) -> Node:
    """Return the top of a YAML text; one that is not YAML is a problem."""
    problems = Problems() if problems is None else problems
    try:
        return Node(file_name, problems, at=compose(text))
    except RefusedError as error:
        return _refused(file_name, problems, error)


def _refused(file_name: str, problems: Problems, error: RefusedError) -> Node:
    problems.add(file_name, error.line, "", str(error))
    return Node(file_name, problems, silent=True)


def _tag(at: yaml.Node | None) -> str:
    return str(at.tag).removeprefix(_CORE) if isinstance(at, yaml.ScalarNode) else ""


def _described(at: yaml.Node | None) -> str:
    if isinstance(at, yaml.SequenceNode):
        return "a list"
    if not isinstance(at, yaml.ScalarNode):
        return "a mapping"
    kinds = {"str": "text", "value": "text", "bool": "yes or no", "int": "a number"}
    kind = {**kinds, "float": "a number", "timestamp": "a date"}.get(_tag(at), "a tag")
    return f"{kind}: {shown(at.value)}"
