"""Where it is heard: what each kind of room asks of the mix."""

import msgspec


class Room(msgspec.Struct, frozen=True):
    """What a room asks: how wide places lie apart (0…1), and the gain of the bed."""

    name: str
    width: float
    bed_gain_db: float


# At half the width a sound that is panned all the way is 1 dB softer in mono, not 3.
ROOM = Room("room", 0.5, 0.0)
HEADPHONES = Room("headphones", 1.0, 0.0)
# It has no left and right, and its bed would drown what it can hardly make heard.
SMALL_SPEAKER = Room("small-speaker", 0.0, -4.0)

ROOMS = {room.name: room for room in (ROOM, HEADPHONES, SMALL_SPEAKER)}
