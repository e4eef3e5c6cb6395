"""What is taken for a secret, in lines of many programs, and what is not."""

import pytest
from planted import SAMPLES, pieces, planted, templates

from peep.rules.patterns import searcher
from peep.rules.redaction import Redactor, cut
from peep.rules.secrets import FORMS

REDACTOR = Redactor()
HEAD = "Nov 21 12:00:00 web1 "


def redacted(line: bytes) -> bytes:
    secrets = REDACTOR.secrets(line)
    assert not secrets or REDACTOR.suspects([line]) == {0}, "a sign is missing"
    return cut(line, (0, len(line)), secrets)


@pytest.mark.parametrize("seed", range(3))
def test_of_secrets_planted_in_lines_of_many_programs_nothing_is_left(seed):
    lines = planted(seed)
    assert len({secret for line in lines for secret in line.secrets}) > 1000
    for line in lines:
        left = redacted(line.line)
        for secret in line.secrets:
            assert not any(piece in left for piece in pieces(secret)), line.template


def test_what_is_redacted_stays_as_it_is_when_it_is_redacted_again():
    for line in planted(3, rounds=1):
        once = redacted(line.line)
        assert len(redacted(once)) <= len(once) + len(b"[redacted]"), line.template


def test_each_template_is_a_line_of_its_own_with_a_secret():
    found = templates()
    assert len(found) == len(set(found)) > 500
    assert all("«" in template for template in found)


def test_lines_without_a_secret_stay_as_they_are():
    lines = (SAMPLES / "clean.txt").read_text().splitlines()
    clean = [(HEAD + line).encode() for line in lines if not line.startswith("#")]
    assert len(clean) >= 80
    assert [redacted(line) for line in clean] == clean


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("app: my password is swordfish", "app: my password is [redacted]"),
        ("app: password changed to swordfish.", "app: password changed to [redacted]"),
        ("app: password is required", "app: password is required"),
        ("app: invalid token near 'x'", "app: invalid token near 'x'"),
        ("app: your login code is 4711", "app: your login code is [redacted]"),
        ("app: 3 pins, pin 4 set", "app: 3 pins, pin 4 set"),
        ("sudo: redis-cli -p 6379 -a S3 x", "sudo: redis-cli -p 6379 -a [redacted] x"),
        ("mysqld: Access denied for user 'root'@'h'", None),
        ("mysqld: Access denied for user 'x'@'h'", "user '[redacted]'@'h'"),
        ("sudo: a : PWD=/root ; COMMAND=/x", None),
        ("ssh: sk-ssh-ed25519-cert-v01@openssh.com", None),
        ('kubelet: secret "db-credentials" not found', None),
        ("git: 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", None),
    ],
)
def test_where_a_word_ends_a_secret_or_is_none(line, left):
    found = redacted((HEAD + line).encode()).decode()
    assert found.endswith(line if left is None else left)


def test_no_sign_goes_over_the_end_of_a_line():
    signs = [searcher(form.sign) for form in FORMS]
    for line in planted(5, rounds=1):
        for cut_at in range(0, len(line.line), 31):
            broken = line.line[:cut_at] + b"\n" + line.line[cut_at:]
            for sign in signs:
                begin, end = sign(broken, 0, len(broken))[0]
                assert begin < 0 or b"\n" not in broken[begin:end]


def test_the_signs_of_forms_have_no_groups_which_would_make_them_slow():
    assert {len(searcher(form.sign)(b"", 0, 0)) for form in FORMS} == {1}
