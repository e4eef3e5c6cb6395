"""A folder of recordings becomes a theme: by names, within bounds, over nothing."""

import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.config.themes import load_theme
from peep.errors import ConfigError
from peep.signals import Event, Tier
from peep.sound import importing
from peep.sound.importing import (
    WORDS,
    credits_text,
    gather,
    theme_text,
    word_of,
    write_theme,
)

BASE, _ = load_theme("wetland")
KNOWN = {
    "kernel.oom": Event(name="kernel.oom", family="system", tier=Tier.ALERT),
    "ssh.login": Event(name="ssh.login", family="access"),
}


def collection(tmp_path, *names):
    """Make a folder with the same short recording under each name."""
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    for name in names:
        recorded.write(folder / name, recorded.call(seconds=0.05))
    return folder


def inside(directory):
    return sorted(path.name for path in directory.iterdir())


def made(tmp_path, folder, by="", licence=""):
    slots = gather(folder, BASE, KNOWN).slots
    text = theme_text("mine", folder, "wetland", BASE, slots)
    target = tmp_path / "mine"
    write_theme(target, text, credits_text("mine", slots, by, licence), slots)
    return load_theme(str(target))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("mail.wav", "mail"),
        ("mail-1.flac", "mail"),
        ("Mail 12.WAV", "mail"),
        ("MAIL_(3).ogg", "mail"),
        ("mail/blackbird.ogg", "mail"),
        ("birds/mail/deep/blackbird.ogg", "mail"),
        ("mail/alert.wav", "alert"),
        ("Alert Mail.wav", "alert-mail"),
        ("agent_lost.wav", "agent-lost"),
        ("logout.wav", "logout"),
        ("ssh.login-failed-2.wav", "ssh.login-failed"),
        ("missed.wav", "missed"),
        ("blackbird.wav", None),
        ("1.wav", None),
        ("ssh..login.wav", None),
        ("émail.wav", None),
    ],
)
def test_a_name_says_what_a_recording_is_for(path, word):
    assert word_of(importing.Path(path), BASE) == word


def test_numbers_and_folders_are_variants_in_their_order(tmp_path):
    folder = collection(
        tmp_path, "mail-10.wav", "mail-9.flac", "Mail.ogg", "mail/x.wav"
    )
    (slot,) = gather(folder, BASE, KNOWN).slots
    assert (slot.table, slot.name, slot.sound) == ("families", "mail", "mail")
    names = [str(file.relative_to(folder)) for file in slot.files]
    assert names == ["mail-9.flac", "mail-10.wav", "Mail.ogg", "mail/x.wav"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("web", ("families", "web", "web", "routine")),
        ("default", ("families", "default", "default", "routine")),
        ("alert", ("alerts", "default", "alert", "alert")),
        ("alert-web", ("alerts", "web", "alert-web", "alert")),
        ("logout", ("endings", "logout", "logout", "routine")),
        ("agent-lost", ("events", "peep.agent-lost", "agent-lost", "alert")),
        ("agent-back", ("events", "peep.agent-back", "agent-back", "notable")),
        ("kernel.oom", ("events", "kernel.oom", "kernel.oom", "alert")),
        ("ssh.login", ("events", "ssh.login", "ssh.login", "routine")),
        ("own.event", ("events", "own.event", "own.event", "routine")),
        ("heartbeat", ("heartbeats", "default", "heartbeat", "routine")),
        ("missed", ("heartbeats", "miss", "missed", "notable")),
        ("pulse", ("pulse", "pulse", "own-pulse", "pulse")),
    ],
)
def test_each_word_has_its_place_and_its_level(tmp_path, name, place):
    (slot,) = gather(collection(tmp_path, f"{name}.wav"), BASE, KNOWN).slots
    assert (slot.table, slot.name, slot.sound, slot.level) == place


def test_what_is_made_is_a_theme_with_all_else_from_the_other(tmp_path):
    names = ["mail-1.wav", "mail-2.ogg", "alert.flac", "logout.wav", "pulse.wav"]
    names += ["ssh.login-failed.wav", "missed.wav", "agent-lost.wav"]
    theme, directory = made(tmp_path, collection(tmp_path, *names))
    assert theme.name == "mine"
    assert theme.families["mail"].sound == "mail"
    assert theme.sounds["mail"].files == ("mail-1.wav", "mail-2.ogg")
    assert theme.families["web"] == BASE.families["web"]
    assert theme.alerts["default"].sound == "alert"
    assert theme.endings["logout"].sound == "logout"
    assert theme.events["ssh.login-failed"].sound == "ssh.login-failed"
    assert theme.events["peep.agent-lost"].sound == "agent-lost"
    beat, was = (it.heartbeats["default"] for it in (theme, BASE))
    assert (beat.sound, beat.miss) == (was.sound, "missed")
    assert (beat.gain_db, beat.overdue_s) == (was.gain_db, was.overdue_s)
    assert theme.pulse.sound == "own-pulse"
    assert theme.pulse.every_s == BASE.pulse.every_s
    assert (directory / "CREDITS.md").stat().st_mode & 0o777 == 0o644
    assert directory.stat().st_mode & 0o777 == 0o755


def test_a_beat_of_ones_own_misses_as_the_other_does(tmp_path):
    theme, _ = made(tmp_path, collection(tmp_path, "heartbeat.wav"))
    assert theme.heartbeats["default"].sound == "heartbeat"
    assert theme.heartbeats["default"].miss == BASE.heartbeats["default"].miss


def test_a_theme_without_beats_or_pulse_gets_them(tmp_path):
    bare = BASE.__class__(name="bare", sounds={})
    folder = collection(tmp_path, "heartbeat.wav", "missed.wav", "pulse.wav", "a.b.wav")
    slots = gather(folder, bare, KNOWN).slots
    text = theme_text("mine", folder, "wetland", bare, slots)
    assert (
        "default: {sound: heartbeat, gain_db: -12, overdue_s: 10, miss: missed}" in text
    )
    assert "pulse: {sound: pulse, every_s: 8}" in text
    assert {slot.level for slot in slots} == {"routine", "notable", "pulse"}


def test_recordings_are_copied_as_they_are(tmp_path):
    folder = collection(tmp_path, "Mail.FLAC")
    _, directory = made(tmp_path, folder)
    copied = (directory / "mail-1.flac").read_bytes()
    assert copied == (folder / "Mail.FLAC").read_bytes()


def test_credits_have_a_line_for_each_file(tmp_path):
    folder = collection(tmp_path, "mail-1.wav", "mail-2.wav")
    _, directory = made(tmp_path, folder, "Ada", "CC0")
    text = (directory / "CREDITS.md").read_text()
    for number in (1, 2):
        assert f"| mail-{number}.wav | Ada | ? | CC0 |" in text


def test_what_is_left_out_is_said_with_the_reason(tmp_path):
    folder = collection(tmp_path, "mail.wav", "mial.wav", "notes.ogg", "sub/.hid.wav")
    (folder / "notes.txt").write_text("no recording, and not meant to be one")
    (folder / "web.wav").write_bytes(b"not a sound")
    found = gather(folder, BASE, KNOWN)
    assert [slot.sound for slot in found.slots] == ["mail"]
    left = dict(found.left_out)
    assert left.keys() == {"mial.wav", "notes.ogg", "web.wav"}
    assert "did you mean 'mail'?" in left["mial.wav"]
    assert "nothing is called 'notes'" in left["notes.ogg"]
    assert "cannot be read" in left["web.wav"]


def test_more_variants_than_are_told_apart_are_left_out(tmp_path):
    folder = collection(tmp_path, *[f"mail-{n}.wav" for n in range(1, 19)])
    found = gather(folder, BASE, KNOWN)
    assert len(found.slots[0].files) == 16
    assert [file for file, _ in found.left_out] == ["mail-17.wav", "mail-18.wav"]


def test_no_more_is_copied_than_a_theme_may_need(tmp_path, monkeypatch):
    folder = collection(tmp_path, "mail-1.wav", "mail-2.wav")
    one = (folder / "mail-1.wav").stat().st_size
    monkeypatch.setattr(importing, "MAX_TAKEN_BYTES", one + 1)
    assert [f for f, _ in gather(folder, BASE, KNOWN).left_out] == ["mail-2.wav"]


def test_a_folder_with_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "MAX_LOOKED_AT", 3)
    folder = collection(tmp_path, *[f"sub/mail-{n}.wav" for n in range(4)])
    with pytest.raises(ConfigError, match="more than 3 files"):
        gather(folder, BASE, KNOWN)


def test_folders_that_are_links_are_not_entered(tmp_path):
    folder = collection(tmp_path, "mail.wav")
    (folder / "round").symlink_to(folder)
    assert len(gather(folder, BASE, KNOWN).slots[0].files) == 1


def test_how_many_were_read_is_told(tmp_path):
    told = []
    gather(collection(tmp_path, "mail.wav", "web.wav"), BASE, KNOWN, told.append)
    assert told == [0, 1]


@pytest.mark.parametrize("kind", ["file", "directory", "link to nothing"])
def test_nothing_is_written_over(tmp_path, kind):
    target = tmp_path / "there"
    if kind == "file":
        target.write_text("mine")
    elif kind == "directory":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(ConfigError, match="is there already"):
        write_theme(target, "", "", ())
    assert inside(tmp_path) == ["there"]


def test_what_cannot_be_finished_leaves_nothing(tmp_path):
    folder = collection(tmp_path, "mail.wav")
    slots = gather(folder, BASE, KNOWN).slots
    (folder / "mail.wav").unlink()
    with pytest.raises(OSError, match="No such file"):
        write_theme(tmp_path / "mine", "", "", slots)
    assert inside(tmp_path) == ["folder"]


PARTS = st.one_of(
    st.sampled_from([*WORDS, "ssh.login", "logout", "#", ": {", "'", "-", "&a", "*a"]),
    st.text(
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=8
    ),
)


@settings(max_examples=60)
@given(names=st.lists(st.lists(PARTS, min_size=1, max_size=3), max_size=4))
def test_whatever_files_are_called_what_is_made_of_them_is_a_theme(
    tmp_path_factory, names
):
    tmp_path = tmp_path_factory.mktemp("any")
    folder = tmp_path / "folder \n # {"
    folder.mkdir()
    well = recorded.write(tmp_path / "well.wav", recorded.call(seconds=0.01))
    for parts in names:
        name = " ".join(parts)[:40]
        (folder / f"{name}.wav").write_bytes(well.read_bytes())
    theme, directory = made(tmp_path, folder)
    assert theme.name == "mine"
    files = [file for it in theme.sounds.values() for file in it.files]
    assert inside(directory) == sorted(["CREDITS.md", "theme.yaml", *files])
