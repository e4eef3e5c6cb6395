"""A rule takes lines of the logs and the hosts that it is for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.agent.guarded import Guardian
from peep.clock import ManualClock
from peep.config.rulepacks import load_rules
from peep.errors import ConfigError
from peep.loglines import LogLine
from peep.rules import Rule, RuleSet
from peep.rules.provenance import MAX_LOGS, Provenance, sender


def rule(name: str, match: str = "a", **more) -> Rule:
    return Rule(name=name, match=match, event=f"test.{name}", **more)


def taken(rules: RuleSet, log: str, *texts: str) -> list[str]:
    lines = [LogLine(log, at, text.encode()) for at, text in enumerate(texts)]
    return [rules.rules[index].name for index in rules.take(lines)[0]]


@pytest.mark.parametrize(
    ("logs", "log", "takes"),
    [
        ((), "/var/log/x", True),
        (("auth.log*",), "/var/log/auth.log", True),
        (("auth.log*",), "/var/log/auth.log.1", True),
        (("auth.log*",), "/var/log/my-auth.log", False),
        (("auth.log*",), "/var/log/auth.log/x", False),
        (("auth.log*", "journald"), "journald", True),
        (("auth.log*", "journald"), "syslog", False),
        (("/var/log/nginx/*",), "/var/log/nginx/a/b.log", True),
        (("/var/log/nginx/*",), "/srv/nginx/b.log", False),
        (("!*error?log*",), "/var/log/nginx/error.log", False),
        (("!*error?log*",), "/var/log/nginx1/error_log.2", False),
        (("!*nginx*",), "/var/log/remote/nginx1/auth.log", True),
        (("!*error?log*",), "journald", True),
        (("*.log", "!debug*"), "/a/web.log", True),
        (("*.log", "!debug*"), "/a/debug.log", False),
        (("*.log", "!debug*"), "/a/web.txt", False),
        (("a.log",), "", True),
        (("!*a*",), "", True),
    ],
)
def test_a_pattern_is_of_the_name_or_with_a_slash_of_the_whole_path(logs, log, takes):
    assert rule("x", logs=logs).takes_of(log) is takes


def test_a_line_goes_to_the_first_rule_that_is_for_its_log():
    rules = RuleSet([rule("one", logs=("a",)), rule("two", logs=("!b",)), rule("all")])
    assert taken(rules, "a", "a", "b", "ba") == ["one", "one"]
    assert taken(rules, "c", "a") == ["two"]
    assert taken(rules, "b", "a") == ["all"]
    assert taken(rules, "", "a") == ["one"], "a log that is not known is any"
    assert rules.match(b"a").rule.name == "one"


def test_a_line_that_no_rule_for_its_log_takes_is_taken_by_none():
    rules = RuleSet([rule("one", logs=("a",))])
    assert taken(rules, "b", "a", "xa") == []


WEB = "Nov 21 12:00:00 web1 app[7]: a"
DB = "2026-11-21T12:00:00.123+01:00 db1.example.org app: a"


def test_a_rule_for_some_hosts_takes_what_is_read_there_and_what_bears_their_name():
    def names(host, *texts):
        rules = RuleSet([rule("db", hosts=("db*",)), rule("all")], host=host)
        return taken(rules, "syslog", *texts)

    assert names("loghost", WEB, DB, "a") == ["all", "db", "all"]
    assert names("db2.example.org", WEB, DB, "a") == ["db", "db", "db"]
    assert names(None, WEB, DB, "a") == ["all", "db", "db"], (
        "nobody's, and so anybody's"
    )


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (WEB, "web1"),
        (DB, "db1.example.org"),
        ("Nov  1 12:00:00 192.0.2.7 sshd(pam_unix)[7]: x", "192.0.2.7"),
        ("Nov  1 12:00:00 2001:db8::7 kernel: x", "2001:db8::7"),
        ("Nov  1 12:00:00 web1 kernel", ""),
        ("2026-11-21 12:00:00 web1 app: x", ""),
        ("x Nov 21 12:00:00 web1 app[7]: a", ""),
        ("Nov 21 12:00:00 \xff app[7]: a", ""),
        ("", ""),
    ],
)
def test_a_sender_stands_between_the_time_and_the_program(text, host):
    assert sender(text.encode("latin-1")) == host


@given(st.binary(max_size=200))
def test_a_sender_is_a_word_whatever_the_line(text):
    assert not set(sender(text)) & set(" \n\x1b\x00")


def test_rules_of_the_other_engine_are_held_to_logs_and_hosts_too():
    rules = (
        rule("one", r"a(?!x)", engine="re", logs=("b",)),
        rule("two", r"a(?!y)$", engine="re", hosts=("db*",)),
        rule("three", "a"),
    )
    with Guardian(rules, ManualClock(), print) as guard:
        compiled = RuleSet(rules, guard=guard, host="web1")
        assert taken(compiled, "b", "a", "ax", DB) == ["one", "three", "one"]
        assert taken(compiled, "c", "a", DB, DB + "y") == ["three", "two", "three"]


def test_the_limits_of_so_many_logs_are_remembered():
    asked = []

    class Asked(Rule):
        def takes_of(self, log):
            asked.append(log)
            return super().takes_of(log)

    provenance = Provenance([Asked(name="x", match="a", event="e", logs=("0",))], None)
    first = provenance.of("0")
    for number in range(1, MAX_LOGS):
        provenance.of(str(number))
    assert provenance.of("0") is first
    assert len(asked) == MAX_LOGS
    provenance.of("one more")
    assert provenance.of("0").doubtful == first.doubtful == set()
    assert asked[-2:] == ["one more", "0"]


def test_logs_that_the_same_rules_are_for_share_what_is_to_be_asked():
    rules = [rule("x", logs=("!*error?log*",)), rule("y", logs=("!*error?log*", "!b"))]
    provenance = Provenance(rules, None)
    assert provenance.of("/a/error.log") is provenance.of("/b/error.log")
    assert provenance.of("/a/error.log").doubtful == {0, 1}
    assert provenance.of("a") is provenance.of("c")
    assert provenance.of("b").doubtful == {1}


LOGS = st.lists(st.sampled_from(["a", "b*", "!a", "!*c", "/x/*", "!/x/a"]), max_size=3)
HOSTS = st.lists(st.sampled_from(["db*", "web1"]), max_size=2)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), LOGS, HOSTS), max_size=5),
    st.sampled_from(["", "a", "/x/a", "/y/bc"]),
    st.sampled_from([None, "db1", "mail"]),
    st.lists(st.sampled_from([WEB, DB, "a", "b", "cab"]), max_size=4),
)
def test_the_winner_is_the_first_of_those_that_match_and_may(written, log, host, texts):
    made = [
        rule(f"r{at}", match, logs=tuple(logs), hosts=tuple(hosts))
        for at, (match, logs, hosts) in enumerate(written)
    ]

    def may(one, text):
        if not one.hosts or (host is not None and one.applies_on(host)):
            return one.takes_of(log)
        bears = sender(text.encode())
        for_it = one.applies_on(bears) if bears else host is None
        return for_it and one.takes_of(log)

    expected = []
    for text in texts:
        first = [one.name for one in made if one.match in text and may(one, text)]
        expected += first[:1]
    assert taken(RuleSet(made, host=host), log, *texts) == expected


def loaded(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return load_rules([str(path)])


def test_a_packs_logs_are_those_of_rules_that_have_none_of_their_own(tmp_path):
    rules = loaded(
        tmp_path,
        """
logs: ['!x']
rules:
  - {name: a, match: a, event: a.b}
  - {name: b, match: b, event: a.b, logs: y.log}
""",
    )
    assert [rule.logs for rule in rules] == [("!x",), ("y.log",)]


@pytest.mark.parametrize("logs", ["['!']", "['!*', a]"])
def test_patterns_that_leave_no_log_are_refused(tmp_path, logs):
    with pytest.raises(
        ConfigError, match="stands before a pattern, and not before all"
    ):
        loaded(tmp_path, f"logs: {logs}\nrules: [{{name: a, match: a, event: a.b}}]")
