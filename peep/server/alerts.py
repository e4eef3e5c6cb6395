"""Which alerts this server has already: heard once, recorded once, receipted after.

An alert is, in turn:

    queued      heard, and given to the journal
    recorded    committed there: receipted, and again whenever it comes again
    unwritten   heard, but the journal could not write it: tried again when it comes
                again, without a second sound

What is not known here is new. Memory goes back KEPT alerts, also over a restart, when
the journal's newest are handed in; the journal itself takes none twice, however old.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peep.journal.rows import AlertKey

KEPT = 65_536  # some 20 MB; an agent's spool holds fewer


class Take(enum.Enum):
    """What to do with an alert that came."""

    HEAR = "hear"  # new: hear it and record it
    RECORD = "record"  # heard before: record it, in silence
    RECEIPT = "receipt"  # on record: say so
    WAIT = "wait"  # being recorded: the receipt will follow


class _Stage(enum.Enum):
    QUEUED = "queued"
    RECORDED = "recorded"
    UNWRITTEN = "unwritten"


class Alerts:
    """What became of the last alerts."""

    def __init__(self, recorded: Iterable[AlertKey] = ()) -> None:
        """Know what is on record from before, oldest first."""
        self._stages = OrderedDict.fromkeys(recorded, _Stage.RECORDED)
        self.repeated = 0  # that came again

    def take(self, alert: AlertKey) -> Take:
        """Say what to do with an alert that came."""
        stage = self._stages.get(alert)
        self.repeated += stage is not None
        if stage is _Stage.RECORDED:
            return Take.RECEIPT
        if stage is _Stage.QUEUED:
            return Take.WAIT
        self._stages[alert] = _Stage.QUEUED
        if len(self._stages) > KEPT:
            self._stages.popitem(last=False)
        return Take.HEAR if stage is None else Take.RECORD

    def settle(self, recorded: Iterable[AlertKey], failed: Iterable[AlertKey]) -> None:
        """Note what the journal committed, and what it could not write."""
        for alert in recorded:
            if alert in self._stages:
                self._stages[alert] = _Stage.RECORDED
        for alert in failed:
            if alert in self._stages:
                self._stages[alert] = _Stage.UNWRITTEN
