"""Whatever Peep itself can tell of sounds in every theme that it ships."""

import re
from pathlib import Path

import pytest

import peep
from peep.agent.sources.system import DEFAULTS, ON_REQUEST
from peep.agent.sources.targets import STATE
from peep.config.rulepacks import ALL, load_rules
from peep.config.themes import load_theme, shipped_themes
from peep.signals import Event, Heartbeat, State, Tier

FAMILIES = (
    "access",
    "refusal",
    "mail",
    "web",
    "database",
    "system",
    "network",
    "job",
)
# What no rule tells of: name → tier and family, as where it is made.
OWN = {
    "peep.agent-joined": (Tier.NOTABLE, "network"),
    "peep.agent-back": (Tier.NOTABLE, "network"),
    "peep.agent-lost": (Tier.ALERT, "network"),
    "peep.agent-missing": (Tier.ALERT, "network"),
    "peep.server-hears": (Tier.NOTABLE, "network"),
    "peep.server-deaf": (Tier.ALERT, "network"),
    "peep.lines-skipped": (Tier.NOTABLE, "system"),
    "peep.alerts-dropped": (Tier.ALERT, "system"),
    "peep.events-dropped": (Tier.NOTABLE, "system"),
    "ping.up": (Tier.NOTABLE, "network"),
    "ping.down": (Tier.ALERT, "network"),
    "ping.certificate-expiring": (Tier.NOTABLE, "network"),
    "system.process-missing": (Tier.NOTABLE, "system"),
    "system.process-too-many": (Tier.NOTABLE, "system"),
    "system.process-back": (Tier.NOTABLE, "system"),
    "system.memory-full": (Tier.NOTABLE, "system"),
    "system.memory-ok": (Tier.ROUTINE, "system"),
}
# What begins and what ends: two events of one thing.
PAIRS = (
    ("access", "dovecot.login", "dovecot.logout"),
    ("access", "ssh.session-opened", "ssh.session-closed"),
    ("access", "login.opened", "login.closed"),
    ("mail", "postfix.received", "postfix.sent"),
    ("network", "systemd.link-up", "systemd.link-down"),
    ("network", "netmanager.up", "netmanager.down"),
    ("network", "ftp.connect", "ftp.disconnect"),
    ("network", "kernel.nfs-back", "kernel.nfs-lost"),
    ("web", "haproxy.server-up", "haproxy.server-down"),
    ("web", "nginx.started", "nginx.stopped"),
    ("mail", "postfix.started", "postfix.stopped"),
    ("database", "mysql.started", "mysql.stopped"),
    ("system", "service.started", "service.stopped"),
    ("system", "docker.container-started", "docker.container-stopped"),
    ("system", "kernel.usb-connected", "kernel.usb-disconnected"),
    ("system", "system.process-back", "system.process-missing"),
    ("job", "cron.job-started", "cron.job-finished"),
    ("job", "cron.session-opened", "cron.session-closed"),
    ("access", "tomorrows-pack.session-opened", "tomorrows-pack.session-closed"),
    ("network", "tomorrows-pack.tunnel-up", "tomorrows-pack.tunnel-down"),
)

themes = pytest.mark.parametrize(
    "theme", [load_theme(name)[0] for name in shipped_themes()], ids=shipped_themes()
)


def ruled():
    """Every kind of event that a shipped rule makes."""
    return {
        (rule.event, rule.tier, rule.family) for rule in load_rules([ALL]) if rule.event
    }


def own():
    return {(name, tier, family) for name, (tier, family) in OWN.items()}


def sound(theme, name, tier=Tier.ROUTINE, family=""):
    return theme.for_event(Event(name=name, tier=tier, family=family)).sound


@themes
def test_every_event_of_every_shipped_rule_sounds(theme):
    assert len(ruled()) > 300
    for name, tier, family in ruled():
        assert sound(theme, name, tier, family) in theme.sounds, name


@themes
def test_every_event_that_peep_makes_itself_sounds(theme):
    for name, tier, family in own():
        assert sound(theme, name, tier, family) in theme.sounds, name


def test_no_part_of_peep_makes_an_event_that_is_not_listed_here():
    told = re.compile(r'"(peep\.[a-z]+-[a-z-]+|ping\.(?:up|down|[a-z]+-[a-z]+))"')
    made = {
        name
        for part in ("agent", "server", "mixer")
        for path in (Path(peep.__file__).parent / part).rglob("*.py")
        for name in told.findall(path.read_text())
    }
    assert len(made) > 8
    assert made <= set(OWN)


@themes
def test_every_state_that_a_source_tells_of_has_a_layer(theme):
    for name in (*DEFAULTS, *ON_REQUEST):
        state = State(name=f"system.{name}", value=0.5)
        assert theme.for_state(state).sound in theme.layers
    assert theme.for_state(State(name=f"{STATE}.gateway", value=0.5)) is not None
    assert theme.for_state(State(name="nobody.knows", value=0.5)) is not None


@themes
def test_heartbeats_sound_and_so_does_one_that_is_missed(theme):
    beat = theme.for_heartbeat(Heartbeat(name="backup.alive", rate_hz=1.0))
    assert {beat.sound, beat.miss} <= set(theme.sounds)
    assert beat.sound != beat.miss


@themes
def test_what_is_unknown_has_a_layer_and_peep_has_a_pulse(theme):
    assert theme.unknown.sound in theme.layers
    assert theme.pulse.sound in theme.sounds


@themes
def test_every_family_has_a_sound_of_its_own_and_no_more_are_to_be_learned(theme):
    sounds = [theme.families[family].sound for family in FAMILIES]
    assert len(set(sounds)) == len(FAMILIES)
    assert set(theme.families) == {*FAMILIES, "default"}
    assert theme.families["default"].sound not in sounds


@themes
@pytest.mark.parametrize(("family", "begins", "ends"), PAIRS, ids=lambda it: it)
def test_what_begins_and_what_ends_are_told_apart_and_neither_is_an_alert(
    theme, family, begins, ends
):
    one, other = sound(theme, begins, family=family), sound(theme, ends, family=family)
    assert one != other
    levels = {theme.sounds[one].level, theme.sounds[other].level}
    assert "alert" not in levels


@themes
def test_what_is_down_and_what_is_up_again_differ_where_down_is_an_alert(theme):
    for down, up in (
        ("ping.down", "ping.up"),
        ("peep.agent-lost", "peep.agent-back"),
        ("peep.server-deaf", "peep.server-hears"),
    ):
        one, other = sound(theme, down, *OWN[down]), sound(theme, up, *OWN[up])
        assert one != other
        assert theme.sounds[one].level == "alert"
        assert theme.sounds[other].level == "notable"


@themes
def test_alerts_sound_like_nothing_else_does(theme):
    kinds = ruled() | own()
    alerts = {sound(theme, *it) for it in kinds if it[1] is Tier.ALERT}
    others = {sound(theme, *it) for it in kinds if it[1] is not Tier.ALERT}
    assert {theme.sounds[name].level for name in alerts} == {"alert"}
    assert not alerts & others


@themes
def test_skipped_lines_do_not_sound_as_if_the_machine_itself_were_ill(theme):
    for name in ("peep.lines-skipped", "peep.events-dropped"):
        assert sound(theme, name, *OWN[name]) != theme.families["system"].sound


@themes
def test_every_sound_of_a_theme_stands_for_something(theme):
    heard = {sound(theme, *kind) for kind in ruled() | own()}
    heard |= {sound(theme, "no.such", family=family) for family in theme.families}
    beat = theme.heartbeats["default"]
    heard |= {beat.sound, beat.miss, theme.pulse.sound}
    assert heard == set(theme.sounds)


WET = {"rain", "stream", "surf", "frogs", "drop", "frog", "peeper", "toad"}


def test_the_dry_theme_has_no_water_and_nothing_that_lives_in_it():
    theme, _ = load_theme("dry")
    recipes = {spec.recipe for spec in theme.layers.values()}
    assert not recipes & WET
    assert not {spec.recipe for spec in theme.sounds.values()} & WET
