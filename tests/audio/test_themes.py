"""Every shipped theme, measured: what each of its sounds is, and that all differ.

The measures are the listener's (tests/listening), which reads its whole table in
minutes; here stands what can be said of sounds by themselves, and of pairs.
"""

from itertools import combinations, product

import numpy as np
import pytest
from listening import apart, sounds
from listening.rendering import made
from msgspec.structs import replace
from scipy import signal

from peep.config.themes import load_theme, shipped_themes
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ
from peep.sound.samples import make_samples

# Sounds of two themes are made and measured in each test, on machines that may be busy.
pytestmark = [pytest.mark.audio, pytest.mark.slow, pytest.mark.timeout(60)]

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
# What begins and what ends it: the second is the first one's mirror. Theme → pairs.
MIRRORED = [
    (theme, begins)
    for theme, names in (
        ("wetland", ("frog", "songbird", "curlew", "cuckoo", "bell", "marimba")),
        ("dry", ("raven", "linnet", "curlew", "cuckoo", "bell", "marimba")),
    )
    for begins in names
]
NEARER = (("wetland", "thunder"), ("dry", "hooves"))

themes = pytest.mark.parametrize("theme", shipped_themes())


@themes
def test_every_sound_of_a_theme_is_as_a_sound_should_be(theme):
    lines = sounds.alone(made(theme))
    assert len(lines) > 8
    assert [line for line in lines if not line.met] == []


@themes
def test_a_listener_tells_all_sounds_of_a_theme_apart(theme):
    it = made(theme)
    # Other individuals, whom he has not heard; the listener asks about seven times as
    # many.
    other = replace(it.theme, seed=it.theme.seed + 1)
    arrays = make_samples(other, it.directory).arrays
    asked = [apart.Form(name, -1, array) for (name, _), array in arrays.items()]
    pairs = apart.confusions(it, asked, apart.CONDITIONS["clean"])
    right, wrong, pair = apart.judged(pairs)
    assert right >= 0.95
    assert wrong < 0.5, pair


def rhythm(array):
    """Level by 10 ms, in dB above -30 dB under the loudest."""
    steps = array[: len(array) // 480 * 480].astype(float).reshape(-1, 480)
    level = np.sqrt(np.mean(steps**2, axis=1))
    return np.maximum(20 * np.log10(level / level.max() + 1e-9), -30.0) + 30.0


def alike_in_rhythm(one, two):
    """Return how like two levels are at best, 0 … 1; forms of one sound 0.91 and up."""
    across = np.correlate(one, two, "full").max()
    return across / np.sqrt(np.square(one).sum() * np.square(two).sum())


@themes
def test_families_differ_in_pitch_or_else_in_shape(theme):
    it = made(theme)

    def crest_db(array):
        return 20 * np.log10(np.abs(array).max() / np.sqrt(np.mean(array**2)))

    def middle(measure, family):
        arrays = sounds.variants(it, it.theme.families[family].sound)
        return float(np.median([measure(array) for array in arrays]))

    for one, two in combinations(FAMILIES, 2):
        low, high = sorted(middle(sounds.centroid_hz, it) for it in (one, two))
        shapes = abs(middle(crest_db, one) - middle(crest_db, two))
        lengths = sorted(middle(len, family) for family in (one, two))
        rhythms = [
            [rhythm(a) for a in sounds.variants(it, it.theme.families[family].sound)]
            for family in (one, two)
        ]
        same = np.median([alike_in_rhythm(a, b) for a, b in product(*rhythms)])
        different = (
            high / low > 1.2
            or shapes > 4
            or lengths[1] / lengths[0] > 1.4
            or same < 0.9
        )
        assert different, (one, two)


@themes
def test_most_meanings_lie_below_2_khz(theme):
    it = made(theme)
    centroids = [
        sounds.centroid_hz(it.samples.arrays[it.theme.families[family].sound, 0])
        for family in FAMILIES
    ]
    assert sum(hz < 2000 for hz in centroids) >= 6
    assert max(centroids) < 4000


@themes
def test_a_theme_makes_the_same_bytes_each_time(theme):
    known, directory = load_theme(theme)
    again = make_samples(known, directory)
    for key, array in made(theme).samples.arrays.items():
        assert again.arrays[key].tobytes() == array.tobytes()


def ridge(array):
    """Return a sound's strongest pitch and its power, by time."""
    frequency, _, spectra = signal.stft(array, RATE_HZ, nperseg=2048, noverlap=1536)
    power = np.abs(spectra) ** 2
    strongest = power.argmax(axis=0)
    return frequency[strongest], power.max(axis=0)


def octaves_up(array):
    """Return how far a sound rises from its first half to its second, by power."""
    hz, power = ridge(array)
    heard = power > 0.05 * power.max()
    hz, power = np.log2(hz[heard]), power[heard]
    half = len(hz) // 2
    first = np.average(hz[:half], weights=power[:half])
    return np.average(hz[half:], weights=power[half:]) - first


def typical(theme, name, measure):
    arrays = sounds.variants(made(theme), name)
    return float(np.median([measure(array) for array in arrays]))


def other_half(theme, name):
    """Return what a sound's counterpart is called: alerts come first, and fall."""
    back = f"{name}-back"
    return (back, name) if back in made(theme).theme.sounds else (name, f"{name}-off")


@pytest.mark.parametrize(("theme", "name"), MIRRORED)
def test_what_begins_rises_and_what_ends_falls(theme, name):
    begins, ends = other_half(theme, name)
    assert typical(theme, begins, octaves_up) > 0.03
    assert typical(theme, ends, octaves_up) < -0.03


@pytest.mark.parametrize(("theme", "name"), NEARER)
def test_what_begins_comes_nearer_and_what_ends_goes_away(theme, name):
    def middle_s(array):
        power = np.cumsum(np.square(array))
        return float(np.searchsorted(power, power[-1] / 2)) / RATE_HZ

    nearer, away = (typical(theme, it, middle_s) for it in (name, f"{name}-off"))
    assert nearer > 0.3
    assert away < 0.5 * nearer


@pytest.mark.parametrize(("theme", "name"), [*MIRRORED, *NEARER])
def test_what_ends_is_lower_and_not_longer_unless_it_is_an_alert(theme, name):
    begins, ends = other_half(theme, name)
    lower, longer = (begins, ends) if ends == name else (ends, begins)
    if ends != name:
        pitches = [typical(theme, it, sounds.centroid_hz) for it in (lower, longer)]
        assert pitches[0] < 0.97 * pitches[1]
    assert typical(theme, lower, len) <= 1.05 * typical(theme, longer, len)


@pytest.mark.parametrize(("theme", "name"), [*MIRRORED, *NEARER])
def test_what_begins_and_what_ends_share_their_timbre(theme, name):
    known = made(theme).theme.sounds
    one, other = other_half(theme, name)
    assert known[one].recipe == known[other].recipe
