"""Classes are added and removed while a process runs.

What `peep classes` asks through the control socket, and what SIGHUP asks after an edit
of peep.yaml, for an agent and a server alike.

Somebody who holds no class at all could not be said on the wire, so the last one stays.
`none` is the class of those who speak to nobody: it stands alone. Adding it takes the
place of all others, adding another takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from peep.config.problems import shown
from peep.errors import ConfigError, PeepError
from peep.net.control import AddClasses, ClassRequest, ListClasses, RemoveClasses
from peep.protocol.classes import NONE, class_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from peep.clock import Clock

MAX_CLASSES = 64  # that one packet names


class Holder(Protocol):
    """What a protocol machine does about classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return what is held."""

    def set_classes(self, classes: Sequence[str], now: float) -> None:
        """Hold these, and no others."""


class ClassControl:
    """Changes the classes of one machine; a dumb client has none, its `holder` is None.

    `kick` lets the driver send what the machine has to say of it. `patterns` is whether
    `*.example.org` may be held: a server may.
    """

    def __init__(
        self,
        holder: Holder | None,
        *,
        clock: Clock,
        kick: Callable[[], None],
        say: Callable[[str], None],
        patterns: bool = False,
    ) -> None:
        self._holder = holder
        self._clock = clock
        self._kick = kick
        self._say = say
        self._patterns = patterns

    def handle(self, request: ClassRequest) -> dict[str, object]:
        """Answer a request about classes; PeepError if it is refused."""
        if self._holder is None:
            if not isinstance(request, ListClasses):
                raise PeepError("is a dumb client, heard in class public only")
            return {"classes": ("public",), "changed": False}
        changed = False
        match request:
            case AddClasses(names=names):
                self._check_patterns(names)
                changed = self._set(self._holder, added(self._holder.classes, names))
                refused = [n for n in names if n not in self._holder.classes]
                if refused:
                    raise PeepError(f"its policy allows no {', '.join(refused)}")
            case RemoveClasses(names=names):
                changed = self._set(self._holder, removed(self._holder.classes, names))
            case ListClasses():
                pass
        return {"classes": self._holder.classes, "changed": changed}

    def reread(self, load: Callable[[], Sequence[str]]) -> None:
        """Hold the classes that a configuration names now.

        A ConfigError of `load` is told with all its lines, and changes nothing.
        """
        if self._holder is None:
            return
        try:
            wanted = tuple(load())
        except ConfigError as refused:
            for problem in refused.problems:
                self._say(problem)
            self._say("the configuration is refused: what runs goes on as it was")
            return
        if not self._set(self._holder, wanted):
            self._say("the configuration was read again: the same classes")

    def hold(self, wanted: Iterable[str]) -> None:
        """Hold these classes from now on; a dumb client has none."""
        if self._holder is not None:
            self._set(self._holder, tuple(wanted))

    def _check_patterns(self, names: Iterable[str]) -> None:
        for name in names:
            if name.startswith("*.") and not self._patterns:
                raise PeepError(f"an agent holds classes, not patterns: not {name}")

    def _set(self, holder: Holder, wanted: tuple[str, ...]) -> bool:
        before = holder.classes
        if wanted == before:
            return False
        holder.set_classes(wanted, self._clock.now())
        self._kick()
        # What a policy does not allow is not held.
        changed = holder.classes != before
        if changed:
            self._say(f"classes are now {listed(holder.classes)}")
        return changed


def added(held: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes after an addition; PeepError if it cannot be.

    What is held keeps its place: it is the order of preference.
    """
    names = tuple(names)
    for name in names:
        problem = class_problem(name)
        if problem:
            raise PeepError(f"class {shown(name)} {problem}")
    if NONE in names:
        if len(names) > 1:
            raise PeepError(f"class {NONE} stands alone: add it, or the others")
        return (NONE,)
    wanted = dict.fromkeys((*held, *names))
    wanted.pop(NONE, None)
    if len(wanted) > MAX_CLASSES:
        raise PeepError(f"that would be {len(wanted)} classes, {MAX_CLASSES} go")
    return tuple(wanted)


def removed(held: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes after a removal; PeepError if nothing would be left."""
    gone = set(names)
    left = tuple(name for name in held if name not in gone)
    if left:
        return left
    if tuple(held) == (NONE,):
        raise PeepError(f"holds {NONE} only: add a class, and it takes its place")
    raise PeepError(
        f"holds nothing but {', '.join(held)}: add another class first, "
        f"or add {NONE} to speak to nobody"
    )


def listed(classes: Sequence[str]) -> str:
    """Return classes as people read them."""
    if tuple(classes) == (NONE,):
        return f"{NONE} (speaks to nobody)"
    return ", ".join(classes)
