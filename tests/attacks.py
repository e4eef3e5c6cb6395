"""Attackers in a small world: what they forge, and what must hold against them.

The world lives on lossless wires: a server and an agent under attack, each with an
open and a sealed session, honest peers, and *moles*: peers whose keys and sessions the
attacker owns, so that what he forges gets past the first checks. Between their own
words the target is fed mutations of what the wires carried, and noise, as time goes on.

What an attacker may not do is what an open session cannot withstand: speak from an
honest peer's address with the id of its open session, for which he must tap the wire.

Checked: no exception leaves a verb; who has proven nothing gets no answer larger than
his question (from a server), or none but one REQUEST or REGISTER (from an agent); each
table keeps its bound; honest sessions are never so much as late.
"""

import heapq
import ipaddress
import random
import traceback
from collections import Counter

from mutations import Mutator, honest_body
from wires import Wires, agent_machine, server_machine

from peep.protocol import agent as agents
from peep.protocol import (
    discovery,
    links,
    mail,
    outbox,
    registry,
    server,
    sessions,
    wire,
)
from peep.protocol.events import AgentLate, AgentLeft, AgentLost, Dropped, Lapsed
from peep.protocol.keys import ClassKey
from peep.protocol.packets import PacketType
from peep.protocol.sealing import initiate
from peep.signals import Event, Heartbeat, State, Tier

PRIVATE = (ipaddress.ip_network("10.0.0.0/8"),)
KEY, MOLES_KEY = ClassKey("web", b"n" * 32), ClassKey("*.moles.org", b"o" * 32)

SERVER, OPEN_SERVER = ("10.0.0.9", 2001), ("10.0.0.8", 2001)
AGENT, OPEN_AGENT = ("10.0.0.1", 40001), ("10.0.0.2", 40002)
MOLE_SERVER, SEALED_MOLE_SERVER = ("10.0.0.7", 2001), ("10.0.0.6", 2001)
MOLE, SEALED_MOLE = ("10.0.0.66", 40066), ("10.0.0.67", 40067)
HONEST = (SERVER, OPEN_SERVER, AGENT, OPEN_AGENT)
# They hear what is sent to them: a cookie is theirs for the asking.
PROVEN = [("10.0.1.1", port) for port in range(1, 5)]
# They never return a cookie.
STRANGERS = [
    *[("10.0.2.1", port) for port in range(1, 5)],
    ("192.168.7.7", 53),
    ("fe80::1%eth0", 2001),
    ("2001:db8::1", 2001),
]
IDS = [bytes([number]) * 8 for number in range(1, 7)]

STEP_S = 0.002  # at most, between two datagrams
WIRES_EVERY = 32  # datagrams between the honest ones' own words
CHECK_EVERY = 2048
JUMP_EVERY = 20_000  # datagrams between leaps of up to a hundred seconds

WORDS = (
    *[PacketType.SIGNALS] * 8,
    *[PacketType.CLASSES] * 4,
    *[PacketType.RENEW, PacketType.ACK] * 2,
    *[kind for kind in PacketType if kind is not PacketType.SIGNALS],
)


class Failure(Exception):  # noqa: N818 - it is what a run ends with
    """What broke, and how to see it again."""


class World(Wires):
    """The wires, with everybody on them."""

    def __init__(self, seed):
        super().__init__()
        classes, keys = ("public", "web", "*.moles.org"), (KEY, MOLES_KEY)
        more = {"keys": keys, "seed": seed}
        target = server_machine(100, classes=classes, dumb_networks=PRIVATE, **more)
        self.add(target, SERVER)
        self.add(server_machine(101, seed=101), OPEN_SERVER)
        self.add(server_machine(102, seed=102), MOLE_SERVER)
        sealed = {"keys": (MOLES_KEY,), "classes": ("a.moles.org",)}
        self.add(server_machine(103, seed=103, **sealed), SEALED_MOLE_SERVER)
        classes = ("web", "public", "a.moles.org")
        self.add(agent_machine(1, classes=classes, near=PRIVATE, **more), AGENT)
        self.add(agent_machine(2, seed=202), OPEN_AGENT)
        self.add(agent_machine(3, seed=203), MOLE)
        self.add(agent_machine(4, seed=204, **sealed), SEALED_MOLE)
        self.run(5)

    def carry(self, data, source, to):
        """Let a datagram that the target said reach whom it is for."""
        self._count += 1
        heapq.heappush(self._flying, (self.now, self._count, source, to, data))


class Attack:
    """Feeds one target. Subclasses know what else to forge, and what must hold."""

    target = SERVER

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.world = World(seed)
        self.machine = self.world.machines[self.target]
        self.mutator = Mutator(self.rng)
        self.counts = Counter()
        self.most = Counter()  # entries that each table ever held
        self.done = 0
        self.last = (b"", self.target)
        self._harvest()
        self.honest = self.sessions()
        if len(self.honest) != 2:
            raise Failure(f"the honest sessions were not made: {self.honest}")

    def run(self, number, progress=lambda done: None):
        """Feed so many datagrams; Failure if anything does not hold."""
        try:
            for _ in range(number):
                self._step()
                if not self.done % CHECK_EVERY:
                    self.check()
                    progress(self.done)
            self.check()
        except Exception as problem:
            data, source = self.last
            raise Failure(
                f"{traceback.format_exc()}\n{type(self).__name__}, datagram "
                f"{self.done}, from {source} at {self.world.now!r}: {problem!r}\n"
                f"{data.hex()}"
            ) from problem

    def check(self):
        """Check what must hold at any time."""
        if self.sessions() != self.honest:
            raise Failure(f"an honest session ended: {self.sessions()}")
        for name, (size, bound) in self.tables().items():
            self.most[name] = max(self.most[name], size)
            if size > bound:
                raise Failure(f"{name}: {size} of {bound}")

    def _step(self):
        self.done += 1
        self.world.now += self.rng.random() * STEP_S
        now = self.world.now
        data, source = self.last = self._allowed(*self._make())
        self.machine.receive_datagram(data, source, now)
        answers = self.machine.datagrams_to_send(now)
        if answers:
            self.judge(data, source, answers)
            for answer, to in answers:
                self.counts["answers"] += 1
                if to in self.world.machines:
                    self.world.carry(answer, self.target, to)
        while (event := self.machine.next_event()) is not None:
            self._note(event)
        if not self.done % WIRES_EVERY:
            self.machine.handle_timer(now)
            self.machine.next_timer()
            self.world._pump(self.target)
            self._live(self.rng.uniform(1, 100) if not self.done % JUMP_EVERY else 0)

    def _live(self, seconds):
        """Let the honest ones and the moles do what is due, and hear what they say."""
        chance = self.rng.random()
        name = f"s{self.rng.randrange(3000)}"
        if chance < 0.05:
            signal = Event(name=name, tier=Tier.ALERT, family="f", text="t", count=3)
        elif chance < 0.1:
            signal = State(name=name, value=chance)
        else:
            signal = Heartbeat(name="beat", rate_hz=1.0)
        if chance < 0.2:
            self.world.send(AGENT, signal)
            self.world.send(OPEN_AGENT, signal)
        self.world.run(seconds)
        self._harvest()

    def _harvest(self):
        for _, source, to, data in self.world.sent:
            # Else a stranger's cookie would come back from him.
            if source in self.world.machines and to in self.world.machines:
                self.mutator.keep(data)
        self.world.sent.clear()
        for address, told in self.world.events.items():
            if address == self.target:
                for event in told:
                    self._note(event)
            told.clear()

    def _note(self, event):
        if isinstance(event, Dropped):
            self.counts[event.reason.value] += 1
            return
        self.counts[type(event).__name__] += 1
        if isinstance(event, AgentLate | AgentLost | AgentLeft):
            if event.peer.address in HONEST and event.peer.host.startswith("host"):
                raise Failure(f"an honest agent's lease suffered: {event}")
        elif isinstance(event, Lapsed) and event.address in HONEST:
            raise Failure(f"an honest server's lease suffered: {event}")

    def _make(self):
        chance = self.rng.random()
        if chance < 0.25:
            return self.forged()
        anyone = self.rng.choice((*self.world.machines, *STRANGERS, *PROVEN))
        if chance < 0.33:
            return self.mutator.captured(), anyone
        return self.mutator.mutated(), anyone

    def _allowed(self, data, source):
        """Take from the attacker what an open session cannot withstand."""
        if source in HONEST and data[16:24] in self.honest:
            return data, self.rng.choice(STRANGERS)
        return data, source

    def _datagram(self, kind, body, sender, session=wire.NO_SESSION, **more):
        """Return a datagram with a body that may be spoilt."""
        sequence, key_id = more.get("sequence", 0), more.get("key_id", 0)
        header = wire.Header(sender, session, sequence, key_id)
        head, content = wire.encode_head(header, kind), self.mutator.body(body)
        if "seal" in more:
            content = more["seal"](sequence, head, content[:1100])
        return head + content

    def _ahead(self, window):
        """Return a sequence number that a window takes, most of the time."""
        if self.rng.random() < 0.01:
            return self.rng.getrandbits(32)
        return min(window.highest + self.rng.randrange(1, 4), 2**32 - 1)


class ServerAttack(Attack):
    """Against the server."""

    target = SERVER

    def sessions(self):
        """Return the ids of the honest sessions that live."""
        return {
            key
            for key, one in self.machine._registry.sessions.items()
            if one.peer.address in HONEST and one.stage is sessions.Stage.LIVE
        }

    def judge(self, data, source, answers):
        """Check that a stranger gets no more than he gave, and nobody else anything."""
        for answer, to in answers:
            if to != source:
                raise Failure(f"an answer to {to}: {answer.hex()}")
        if source in STRANGERS and sum(len(a.data) for a in answers) > len(data):
            raise Failure(f"larger than the question: {answers}")

    def tables(self):
        """Return the size and the bound of every table."""
        one = self.machine
        known = list(one._registry.sessions.values())
        pending = sum(s.stage is sessions.Stage.PENDING for s in known)
        if one._registry.pending != pending or len(one._registry._registered) != len(
            known
        ):
            raise Failure(f"tables disagree: {one._registry.pending}, {pending}")
        if sum(map(len, one._registry._by_agent.values())) != len(known):
            raise Failure("tables disagree: by agent")
        soft = [len(s.soft) for s in (*known, *one._registry._dumb.values())]
        return {
            "sessions": (len(known), registry.MAX_SESSIONS),
            "pending": (pending, registry.MAX_PENDING),
            "dumb": (len(one._registry._dumb), registry.MAX_DUMB),
            "lost": (len(one._lost), server.MAX_LOST),
            "soft": (max(soft, default=0), sessions.MAX_SOFT),
            "heap": (
                len(one._registry._heap),
                2 * (len(known) + len(one._registry._dumb)) + 1024,
            ),
            "untold": (len(one._events) + len(one._out) + len(one._door.out), 0),
        }

    def forged(self):
        """Return something that gets past the first checks."""
        chance = self.rng.random()
        if chance < 0.3:
            return self._register()
        if chance < 0.4:
            sender = self.rng.choice((self.rng.randbytes(8), *IDS))
            kind = self.rng.choice((PacketType.SIGNALS, PacketType.REQUEST))
            source = self.rng.choice((*STRANGERS, *PROVEN))
            sequence = self.rng.getrandbits(32)
            body = honest_body(kind, self.rng)
            return self._datagram(kind, body, sender, sequence=sequence), source
        everyone = self.machine._registry.sessions.values()
        known = [one for one in everyone if one.peer.address not in HONEST]
        if not known:
            return self._register()
        session = self.rng.choice(known)
        kind = self.rng.choice(WORDS)
        peer, more = session.peer, {"key_id": session.key_id}
        more["sequence"] = self._ahead(session.window)
        if session.transport is not None:
            mole = self.world.machines[SEALED_MOLE]._links.get((100).to_bytes(8, "big"))
            if mole is None or mole.transport is None:
                return self._register()
            more["sequence"] = mole.sequence = mole.sequence + 1
            more["seal"] = mole.transport.seal
        body = honest_body(kind, self.rng, sealed=session.transport is not None)
        data = self._datagram(kind, body, peer.agent_id, session.session, **more)
        return data, peer.address

    def _register(self):
        """Return a REGISTER whose cookie is good."""
        source = self.rng.choice(PROVEN)
        sender = self.rng.choice((self.rng.randbytes(8), *IDS))
        nonce = self.rng.choice((self.rng.randbytes(8), *IDS))
        cookie = self.machine._door._cookie(sender, source, self.world.now, 0)
        hello, more = self.mutator.body([self.rng.choice((0, 10, 30, 300))]), {}
        if self.rng.random() < 0.1:  # curves are dear
            key_id = more["key_id"] = MOLES_KEY.key_id
            header = wire.Header(sender, nonce, 0, key_id)
            head = wire.encode_head(header, PacketType.REGISTER)
            hello = initiate(MOLES_KEY, head, cookie).write(hello[:60])
        body = (cookie, hello)
        return self._datagram(PacketType.REGISTER, body, sender, nonce, **more), source


class AgentAttack(Attack):
    """Against the agent."""

    target = AGENT

    def sessions(self):
        """Return the ids of the honest sessions that live."""
        return {
            link.session
            for link in self.machine._links.values()
            if link.address in HONEST and link.stage is links.Stage.LEASED
        }

    def judge(self, data, source, answers):
        """Check that a stranger gets one question or one REGISTER, at most."""
        kinds = Counter(PacketType(a.data[1]) for a in answers if a.to == source)
        if kinds[PacketType.REQUEST] + kinds[PacketType.REGISTER] > 1:
            raise Failure(f"too many answers: {answers}")
        met = {
            link.address
            for link in self.machine._links.values()
            if link.stage is not links.Stage.ASKED
        }
        for answer, to in answers:
            shy = answer[1] in (PacketType.REQUEST, PacketType.REGISTER)
            if not shy and to not in met:
                raise Failure(f"an answer to {to}: {answer.hex()}")

    def tables(self):
        """Return the size and the bound of every table."""
        one, seeker = self.machine, self.machine._seeker
        queues = [len(link.queue) for link in one._links.values()]
        return {
            "links": (len(one._links), agents.MAX_LINKS),
            "queue": (max(queues, default=0), mail.MAX_QUEUE),
            "soft": (len(one._mail._soft._latest), mail.MAX_SOFT),
            "ring": (len(one._mail._ring), mail.MAX_RING),
            "alerts": (len(one._mail.outbox), outbox.MAX_ALERTS),
            "asked": (len(seeker._asked), discovery.MAX_ASKED),
            "planned": (len(seeker._planned), discovery.MAX_ASKED),
            "untold": (len(one._events) + len(one._out) + len(seeker.out), 0),
        }

    def forged(self):
        """Return something that gets past the first checks."""
        rng = self.rng
        chance = rng.random()
        known = [k for k in self.machine._links.values() if k.address not in HONEST]
        if chance < 0.3 or not known:
            kind = rng.choice((PacketType.OFFER, PacketType.ANNOUNCE))
            sender = rng.choice((rng.randbytes(8), *IDS))
            source = rng.choice(STRANGERS) if chance < 0.2 else self._somewhere()
            return self._datagram(kind, honest_body(kind, self.rng), sender), source
        link = rng.choice(known)
        if link.stage is links.Stage.ASKED and not link.keys:
            session = rng.randbytes(8)
            terms = (rng.choice((10, 30, 300)), session, link.server_id)
            body = (link.nonce, self.mutator.body(terms))
            data = self._datagram(PacketType.GRANT, body, link.server_id, session)
            return data, link.address
        kind = rng.choice((PacketType.RENEW, PacketType.ACK, rng.choice(WORDS)))
        more = {"key_id": link.key_id, "sequence": self._ahead(link.window)}
        if link.transport is not None:
            mole = self.world.machines[SEALED_MOLE_SERVER]._registry.sessions.get(
                link.session
            )
            if mole is None:
                return self.mutator.mutated(), link.address
            more["sequence"] = mole.sequence = mole.sequence + 1
            more["seal"] = mole.transport.seal
        body = honest_body(kind, self.rng)
        data = self._datagram(kind, body, link.server_id, link.session, **more)
        return data, link.address

    def _somewhere(self):
        """Return an address that was never heard of, near or far."""
        low, high = self.rng.randrange(256), self.rng.choice((10, 11))
        return f"{high}.9.{self.rng.randrange(9)}.{low}", 2001


ATTACKS = {"server": ServerAttack, "agent": AgentAttack}
