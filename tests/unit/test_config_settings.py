"""peep.yaml becomes settings."""

import re

import pytest

from peep import paths
from peep.agent.sources import CHECKS
from peep.config import settings
from peep.config.document import Node
from peep.config.settings import (
    AgentSettings,
    ServerSettings,
    Settings,
    load_settings,
)
from peep.config.storage import JournalSettings, SpoolSettings
from peep.errors import ConfigError


def tail(options: Node) -> tuple[str, bool]:
    keys = options.section("path", "from_start", short="path")
    return keys["path"].text(), keys["from_start"].flag(default=False)


KINDS = {"tail": tail, "system": lambda options: options.section() or "system"}


def written(tmp_path, text):
    path = tmp_path / "peep.yaml"
    path.write_text(text)
    return path


def refusal(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, text), KINDS)
    return [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems]


def test_an_empty_file_means_the_defaults(tmp_path):
    assert load_settings(written(tmp_path, ""), KINDS) == Settings()


def test_every_key_is_read(tmp_path):
    text = """\
server:
  port: 2002
  interfaces: [lo]
  classes: [a, "*.example.org"]
  theme: ./mine
  output: device:USB Audio
  lease_s: 60
  dumb_networks: []
  expect: [web1, db1, web1]
  ephemeral: "ci-*"
  journal: {path: j.db, max_age_days: 7, max_mib: 100}
agent:
  host: web1
  classes: b
  interfaces: [eth0]
  server: {host: noc, port: 2003}
  sources: [{tail: /x}, {kind: tail, path: /y, from_start: true}, system]
  rules: [sshd, mine.yaml, /abs/other.yaml, all]
  groups: [sshd]
  exclude: [noise]
  spool: {max_alerts: 5, max_mib: 1}
  lag_max: 0
"""
    assert load_settings(written(tmp_path, text), KINDS) == Settings(
        server=ServerSettings(
            port=2002,
            interfaces=("lo",),
            classes=("a", "*.example.org"),
            theme=str(tmp_path / "mine"),
            output="device:USB Audio",
            lease_s=60,
            dumb_networks=(),
            expect=("web1", "db1"),
            ephemeral=("ci-*",),
            journal=JournalSettings(
                path=str(tmp_path / "j.db"), max_age_days=7, max_mib=100
            ),
        ),
        agent=AgentSettings(
            host="web1",
            classes=("b",),
            interfaces=("eth0",),
            server=("noc", 2003),
            sources=(("/x", False), ("/y", True), "system"),
            rules=("sshd", str(tmp_path / "mine.yaml"), "/abs/other.yaml", "all"),
            groups=("sshd",),
            exclude=("noise",),
            spool=SpoolSettings(max_alerts=5, max_mib=1),
            lag_max=0,
        ),
    )


@pytest.mark.parametrize(
    "output", ["auto", "device", "stream", "null", "file:/tmp/x.wav"]
)
def test_outputs_are_named_or_have_a_name(tmp_path, output):
    text = f"server: {{output: '{output}'}}"
    assert load_settings(written(tmp_path, text), KINDS).server.output == output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "sever: {}",
            "peep.yaml:1: sever: unknown key 'sever' (did you mean 'server'?)",
        ),
        ("server: {lease_s: 5}", "lease_s: 5 is not in 10 … 300"),
        ("server: {port: 0}", "port: 0 is not in 1 … 65535"),
        ("server: {classes: []}", "classes: expected at least one text"),
        ("server: {classes: [a b]}", "'a b' is not 1 to 64 ASCII characters"),
        (f"server: {{classes: [{'x' * 65}]}}", "is not 1 to 64 ASCII characters"),
        ("server: {output: 'file:'}", "unknown 'file:'"),
        ("server: {output: nul}", "unknown 'nul' (did you mean 'null'?)"),
        ("server: {dumb_networks: [10.0.0.1/8]}", "'10.0.0.1/8' is no network"),
        ("server: {interfaces: {}}", "interfaces: expected a list, found a mapping"),
        ("agent: {lag_max: -1}", "lag_max: -1 is not in 0 … 100000"),
        ("agent: {host: 'a b'}", "host: 'a b' is no host name"),
        ("agent: {server: {port: 1}}", "server.host: missing"),
        ("agent: {server: noc}", "server: expected a mapping, found text: 'noc'"),
        ("agent: {sources: [{tial: /x}]}", "did you mean 'tail'?"),
        ("agent: {sources: [{tail: 5}]}", "sources[0].tail: expected text"),
        ("agent: {sources: [{tail: /x, pth: y}]}", "did you mean 'path'?"),
        ("server: {expect: ['a b']}", "expect: 'a b' is no host name"),
        ("server: {expect: ['ci-*']}", "'ci-*' is a pattern: name each host"),
        ("server: {ephemeral: [{}]}", "ephemeral[0]: expected text"),
        ("server: {journal: nothing}", "journal: expected yes or no"),
        ("server: {journal: []}", "journal: expected a mapping, found a list"),
        ("server: {journal: {days: 5}}", "unknown key 'days'"),
        ("server: {journal: {max_age_days: 0}}", "0 is not in 1 … 3650"),
        ("server: {journal: {max_mib: 1}}", "max_mib: 1 is not in 8 …"),
        ("agent: {spool: {max_alerts: 0}}", "0 is not in 1 …"),
        ("agent: {spool: off}", "spool: expected a mapping"),
        ("agent: {groups: []}", "groups: expected at least one text"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, problem):
    problems = refusal(tmp_path, text)
    assert any(problem in line for line in problems), problems


@pytest.mark.parametrize(
    ("word", "kept"), [("off", None), ("no", None), ("on", JournalSettings())]
)
def test_a_journal_is_off_or_on(tmp_path, word, kept):
    text = f"server: {{journal: {word}}}"
    assert load_settings(written(tmp_path, text), KINDS).server.journal == kept


def test_the_number_of_expected_hosts_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "MAX_HOSTS", 2)
    problems = refusal(tmp_path, "server: {expect: [a, b, 'c d']}")
    assert problems == ["peep.yaml:1: server.expect: more than 2 hosts"]


def test_server_and_agent_are_complained_of_together(tmp_path):
    assert len(refusal(tmp_path, "server: {port: x}\nagent: {hots: y}\n")) == 2


def test_the_number_of_sources_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "MAX_SOURCES", 2)
    problems = refusal(tmp_path, "agent: {sources: [system, system, nonsense]}")
    assert problems == ["peep.yaml:1: agent.sources: more than 2 sources"]


def test_the_shipped_file_says_the_defaults():
    path = paths.data_dir("configs") / "peep.yaml"
    assert load_settings(path, CHECKS) == Settings()


def test_the_shipped_file_shows_every_key_and_its_examples_load(tmp_path):
    text = (paths.data_dir("configs") / "peep.yaml").read_text()
    shown = re.sub(
        r"^( +)# ( *- .*|[a-z_]+:( .*)?)$", r"\1\2", text, flags=re.MULTILINE
    )
    loaded = load_settings(written(tmp_path, shown), CHECKS)
    for part in (loaded.server, loaded.agent, loaded.network):
        for key in part.__struct_fields__:
            written_as = "allow" if key == "policy" else key
            assert re.search(rf"^  {written_as}:", shown, re.MULTILINE), key
            assert getattr(part, key) or key in ("exclude", "mdns")


def test_the_network_section_is_read_and_its_mistakes_are_told(tmp_path):
    good = """
network:
  profile: classic
  subnets: {web: [10.1.0.0/16, eth0]}
  allow: {networks: [10.0.0.0/8], classes: ["*.org"], keys: [0a1b2c3d]}
  multicast_ttl: 4
"""
    network = load_settings(written(tmp_path, good), CHECKS).network
    assert network.profile == "classic"
    assert network.subnets == {"web": ("10.1.0.0/16", "eth0")}
    assert network.policy.keys == (0x0A1B2C3D,)
    assert network.policy.classes == ("*.org",)
    assert str(network.policy.networks[0]) == "10.0.0.0/8"
    bad = """
network:
  profile: clasic
  subnets: {"a b": [eth0]}
  allow: {networks: [10.0.0.0/99], keys: [xyz]}
  multicast_ttl: 0
"""
    problems = refusal(tmp_path, bad)
    assert len(problems) == 5
    assert "did you mean 'classic'" in problems[0]
