"""Whatever bytes come by syslog: a line, and the same ones however they were cut."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from peep.agent.sources.syslog_format import NEWEST_S, OLDEST_S, Framer, parse
from peep.loglines import CUT_MARK, MAX_LINE_BYTES

ARRIVED = 1772525647.0
PIECES = st.sampled_from(
    [
        b"<34>",
        b"<34>1 ",
        b"Mar  3 08:14:07 ",
        b"2026-03-03T08:14:07Z ",
        b"- ",
        b"web1 ",
        b"su[7]: ",
        b'[a b="c"]',
        b'[a b="\\"',
        b"\xef\xbb\xbf",
        b"\n",
        b"\0",
        b"12 ",
        b"4 <1>",
        b"5 ",
    ]
)
MESSAGES = st.lists(PIECES | st.binary(max_size=20), max_size=20).map(b"".join)


@given(MESSAGES, st.binary(max_size=8))
def test_any_bytes_are_one_line_with_a_time_that_can_be(data, sender):
    parsed = parse(data, sender, ARRIVED)
    assert b"\n" not in parsed.text.replace(sender, b"")
    assert -OLDEST_S <= parsed.when - ARRIVED <= NEWEST_S
    assert len(parsed.text) <= MAX_LINE_BYTES + len(CUT_MARK) + len(sender)


@given(st.text("abc :[]'=", min_size=1, max_size=30))
def test_what_follows_a_tag_is_kept_to_the_byte(message):
    said = message.encode()
    old = parse(b"<13>Mar  3 08:14:07 web1 su[7]: " + said, b"-", ARRIVED)
    head = b"<13>1 2026-03-03T08:14:07Z web1 su 7 - -"
    assert old.text.endswith(b" web1 su[7]: " + said)
    assert parse(head + b"  " + said, b"-", ARRIVED) == old, "as rsyslog has it"
    if not said.startswith(b" "):
        assert parse(head + b" " + said, b"-", ARRIVED) == old


@given(MESSAGES, st.lists(st.integers(0, 200), max_size=8), st.integers(4, 40))
@example(b"12 " + b"4 <1>" * 8, [1, 2, 3], 4)
def test_how_a_stream_is_cut_into_blocks_does_not_matter(stream, cuts, limit):
    def messages(*blocks: bytes) -> list[bytes]:
        framer = Framer(limit)
        found = [message for block in blocks for message in framer.feed(block)]
        found += framer.finish()
        assert all(0 < len(message) <= limit for message in found)
        return found

    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    blocks = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert messages(*blocks) == messages(stream)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8), st.booleans())
def test_what_a_sender_frames_arrives(bodies, counts):
    sent = [b"<13>" + body.replace(b"\n", b"_") for body in bodies]
    stream = b"".join(
        b"%d %b" % (len(message), message) if counts else message + b"\n"
        for message in sent
    )
    framer = Framer(64)
    assert framer.feed(stream) + framer.finish() == sent
