"""Where a signal sounds: its zone, told by place and by a shade of timbre.

A host is in the zone that names it, else in the zone that names the class it came by,
else in the middle. A theme whose zones name nobody spreads hosts over them, and one
without zones over five of ours, by a checksum of their names: so a host stays where it
is, on every server and after every start.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from peep.mixer.commands import clamp_pan
from peep.theme import MAX_ZONES, RATES, Zone

if TYPE_CHECKING:
    from peep.mixer.room import Room
    from peep.theme import Theme

MAX_PLACES = 4096  # of hosts that are remembered, to be found once
SPREAD = 0.8  # how far out the last of the five lie; all the way is unnatural

MIDDLE = Zone(name="")
# Left to right; the shades go up and down in turn, so that neighbours differ most.
_SHADES = (1.0, RATES[1], 0.97, 1.03, RATES[0])
FIVE = tuple(
    Zone(name=str(n + 1), pan=SPREAD * (2 * n / (MAX_ZONES - 1) - 1), rate=rate)
    for n, rate in enumerate(_SHADES)
)


class Places:
    """Finds zones, and makes of a pan what the room allows."""

    def __init__(self, theme: Theme, room: Room) -> None:
        self._width = room.width
        named = any(zone.hosts or zone.classes for zone in theme.zones)
        self._spread = () if named else theme.zones or FIVE
        self._by_host = {host: zone for zone in theme.zones for host in zone.hosts}
        self._by_class = {name: zone for zone in theme.zones for name in zone.classes}
        self._found: dict[tuple[str, str], Zone] = {}

    def zone(self, host: str, class_name: str) -> Zone:
        """Return the zone of a host, as heard through a class."""
        key = (host, class_name)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_PLACES:
                self._found.clear()
            found = self._found[key] = self._find(host, class_name)
        return found

    def pan(self, pan: float) -> float:
        """Return where something sounds in this room, -1…1."""
        return clamp_pan(pan) * self._width

    def _find(self, host: str, class_name: str) -> Zone:
        if self._spread:
            place = zlib.crc32(host.encode()) % len(self._spread)
            return self._spread[place] if host else MIDDLE
        named = self._by_host.get(host)
        return named or self._by_class.get(class_name, MIDDLE)
