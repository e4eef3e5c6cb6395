"""The seal of a class that has a key: Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s.

Written from "The Noise Protocol Framework", revision 34 (noiseprotocol.org/noise.html);
section numbers below are its own. Sans-IO: bytes in, bytes out.

    -> psk, e        the agent's first message, in REGISTER
    <- e, ee         the server's answer, in GRANT

Both ends hold one secret, the class's key (the *psk*), and each draws a fresh
*ephemeral* key pair for every handshake. A running hash `h` takes in all that was said,
the prologue first (what both ends know already and nobody may have changed); a chaining
key `ck` takes in all that is secret. At the end `ck` gives two keys, one a direction.

What that gives:
- only a holder of the key can finish a handshake, from either end;
- two sessions never share a key, even between cloned machines or when a first message
  is replayed, because each end adds a fresh ephemeral;
- a key stolen later does not open sessions that were recorded before.

What it does not:
- who holds a class's key can play its server, and its agents: the two ends prove that
  they hold the key, not who they are;
- the first message has no answer in it yet, so its payload is opened by a stolen key,
  and can be replayed: put nothing in it but what may be known and said twice;
- a first message that was replayed gets an answer; that the agent is there and fresh
  is known only when its first transport message has been opened.

A nonce must never serve twice under one key, or both plaintexts and forgeries leak. In
the handshake every key seals one payload, with nonce 0. In transport the nonce is the
datagram's sequence number, told openly because datagrams are lost and overtake one
another. So the sender's numbers only rise (`Transport.seal` holds to it), and the
receiver asks its replay window *after* opening, or a forgery could move the window.

A message that does not open changes nothing: the true one may still come.
"""

import copy
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from peep.errors import LocalProtocolError, RemoteProtocolError
from peep.reasons import Reason

KEY_BYTES = 32  # psk, ephemeral keys, hash: all the same in this suite
TAG_BYTES = 16  # Poly1305
HANDSHAKE_BYTES = KEY_BYTES + TAG_BYTES  # what a handshake message adds to its payload
MAX_MESSAGE_BYTES = 65535  # section 3; a datagram holds less
MAX_SEQUENCE = 0xFFFF_FFFF  # a header says no more; a session makes itself new before

_NONCE = struct.Struct("<4xI4x")
_NAME = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s"


class Transport:
    """The two keys of a finished handshake. See above about nonces."""

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        self._sender = ChaCha20Poly1305(send_key)
        self._decrypt = ChaCha20Poly1305(receive_key).decrypt
        self._sealed = -1

    def seal(self, sequence: int, associated: bytes, plaintext: bytes) -> bytes:
        """Return the ciphertext, 16 bytes longer; `associated` is covered, not hidden.

        LocalProtocolError if the sequence is not above the last one that was sealed.
        """
        if not self._sealed < sequence <= MAX_SEQUENCE:
            raise LocalProtocolError(f"sequence {sequence} after {self._sealed}")
        _check_size(len(plaintext) + TAG_BYTES)
        self._sealed = sequence
        return self._sender.encrypt(_nonce(sequence), plaintext, associated)

    def open(self, sequence: int, associated: bytes, ciphertext: bytes) -> bytes:
        """Return the plaintext, in any order; RemoteProtocolError if it is not true.

        The same message opens again: replays are the caller's window to refuse.
        """
        if len(ciphertext) > MAX_MESSAGE_BYTES:
            raise _too_large(ciphertext)
        try:  # as in _open; a server does this for every datagram
            return self._decrypt(_NONCE.pack(sequence), ciphertext, associated)
        except (InvalidTag, struct.error):  # the latter is a sequence that is none
            raise RemoteProtocolError(Reason.BAD_SEAL) from None


class _Symmetric:
    """What both ends have said and know so far: SymmetricState, section 5.2."""

    def __init__(self, prologue: bytes) -> None:
        # The name is longer than a hash, so it is hashed (section 5.2).
        self.h = self._ck = _hash(_NAME)
        self._key = b""
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.h = _hash(self.h + data)

    def mix_key(self, secret: bytes) -> None:
        self._ck, self._key = _hkdf(self._ck, secret, 2)

    def mix_key_and_hash(self, psk: bytes) -> None:
        self._ck, hashed, self._key = _hkdf(self._ck, psk, 3)
        self.mix_hash(hashed)

    def mix_ephemeral(self, public: bytes) -> None:
        # With a psk, ephemerals go into the key as well (section 9.2).
        self.mix_hash(public)
        self.mix_key(public)

    def seal(self, payload: bytes) -> bytes:
        cipher = ChaCha20Poly1305(self._key)
        ciphertext = cipher.encrypt(_nonce(0), payload, self.h)
        self.mix_hash(ciphertext)
        return ciphertext

    def open(self, ciphertext: bytes) -> bytes:
        payload = _open(ChaCha20Poly1305(self._key), _nonce(0), self.h, ciphertext)
        self.mix_hash(ciphertext)
        return payload

    def split(self) -> tuple[bytes, bytes]:
        """Return the initiator's sending key and the responder's."""
        first, second = _hkdf(self._ck, b"", 2)
        return first, second


class _Side:
    """What the two ends of a handshake have in common."""

    def __init__(self, psk: bytes, prologue: bytes, ephemeral: bytes | None) -> None:
        _check_key("psk", psk)
        if ephemeral is not None:
            _check_key("ephemeral", ephemeral)
        self._ephemeral = ephemeral
        self._transport: Transport | None = None
        self._state = _Symmetric(prologue)
        self._state.mix_key_and_hash(psk)

    @property
    def handshake_hash(self) -> bytes:
        """32 bytes that both ends, and nobody else, share once it is finished (11.2).

        LocalProtocolError before.
        """
        self.transport()
        return self._state.h

    def transport(self) -> Transport:
        """Return the session's keys; LocalProtocolError before it is finished."""
        if self._transport is None:
            raise LocalProtocolError("the handshake is not finished")
        return self._transport

    def _pair(self) -> X25519PrivateKey:
        if self._ephemeral is None:
            return X25519PrivateKey.generate()
        return X25519PrivateKey.from_private_bytes(self._ephemeral)


class Initiator(_Side):
    """The agent: `write` once, then `read` until one message opens.

    `psk` is the class's key. `ephemeral` is the private key, 32 bytes; given by tests
    only, otherwise the operating system draws it.
    """

    def __init__(
        self, psk: bytes, prologue: bytes, ephemeral: bytes | None = None
    ) -> None:
        super().__init__(psk, prologue, ephemeral)
        self._private: X25519PrivateKey | None = None

    def write(self, payload: bytes = b"") -> bytes:
        """Return the first message, 48 bytes longer than its payload."""
        if self._private is not None or self._transport is not None:
            raise LocalProtocolError("the first message is written once")
        _check_size(len(payload) + HANDSHAKE_BYTES)
        self._private = self._pair()
        public = _public(self._private)
        self._state.mix_ephemeral(public)
        return public + self._state.seal(payload)

    def read(self, message: bytes) -> bytes:
        """Return the answer's payload; RemoteProtocolError changes nothing."""
        if self._transport is not None:
            raise RemoteProtocolError(Reason.REPLAYED)
        if self._private is None:
            raise LocalProtocolError("an answer is read after the first message")
        state = copy.copy(self._state)
        theirs, sealed = _split_message(message)
        state.mix_ephemeral(theirs)
        state.mix_key(_shared(self._private, theirs))
        payload = state.open(sealed)
        self._transport = Transport(*state.split())
        self._state, self._private = state, None
        return payload


class Responder(_Side):
    """The server: `read` until one message opens, then `write` once.

    A forged message costs it hashes only, no curve.
    """

    def __init__(
        self, psk: bytes, prologue: bytes, ephemeral: bytes | None = None
    ) -> None:
        super().__init__(psk, prologue, ephemeral)
        self._agreed: tuple[bytes, bytes] | None = None  # our public key, the secret

    def read(self, message: bytes) -> bytes:
        """Return the first payload; RemoteProtocolError changes nothing."""
        if self._agreed is not None or self._transport is not None:
            raise RemoteProtocolError(Reason.REPLAYED)
        state = copy.copy(self._state)
        theirs, sealed = _split_message(message)
        state.mix_ephemeral(theirs)
        payload = state.open(sealed)
        # Earlier than the pattern needs it, so that a bad point is refused here and
        # `write` cannot fail.
        private = self._pair()
        self._agreed = _public(private), _shared(private, theirs)
        self._state = state
        return payload

    def write(self, payload: bytes = b"") -> bytes:
        """Return the answer, 48 bytes longer than its payload."""
        if self._agreed is None:
            raise LocalProtocolError("one answer is written to a message that was read")
        _check_size(len(payload) + HANDSHAKE_BYTES)
        public, shared = self._agreed
        self._agreed = None
        self._state.mix_ephemeral(public)
        self._state.mix_key(shared)
        message = public + self._state.seal(payload)
        receive_key, send_key = self._state.split()
        self._transport = Transport(send_key, receive_key)
        return message


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _hkdf(chaining_key: bytes, material: bytes, count: int) -> list[bytes]:
    """Return `count` keys of 32 bytes: HKDF as in section 4.3 (RFC 5869, no info)."""
    secret = _hmac(chaining_key, material)
    keys = [_hmac(secret, b"\x01")]
    for number in range(2, count + 1):
        keys.append(_hmac(secret, keys[-1] + bytes((number,))))
    return keys


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.blake2s)


def _nonce(number: int) -> bytes:
    """Return 4 bytes of zeros and the number, little-endian (section 12.3).

    Its upper half is always 0: a sequence has 32 bits.
    """
    return _NONCE.pack(number)


def _open(
    cipher: ChaCha20Poly1305, nonce: bytes, associated: bytes, ciphertext: bytes
) -> bytes:
    if len(ciphertext) > MAX_MESSAGE_BYTES:
        raise _too_large(ciphertext)
    try:
        return cipher.decrypt(nonce, ciphertext, associated)
    except InvalidTag:  # too short to hold a tag counts as that, too
        raise RemoteProtocolError(Reason.BAD_SEAL) from None


def _too_large(ciphertext: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(Reason.TOO_LARGE, f"{len(ciphertext)} bytes")


def _split_message(message: bytes) -> tuple[bytes, bytes]:
    if len(message) < HANDSHAKE_BYTES:
        raise RemoteProtocolError(Reason.BAD_SEAL, f"{len(message)} bytes")
    return message[:KEY_BYTES], message[KEY_BYTES:]


def _public(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def _shared(private: X25519PrivateKey, theirs: bytes) -> bytes:
    """Return what both key pairs share; RemoteProtocolError for a point of low order.

    Such a point makes it zero whatever our own key is (RFC 7748, 6.1).
    """
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError:
        raise RemoteProtocolError(Reason.BAD_SEAL, "a point of low order") from None


def _check_key(what: str, key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise LocalProtocolError(f"{what} of {len(key)} bytes, not {KEY_BYTES}")


def _check_size(size: int) -> None:
    if size > MAX_MESSAGE_BYTES:
        raise LocalProtocolError(f"message of {size} bytes, limit {MAX_MESSAGE_BYTES}")
