"""What a voice sounds for: the cue, and all whose signals it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peep.mixer.sounding import SoundingVoice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.mixer.controls import Whose
    from peep.mixer.outcomes import Carried
    from peep.signals import Event


class Heard(msgspec.Struct, frozen=True):
    """A cue as it is heard; `whose` are those of whom a mute would have to end it.

    `folded`: it tells of several signals, not only of one with a count.
    """

    event: Event
    sound: str
    number: int
    count: int
    whose: frozenset[Whose]
    folded: bool = False

    def sounding(self, voice: int, since: float, until: float) -> SoundingVoice:
        """Return what people read of it."""
        event = self.event
        return SoundingVoice(
            voice=voice,
            sound=self.sound,
            name=event.name,
            host=event.host,
            tier=int(event.tier),
            count=self.count,
            since=since,
            until=until,
            number=self.number,
        )


def whose(one: Carried) -> Whose:
    """Return whose event this is."""
    event = one.signal
    return one.class_name, event.host, event.name, event.tier


def heard(events: Iterable[Carried], sound: str) -> Heard:
    """Return what is heard of events that one cue tells; the first leads."""
    first, *_ = events = tuple(events)
    return Heard(
        event=first.signal,
        sound=sound,
        number=first.number,
        count=sum(max(1, one.signal.count) for one in events),
        whose=frozenset(whose(one) for one in events),
        folded=len(events) > 1,
    )
