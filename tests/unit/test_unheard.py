"""Names in a theme that no signal has."""

import pytest

from peep.config.rulepacks import load_rules, shipped_packs
from peep.config.themes import load_theme, shipped_themes
from peep.config.unheard import unheard
from peep.theme import Theme, Voicing

FAMILIES = {"access", "mail", "network"}
EVENTS = {"ssh.login-failed", "mail.sent", "access.session-closed"}
FROG = Voicing(sound="frog")


def said(**tables):
    theme = Theme(name="x", **{k: dict.fromkeys(v, FROG) for k, v in tables.items()})
    return [message for _, _, message in unheard(theme, FAMILIES, EVENTS)]


@pytest.mark.parametrize(
    ("table", "name", "meant"),
    [
        ("families", "acess", "access"),
        ("families", "defualt", "default"),
        ("alerts", "netwrok", "network"),
        ("events", "ssh.login-faild", "ssh.login-failed"),
        ("events", "peep.agent-lsot", "peep.agent-lost"),
        ("endings", "session-closd", "session-closed"),
        ("endings", "access.session-closd", "session-closed"),
    ],
)
def test_a_slip_of_the_pen_is_told_what_was_meant(table, name, meant):
    (message,) = said(**{table: [name]})
    assert message.endswith(f"(did you mean '{meant}'?)")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("families", "access"),
        ("families", "default"),
        ("families", "robots"),
        ("alerts", "mail"),
        ("events", "ssh"),
        ("events", "ssh.login-failed"),
        ("events", "peep"),
        ("events", "robot.stumbled"),
        ("endings", "sent"),
        ("endings", "closed"),
        ("endings", "mail.sent"),
        ("endings", "exploded"),
    ],
)
def test_a_name_that_is_known_or_like_no_other_is_let_pass(table, name):
    assert said(**{table: [name]}) == []


@pytest.mark.parametrize("name", shipped_themes())
def test_no_shipped_theme_has_any(name):
    theme, _ = load_theme(name)
    rules = load_rules(shipped_packs())
    families = {rule.family for rule in rules}
    assert list(unheard(theme, families, {rule.event for rule in rules})) == []
