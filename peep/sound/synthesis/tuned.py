"""One chord for everything: what makes any crowd of the glass theme's sounds consonant.

*Theory.* A note is a whole multiple of one deep fundamental, D at 73.4 Hz, that nobody
hears: notes 4, 8, 16, 32 are D, 9, 18 and 36 E, 5, 10, 20 F sharp, 6, 12, 24 A. Two
tones are consonant where their partials coincide or lie far apart; multiples of one
fundamental are the partials of a single tone, so whatever sounds together is one chord
(a D with its ninth), pure to the cent, and no two beat. Bodies of glass have partials
of their own, no whole multiples of anything; here each is drawn to the nearest tone of
the same chord, which leaves glass its wide spacing and takes its discord (as founders
do when they tune the partials of bells).
"""

import math

from peep.sound.synthesis.tools import Param

ROOT_HZ = 440.0 / 6.0  # D2, so that note 6 is the A that orchestras tune to, and pure
CHORD = (1.0, 9.0 / 8.0, 5.0 / 4.0, 3.0 / 2.0)  # D E F# A, in every octave

# A lower note no small speaker plays; a higher one ageing ears do not hear.
NOTE = (3.0, 48.0)


def note(default: int) -> Param:
    """Return a parameter that chooses a note: which multiple of the root."""
    return Param(float(default), *NOTE)


def hz(number: float) -> float:
    """Return the pitch of a note; one between two notes is drawn to the chord."""
    return drawn_hz(number * ROOT_HZ)


def drawn_hz(pitch_hz: float) -> float:
    """Return the tone of the chord that is nearest to a pitch."""
    octave_hz = ROOT_HZ * 2.0 ** math.floor(math.log2(pitch_hz / ROOT_HZ))
    tones = [octave_hz * ratio for ratio in (*CHORD, 2.0)]
    return min(tones, key=lambda tone_hz: abs(math.log2(tone_hz / pitch_hz)))
