"""What became of a signal: a cue, in a cue of another, or a suppression.

`number` is the journal's number of the signal, 0 without a journal.
"""

import msgspec

from peep.reasons import Reason
from peep.signals import Event, Signal


class Carried(msgspec.Struct, frozen=True, gc=False):
    """An event among others of its kind or cause, told by the cue of another.

    `class_name` is the class that it came by, where that is known.
    """

    signal: Event
    number: int = 0
    class_name: str = ""


class Cue(msgspec.Struct, frozen=True, gc=False):
    """A signal that is heard: on a voice, a layer or a beat.

    Cues of one `group` (above 0) have one cause; `carried` are heard in this cue too.
    `late`: they are told long after they happened.
    """

    signal: Signal
    sound: str
    place: int | str
    number: int = 0
    carried: tuple[Carried, ...] = ()
    group: int = 0
    late: bool = False


class Suppression(msgspec.Struct, frozen=True, gc=False):
    """A signal that makes no sound of its own."""

    signal: Signal
    reason: Reason
    number: int = 0


Outcome = Cue | Suppression
