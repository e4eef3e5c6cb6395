"""A short part of `make fuzz`, every time: what it checks stands in attacks.py."""

import random

import attacks
import fuzz
import pytest


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_hostile_datagrams_end_nothing_and_get_no_more_than_they_gave(
    name, monkeypatch
):
    monkeypatch.setattr(fuzz.noise._Side, "_pair", fuzz.noise._Side._pair)
    fuzz.draw_keys_from(random.Random(7))
    attack = attacks.ATTACKS[name](7)
    attack.run(41_000)  # and past two leaps of time
    assert attack.done == 41_000
    expected = {"malformed", "unknown-session", "too-large", "wrong-address"}
    assert expected <= set(attack.counts), "it got past the first checks"
    assert attack.most["sessions" if name == "server" else "links"] >= 8


def test_the_same_seed_gives_the_same_attack(monkeypatch):
    monkeypatch.setattr(fuzz.noise._Side, "_pair", fuzz.noise._Side._pair)
    lasts = []
    for _ in range(2):
        fuzz.draw_keys_from(random.Random(3))
        attack = attacks.ServerAttack(3)
        attack.run(1000)
        lasts.append((attack.last, attack.counts))
    assert lasts[0] == lasts[1]


def test_what_breaks_is_shown_with_its_bytes():
    attack = attacks.AgentAttack(1)
    attack.machine.receive_datagram = None
    with pytest.raises(attacks.Failure) as caught:
        attack.run(1)
    assert attack.last[0].hex() in str(caught.value)
