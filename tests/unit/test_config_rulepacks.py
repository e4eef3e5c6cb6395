"""Packs of YAML become rules, in order."""

import pytest

from peep.config import rulepacks
from peep.config.rulepacks import load_rules, shipped_packs
from peep.errors import ConfigError
from peep.rules import Rate
from peep.signals import Tier, name_problem


def pack(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def refusal(*packs):
    with pytest.raises(ConfigError) as caught:
        load_rules(packs)
    return caught.value.problems


def test_a_rule_has_what_its_pack_says(tmp_path):
    text = """\
- name: full
  match: 'a (?P<instance>b)'
  event: x.y
  family: access
  tier: alert
  pan: -0.5
  gain_db: -3
  groups: [p, q]
  hosts: ['web*', db]
  rate: 10/min
  engine: re
  samples: {take: ["a\\tb"], refuse: [c]}
- {name: short, match: b, event: x.z}
"""
    full, short = load_rules([pack(tmp_path, text)])
    assert (full.event, full.family, full.tier) == ("x.y", "access", Tier.ALERT)
    assert (full.pan, full.gain_db, full.groups) == (-0.5, -3.0, ("p", "q"))
    assert (full.takes, full.refuses) == (("a\tb",), ("c",))
    assert (full.hosts, full.rate) == (("web*", "db"), Rate(10, 60.0))
    assert (full.engine, short.engine, short.rate) == ("re", "re2", None)
    assert (short.tier, short.groups, short.takes) == (Tier.ROUTINE, ("mine",), ())


def test_packs_are_laid_end_to_end_in_the_order_given(tmp_path):
    a = pack(tmp_path, "- {name: a, match: a, event: e}", "a.yaml")
    b = pack(tmp_path, "- {name: b, match: b, event: e}", "b.yml")
    assert [rule.name for rule in load_rules([b, a])] == ["b", "a"]


def test_a_prefix_stands_before_every_pattern_as_a_whole(tmp_path):
    text = "prefix: '^p: '\nrules: [{name: a, match: 'a|b', event: e}]\n"
    (rule,) = load_rules([pack(tmp_path, text)])
    assert rule.match == "^p: (?:a|b)"


def test_an_empty_pack_has_no_rules(tmp_path):
    assert load_rules([pack(tmp_path, "# nothing yet\n")]) == ()


def test_shipped_packs_are_found_by_name():
    assert {"sshd", "sudo", "kernel"} <= set(shipped_packs())
    assert load_rules(["sudo"])[0].groups == ("sudo",)


def test_all_stands_for_every_shipped_pack_that_is_not_named(tmp_path):
    mine = pack(tmp_path, "[{name: mine, match: x, event: e}]")
    rules = load_rules([mine, "sudo", "all"])
    assert rules[0].name == "mine"
    assert rules[1].groups == ("sudo",)
    names = [rule.name for rule in rules[1:]]
    assert sorted(names) == sorted(rule.name for rule in load_rules(shipped_packs()))


def test_all_problems_of_all_packs_are_told_at_once(tmp_path):
    a = pack(
        tmp_path,
        "- {name: a, match: '(?=x)', event: e}\n- {nam: b, match: x, event: E}\n",
        "a.yaml",
    )
    b = pack(tmp_path, "- {name: a, match: x, event: e, tier: loud}\n", "b.yaml")
    assert refusal(a, "sshh", b, "gone.yaml") == [
        f"{a}:1: [0].match: look-ahead is not supported (invalid perl operator: (?=)",
        f"{a}:2: [1].nam: unknown key 'nam' (did you mean 'name'?)",
        f"{a}:2: [1].name: missing (expected text)",
        f"{a}:2: [1].event: 'E' is {name_problem('E')}",
        "'sshh': no rule pack of that name (did you mean 'sshd'?)",
        f"{b}:1: [0].tier: unknown 'loud' (known: alert, notable, routine)",
        f"{b}:1: [0]: there is a rule 'a' already",
        "gone.yaml: cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: {}", "rules: expected a list, found a mapping"),
        ("prefix: '('\nrules: []", "prefix: missing )"),
        ("rulez: []", "unknown key 'rulez' (did you mean 'rules'?)"),
        ("- a", "[0]: expected a mapping, found text: 'a'"),
        ("- {name: a, event: e}", "[0].match: missing (expected text)"),
        ("- {name: a, match: a, event: e, pan: 3}", "[0].pan: 3 is not in -1 … 1"),
        ("- {name: a, match: a, event: e, gain_db: 99}", "99 is not in -60 … 12"),
        ("- {name: a, match: a, event: e, rate: 5/d}", "'5/d' is no rate such as 5/s"),
        ("- {name: a, match: a, event: e, rate: 0/s}", "'0/s' is no rate"),
        ("- {name: a, match: a, event: e, rate: 5}", "[0].rate: expected text"),
        ("- {name: a, match: '(?=a)b(', event: e, engine: re}", "missing )"),
        ("- {name: a, match: a, event: e, engine: pcre}", "unknown 'pcre'"),
    ],
)
def test_what_is_wrong_with_a_pack_is_said(tmp_path, text, problem):
    problems = refusal(pack(tmp_path, text))
    assert any(problem in line for line in problems), problems


def test_the_number_of_rules_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(rulepacks, "MAX_RULES", 2)
    text = "".join(f"- {{name: r{i}, match: a, event: e}}\n" for i in range(5))
    (problem,) = refusal(pack(tmp_path, text))
    assert problem.endswith(":3: [2]: more than 2 rules")
