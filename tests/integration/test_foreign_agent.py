"""An agent that knows of Peep only what man/peep-protocol.7 says.

Nothing here comes from the package: if this cannot be written from the manual, the
manual is wrong. Section names in comments are the manual's.
"""

import base64
import contextlib
import hashlib
import hmac
import re
import secrets
import signal
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from homes import FEW
from test_commands import Program, free_port

pytestmark = [
    pytest.mark.network,
    pytest.mark.audio,
    pytest.mark.untraced,
    pytest.mark.timeout(60),
]

HEADER = struct.Struct(">BBHI8s8sI")
REQUEST, OFFER, REGISTER, GRANT, CLASSES, RENEW, ACK, SIGNALS, BYE, EXCEPTION = (
    *(1, 3, 4, 5, 6, 7, 8, 9, 10, 11),
)
RECEIPT = 12
NOBODY = bytes(8)
LEASE_S = 10


# -- as much of msgpack as is needed ---------------------------------------------------


def packed(value):
    if isinstance(value, int):
        return _packed_int(value)
    if isinstance(value, bytes):
        return b"\xc4" + bytes((len(value),)) + value
    if isinstance(value, str):
        data = value.encode()
        size = (0xA0 | len(data),) if len(data) < 32 else (0xD9, len(data))
        return bytes(size) + data
    first, items = 0x90, value
    if isinstance(value, dict):
        first, items = 0x80, [item for pair in value.items() for item in pair]
    return bytes((first | len(value),)) + b"".join(map(packed, items))


def _packed_int(value):
    if -32 <= value < 128:
        return bytes((value & 0xFF,))
    forms = ("ccB", "cdH", "ceI", "cfQ") if value >= 0 else ("d0b", "d1h")
    for form in forms:
        with contextlib.suppress(struct.error):
            return bytes.fromhex(form[:2]) + struct.pack(f">{form[2]}", value)
    raise ValueError(value)


def unpacked(data):
    value, rest = _unpacked(data)
    assert not rest, "nothing may follow the array"
    return value


def _unpacked(data):
    first, rest = data[0], data[1:]
    if first < 0x80:
        return first, rest
    if 0x90 <= first < 0xA0:
        items = []
        for _ in range(first & 15):
            item, rest = _unpacked(rest)
            items.append(item)
        return items, rest
    if 0xA0 <= first < 0xC0:
        size = first & 31
        return rest[:size].decode(), rest[size:]
    if first == 0xC4:
        return rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    size = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}[first]
    return int.from_bytes(rest[:size]), rest[size:]


# -- SEALED SESSIONS -------------------------------------------------------------------


def hashed(data):
    return hashlib.blake2s(data).digest()


def derived(chaining, material, count):
    secret, keys = hmac.digest(chaining, material, "blake2s"), [b""]
    for number in range(count):
        text = keys[-1] + bytes((number + 1,))
        keys.append(hmac.digest(secret, text, "blake2s"))
    return keys[1:]


def nonce(number):
    return struct.pack("<4xQ", number)


class Handshake:
    def __init__(self, key, prologue):
        self.h = self.ck = hashed(b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s")
        self.mix(prologue)
        self.ck, mixed, self.k = derived(self.ck, key, 3)
        self.mix(mixed)

    def mix(self, data):
        self.h = hashed(self.h + data)

    def register(self, wish):
        self.private = X25519PrivateKey.generate()
        public = self.private.public_key().public_bytes_raw()
        self.mix(public)
        self.ck, self.k = derived(self.ck, public, 2)
        sealed = ChaCha20Poly1305(self.k).encrypt(nonce(0), wish, self.h)
        self.mix(sealed)
        return public + sealed

    def grant(self, hello):
        public, sealed = hello[:32], hello[32:]
        self.mix(public)
        self.ck, self.k = derived(self.ck, public, 2)
        shared = self.private.exchange(X25519PublicKey.from_public_bytes(public))
        self.ck, self.k = derived(self.ck, shared, 2)
        terms = ChaCha20Poly1305(self.k).decrypt(nonce(0), sealed, self.h)
        to_server, to_agent = derived(self.ck, b"", 2)
        return terms, ChaCha20Poly1305(to_server), ChaCha20Poly1305(to_agent)


def key_id(key):
    digest = hashlib.blake2s(key, person=b"peep-kid").digest()
    return int.from_bytes(digest[:4]) or 1


# -- an agent --------------------------------------------------------------------------


class Foreign:
    def __init__(self, port, key=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.server = ("127.0.0.1", port)
        self.key, self.key_id = key, 0 if key is None else key_id(key)
        self.id, self.server_id, self.session = secrets.token_bytes(8), None, NOBODY
        self.sequence = 0
        self.seal = self.open = None

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.sock.close()

    def send(self, kind, body, session=NOBODY, sequence=0, key=0):
        head = HEADER.pack(3, kind, 0, key, self.id, session, sequence)
        data = head + packed(body)
        self.sock.sendto(data, self.server)
        return data

    def hear(self, wanted, seconds=5):
        """Return a datagram of this type: its session, its sequence, its body."""
        self.sock.settimeout(seconds)
        while True:
            data, source = self.sock.recvfrom(2048)
            version, kind, flags, key, sender, session, number = HEADER.unpack(
                data[:28]
            )
            assert (version, flags, source) == (3, 0, self.server)
            assert self.server_id in (None, sender)
            self.server_id = sender
            if kind != wanted:
                continue
            body = data[28:]
            if self.open is not None:
                assert (key, session) == (self.key_id, self.session)
                body = self.open.decrypt(nonce(number), body, data[:28])
            return session, number, unpacked(body)

    def say(self, kind, body):
        """Say a word of the session."""
        self.sequence += 1
        head = HEADER.pack(
            *(3, kind, 0, self.key_id, self.id, self.session, self.sequence)
        )
        content = packed(body)
        if self.seal is not None:
            content = self.seal.encrypt(nonce(self.sequence), content, head)
        self.sock.sendto(head + content, self.server)
        return self.sequence

    def join(self, name, labels):
        asked = self.send(REQUEST, [[name], [], bytes(24)], sequence=1)
        _, _, (cookie, classes) = self.hear(OFFER)
        assert classes == [name]
        assert len(asked) == 28 + 1 + len(packed([name])) + 1 + 26
        mine = secrets.token_bytes(8)
        hello = packed([300])
        if self.key is not None:
            head = HEADER.pack(3, REGISTER, 0, self.key_id, self.id, mine, 0)
            handshake = Handshake(self.key, head + cookie)
            hello = handshake.register(hello)
        for _ in range(2):  # the same REGISTER gets the same GRANT
            self.send(REGISTER, [cookie, hello], mine, 0, self.key_id)
        granted = self.hear(GRANT)
        assert granted == self.hear(GRANT)
        self.session, _, (echoed, hello) = granted
        assert echoed == mine
        if self.key is not None:
            hello, self.seal, self.open = handshake.grant(hello)
        lease_s, session, server_id = unpacked(hello)
        assert (lease_s, session) == (LEASE_S, self.session)
        assert server_id == self.server_id
        first = self.say(CLASSES, ["foreign7", [name], labels])
        assert self.hear(ACK)[2] == [first]


@contextlib.contextmanager
def server_at(home, *words):
    """Run a server; give it and its port."""
    port = free_port()
    server = Program(
        *("server", "--interfaces=lo", f"--port={port}", "--output=null", FEW, *words),
        home=home,
    )
    try:
        server.expect("listening")
        yield server, port
    finally:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)
        server.process.stdout.close()


def life(home, key, event):
    """Join, send signals, keep a lease, leave; return what the server said."""
    name = f"test-{secrets.token_hex(4)}"
    if key is not None:
        keys = home / "config" / "peep" / "keys"
        keys.mkdir(parents=True, mode=0o700)
        file = keys / "foreign.key"
        file.touch(mode=0o600)
        file.write_text(f"{name} {base64.b64encode(key).decode()} made by hand\n")
    words = f"--classes={name}", f"--lease={LEASE_S}"
    with server_at(home, *words) as (server, port), Foreign(port, key) as agent:
        agent.join(name, {"os": "none of Peep's"})
        server.expect("agent foreign7 (127.0.0.1) joined")
        names = ["disk.failing", "system", "cpu.load", "beat"]
        states, heartbeats = [[2, 5000, 0, 0]], [[3, 1500, -100, 20]]
        ids = [[secrets.randbits(63) or 1, [7]]]
        agent.say(SIGNALS, [names, [event], states, heartbeats, 30, ids])
        assert agent.hear(RECEIPT)[2] == [ids]
        # DELIVERY: on record, so not heard again, but confirmed again.
        older = [*event[:6], 900, *event[7:]]
        agent.say(SIGNALS, [names, [older], [], [], 30, ids, [0]])
        assert agent.hear(RECEIPT)[2] == [ids]
        asked = agent.say(RENEW, [0])
        assert agent.hear(ACK)[2] == [asked]
        # LEASES: the first comes before two thirds of the lease have passed.
        _, number, (lease_s, recorded) = agent.hear(RENEW, LEASE_S)
        assert lease_s == LEASE_S
        assert {(origin, *serials[:1]) for origin, serials in recorded} == {
            (ids[0][0], 7)
        }
        # Longer than the pause before each repetition: silence says that it was taken.
        for hush_s in (0.8, 1.6, 3.1):
            agent.say(ACK, [number])
            try:
                _, number, _ = agent.hear(RENEW, hush_s)
            except TimeoutError:
                break
        else:
            pytest.fail("ACKs are not taken")
        agent.say(BYE, [])
        server.expect("agent foreign7 left")
        assert server.end() == 0
        return "\n".join(server.lines)


def refused(said):
    """Return why datagrams were refused, but for questions of others on this host."""
    reasons = re.findall(r"^Datagrams refused: (.*)$", said, re.MULTILINE)
    return set(re.findall(r"\d+ ([a-z-]+)", "".join(reasons))) - {"no-shared-class"}


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    """Run an open and a sealed agent, each with a server of its own, side by side."""
    event = [0, 2, 1, 1, 0, 0, 0, "sda", "sda: I/O error, Größe 0"]
    keys = {"open": None, "sealed": secrets.token_bytes(32)}
    with ThreadPoolExecutor() as pool:
        yield {
            kind: pool.submit(life, tmp_path_factory.mktemp(kind), key, event)
            for kind, key in keys.items()
        }


def test_a_dumb_sender_written_from_the_manual_is_heard(tmp_path):
    event = [0, 2, 1, 3, -50, -60, 1500]
    ids = [[secrets.randbits(63) or 1, [0]]]
    body = [["disk.failing", "system"], [event], [], [], 30, ids]
    with (
        server_at(tmp_path, "--classes=public") as (server, port),
        Foreign(port) as one,
    ):
        one.send(SIGNALS, body, sequence=1)
        server.expect("alert disk.failing from 127.0.0.1")
        assert one.hear(RECEIPT) == (NOBODY, 0, [ids])
        one.send(SIGNALS, body, sequence=2)  # on record: confirmed, not heard
        assert one.hear(RECEIPT) == (NOBODY, 0, [ids])
        one.sock.sendto(b"\x09" + bytes(31), one.server)  # VERSIONS
        assert one.hear(EXCEPTION)[2] == [1, [3]]
        assert server.end() == 0
        assert "Signals in: 1; cues: 1" in "\n".join(server.lines)


def test_an_open_agent_written_from_the_manual_lives_through_a_lease(lives):
    said = lives["open"].result()
    assert "Signals in: 3;" in said
    assert not refused(said)
    assert "alert disk.failing from foreign7" in said
    assert "sda" not in said, "open sessions have no text"


def test_a_sealed_agent_written_from_the_manual_lives_through_a_lease(lives):
    said = lives["sealed"].result()
    assert "Signals in: 3;" in said
    assert not refused(said)
    assert "alert disk.failing from foreign7" in said
    assert "sda: I/O error, Größe 0" in said
