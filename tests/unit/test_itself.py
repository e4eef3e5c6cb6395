"""Peep does not hear what Peep says; and nobody else can hide behind that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.itself import Itself
from peep.agent.sources import own
from peep.loglines import LogLine, printable
from peep.mixer.outcomes import Cue
from peep.server import desk
from peep.signals import Event, Tier

NAMES = ("kernel.oom", "ssh.login-failed", "login")


def heard(*texts, names=NAMES):
    lines = [LogLine("x", n, text) for n, text in enumerate(texts)]
    return [line.text for line in Itself(names).without(lines)]


@pytest.mark.parametrize(
    "text",
    [
        b"Nov 21 10:00:00 web1 peep[12]: heard by 10.0.0.1 port 2001, open",
        b"Nov  1 10:00:00 web1 peep: anything",
        b"<30>Nov 21 10:00:00 web1 peep-agent[12]: anything",
        b"2026-11-21T10:00:00.123456+01:00 web1 peep-server[12]: anything",
        b"alert kernel.oom from web1: frog: Out of memory",
        b"alert kernel.oom from web1, told late: frog: Out of memory",
        b"alert kernel.oom from web1 and 3 more (web2, db1): frog: Out of memory",
        b"alert login from web1: frog: welcome",
        b"ssh.login-failed from web1: cricket: Failed password",
        b"alert kernel.oom from fe80::1%eth0: frog: x",
        b"Nov 21 10:00:00 web1 python3[9]: alert kernel.oom from db1: frog: x",
        b"2026-11-21 10:00:00.123 alert kernel.oom from db1: frog: x",
        b"@400000005f3b1c2d1f2e3d4c alert kernel.oom from db1: frog: x",
        b'{"log":"alert kernel.oom from db1: frog: x\\n","stream":"stderr"}',
        b"peep-1  | alert kernel.oom from db1: frog: x",
    ],
)
def test_what_peep_says_is_not_heard(text):
    assert heard(text) == []
    assert heard(b"boom", text, b"bang") == [b"boom", b"bang"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"boom",
        b"Nov 21 10:00:00 web1 peeper[12]: anything",
        b"Nov 21 10:00:00 peep sshd[12]: Failed password for root from 10.0.0.1 port 2",
        b"Nov 21 10:00:00 web1 sudo: peep[12]: anything",
        b"alert other.event from web1: frog: not of our rules",
        b"login from web1: welcome",
        b"kernel.oom from 10.0.0.1 port 22",
        b"a kernel.oom from web1: the name does not begin the line",
    ],
)
def test_what_others_say_is_heard(text):
    assert heard(text) == [text]


@pytest.mark.parametrize("name", NAMES)
def test_no_user_can_hide_behind_the_name_of_an_event(name):
    hidden = b"alert %b from web1: frog: x" % name.encode()
    attack = b"Failed password for invalid user %b from 10.0.0.1 port 2 ssh2" % hidden
    tag = b"Nov 21 10:00:00 web1 sshd[12]: "
    peep = b"Nov 21 10:00:00 web1 peep[1]: "
    texts = [tag + attack, tag + b"Invalid user " + peep + b" from 10.0.0.1"]
    assert heard(*texts) == texts


@given(
    st.sampled_from(NAMES),
    st.text(
        st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64
    ),
    st.text(max_size=60),
    st.booleans(),
)
def test_whatever_a_server_says_of_an_alert_is_known(name, host, text, late):
    event = Event(name=name, tier=Tier.ALERT, host=host, text=text)
    cue = Cue(signal=event, sound="frog", place=1, late=late)
    said = desk._line(cue, "alert ").encode()
    assert heard(said) == []


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_are_taken_and_order_is_kept(texts):
    found = heard(*texts)
    assert found == [text for text in texts if text in found]
    assert all(printable(text) or not text for text in found)


def test_a_line_made_to_be_slow_is_not(monkeypatch):
    slow = b"alert kernel.oom from " + b"a-" * 32_000
    assert heard(slow) == [slow]


def test_the_file_that_our_output_goes_into_is_our_own(tmp_path, monkeypatch):
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    other.touch()
    with log.open("wb") as file:
        monkeypatch.setattr(own, "_OUTPUTS", (file.fileno(), 9999))
        for path, is_own in ((log, True), (other, False)):
            status = path.stat()
            assert own.is_own((status.st_dev, status.st_ino)) is is_own
        log.rename(tmp_path / "a.log.1")
        status = (tmp_path / "a.log.1").stat()
        assert own.is_own((status.st_dev, status.st_ino)), "whatever it is called"
