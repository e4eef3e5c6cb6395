"""The store does what a dict would, whatever happens to its process and its disk."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from peep.clock import ManualClock
from peep.journal.store import RETRY_S, Spooled, Store
from peep.loglines import Mark
from peep.signals import Event, Tier

MAX_ALERTS = 5
MAX_BYTES = 2_000

ids = st.tuples(st.integers(1, 3), st.integers(0, 4))
alerts = st.builds(
    lambda key, text: Spooled(
        Event(name="a", tier=Tier.ALERT, origin=key[0], serial=key[1], text=text), 1.5
    ),
    ids,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
)
origins = st.integers(1, 4)
marks = st.builds(
    lambda origin, offset: Mark("/x", origin, 1, 2, b"h", offset, b"t"),
    origins,
    st.integers(0, 2**63 - 1),
)


def key_of(spooled):
    return spooled.event.origin, spooled.event.serial


class StoreMachine(RuleBasedStateMachine):
    """Alerts in a dict, in order; what was committed is what a crash must leave."""

    def __init__(self):
        super().__init__()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.base = Path(tempfile.mkdtemp(prefix="peep-store-", dir=memory))
        self.clock = ManualClock(0.0, 1_767_225_600.0)
        self.said = []
        self.alerts = {}
        self.marks = {}
        self.dropped = 0
        self.unsure = set()  # confirmed, but a crash may bring them back
        self.reported = 0  # the same
        self.places = 0
        self.blocked = False

    @initialize()
    def begin(self):
        self.place = self.base / "0"
        self.open()

    def open(self):
        self.store = Store(
            self.place / "agent-0.db",
            say=self.said.append,
            max_alerts=MAX_ALERTS,
            max_bytes=MAX_BYTES,
            clock=self.clock,
        )

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.base)

    @rule(
        new=st.lists(alerts, max_size=4),
        moved=st.lists(marks, max_size=3),
        done=st.lists(origins, max_size=2),
    )
    def commit(self, new, moved, done):
        dropped = self.store.commit(new, moved, done)
        for spooled in new:
            self.alerts.setdefault(key_of(spooled), spooled)
        for mark in moved:
            self.marks[mark.origin] = mark
        for origin in done:
            self.marks.pop(origin, None)
        assert dropped == list(self.alerts)[: len(dropped)]
        for key in dropped:
            del self.alerts[key]
        self.dropped += len(dropped)
        if not self.blocked:
            self.unsure.clear()
            self.reported = 0

    @rule(keys=st.lists(ids, max_size=3))
    def confirm(self, keys):
        self.store.confirm(keys)
        self.unsure |= self.alerts.keys() & set(keys)
        for key in keys:
            self.alerts.pop(key, None)

    @rule(count=st.integers(0, 3))
    def report(self, count):
        self.store.reported(count)
        count = min(count, self.dropped)
        self.dropped -= count
        self.reported += count

    @precondition(lambda self: not self.blocked)
    @rule()
    def close_and_open(self):
        self.store.close()
        self.unsure.clear()
        self.reported = 0
        self.open()

    @precondition(lambda self: not self.blocked)
    @rule()
    def crash(self):
        """Go on with the files as they are now."""
        self.places += 1
        place = self.base / str(self.places)
        shutil.copytree(self.place, place)
        self.store.close()
        self.place = place
        self.open()
        found = [key_of(spooled) for spooled in self.store.alerts()]
        assert set(self.alerts) <= set(found) <= set(self.alerts) | self.unsure
        # What the crash brought back is confirmed once more, as a server would.
        self.store.confirm([key for key in found if key not in self.alerts])
        assert self.dropped <= self.store.dropped <= self.dropped + self.reported
        self.store.reported(self.store.dropped - self.dropped)
        self.store.commit([])
        self.unsure.clear()
        self.reported = 0

    @precondition(lambda self: not self.blocked)
    @rule()
    def disk_fills(self):
        database = self.store._database
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count={pages}")
        self.blocked = True

    @precondition(lambda self: self.blocked)
    @rule()
    def disk_heals(self):
        self.store._database.execute("PRAGMA max_page_count=1000000")
        self.clock.advance(RETRY_S)
        self.store.commit([])
        self.blocked = False
        self.unsure.clear()
        self.reported = 0

    @invariant()
    def it_has_what_the_dict_has(self):
        assert self.store.alerts() == list(self.alerts.values())
        assert {mark.origin: mark for mark in self.store.marks()} == self.marks
        assert self.store.dropped == self.dropped
        assert len(self.alerts) <= MAX_ALERTS
        assert not any("set aside" in line for line in self.said)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
