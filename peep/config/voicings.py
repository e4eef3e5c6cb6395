"""How a theme's signals sound: the entries of its tables, and its zones."""

from collections.abc import Collection, Mapping

from peep.config.document import Node
from peep.config.problems import shown
from peep.signals import GAIN_RANGE_DB
from peep.theme import MAX_ZONES, RATES, Voicing, Zone

MAX_FADE_S = 60.0  # a state that takes longer to be heard is a report, not a sound
MAX_OVERDUE_S = 86_400.0  # what is told once a day is no state of now
MAX_THRESHOLDS = 4  # of one state; more layers are not told apart


def voicing(node: Node, sounds: Collection[str]) -> Voicing:
    """Return how an event sounds."""
    keys = node.section("sound", "gain_db", "pan", required=True)
    return Voicing(
        sound=keys["sound"].choice(sounds),
        gain_db=gain_db(keys["gain_db"]),
        pan=keys["pan"].number(0.0, low=-1, high=1),
    )


def followed(node: Node, layers: Collection[str]) -> Voicing:
    """Return how a state sounds: the layer that follows it."""
    keys = node.section(
        "layer", "above", "gain_db", "pan", "fade_s", "overdue_s", required=True
    )
    return Voicing(
        sound=keys["layer"].choice(layers),
        gain_db=gain_db(keys["gain_db"]),
        pan=keys["pan"].number(0.0, low=-1, high=1),
        fade_s=keys["fade_s"].number(2.0, low=0, high=MAX_FADE_S),
        above=_above(keys["above"], layers),
        overdue_s=_overdue_s(keys["overdue_s"]),
    )


def unknown_voicing(node: Node, layers: Collection[str]) -> Voicing:
    """Return how it sounds that states are not known."""
    keys = node.section("layer", "gain_db", "pan", "fade_s", required=True)
    return Voicing(
        sound=keys["layer"].choice(layers),
        gain_db=gain_db(keys["gain_db"]),
        pan=keys["pan"].number(0.0, low=-1, high=1),
        fade_s=keys["fade_s"].number(2.0, low=0, high=MAX_FADE_S),
    )


def _above(node: Node, layers: Collection[str]) -> tuple[tuple[float, str], ...]:
    """Return from which values on which other layers take over, in order."""
    found = []
    for at in node.nodes():
        keys = at.section("from", "layer", required=True)
        least = keys["from"].number(low=0, high=1)
        found.append((least, keys["layer"].choice(layers)))
    if len(found) > MAX_THRESHOLDS:
        node.problem(f"more than {MAX_THRESHOLDS} thresholds")
    return tuple(sorted(found))


def beaten(node: Node, sounds: Collection[str]) -> Voicing:
    """Return how a heartbeat sounds, and how a missed one does."""
    keys = node.section("sound", "gain_db", "pan", "overdue_s", "miss", required=True)
    return Voicing(
        sound=keys["sound"].choice(sounds),
        gain_db=gain_db(keys["gain_db"]),
        pan=keys["pan"].number(0.0, low=-1, high=1),
        overdue_s=_overdue_s(keys["overdue_s"]),
        miss=keys["miss"].choice(sounds) if keys["miss"].given else "",
    )


def _overdue_s(node: Node) -> float:
    return node.number(0.0, low=0, high=MAX_OVERDUE_S)


def led(states: Mapping[str, Voicing]) -> set[str]:
    """Return the layers that states may lead."""
    return {
        layer
        for voicing in states.values()
        for layer in (voicing.sound, *(other for _, other in voicing.above))
    }


def check_zones(node: Node, zones: Collection[Zone]) -> None:
    """Refuse more zones than can be told apart, and who would be in two."""
    if len(zones) > MAX_ZONES:
        node.problem(f"more than {MAX_ZONES} zones are not told apart")
    for named in (
        [host for zone in zones for host in zone.hosts],
        [class_name for zone in zones for class_name in zone.classes],
    ):
        for one in dict.fromkeys(one for one in named if named.count(one) > 1):
            node.problem(f"{shown(one)} is in two zones")


def zone(name: str, node: Node) -> Zone:
    """Return a zone: where it is, and who is in it."""
    keys = node.section("pan", "rate", "hosts", "classes", required=True)
    return Zone(
        name=name,
        pan=keys["pan"].number(0.0, low=-1, high=1),
        rate=keys["rate"].number(1.0, low=RATES[0], high=RATES[1]),
        hosts=keys["hosts"].texts(()),
        classes=keys["classes"].texts(()),
    )


def gain_db(node: Node) -> float:
    """Return a gain, 0 dB where none is given."""
    return node.number(0.0, low=GAIN_RANGE_DB[0], high=GAIN_RANGE_DB[1])
