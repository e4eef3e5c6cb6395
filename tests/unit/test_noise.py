"""The handshake is the published one, and nothing forged gets through it."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.errors import LocalProtocolError, RemoteProtocolError
from peep.protocol import noise
from peep.protocol.noise import Initiator, Responder
from peep.reasons import Reason

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "noise-nnpsk0.json").read_text()
)["vectors"]
PSK = bytes(range(32))
PROLOGUE = b"header and cookie"
# Points of low order, two of them spelled above the prime: any secret times any of
# them is zero.
PRIME = 2**255 - 19
EIGHTH = int(
    "325606250916557431795983626356110631294008115727848805560023387167927233504"
)
LOW_ORDER = [
    number.to_bytes(32, "little")
    for number in (0, 1, EIGHTH, PRIME - 1, PRIME, PRIME + 1)
]


def session(payload=b"", answer=b""):
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    assert server.read(agent.write(payload)) == payload
    assert agent.read(server.write(answer)) == answer
    return agent, server


def question_with(point):
    """A first message of somebody who holds the key and chose a point himself."""
    state = noise._Symmetric(PROLOGUE)
    state.mix_key_and_hash(PSK)
    state.mix_ephemeral(point)
    return point + state.seal(b"")


def answer_with(point, question):
    """His answer: he knows what both sides would share, zeros."""
    state = noise._Symmetric(PROLOGUE)
    state.mix_key_and_hash(PSK)
    state.mix_ephemeral(question[:32])
    state.open(question[32:])
    state.mix_ephemeral(point)
    state.mix_key(bytes(32))
    return point + state.seal(b"")


def refusal(call, *arguments):
    with pytest.raises(RemoteProtocolError) as refused:
        call(*arguments)
    return refused.value.reason


@pytest.mark.parametrize("vector", VECTORS)
def test_every_message_of_the_published_vectors_comes_out_to_the_byte(vector):
    def of(name):
        return bytes.fromhex(vector[name])

    psk, answering_psk = (
        bytes.fromhex(vector[name][0]) for name in ("init_psks", "resp_psks")
    )
    agent = Initiator(psk, of("init_prologue"), of("init_ephemeral"))
    server = Responder(answering_psk, of("resp_prologue"), of("resp_ephemeral"))
    messages = [
        (bytes.fromhex(one["payload"]), one["ciphertext"]) for one in vector["messages"]
    ]
    for (payload, expected), (sender, receiver) in zip(
        messages[:2], [(agent, server), (server, agent)], strict=True
    ):
        message = sender.write(payload)
        assert message.hex() == expected
        assert receiver.read(message) == payload
    assert agent.handshake_hash == server.handshake_hash == of("handshake_hash")
    for number, (payload, expected) in enumerate(messages[2:]):
        ends = agent.transport(), server.transport()
        sender, receiver = ends if number % 2 == 0 else ends[::-1]
        message = sender.seal(number // 2, b"", payload)
        assert message.hex() == expected
        assert receiver.open(number // 2, b"", message) == payload


def test_the_vectors_say_where_they_come_from():
    text = (Path(__file__).parents[1] / "vectors" / "noise-nnpsk0.json").read_text()
    assert "cacophony" in json.loads(text)["source"]


def test_a_first_message_with_any_bit_changed_is_refused_and_the_true_one_still_opens():
    message = Initiator(PSK, PROLOGUE).write(b"lease")
    server = Responder(PSK, PROLOGUE)
    for at in range(len(message) * 8):
        changed = bytearray(message)
        changed[at // 8] ^= 1 << at % 8
        assert refusal(server.read, bytes(changed)) is Reason.BAD_SEAL
    assert server.read(message) == b"lease"


def test_an_answer_with_any_byte_changed_is_refused_and_the_true_one_still_opens():
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    server.read(agent.write())
    answer = server.write(b"granted")
    for at in range(len(answer)):
        changed = bytearray(answer)
        changed[at] ^= 0x80
        assert refusal(agent.read, bytes(changed)) is Reason.BAD_SEAL
    assert agent.read(answer) == b"granted"
    sealed = agent.transport().seal(0, b"", b"hello")
    assert server.transport().open(0, b"", sealed) == b"hello"


def test_a_message_cut_short_anywhere_is_refused():
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    message = agent.write(b"lease")
    for length in range(len(message)):
        assert refusal(server.read, message[:length]) is Reason.BAD_SEAL
    server.read(message)
    answer = server.write()
    for length in range(len(answer)):
        assert refusal(agent.read, answer[:length]) is Reason.BAD_SEAL


def test_another_key_or_another_prologue_opens_nothing():
    message = Initiator(PSK, PROLOGUE).write()
    assert refusal(Responder(bytes(32), PROLOGUE).read, message) is Reason.BAD_SEAL
    assert refusal(Responder(PSK, PROLOGUE + b"!").read, message) is Reason.BAD_SEAL
    assert refusal(Responder(PSK, b"").read, message) is Reason.BAD_SEAL


def test_an_answer_to_somebody_elses_question_is_refused():
    agent, other = Initiator(PSK, PROLOGUE), Initiator(PSK, PROLOGUE)
    server = Responder(PSK, PROLOGUE)
    agent.write()
    server.read(other.write())
    assert refusal(agent.read, server.write()) is Reason.BAD_SEAL


def test_a_message_sent_back_to_its_sender_is_refused():
    agent = Initiator(PSK, PROLOGUE)
    assert refusal(agent.read, agent.write()) is Reason.BAD_SEAL
    agent, server = session()
    sealed = agent.transport().seal(0, b"", b"mine")
    assert refusal(agent.transport().open, 0, b"", sealed) is Reason.BAD_SEAL
    assert server.transport().open(0, b"", sealed) == b"mine"


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_a_point_of_low_order_is_refused_from_a_holder_of_the_key_too(point):
    server = Responder(PSK, PROLOGUE)
    with pytest.raises(RemoteProtocolError, match="bad-seal: a point of low order"):
        server.read(question_with(point))
    agent = Initiator(PSK, PROLOGUE)
    answer = answer_with(point, agent.write())
    with pytest.raises(RemoteProtocolError, match="bad-seal: a point of low order"):
        agent.read(answer)


def test_a_first_message_that_is_replayed_gives_other_keys():
    agent = Initiator(PSK, PROLOGUE)
    message = agent.write()
    first, second = Responder(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    first.read(message)
    second.read(message)
    answer, other = first.write(), second.write()
    assert answer != other
    assert first.handshake_hash != second.handshake_hash
    agent.read(answer)
    sealed = agent.transport().seal(0, b"", b"hello")
    assert first.transport().open(0, b"", sealed) == b"hello"
    assert refusal(second.transport().open, 0, b"", sealed) is Reason.BAD_SEAL


def test_two_handshakes_with_everything_alike_share_no_key():
    one, other = session()[0], session()[0]
    assert one.handshake_hash != other.handshake_hash
    sealed = [end.transport().seal(0, b"", b"the same") for end in (one, other)]
    assert sealed[0] != sealed[1]


def test_a_key_that_is_stolen_later_opens_only_the_first_message():
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    question = agent.write(b"lease")
    server.read(question)
    answer = server.write(b"granted")
    thief = noise._Symmetric(PROLOGUE)
    thief.mix_key_and_hash(PSK)
    thief.mix_ephemeral(question[:32])
    assert thief.open(question[32:]) == b"lease"
    thief.mix_ephemeral(answer[:32])
    assert refusal(thief.open, answer[32:]) is Reason.BAD_SEAL


def test_a_second_message_after_the_one_that_opened_is_a_replay():
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    message = agent.write()
    server.read(message)
    assert refusal(server.read, message) is Reason.REPLAYED
    answer = server.write()
    agent.read(answer)
    assert refusal(server.read, message) is Reason.REPLAYED
    assert refusal(agent.read, answer) is Reason.REPLAYED


def test_a_handshake_has_one_order_and_its_callers_keep_it():
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    for too_early in (
        agent.transport,
        server.transport,
        server.write,
        lambda: agent.handshake_hash,
        lambda: agent.read(bytes(48)),
    ):
        with pytest.raises(LocalProtocolError):
            too_early()
    server.read(agent.write())
    with pytest.raises(LocalProtocolError):
        agent.write()
    agent.read(server.write())
    for too_late in (agent.write, server.write):
        with pytest.raises(LocalProtocolError):
            too_late()
    assert agent.transport() is agent.transport()


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_the_callers_mistake(length):
    for side in (Initiator, Responder):
        with pytest.raises(LocalProtocolError):
            side(bytes(length), PROLOGUE)
        with pytest.raises(LocalProtocolError):
            side(PSK, PROLOGUE, bytes(length))


def test_a_message_larger_than_noise_allows_is_neither_made_nor_opened():
    largest = noise.MAX_MESSAGE_BYTES - noise.HANDSHAKE_BYTES
    agent, server = session(bytes(largest), bytes(largest))
    sender, receiver = agent.transport(), server.transport()
    largest = bytes(noise.MAX_MESSAGE_BYTES - noise.TAG_BYTES)
    with pytest.raises(LocalProtocolError):
        sender.seal(0, b"", largest + b"x")
    sealed = sender.seal(0, b"", largest)
    assert receiver.open(0, b"", sealed) == largest
    assert refusal(receiver.open, 0, b"", sealed + b"x") is Reason.TOO_LARGE
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    with pytest.raises(LocalProtocolError):
        agent.write(largest)
    server.read(agent.write())
    with pytest.raises(LocalProtocolError):
        server.write(largest)
    assert agent.read(server.write()) == b""  # refused without harm


@given(st.permutations(range(8)), st.binary(max_size=64), st.binary(max_size=64))
def test_sealed_datagrams_open_in_any_order(order, associated, plaintext):
    agent, server = session()
    for sender, receiver in (
        (agent.transport(), server.transport()),
        (server.transport(), agent.transport()),
    ):
        sealed = [sender.seal(number, associated, plaintext) for number in range(8)]
        assert len(set(sealed)) == 8
        for number in order:
            assert receiver.open(number, associated, sealed[number]) == plaintext


def test_a_sealed_datagram_opens_only_whole_and_with_its_own_header_and_sequence():
    agent, server = session()
    sealed = agent.transport().seal(7, b"header", b"text")
    opened = server.transport().open
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        assert refusal(opened, 7, b"header", bytes(changed)) is Reason.BAD_SEAL
        assert refusal(opened, 7, b"header", sealed[:at]) is Reason.BAD_SEAL
    assert refusal(opened, 7, b"Header", sealed) is Reason.BAD_SEAL
    assert refusal(opened, 8, b"header", sealed) is Reason.BAD_SEAL
    assert opened(7, b"header", sealed) == b"text"


def test_a_sequence_seals_once_and_they_only_rise():
    sender = session()[0].transport()
    sender.seal(5, b"", b"text")
    for sequence in (5, 4, 0, -1, noise.MAX_SEQUENCE + 1):
        with pytest.raises(LocalProtocolError):
            sender.seal(sequence, b"", b"text")
    sender.seal(noise.MAX_SEQUENCE, b"", b"text")


@pytest.mark.parametrize("sequence", [-1, noise.MAX_SEQUENCE + 1, 2**64])
def test_a_sequence_that_no_header_can_say_opens_nothing(sequence):
    receiver = session()[0].transport()
    assert refusal(receiver.open, sequence, b"", bytes(16)) is Reason.BAD_SEAL


@given(st.binary(max_size=200))
def test_any_bytes_whatever_are_refused_and_nothing_else_is_raised(data):
    agent, server = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    message = agent.write()
    assert refusal(server.read, data) is Reason.BAD_SEAL
    assert refusal(agent.read, data) is Reason.BAD_SEAL
    server.read(message)
    agent.read(server.write())
    for end in (agent, server):
        assert refusal(end.transport().open, 0, b"", data) is Reason.BAD_SEAL


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_the_hkdf_is_rfc_5869_with_nothing_to_bind(key, material):
    def hmac(key, data):  # RFC 2104 by hand: blocks of 64 bytes
        padded = key.ljust(64, b"\0")
        inner = bytes(byte ^ 0x36 for byte in padded) + data
        outer = bytes(byte ^ 0x5C for byte in padded)
        return hashlib.blake2s(outer + hashlib.blake2s(inner).digest()).digest()

    secret = hmac(key, material)
    first = hmac(secret, b"\x01")
    second = hmac(secret, first + b"\x02")
    third = hmac(secret, second + b"\x03")
    assert noise._hkdf(key, material, 2) == [first, second]
    assert noise._hkdf(key, material, 3) == [first, second, third]
