"""Rules with `engine: re`: asked in a process of their own, which may be killed.

Python's `re` knows what RE2 does not, and can take for ever on a line that somebody
made for it. So such rules see the first 4 KiB of a line only, in a child process that
does nothing else. The child gives itself 100 ms of processor time for each rule and
line, by a timer (setitimer(2), ITIMER_VIRTUAL) whose signal nobody handles: the kernel
ends it, however deep in `re` it is, and a slow machine is not mistaken for a slow rule.
What it was at stands in a page of memory that both share. It is started again, and
passes over what it died of.

A rule that kills its child again and again rests for a minute: else lines that are
made for it would hold everything up.
"""

from __future__ import annotations

import mmap
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING

import msgspec

from peep.errors import SourceError
from peep.rules import MAX_GUARDED_BYTES, Guarded
from peep.rules.patterns import GROUPS, compiled_re

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from peep.clock import Clock
    from peep.rules import Rule

LIMIT_S = 0.1  # of processor time, for one rule and one line
# Of real time for all: a child that is stopped, or a machine that is suspended.
PATIENCE_S = 30.0
MAX_KILLS = 3  # of one rule, before it rests
REST_S = 60.0

_LENGTH = struct.Struct("<I")
_PLACE = struct.Struct("<II")  # line and rule
