"""What a server does with what its protocol machine tells.

Signals are recorded and fed to the mixer, an alert once however often it comes, and its
receipt follows the journal's commit. What befalls agents goes into the roster and the
journal's notes, and what is an alarm becomes a signal of Peep's own, so that it is
heard, counted and journalled as all others are.

Without a journal an alert is receipted when it was heard: nobody else will have it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from peep.journal.rows import agent_number
from peep.loglines import printable
from peep.mixer.outcomes import Cue, Outcome, Suppression
from peep.mixer.voices import BACKLOG_AGE_S
from peep.protocol.events import (
    AgentJoined,
    AgentLate,
    AgentLeft,
    AgentLost,
    AgentReturned,
    Dropped,
    ServerEvent,
    SignalReceived,
    Way,
)
from peep.protocol.outbox import is_alert
from peep.reasons import Reason
from peep.server import roster as rosters
from peep.server.alerts import Alerts, Take
from peep.signals import Event, Tier

if TYPE_CHECKING:
    from collections.abc import Callable

    from peep.clock import Clock
    from peep.journal.journal import Journal
    from peep.journal.rows import AlertKey
    from peep.net.refusals import Refusals
    from peep.protocol.events import Peer
    from peep.protocol.server import ServerProtocol
    from peep.server.pipeline import Pipeline
    from peep.server.roster import Roster
    from peep.signals import Signal, SignalId

_ALERT = Tier.ALERT
_SELF = b""  # whom Peep's own signals come from
_NAMED = 40  # hosts in a line for people; the journal has all


class Desk:
    """Takes the machine's events; `flush` after each round of them.

    `heard_s` says how much has sounded. What `remembers` keeps hosts in the journal.
    """

    def __init__(
        self,
        machine: ServerProtocol,
        roster: Roster,
        journal: Journal | None,
        *,
        clock: Clock,
        say: Callable[[str], None],
        refusals: Refusals,
        heard_s: Callable[[], float],
        verbose: bool = False,
        remembers: bool = False,
    ) -> None:
        self._machine = machine
        self._roster = roster
        self._journal = journal
        self._clock = clock
        self._say = say
        self._refusals = refusals
        self._how_much = heard_s
        self._verbose = verbose
        self._remembers = remembers
        self._pipeline: Pipeline | None = None
        self._owed: dict[Way, list[SignalId]] = {}
        self._queued: dict[AlertKey, Way] = {}  # who waits for a commit
        self._now = float("-inf")
        self._wall = 0.0
        self._heard_s = 0.0
        known = [] if journal is None else journal.recorded_alerts()
        self.alerts = Alerts(known)
        self.dropped: Counter[Reason] = Counter()
        self.again = 0  # alerts heard that may have been heard by a process before

    def attach(self, pipeline: Pipeline) -> None:
        """Take the pipeline, whose outcomes come back to `outcome`."""
        self._pipeline = pipeline

    def tell(self, what: str, detail: str = "") -> None:
        """Note what befell this server itself: it started, was muted, or ended."""
        self._wall = self._clock.wall()
        self._write_note(what, "", detail)

    def tell_unheard(self, now: float) -> None:
        """Sound what an earlier process recorded, and ended before it was heard."""
        self._look_at_clocks(now)
        for one in [] if self._journal is None else self._journal.unheard():
            age_s = max(self._wall - one.received, 2 * BACKLOG_AGE_S)  # late for sure
            self.again += 1
            self._feed(one.event, now, "", age_s, one.number)

    def on_event(self, event: ServerEvent, now: float) -> None:
        """Take one event."""
        self._look_at_clocks(now)
        match event:
            case SignalReceived():
                self._on_signal(event, now)
            case Dropped(reason=reason, address=address, count=count):
                self.dropped[reason] += count
                self._refusals.name(reason, address)
            case AgentJoined(peer=peer, classes=classes, back=back, sealed=sealed):
                again = "is back" if back else "joined"
                how = "sealed" if sealed else "open"
                said = f"agent {peer.host} ({peer.address[0]}) {again}"
                self._say(f"{said}: {', '.join(classes)}, {how}")
                told = self._roster.joined(event, now, self._wall)
                self._note(
                    "back" if back or told else "joined", peer, ", ".join(classes)
                )
                if told:
                    self._tell("peep.agent-back", Tier.NOTABLE, peer.host)
            case AgentLate(peer=peer):
                self._say(f"agent {peer.host} is late: nothing heard for a lease")
                self._mixed().late(peer.agent_id.hex(), now)
                self._roster.late(peer, now, self._wall)
                self._note("late", peer)
            case AgentReturned(peer=peer):
                self._say(f"agent {peer.host} is heard again")
                self._mixed().returned(peer.agent_id.hex())
                self._roster.returned(peer, now, self._wall)
                self._note("returned", peer)
            case AgentLost(peer=peer):
                self._on_lost(peer, now)
            case AgentLeft(peer=peer, dumb=dumb):
                self._forget(peer)
                if not dumb:
                    self._say(f"agent {peer.host} left")
                    self._roster.left(peer, now, self._wall)
                    self._note("left", peer)

    def settle(self) -> None:
        """Take what the journal committed, and what it could not write."""
        assert self._journal is not None, "only a journal settles"
        settled = self._journal.settled()
        self.alerts.settle(settled.recorded, settled.failed)
        for alert in settled.recorded:
            way = self._queued.pop(alert, None)
            if way is not None:
                self._owe(way, alert)
        for alert in settled.failed:
            self._queued.pop(alert, None)

    def flush(self, now: float) -> None:
        """Send receipts, and do what the roster asks for."""
        self._look_at_clocks(now)
        owed, self._owed = self._owed, {}
        for way, alerts in owed.items():
            self._machine.receipt(way, alerts)
        while (event := self._roster.next_event()) is not None:
            self._on_roster(event)

    def outcome(self, outcome: Outcome) -> None:
        """Take what became of a signal."""
        if self._journal is not None:
            self._journal.outcome(outcome, at=self._wall, heard_s=self._heard_s)
        alert = is_alert(outcome.signal)
        # One that is recorded at last was told of when it was heard.
        known = isinstance(outcome, Suppression) and outcome.reason is Reason.REPEATED
        if (alert and not known) or self._verbose:
            self._say(_line(outcome, "alert " if alert else ""))

    # -- signals ----------------------------------------------------------------------

    def _on_signal(self, event: SignalReceived, now: float) -> None:
        signal = event.signal
        # An alert without an id is a foreign sender's: it waits for no receipt.
        if type(signal) is not Event or signal.tier is not _ALERT or not signal.origin:
            number = self._record(event, None)
            self._feed_received(event, now, number)
            return
        key = (agent_number(event.way.identity), signal.origin, signal.serial)
        take = self.alerts.take(key)
        if take is Take.RECEIPT:
            self._owe(event.way, key)
            return
        self._queued[key] = event.way
        if take is Take.WAIT:
            return
        number = self._record(event, key)
        if take is Take.RECORD:
            self._suppress(signal, number)
        else:
            self.again += event.again
            self._feed_received(event, now, number)

    def _record(self, event: SignalReceived, alert: AlertKey | None) -> int:
        if self._journal is None:
            if alert is not None:
                self.alerts.settle([alert], [])
                self._owe(self._queued.pop(alert), alert)
            return 0
        return self._journal.record(
            event.signal,
            agent_id=event.way.identity,
            class_name=event.class_name,
            received=self._wall,
            age_s=event.age_s,
            again=event.again,
            alert=alert,
        )

    def _owe(self, way: Way, alert: AlertKey) -> None:
        self._owed.setdefault(way, []).append(alert[1:])

    def _suppress(self, signal: Signal, number: int) -> None:
        self._mixed().suppress(signal, Reason.REPEATED, number)

    def _feed_received(self, event: SignalReceived, now: float, number: int) -> None:
        origin = event.peer.agent_id.hex()
        self._feed(event.signal, now, origin, event.age_s, number, event.class_name)

    def _feed(  # noqa: PLR0917 - a signal, and all that is known of it
        self,
        signal: Signal,
        now: float,
        origin: str,
        age_s: float,
        number: int,
        class_name: str = "",
    ) -> None:
        self._mixed().feed(signal, now, origin, age_s, number, class_name)

    # -- agents -----------------------------------------------------------------------

    def _on_lost(self, peer: Peer, now: float) -> None:
        self._say(f"agent {peer.host} is lost")
        self._forget(peer)
        self._roster.lost(peer, now, self._wall)
        self._note("lost", peer)
        if self._roster.alarming(peer.host):
            self._tell("peep.agent-lost", Tier.ALERT, peer.host)

    def _on_roster(self, event: rosters.RosterEvent) -> None:
        match event:
            case rosters.Missing(hosts=hosts):
                self._say(f"did not come back: {_few(hosts)}")
                for host in hosts:
                    self._write_note("missing", host)
                    self._tell("peep.agent-missing", Tier.ALERT, host)
            case rosters.Deaf(hosts=hosts):
                said = f"all {len(hosts)} hosts fell silent: is this server cut off?"
                self._write_note("deaf", "", said)
                self._tell("peep.server-deaf", Tier.ALERT, "", said)
            case rosters.Hearing():
                self._write_note("hearing", "")
                self._tell("peep.server-hears", Tier.NOTABLE, "")
            case rosters.Changed(row=row) if self._journal and self._remembers:
                self._journal.keep_host(row)
            case rosters.Dropped(name=name) if self._journal is not None:
                self._journal.drop_host(name)

    def _forget(self, peer: Peer) -> None:
        self._mixed().forget(peer.agent_id.hex())

    def _mixed(self) -> Pipeline:
        assert self._pipeline is not None, "the driver starts after the pipeline"
        return self._pipeline

    def _tell(self, name: str, tier: Tier, host: str, text: str = "") -> None:
        """Feed a signal of Peep's own."""
        event = Event(
            name=name,
            tier=tier,
            family="network",
            host=host,
            text=text,
            when=self._wall,
        )
        number = 0
        if self._journal is not None:
            number = self._journal.record(
                event,
                agent_id=_SELF,
                class_name="",
                received=self._wall,
                age_s=0.0,
                again=False,
                alert=None,
            )
        self._feed(event, self._now, "", 0.0, number)

    def _note(self, what: str, peer: Peer, detail: str = "") -> None:
        self._write_note(what, peer.host, detail, peer.agent_id)

    def _write_note(
        self, what: str, host: str, detail: str = "", agent_id: bytes = _SELF
    ) -> None:
        if self._journal is not None:
            self._journal.note(
                what, host=host, agent_id=agent_id, at=self._wall, detail=detail
            )

    def _look_at_clocks(self, now: float) -> None:
        # Once for all that came together.
        if now != self._now:
            self._now = now
            self._wall = self._clock.wall()
            self._heard_s = self._how_much()


def _line(outcome: Outcome, kind: str) -> str:
    """Say an outcome in a line. Texts came over the network: harmless, please."""
    signal = outcome.signal
    what = f"{kind}{signal.name}{f' from {signal.host}' if signal.host else ''}"
    match outcome:
        case Cue(sound=sound, carried=carried, late=late):
            text = signal.text if isinstance(signal, Event) else ""
            shown = printable(text.encode("utf-8", "replace"))
            others = ""
            if carried:
                hosts = _few([one.signal.host for one in carried])
                others = f" and {len(carried)} more ({hosts})"
            told = ", told late" if late else ""
            return f"{what}{others}{told}: {sound}{': ' if shown else ''}{shown}"
        case Suppression(reason=reason):
            return f"{what}: unheard, {reason}"


def _few(hosts: tuple[str, ...] | list[str]) -> str:
    named = ", ".join(dict.fromkeys(hosts[:_NAMED]))
    more = len(hosts) - _NAMED
    return named if more <= 0 else f"{named} and {more} more"
