"""Classes change while a process runs: what is allowed, what is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import AGENT, SERVER, agent_machine, joined, server_machine

from peep.clock import ManualClock
from peep.errors import ConfigError, PeepError
from peep.net.class_control import ClassControl, added, listed, removed
from peep.net.control import AddClasses, ListClasses, RemoveClasses
from peep.protocol.classes import class_problem
from peep.protocol.events import AgentJoined
from peep.protocol.policy import Policy


class Desk:
    """A machine, its control, and what it said."""

    def __init__(self, machine, **more):
        self.machine = machine
        self.said = []
        self.kicks = 0
        self.control = ClassControl(
            machine,
            clock=ManualClock(1000),
            kick=self.kick,
            say=self.said.append,
            **more,
        )

    def kick(self):
        self.kicks += 1

    def ask(self, request):
        return self.control.handle(request)

    def refusal(self, request):
        with pytest.raises(PeepError) as refused:
            self.ask(request)
        return str(refused.value)


@pytest.fixture(params=[agent_machine, server_machine])
def desk(request):
    machine = request.param(classes=("public",))
    machine.start(1000)
    return Desk(machine)


def test_classes_are_listed_as_the_machine_holds_them(desk):
    assert desk.ask(ListClasses()) == {"classes": ("public",), "changed": False}
    assert desk.kicks == 0


def test_a_class_that_is_added_is_held_told_and_sent(desk):
    answer = desk.ask(AddClasses(("web", "db")))
    assert answer == {"classes": ("public", "web", "db"), "changed": True}
    assert desk.machine.classes == ("public", "web", "db")
    assert desk.said == ["classes are now public, web, db"]
    assert desk.kicks == 1


def test_a_class_that_is_held_already_changes_nothing(desk):
    answer = desk.ask(AddClasses(("public",)))
    assert answer == {"classes": ("public",), "changed": False}
    assert (desk.said, desk.kicks) == ([], 0)


def test_a_class_that_is_removed_is_held_no_longer(desk):
    desk.ask(AddClasses(("web",)))
    answer = desk.ask(RemoveClasses(("public", "never-held")))
    assert answer == {"classes": ("web",), "changed": True}
    assert desk.said[-1] == "classes are now web"


def test_the_last_class_stays(desk):
    said = desk.refusal(RemoveClasses(("public",)))
    assert said.startswith("holds nothing but public: add another class first")
    assert desk.machine.classes == ("public",)


def test_none_takes_the_place_of_all_and_any_class_takes_its_place(desk):
    assert desk.ask(AddClasses(("none",)))["classes"] == ("none",)
    assert desk.said == ["classes are now none (speaks to nobody)"]
    assert desk.refusal(RemoveClasses(("none",))).startswith("holds none only")
    assert desk.ask(AddClasses(("web",)))["classes"] == ("web",)


def test_none_and_others_together_are_refused(desk):
    assert "stands alone" in desk.refusal(AddClasses(("none", "web")))


def test_a_name_that_no_packet_carries_is_refused(desk):
    assert "'a b' is not 1 to 64" in desk.refusal(AddClasses(("a b",)))


def test_there_are_as_many_classes_as_a_packet_names(desk):
    names = tuple(f"c{number}" for number in range(63))
    assert len(desk.ask(AddClasses(names))["classes"]) == 64
    assert desk.refusal(AddClasses(("more",))) == "that would be 65 classes, 64 go"


def test_a_pattern_is_for_servers():
    pattern = AddClasses(("*.example.org",))
    assert "patterns" in Desk(agent_machine()).refusal(pattern)
    server = Desk(server_machine(), patterns=True)
    assert server.ask(pattern)["classes"] == ("public", "*.example.org")


def test_what_the_policy_forbids_is_refused_with_that_reason():
    machine = agent_machine(policy=Policy(classes=("public",)))
    machine.start(1000)
    desk = Desk(machine)
    assert desk.refusal(AddClasses(("web",))) == "its policy allows no web"
    assert machine.classes == ("public",)
    assert desk.said == []


def test_a_dumb_client_is_in_public_and_stays_there():
    desk = Desk(None)
    assert desk.ask(ListClasses())["classes"] == ("public",)
    assert "dumb client" in desk.refusal(AddClasses(("web",)))
    assert "dumb client" in desk.refusal(RemoveClasses(("public",)))
    desk.control.reread(lambda: ("web",))
    assert desk.said == []


def test_an_added_class_brings_agent_and_server_together():
    wires = joined(classes=("web",))
    assert not wires.told(SERVER, AgentJoined)
    desk = Desk(wires.machines[AGENT])
    desk.control._clock.advance(wires.now - desk.control._clock.now())
    desk.ask(AddClasses(("web",)))
    wires.run(5)
    assert wires.told(SERVER, AgentJoined)


def test_classes_that_were_read_again_replace_those_that_were_held(desk):
    desk.control.reread(lambda: ["web", "db"])
    assert desk.machine.classes == ("web", "db")
    assert desk.said == ["classes are now web, db"]
    desk.control.reread(lambda: ["web", "db"])
    assert desk.said[1:] == ["the configuration was read again: the same classes"]


def test_a_broken_configuration_is_told_line_by_line_and_changes_nothing(desk):
    def broken():
        raise ConfigError(["peep.yaml:1: a", "peep.yaml:2: b"])

    desk.control.reread(broken)
    assert desk.machine.classes == ("public",)
    assert desk.said[:2] == ["peep.yaml:1: a", "peep.yaml:2: b"]
    assert "goes on as it was" in desk.said[2]
    assert desk.kicks == 0


NAMES = st.lists(st.sampled_from(["none", "public", "a", "b", "a b", ""]), min_size=1)


@given(steps=st.lists(st.tuples(st.sampled_from([added, removed]), NAMES)))
def test_whatever_is_asked_some_sound_class_is_held(steps):
    held = ("public",)
    for change, names in steps:
        before = held
        try:
            held = change(held, tuple(names))
        except PeepError:
            continue
        assert held
        assert len(set(held)) == len(held)
        assert not any(class_problem(name) for name in held)
        assert "none" not in held or held == ("none",)
        if change is added:
            assert set(names) <= set(held)
        else:
            assert set(held) == set(before) - set(names)
        assert listed(held)
