"""When a certificate ends, read out of its DER by hand.

The standard library tells it of certificates only that it has verified; those that a
host signs itself end, too. The way there (RFC 5280, 4.1): Certificate, tbsCertificate,
past version, serial number, signature and issuer to the validity, and of that the
second time.
"""

import datetime as dt
import re

_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18
_FORMATS = {_UTC_TIME: re.compile(rb"\d{12}Z"), _TIME: re.compile(rb"\d{14}Z")}
_CENTURY = 50  # two digits below are 20xx, others 19xx
_LONG_LENGTH = 0x80
_MAX_LENGTH_BYTES = 4  # certificates have kilobytes


def not_after(der: bytes) -> float | None:
    """Return the end of a certificate in Unix seconds; None if it has none."""
    try:
        _, at, _ = _element(der, 0, _SEQUENCE)
        _, at, _ = _element(der, at, _SEQUENCE)
        tag, _, end = _element(der, at)
        if tag == _VERSION:
            at = end
        for _ in ("serial number", "signature", "issuer"):
            _, _, at = _element(der, at)
        _, at, _ = _element(der, at, _SEQUENCE)
        _, _, at = _element(der, at)
        tag, begin, end = _element(der, at)
        if tag not in _FORMATS or not _FORMATS[tag].fullmatch(der[begin:end]):
            return None
        *years, month, day, hour, minute, second = (
            int(der[at : at + 2]) for at in range(begin, end - 1, 2)
        )
        if tag == _UTC_TIME:
            years.insert(0, 20 if years[0] < _CENTURY else 19)
        year = 100 * years[0] + years[1]
        moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError:
        return None
    return moment.timestamp()


def _element(der: bytes, at: int, wanted: int | None = None) -> tuple[int, int, int]:
    """Return tag, begin and end of the contents of an element; else ValueError."""
    head = der[at : at + 2]
    if len(head) < 2:  # noqa: PLR2004 - a tag and a length
        raise ValueError("an end where an element should be")
    tag, length = head
    begin = at + 2
    if length >= _LONG_LENGTH:
        count = length - _LONG_LENGTH
        digits = der[begin : begin + count]
        if not 0 < count <= _MAX_LENGTH_BYTES or len(digits) < count:
            raise ValueError("a length that is none")
        length = int.from_bytes(digits, "big")
        begin += count
    if begin + length > len(der) or wanted not in (None, tag):
        raise ValueError("not what stands there in a certificate")
    return tag, begin, begin + length
