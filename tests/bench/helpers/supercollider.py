"""A score for scsynth: the binary forms of a synthesis definition and of OSC.

Source of the forms: SuperCollider's documents "Synth Definition File Format" and
"Non-Realtime Synthesis", and OSC 1.0.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

AUDIO, CONTROL, SCALAR = 2, 1, 0


class Unit(NamedTuple):
    """A unit generator: inputs are constants (float) or (unit, output)."""

    kind: str
    rate: int
    inputs: tuple[float | tuple[int, int], ...]
    outputs: int
    operator: int = 0  # of a BinaryOpUGen; 2 multiplies


def definition(name: str, units: list[Unit]) -> bytes:
    """Return a file of one definition without parameters."""
    constants = sorted(
        {x for unit in units for x in unit.inputs if isinstance(x, float)}
    )
    body = _pstring(name) + struct.pack(">i", len(constants))
    body += struct.pack(f">{len(constants)}f", *constants)
    body += struct.pack(">ii", 0, 0)  # parameters, and their names
    body += struct.pack(">i", len(units))
    for unit in units:
        body += _pstring(unit.kind)
        body += struct.pack(
            ">biih", unit.rate, len(unit.inputs), unit.outputs, unit.operator
        )
        for one in unit.inputs:
            at = (-1, constants.index(one)) if isinstance(one, float) else one
            body += struct.pack(">ii", *at)
        body += bytes([unit.rate]) * unit.outputs
    return b"SCgf" + struct.pack(">ih", 2, 1) + body + struct.pack(">h", 0)


def message(address: str, *arguments: float | str | bytes) -> bytes:
    """Return an OSC message."""
    tags, data = ",", b""
    for one in arguments:
        match one:
            case int():
                tags, data = tags + "i", data + struct.pack(">i", one)
            case float():
                tags, data = tags + "f", data + struct.pack(">f", one)
            case str():
                tags, data = tags + "s", data + _padded(one.encode() + b"\0")
            case bytes():
                tags += "b"
                data += struct.pack(">i", len(one)) + _padded(one)
    return _padded(address.encode() + b"\0") + _padded(tags.encode() + b"\0") + data


def score(bundles: list[tuple[float, list[bytes]]]) -> bytes:
    """Return a file of bundles: seconds, and messages."""
    made = b""
    for at_s, messages in bundles:
        # NTP's form, of which the beginning is the score's.
        time = struct.pack(">II", int(at_s), int((at_s % 1) * 2**32))
        bundle = b"#bundle\0" + time
        for one in messages:
            bundle += struct.pack(">i", len(one)) + one
        made += struct.pack(">i", len(bundle)) + bundle
    return made


def _pstring(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
