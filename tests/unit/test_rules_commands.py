"""`peep rules` and `peep redact`, as called."""

import json
import subprocess
import sys

import pytest

from peep.cli import rules
from peep.cli.main import main

LOG = (
    b"Nov 21 13:00:00 web1 sshd[4]: Failed password for invalid user hunter2 from "
    b"203.0.113.7 port 4242 ssh2\n"
    b"nothing that anybody knows\n"
    b"\x1b[2Jpassword=S3cret \xff\x00 token: abc\n"
)
PACK = """\
- {name: one, match: 'a(?P<instance>b)', event: e.one, groups: [g, h], rate: 3/min,
   hosts: ['web*'], samples: {take: [ab]}}
- {name: two, match: 'x(?!y)', event: e.two, engine: re, samples: {take: [xz]}}
- {name: three, match: 'ab', event: e.three, tier: alert, hosts: ['web*'],
   samples: {take: [cab]}}
"""


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "log").write_bytes(LOG)
    (tmp_path / "mine.yaml").write_text(PACK)
    monkeypatch.chdir(tmp_path)


def run(capsys, *words) -> tuple[int, str, str]:
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_each_line_is_shown_with_its_rule_and_its_sound(capsys):
    code, out, err = run(capsys, "rules", "test", "log")
    assert code == 0
    assert "ssh.login-failed" in out.splitlines()[0]
    assert out.splitlines()[1].split() == [
        "-",
        "-",
        "-",
        "nothing",
        "that",
        "anybody",
        "knows",
    ]
    assert "\x1b" not in out
    assert "1 of 3 lines matched (33.3 %)" in err


def test_lines_that_no_rule_takes_can_be_shown_alone(capsys):
    _, out, _ = run(capsys, "rules", "test", "log", "--unmatched", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["rule"] for line in lines] == [None, None]
    assert lines[0]["line"] == "nothing that anybody knows"


def test_rules_of_both_engines_are_tried_in_their_order(capsys, tmp_path):
    (tmp_path / "log").write_bytes(b"ab\nxz\nxy\n")
    _, out, _ = run(capsys, "rules", "test", "log", "--rules", "./mine.yaml", "--json")
    assert [json.loads(line)["rule"] for line in out.splitlines()] == [
        "one",
        "two",
        None,
    ]


@pytest.mark.parametrize(
    "words", [("rules", "test", "-"), ("rules", "bench", "-"), ("redact", "-")]
)
def test_standard_input_is_a_log_too(words):
    command = [sys.executable, "-m", "peep", *words]
    done = subprocess.run(command, input=LOG, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"of 3 lines" in done.stdout + done.stderr


def test_rules_and_groups_are_listed(capsys):
    _, out, _ = run(capsys, "rules", "list", "--rules", "./mine.yaml")
    assert [line.split() for line in out.splitlines()] == [
        ["one", "e.one", "routine", "-", "3/60s", "g,h", "on", "web*"],
        ["two", "e.two", "routine", "-", "5/1s", "mine"],
        ["three", "e.three", "alert", "-", "mine", "on", "web*"],
    ]
    _, out, _ = run(capsys, "rules", "list", "--rules", "./mine.yaml", "--json")
    assert [json.loads(line)["name"] for line in out.splitlines()] == [
        "one",
        "two",
        "three",
    ]
    _, out, _ = run(capsys, "rules", "list", "--groups", "--rules", "./mine.yaml")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["g", "1"],
        ["h", "1"],
        ["mine", "2"],
    ]
    words = ("rules", "list", "--groups", "--json", "--rules", "./mine.yaml")
    assert json.loads(run(capsys, *words)[1]) == {"g": 1, "h": 1, "mine": 2}


def test_lint_fails_where_a_rule_does_not_do_its_work(capsys):
    code, out, err = run(capsys, "rules", "lint", "./mine.yaml")
    assert code == 1
    assert out.splitlines() == [
        "warning: rule two is slow: engine re asks another process about every line",
        "error: rule three is shadowed: one takes all its samples",
        (
            "warning: rule three can be forged: an alert that is found anywhere in a "
            "line, without ^"
        ),
    ]
    assert "3 rules: 1 errors, 2 warnings, 0 notes" in err
    code, out, _ = run(capsys, "rules", "lint", "./mine.yaml", "--json")
    assert [json.loads(line)["level"] for line in out.splitlines()] == [
        "warning",
        "error",
        "warning",
    ]
    assert run(capsys, "rules", "lint", "sshd")[0] == 0


def test_what_is_no_verb_is_said(capsys):
    assert run(capsys, "rules")[0] == 2
    with pytest.raises(SystemExit):
        main(["rules", "mend"])


def test_speed_is_measured(capsys, monkeypatch):
    monkeypatch.setattr(rules, "_BENCH_S", 0.0)
    monkeypatch.setattr(rules, "_BENCH_BYTES", 1)
    _, out, _ = run(capsys, "rules", "bench", "log")
    assert "lines a second with" in out
    assert "1 of 3 lines matched" in out
    measured = json.loads(run(capsys, "rules", "bench", "log", "--json")[1])
    assert (measured["lines"], measured["matched"]) == (3, 1)
    assert measured["lines_per_s"] > 0


def test_an_empty_log_has_no_speed(capsys, tmp_path):
    (tmp_path / "log").write_bytes(b"")
    assert run(capsys, "rules", "bench", "log") == (1, "", "peep: log has no lines\n")


@pytest.mark.parametrize("words", [("rules", "test", "gone"), ("redact", "gone")])
def test_a_log_that_cannot_be_read_is_said(capsys, words):
    assert run(capsys, *words)[0::2] == (
        1,
        "peep: cannot read gone: No such file or directory\n",
    )


def test_what_would_be_cut_is_shown_harmlessly_with_the_counts(capsys):
    code, out, err = run(capsys, "redact", "log")
    assert code == 0
    first, second = out.splitlines()
    assert first.split()[:2] == ["1", "user"]
    assert first.endswith("invalid user [redacted] from 203.0.113.7 port 4242 ssh2")
    assert second.split(maxsplit=2) == [
        "3",
        "password",
        r"\x1b[2Jpassword=[redacted] \xff\x00 token: [redacted]",
    ]
    assert "3 secrets in 2 of 3 lines (2 password, 1 user)" in err
    assert "hunter2" not in out
    _, out, _ = run(capsys, "redact", "log", "--json")
    assert [(o["line"], o["kinds"]) for o in map(json.loads, out.splitlines())] == [
        (1, ["user"]),
        (3, ["password", "password"]),
    ]


def test_redaction_follows_the_configuration_and_shows_what_off_would_do(
    capsys, tmp_path
):
    config = tmp_path / "peep.yaml"
    config.write_text(
        "agent: {redact: {patterns: [nobody, 'any(body)'], keep: [user]}}\n"
    )
    _, out, err = run(capsys, "redact", "log", "--config", str(config))
    assert (
        out.splitlines()[0].split(maxsplit=2)[2] == "nothing that any[redacted] knows"
    )
    assert "hunter2" not in out
    config.write_text("agent: {redact: off}\n")
    _, out, err = run(capsys, "redact", "log", "--config", str(config))
    assert "agent.redact is off" in err
    assert "[redacted]" in out
    config.write_text("agent: {redact: {patterns: ['(', 5], keep: [users]}}\n")
    code, _, err = run(capsys, "redact", "log", "--config", str(config))
    assert code == 2
    assert len(err.splitlines()) == 3
