"""`peep mute`, `unmute`, `solo`, `unsolo`, `snooze`, `gain`, `controls`."""

from __future__ import annotations

import argparse
import json
import math
import re
from typing import TYPE_CHECKING, Final

import msgspec

from peep.cli import asking, common
from peep.config.problems import safe
from peep.mixer.controls import (
    ALL,
    Act,
    Clear,
    Gain,
    Mute,
    Scope,
    Snooze,
    Solo,
    Unmute,
    Unsolo,
)
from peep.net.control import ChangeMix, ListControls, Request
from peep.signals import GAIN_RANGE_DB, Tier

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS: Final = ("class", "host", "name", "tier")
_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|min|m|h|d)")
_UNITS_S: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_SNOOZE_S: Final = 3600.0

_EXAMPLES: Final = """\
  peep mute                        everything, at once, until told otherwise
  peep mute host:web1 --for 2h     one host, for a while
  peep snooze name:ssh 30m         what begins with ssh, for half an hour
  peep solo class:db               nothing but that;  peep unsolo: all again
  peep unmute                      end every mute and snooze
  peep gain tier:routine -6        softer; 0 ends it
  peep controls                    what is in force;  peep controls clear: end it all

A scope is `all`, or class:NAME, host:NAME, name:BEGINNING or tier:routine (notable,
alert). What is in force is kept over a restart and written into the journal.
"""
_DOES: Final = {
    "mute": "Silence a scope, alerts too: also what sounds already.",
    "unmute": "End a scope's mute or snooze, or all of them.",
    "solo": "Sound nothing but this scope.",
    "unsolo": "End a scope's solo, or all of them.",
    "snooze": "Silence a scope for a time (an hour, if none is given).",
    "gain": "Make a scope louder or softer, in dB.",
    "controls": "List what the operator muted, soloed, snoozed or turned.",
}


class _Mix(msgspec.Struct, frozen=True):
    controls: tuple[dict[str, object], ...]
    words: tuple[str, ...]
    hint: str = ""


def parser(verb: str) -> argparse.ArgumentParser:
    """Return a verb's options."""
    made = common.new_parser(verb, _DOES[verb], _EXAMPLES)
    if verb == "controls":
        made.add_argument("what", nargs="?", choices=["list", "clear"], default="list")
    else:
        made.add_argument(
            "scope",
            nargs=None if verb in {"solo", "snooze", "gain"} else "?",
            type=_scope,
            default=ALL,
            metavar="SCOPE",
            help="all, class:NAME, host:NAME, name:BEGINNING or tier:TIER",
        )
    if verb == "mute":
        made.add_argument(
            "--for", dest="span_s", type=_span, metavar="TIME", help="30s, 15m, 2h, 1d"
        )
    if verb == "snooze":
        made.add_argument(
            "span_s", nargs="?", type=_span, default=_SNOOZE_S, metavar="TIME"
        )
    if verb == "gain":
        made.add_argument("gain_db", type=_gain, metavar="DB")
    asking.add_of(made, "every server of yours")
    made.add_argument("--json", action="store_true", help="one JSON list")
    return made


def run(verb: str, argv: Sequence[str]) -> int:
    """Ask the servers; exit code 1 if none runs, or one refuses."""
    args = parser(verb).parse_intermixed_args(_numbers_apart(verb, argv))
    request: Request
    if verb == "controls" and args.what == "list":
        request = ListControls()
    else:
        request = ChangeMix(_act(verb, args))
    said = asking.ask_each(args.of or "server", request, _Mix)
    if args.json:
        print(json.dumps([_plain(one) for one in said]))
        return int(any(one.answer is None for one in said))
    for one in said:
        if one.answer is None:
            common.say(f"peep: {one.who}: {one.problem}")
            continue
        # Whoever may ask this server may have named anything.
        held = "; ".join(safe(word) for word in one.answer.words) or "nothing is muted"
        print(f"{one.who}: {held}" if len(said) > 1 else held)
        if one.answer.hint:
            common.say(f"peep: {one.answer.hint}: a slip?")
    return int(any(one.answer is None for one in said))


def _act(verb: str, args: argparse.Namespace) -> Act:
    if verb == "controls":
        return Clear()
    if verb == "gain":
        return Gain(args.scope, args.gain_db)
    if verb in {"mute", "snooze"}:
        timed = Mute if verb == "mute" else Snooze
        return timed(args.scope, args.span_s)
    if verb == "solo":
        return Solo(args.scope)
    return Unsolo(args.scope) if verb == "unsolo" else Unmute(args.scope)


def _numbers_apart(verb: str, argv: Sequence[str]) -> list[str]:
    """Keep argparse from taking -6 for an option."""
    words = list(argv)
    if verb == "gain" and words and re.fullmatch(r"-[0-9.]+(dB)?", words[-1]):
        words.insert(-1, "--")
    return words


def _scope(text: str) -> Scope:
    if text == "all":
        return ALL
    kind, colon, value = text.partition(":")
    if kind not in _KINDS or not colon or not value:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write all, class:NAME, host:NAME, name:BEGINNING or tier:TIER"
        )
    tiers = [tier.name.lower() for tier in Tier]
    if kind == "tier" and value not in tiers:
        raise argparse.ArgumentTypeError(f"{text!r}: a tier is {', '.join(tiers)}")
    return Scope(kind, value)  # type: ignore[arg-type] # it is one of them


def _span(text: str) -> float:
    match = _SPAN.fullmatch(text)
    seconds = float(match[1]) * _UNITS_S[match[2]] if match else 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r}: write 30s, 15m, 2h or 1d")
    return seconds


def _gain(text: str) -> float:
    try:
        gain_db = float(text.removesuffix("dB"))
    except ValueError:
        gain_db = math.nan
    lowest, highest = GAIN_RANGE_DB
    if not lowest <= gain_db <= highest:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no gain from {lowest:g} to {highest:g} dB"
        )
    return gain_db


def _plain(said: asking.Said[_Mix]) -> dict[str, object]:
    plain: dict[str, object] = {"kind": said.kind, "pid": said.pid}
    if said.answer is None:
        return {**plain, "problem": said.problem}
    return {**plain, **msgspec.to_builtins(said.answer)}
