"""What an agent is asked to do by options and configuration, and is asked again."""

import pytest

from peep.cli import agent, common, judging
from peep.config.settings import AgentSettings, Settings, load_settings
from peep.errors import ConfigError

RULES = "- {name: boom, match: boom, event: test.boom}\n"


def parsed(*words):
    return agent.parser().parse_args(words)


def written(tmp_path, text):
    (tmp_path / "rules.yaml").write_text(RULES)
    path = tmp_path / "peep.yaml"
    path.write_text(text)
    return path


def loaded(tmp_path, text):
    return load_settings(written(tmp_path, text), {"system": lambda _node: "system"})


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Nobody was enrolled here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "wanted", "expected"),
    [
        ((), AgentSettings(), (10.0, 192)),
        ((), AgentSettings(cpu_max=0, memory_max=0), (0.0, 0)),
        (("--cpu-max=2.5",), AgentSettings(cpu_max=50.0), (2.5, 192)),
        (("--cpu-max", "0"), AgentSettings(), (0.0, 192)),
    ],
)
def test_an_option_goes_before_the_configuration(words, wanted, expected):
    cpu_max, memory_max_bytes = judging.ceilings(parsed(*words), wanted)
    assert (cpu_max, memory_max_bytes / common.MIB) == expected


@pytest.mark.parametrize("text", ["-1", "101", "nan", "inf", "much", ""])
def test_a_ceiling_is_a_number_of_percent(text, capsys):
    with pytest.raises(SystemExit):
        parsed(f"--cpu-max={text}")
    assert "is not a number from 0 to 100" in capsys.readouterr().err


def test_ceilings_are_read_from_the_configuration(tmp_path):
    settings = loaded(tmp_path, "agent: {cpu_max: 2.5, memory_max: 64}")
    assert (settings.agent.cpu_max, settings.agent.memory_max) == (2.5, 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu_max: 101", "cpu_max"),
        ("cpu_max: -1", "cpu_max"),
        ("memory_max: 63", "needs at least 64, or 0 for no ceiling"),
        ("memory_max: -1", "memory_max"),
        ("memory_max: 1.5", "memory_max"),
    ],
)
def test_a_ceiling_that_cannot_be_is_refused(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        loaded(tmp_path, f"agent: {{{text}}}")


def test_rules_classes_and_ceilings_are_read_again(tmp_path, alone):
    args = parsed("--source=system")
    path = written(
        tmp_path,
        "agent: {rules: [rules.yaml], classes: [web], cpu_max: 5, memory_max: 100}",
    )
    renewed = judging.renewal(args, common.settings(path), "web1", is_guest=True)()
    assert [rule.name for rule in renewed.rules.rules] == ["boom"]
    assert renewed[1:] == (None, ("web",), 5.0, 100 * common.MIB, ())


def test_what_options_say_stays_and_who_is_no_guest_has_no_ceilings(tmp_path, alone):
    path = written(tmp_path, "agent: {rules: [rules.yaml], classes: [web]}")
    args = parsed("--source=system", "--classes=db", "--rules=sudo", "--groups=sudo")
    renewed = judging.renewal(args, common.settings(path), "web1", is_guest=False)()
    assert "boom" not in [rule.name for rule in renewed.rules.rules]
    assert renewed[2:] == (None, 0.0, 0, ())


@pytest.mark.parametrize(
    ("words", "after", "expected"),
    [
        ((), "agent: {sources: [system]}", ("agent.sources",)),
        (("--source=system",), "agent: {sources: [system]}", ()),
        (
            (),
            "agent: {host: x, lag_max: 1, spool: {max_mib: 9}}",
            ("agent.host", "agent.spool", "agent.lag_max"),
        ),
        (("--host=y",), "agent: {host: x}", ()),
        ((), "network: {profile: classic}", ("network",)),
        ((), "agent: {classes: [x], redact: off, groups: [sudo]}", ()),
    ],
)
def test_what_only_a_start_takes_up_is_named(tmp_path, alone, words, after, expected):
    path = written(tmp_path, after)
    load = judging.renewal(
        parsed("--config", str(path), "--rules=sudo", *words),
        Settings(),
        "web1",
        is_guest=True,
    )
    assert load().restart == expected
