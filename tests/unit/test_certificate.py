"""The end of a certificate, out of its DER: true ones, cut ones, any bytes."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.sources.certificate import not_after

KEY = ec.generate_private_key(ec.SECP256R1())
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def made(end: dt.datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a" * 60)] * 4)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .sign(KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


USUAL = made(dt.datetime(2031, 2, 3, 4, 5, 6, tzinfo=dt.UTC))


@pytest.mark.parametrize("year", [2020, 2026, 2049, 2050, 2130, 9999])
def test_the_end_is_read_whichever_way_it_is_written(year):
    end = dt.datetime(year, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
    assert not_after(made(end)) == end.timestamp()


def test_a_cut_certificate_has_no_end():
    for size in range(len(USUAL)):
        assert not_after(USUAL[:size]) is None


@given(st.integers(0, len(USUAL) - 1), st.integers(0, 255))
def test_a_certificate_with_any_byte_changed_is_no_fault(at, byte):
    data = USUAL[:at] + bytes([byte]) + USUAL[at + 1 :]
    assert isinstance(not_after(data), float | None)


@given(st.binary(max_size=100))
def test_any_bytes_have_an_end_or_none(data):
    assert isinstance(not_after(data), float | None)


def test_an_end_in_the_last_century_is_one():
    old = USUAL.replace(b"310203040506Z", b"990203040506Z")
    assert not_after(old) == dt.datetime(1999, 2, 3, 4, 5, 6, tzinfo=dt.UTC).timestamp()
    assert not_after(USUAL.replace(b"310203040506Z", b"311303040506Z")) is None
    assert not_after(USUAL.replace(b"310203040506Z", b"3x0203040506Z")) is None
