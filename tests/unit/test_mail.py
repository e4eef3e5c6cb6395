"""What an agent has to say waits for company, but not for long."""

import random

from peep.protocol.batch import Born
from peep.protocol.links import Link
from peep.protocol.mail import COMPANY_S, FULL_HOUSE, Mail
from peep.signals import Event, Tier

NOW = 10.0
ROUTINE = Born(Event(name="a"), NOW)


def mail_and_link():
    chance, said = random.Random(1), []
    mail = Mail(30, chance.randbytes, chance.random, lambda _, body: said.append(body))
    return mail, Link(b"s" * 8, ("10.0.0.1", 2001), [], chance.random), said


def test_a_routine_signal_waits_for_others_and_a_full_house_does_not():
    mail, link, _ = mail_and_link()
    mail.send([ROUTINE], NOW, [link])
    assert link.flush_at == NOW + COMPANY_S
    mail.send([ROUTINE] * (FULL_HOUSE - 2), NOW + 0.01, [link])
    assert link.flush_at == NOW + COMPANY_S
    mail.send([ROUTINE], NOW + 0.015, [link])
    assert link.flush_at == NOW + 0.015


def test_those_that_waited_go_with_an_alert():
    mail, link, said = mail_and_link()
    mail.send([ROUTINE, Born(Event(name="b", tier=Tier.ALERT), NOW)], NOW, [link])
    assert link.flush_at == NOW
    mail.flush(link, NOW)
    assert [body.names for body in said] == [["b", "", "a"]]
    assert (link.flush_at, link.queue) == (None, [])
