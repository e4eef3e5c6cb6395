"""Quiet hours: spans of the local day in which the bed and what is routine rest."""

from __future__ import annotations

import re
from typing import Self

import msgspec

_SPAN = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DAY_MIN = 24 * 60


class QuietSpan(msgspec.Struct, frozen=True):
    """From one minute of the day until another, over midnight if that is earlier."""

    begin_min: int
    end_min: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read "22:00-07:00"; None if it is no span."""
        match = _SPAN.fullmatch(text)
        if match is None:
            return None
        begin_h, begin, end_h, end = map(int, match.groups())
        span = cls(60 * begin_h + begin, 60 * end_h + end)
        empty = span.begin_min == span.end_min
        return None if empty or span.end_min > _DAY_MIN else span

    def covers(self, minute: int) -> bool:
        """Say whether a minute of the day lies within."""
        if self.begin_min < self.end_min:
            return self.begin_min <= minute < self.end_min
        return minute >= self.begin_min or minute < self.end_min
