"""A log whose lines another has as well is not followed twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.doubles import doubles
from peep.agent.look import doubled_note, look_around
from peep.agent.sources.tail import TailSpec

MAIL = "Nov 21 10:00:01 host postfix/smtpd[1]: connect from a\n"
CRON = "Nov 21 10:00:02 host CRON[2]: (root) CMD (true)\n"
AUTH = "Nov 21 10:00:03 host sshd[3]: Failed password for root\n"


@pytest.fixture
def logs(tmp_path):
    def write(**texts):
        paths = []
        for name, text in texts.items():
            path = tmp_path / name.replace("_", ".")
            path.write_text(text)
            paths.append(path)
        return paths

    return write


def test_a_part_of_syslog_is_found_by_its_last_line(logs):
    whole, mail, auth = logs(syslog=MAIL + CRON, mail_log=MAIL, auth_log=AUTH)
    assert doubles([auth, mail, whole]) == {mail: whole}


def test_a_part_whose_lines_are_in_what_was_rotated_away_is_found_too(logs):
    whole, _, mail = logs(syslog=CRON * 9, syslog_1=MAIL + CRON, mail_log=MAIL)
    assert doubles([whole, mail]) == {mail: whole}


def test_a_log_without_a_whole_line_tells_nothing(logs):
    whole, empty, partial = logs(syslog=MAIL, mail_log="", user_log=MAIL[:30])
    assert doubles([whole, empty, partial]) == {}


def test_a_line_that_only_ends_like_one_of_the_other_is_another(logs):
    whole, part = logs(syslog="x" + MAIL, mail_log=MAIL)
    assert doubles([whole, part]) == {}


def test_of_two_that_are_the_same_one_is_followed(logs):
    found = doubles(logs(messages=MAIL, syslog=MAIL))
    assert len(found) == 1


def test_what_is_gone_or_unreadable_is_no_double(tmp_path):
    assert doubles([tmp_path / "syslog", tmp_path / "mail.log"]) == {}


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30), st.data())
def test_of_every_line_one_log_is_followed(tmp_path_factory, lines, data):
    directory = tmp_path_factory.mktemp("logs")
    whole = directory / "syslog"
    whole.write_text("".join(f"{n} {line}\n" for n, line in enumerate(lines)))
    parts = data.draw(st.sets(st.sampled_from("abcdef"), max_size=3))
    paths = [whole]
    for part in parts:
        path = directory / f"{part}.log"
        own = [f"{n} {line}\n" for n, line in enumerate(lines) if line == part]
        path.write_text("".join(own))
        paths.append(path)
    found = doubles(paths)
    assert set(found.values()) <= {whole} | set(paths)
    followed = [path.read_text() for path in paths if path not in found]
    every = "".join(followed).splitlines()
    assert {*whole.read_text().splitlines()} <= set(every)
    assert len(every) == len(set(every))


def test_looking_around_leaves_doubles_out_and_says_so(logs, tmp_path):
    logs(syslog=MAIL + CRON, mail_log=MAIL, auth_log=AUTH, app_log=MAIL)
    seen = look_around(tmp_path, tmp_path / "run")
    followed = {s.path for s in seen.sources if isinstance(s, TailSpec)}
    assert followed == {str(tmp_path / n) for n in ("syslog", "auth.log", "app.log")}
    assert doubled_note(seen.doubled) == "not followed twice: mail.log (in syslog)"
    assert doubled_note([]) is None
