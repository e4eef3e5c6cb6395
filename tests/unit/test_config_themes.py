"""theme.yaml becomes a theme whose every reference exists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep import paths
from peep.config.themes import load_theme, shipped_themes
from peep.errors import ConfigError
from peep.signals import Event, State, Tier
from peep.theme import Theme, Voicing

SMALL = """\
theme: pond
sounds:
  frog: {recipe: frog, variants: 4, params: {pitch_hz: 700}}
  mine: {files: [a.wav, sub/b.wav], level: alert}
layers: {wind: {recipe: wind, gain_db: -3}}
families: {access: {sound: frog, gain_db: -3, pan: 0.5}, default: {sound: frog}}
alerts: {default: {sound: mine}}
events: {peep.agent-lost: {sound: mine}}
states: {system.load: {layer: wind, fade_s: 4}}
heartbeats: {default: {sound: frog}}
pulse: {sound: frog, every_s: 8}
"""


def write(directory, text, name="theme.yaml"):
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text)
    return str(directory)


def pond(tmp_path, text=SMALL):
    directory = tmp_path / "pond"
    (directory / "sub").mkdir(parents=True, exist_ok=True)
    (directory / "a.wav").touch()
    (directory / "sub" / "b.wav").touch()
    return write(directory, text)


def refusal(name_or_path):
    with pytest.raises(ConfigError) as caught:
        load_theme(name_or_path)
    return [line.split(": ", 1)[1] for line in caught.value.problems]


@pytest.mark.parametrize("name", shipped_themes())
def test_every_shipped_theme_is_whole_and_lets_every_event_be_heard(name):
    theme, directory = load_theme(name)
    assert theme.name == name
    assert directory == paths.data_dir("sounds") / name
    assert theme.for_event(Event(name="any", family="unheard-of"))
    assert theme.for_event(Event(name="any", tier=Tier.ALERT))
    assert theme.pulse


def test_a_theme_has_what_its_file_says(tmp_path):
    theme, directory = load_theme(pond(tmp_path))
    assert directory == tmp_path / "pond"
    assert theme.seed == 1
    assert theme.sounds["frog"].params == {"pitch_hz": 700.0}
    assert theme.sounds["frog"].variants == 4
    assert theme.sounds["mine"].files == ("a.wav", "sub/b.wav")
    assert theme.sounds["mine"].variants == 2
    assert theme.sounds["mine"].level == "alert"
    assert theme.layers["wind"].gain_db == -3.0
    access = theme.for_event(Event(name="x", family="access"))
    assert (access.sound, access.gain_db, access.pan) == ("frog", -3.0, 0.5)
    load = theme.for_state(State(name="system.load", value=1.0))
    assert (load.sound, load.fade_s) == ("wind", 4.0)
    assert theme.pulse.every_s == 8.0


def test_a_theme_is_named_by_its_file_too(tmp_path):
    assert load_theme(pond(tmp_path) + "/theme.yaml")[0].name == "pond"


def test_an_unknown_name_is_told_the_nearest(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_theme("wetlnd")
    assert caught.value.problems == [
        "'wetlnd': no theme of that name (did you mean 'wetland'?)"
    ]


def test_a_directory_without_a_theme_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_theme(str(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("access: {sound: frog", "access: {sound: frgo", "did you mean 'frog'?"),
        ("layer: wind", "layer: wnd", "did you mean 'wind'?"),
        ("pulse: {sound: frog", "pulse: {sound: fog", "did you mean 'frog'?"),
        ("layer: wind", "sound: wind", "unknown key 'sound'"),
        ("level: alert", "level: loud", "unknown 'loud'"),
        ("a.wav", "c.wav", "there is no file 'c.wav'"),
        ("a.wav", "../x.wav", "is not in the theme's directory"),
        ("a.wav", "/etc/passwd", "is not in the theme's directory"),
        ("{files:", "{recipe: x, files:", "either a recipe or files"),
        ("{recipe: frog, ", "{", "either a recipe or files"),
        ("level: alert", "variants: 2", "each file is a variant"),
        ("variants: 4", "variants: 17", "17 is not in 1 … 16"),
        ("[a.wav,", f"[{'a.wav,' * 16}", "more than 16 files"),
        ("theme: pond", "theme: Pond!", "lower-case"),
        ("  frog: {r", "  FROG: {r", "lower-case"),
        ("pan: 0.5", "pan: 2", "2 is not in -1 … 1"),
        ("gain_db: -3}", "gain_db: 40}", "40 is not in -60 … 12"),
        ("theme: pond", "theme: pond\nextends: wetlnd", "did you mean 'wetland'?"),
        ("theme: pond", "theme: pond\nextends: .", "in a circle"),
        ("theme: pond", "", "theme: missing"),
    ],
)
def test_what_is_wrong_with_a_theme_is_said(tmp_path, old, new, problem):
    assert old in SMALL
    problems = refusal(pond(tmp_path, SMALL.replace(old, new, 1)))
    assert any(problem in line for line in problems), problems


def test_a_link_out_of_the_directory_is_refused(tmp_path):
    path = pond(tmp_path)
    (tmp_path / "pond" / "a.wav").unlink()
    (tmp_path / "pond" / "a.wav").symlink_to("/etc/hostname")
    assert "is not in the theme's directory" in refusal(path)[0]


def test_a_theme_is_laid_over_the_one_it_extends(tmp_path):
    pond(tmp_path)
    child = "theme: lake\nextends: ../pond\nseed: 7\nevents: {x.y: {sound: mine}}\n"
    child += "sounds: {owl: {recipe: owl}}\nfamilies: {access: {sound: owl}}\n"
    theme, directory = load_theme(write(tmp_path / "lake", child))
    assert (theme.name, theme.seed) == ("lake", 7)
    assert theme.families["access"].sound == "owl"
    assert theme.families["default"].sound == "frog"
    assert set(theme.events) == {"peep.agent-lost", "x.y"}
    assert theme.pulse.sound == "frog"
    for file in theme.sounds["mine"].files:
        assert (directory / file).is_file()


def test_a_theme_may_extend_a_shipped_one(tmp_path):
    child = "theme: lake\nextends: wetland\npulse: {sound: crake, every_s: 20}\n"
    theme, _ = load_theme(write(tmp_path / "lake", child))
    assert theme.pulse.every_s == 20.0
    assert "frog" in theme.sounds


PLACED = (
    SMALL.replace(
        "states: {system.load: {layer: wind, fade_s: 4}}",
        """\
states:
  system.load: {layer: wind, overdue_s: 20, above: [{from: 0.8, layer: gale}]}
unknown: {layer: hum, gain_db: -2, fade_s: 1}
zones:
  dmz: {pan: -0.8, rate: 0.95, hosts: [web1], classes: [outside]}
  inside: {pan: 0.8}""",
    )
    .replace(
        "layers: {wind: {recipe: wind, gain_db: -3}}",
        "layers: {wind: {recipe: wind}, gale: {recipe: wind}, hum: {recipe: hum}}",
    )
    .replace(
        "{default: {sound: frog}}\npulse",
        "\
{default: {sound: frog, overdue_s: 9, miss: mine}}\npulse",
    )
)


def test_a_theme_says_what_takes_over_what_is_unknown_and_what_a_miss_is(tmp_path):
    theme, _ = load_theme(pond(tmp_path, PLACED))
    load = theme.for_state(State(name="system.load", value=1.0))
    assert (load.above, load.overdue_s) == (((0.8, "gale"),), 20.0)
    assert (theme.unknown.sound, theme.unknown.gain_db) == ("hum", -2.0)
    beat = theme.heartbeats["default"]
    assert (beat.overdue_s, beat.miss) == (9.0, "mine")


def test_a_theme_has_zones_and_another_may_move_them(tmp_path):
    pond(tmp_path, PLACED)
    other = "theme: other\nextends: ../pond\nzones: {dmz: {pan: 0.5}}\n"
    theme, _ = load_theme(write(tmp_path / "other", other))
    assert [(zone.name, zone.pan) for zone in theme.zones] == [
        ("dmz", 0.5),
        ("inside", 0.8),
    ]
    mine, _ = load_theme(str(tmp_path / "pond"))
    assert (mine.zones[0].hosts, mine.zones[0].classes) == (("web1",), ("outside",))
    assert mine.zones[0].rate == 0.95


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("layer: gale}]", "layer: gael}]", "unknown 'gael' (did you mean 'gale'?)"),
        ("from: 0.8", "from: 8", "8 is not in 0 … 1"),
        (
            "[{from: 0.8, layer: gale}]",
            "[" + "{from: 0.8, layer: gale}, " * 5 + "]",
            "more than 4 thresholds",
        ),
        ("unknown: {layer: hum", "unknown: {layer: gale", "that no state leads"),
        ("miss: mine", "miss: nome", "unknown 'nome'"),
        ("rate: 0.95", "rate: 0.5", "0.5 is not in 0.94 … 1.06"),
        ("pan: 0.8}", "hosts: [web1]}", "'web1' is in two zones"),
        ("pan: 0.8}", "classes: [outside]}", "'outside' is in two zones"),
        (
            "  inside: {pan: 0.8}",
            "\n".join(f"  z{n}: {{pan: 0}}" for n in range(5)),
            "more than 5 zones are not told apart",
        ),
    ],
)
def test_what_a_theme_cannot_mean_is_refused(tmp_path, old, new, says):
    assert old in PLACED
    (line,) = refusal(pond(tmp_path, PLACED.replace(old, new)))
    assert says in line


PAIRED = SMALL.replace(
    "states:",
    """\
endings:
  closed: {sound: frog, gain_db: -1}
  session-closed: {sound: frog, gain_db: -2}
  job.closed: {sound: frog, gain_db: -3}
  down: {sound: frog, gain_db: -4}
states:""",
)


@pytest.mark.parametrize(
    ("family", "name", "gain_db"),
    [
        ("access", "login.closed", -1.0),
        ("access", "mine.door-closed", -1.0),
        ("access", "ssh.session-closed", -2.0),
        ("job", "cron.job-closed", -3.0),
        ("job", "cron.session-closed", -2.0),  # the longer ending is meant
        ("", "down", -4.0),
        ("access", "shut.down.again", -3.0),  # in the middle it is no ending
        ("access", "closed.opened", -3.0),
        ("access", "disclosed", -3.0),  # nor is a part of a word
        ("peep", "peep.agent-lost", 0.0),
    ],
)
def test_an_ending_is_looked_up_after_names_and_before_families(
    tmp_path, family, name, gain_db
):
    theme, _ = load_theme(pond(tmp_path, PAIRED))
    assert theme.for_event(Event(name=name, family=family)).gain_db == gain_db


def test_what_stands_in_events_goes_before_its_ending(tmp_path):
    text = PAIRED.replace("events: {", "events: {cron.session-closed: {sound: mine}, ")
    theme, _ = load_theme(pond(tmp_path, text))
    assert theme.for_event(Event(name="cron.session-closed")).sound == "mine"


def test_an_alert_is_never_told_by_its_ending(tmp_path):
    theme, _ = load_theme(pond(tmp_path, PAIRED))
    for family in ("job", "unheard-of"):
        event = Event(name="a.closed", family=family, tier=Tier.ALERT)
        assert theme.for_event(event).sound == "mine"
    silent = Theme(name="x", endings={"closed": Voicing(sound="frog")})
    assert silent.for_event(Event(name="a.closed", tier=Tier.ALERT)) is None


@given(
    st.from_regex(r"[a-z.-]{0,40}", fullmatch=True),
    st.sampled_from(["access", "job", ""]),
    st.sets(
        st.from_regex(r"((access|job)\.)?[a-z]{1,3}(-[a-z]{1,3})?", fullmatch=True)
    ),
)
def test_an_ending_that_is_found_is_one(name, family, endings):
    table = {ending: Voicing(sound=ending) for ending in endings}
    families = {"default": Voicing(sound="")}
    theme = Theme(name="x", endings=table, families=families)
    sound = theme.for_event(Event(name=name, family=family)).sound
    last = name.rpartition(".")[2]
    ends = [last[n:] for n in range(len(last)) if not n or last[n - 1] == "-"]
    known = [it for end in ends for it in (f"{family}.{end}", end) if it in endings]
    assert sound == (known[0] if known else "")


def test_a_theme_inherits_endings_and_lays_its_own_over_them(tmp_path):
    pond(tmp_path, PAIRED)
    child = "theme: lake\nextends: ../pond\nendings: {closed: {sound: mine}}\n"
    theme, _ = load_theme(write(tmp_path / "lake", child))
    assert theme.endings["closed"].sound == "mine"
    assert theme.endings["down"].gain_db == -4.0


def test_an_ending_that_names_no_sound_is_refused(tmp_path):
    text = PAIRED.replace("closed: {sound: frog, gain_db: -1}", "closed: {sound: frgo}")
    assert refusal(pond(tmp_path, text)) == [
        "endings.closed.sound: unknown 'frgo' (did you mean 'frog'?)"
    ]
