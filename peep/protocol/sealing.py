"""Which classes are sealed, with which keys, and how a session gets its seal.

A class with a key never falls back to open. `cryptography` is imported by noise.py
alone, and noise.py only here, when the first key is used: an agent without keys does
not carry it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from peep.protocol.classes import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peep.protocol.keys import ClassKey
    from peep.protocol.noise import Initiator, Responder


class Keys:
    """The keys that one side holds, newest first."""

    def __init__(self, keys: Sequence[ClassKey] = ()) -> None:
        self._keys = tuple(keys)
        self._by_id = {key.key_id: key for key in reversed(self._keys)}

    def by_id(self, key_id: int) -> ClassKey | None:
        """Return the key that a header names, if it is held."""
        return self._by_id.get(key_id)

    def for_class(self, class_name: str) -> list[ClassKey]:
        """Return a class's keys, newest first; none, and the class is open."""
        return [key for key in self._keys if matches(key.class_name, class_name)]

    def for_classes(self, class_names: Iterable[str]) -> list[ClassKey]:
        """Return the keys of all these classes, in their order, each once."""
        found = [key for name in class_names for key in self.for_class(name)]
        return list(dict.fromkeys(found))

    def open(self, class_names: Iterable[str]) -> list[str]:
        """Return the classes that have no key."""
        return [name for name in class_names if not self.for_class(name)]


def initiate(key: ClassKey, head: bytes, cookie: bytes) -> Initiator:
    """Begin a handshake: the prologue is what both ends saw in clear."""
    noise = importlib.import_module("peep.protocol.noise")
    made: Initiator = noise.Initiator(key.secret, head + cookie)
    return made


def respond(key: ClassKey, head: bytes, cookie: bytes) -> Responder:
    """Answer a handshake."""
    noise = importlib.import_module("peep.protocol.noise")
    made: Responder = noise.Responder(key.secret, head + cookie)
    return made
