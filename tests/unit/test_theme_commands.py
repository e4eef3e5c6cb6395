"""`peep theme`, as called: what is planted is refused with its line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import recorded

from peep.cli.main import main
from peep.config.themes import load_theme, shipped_themes

pytestmark = pytest.mark.audio  # a theme's layers are the engine's

WELL = """\
theme: pond
about: a small one, for tests
sounds:
  mine:
    files:
      - one.wav
      - two.flac
      - sub/three.ogg
  bell: {recipe: bell, level: alert}
layers: {wind: {recipe: wind}}
families: {access: {sound: mine, pan: -0.5}, default: {sound: mine}}
alerts: {default: {sound: bell, gain_db: -2}}
endings: {logout: {sound: mine}}
events: {ssh.login-failed: {sound: bell}}
states: {system.load: {layer: wind}}
"""
CREDITS = "| one.wav | CC0 |\n| two.flac | CC-BY |\n| sub/three.ogg | own recording |\n"


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pond(tmp_path):
    directory = tmp_path / "pond"
    recorded.write(directory / "one.wav", recorded.call(rate_hz=44_100), 44_100)
    stereo = recorded.both(recorded.call(950, rate_hz=22_050))
    recorded.write(directory / "two.flac", stereo, 22_050)
    recorded.write(directory / "sub/three.ogg", recorded.call(920))
    (directory / "theme.yaml").write_text(WELL)
    (directory / "CREDITS.md").write_text(CREDITS)
    return directory


def run(capsys, *words):
    code = main(["theme", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys, *words):
    """Return the lines of a command that was refused."""
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    return [line.removeprefix("peep: ") for line in err.splitlines()]


def overlay(tmp_path, text, name="mine"):
    directory = tmp_path / "config" / "peep" / "themes" / name
    directory.mkdir(parents=True)
    (directory / "theme.yaml").write_text(text)
    return directory


def test_a_theme_that_is_well_is_said_so_in_a_line(capsys, pond):
    assert run(capsys, "check", "pond") == (0, "", "pond/theme.yaml: ok, 2 sounds\n")


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", shipped_themes())
def test_every_shipped_theme_is_well(capsys, name):
    code, _, err = run(capsys, "check", name)
    assert (code, err.count("\n")) == (0, 1), err


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("one.wav", "gone.wav", "6: sounds.mine.files[0]: there is no file"),
        ("sound: mine,", "sound: mien,", "(did you mean 'mine'?)"),
        ("access:", "acess:", "11: families.acess: no rule has this family"),
        ("logout:", "logot:", "13: endings.logot: no event ends so"),
        ("ssh.login-failed", "ssh.login-faild", "(did you mean 'ssh.login-failed'?)"),
        ("recipe: bell", "recipe: bel", "9: sounds.bell: no recipe is called 'bel'"),
        ("recipe: wind", "recipe: wnd", "10: layers.wind.recipe: no layer is made so"),
        ("level: alert", "params: {ptich_hz: 3}", "did you mean pitch_hz?"),
        ("level: alert", "level: alrt", "9: sounds.bell.level: unknown 'alrt'"),
        ("one.wav", "/etc/hosts", "is not in the theme's directory"),
    ],
)
def test_what_is_wrong_in_the_theme_is_refused_at_its_line(
    capsys, pond, old, new, line
):
    assert old in WELL
    (pond / "theme.yaml").write_text(WELL.replace(old, new, 1))
    lines = refused(capsys, "check", "pond")
    assert any(line in it for it in lines), lines
    assert all(it.startswith("pond/theme.yaml:") for it in lines)


def clipped():
    return np.clip(recorded.call(level=3.0), -0.9, 0.9)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (clipped(), "is clipped in"),
        (recorded.call() + 0.1, "off zero (DC)"),
        (recorded.call()[: 48_000 // 5 - 15], "ends in the middle of a sound"),
        (recorded.call()[48_000 // 5 - 15 :], "begins in the middle of a sound"),
        (np.concatenate((recorded.call(), [0.3], recorded.call())), "clicks at 0.440"),
        (recorded.call(level=0.0005), "is so soft that"),
        (recorded.call(seconds=0.01), "LU below its level (routine)"),
        (recorded.call(seconds=3.0), "lasts 2.9"),
        (np.zeros(9_000), "is silent; replace it"),
        (np.zeros(0), "is empty; replace it"),
        (np.zeros(31 * 48_000), "longer than 30 s; shorten it"),
    ],
)
def test_what_is_wrong_with_a_recording_is_refused_at_the_line_of_its_file(
    capsys, pond, made, problem
):
    recorded.write(pond / "two.flac", made)
    lines = refused(capsys, "check", "pond")
    assert any(
        line.startswith("pond/theme.yaml:7: sounds.mine: 'two.flac' ")
        and problem in line
        for line in lines
    ), lines


def test_a_file_that_is_no_recording_is_refused_at_its_line(capsys, pond):
    (pond / "one.wav").write_bytes(b"RIFF and no more")
    (line,) = refused(capsys, "check", "pond")
    assert line.startswith("pond/theme.yaml:6: sounds.mine: 'one.wav' cannot be read")


def test_sounds_too_much_alike_are_refused(capsys, pond):
    more = WELL.replace("  bell:", "  copy: {files: [one.wav]}\n  bell:", 1)
    more += "heartbeats: {default: {sound: copy}}\n"
    (pond / "theme.yaml").write_text(more)
    (line,) = refused(capsys, "check", "pond")
    assert line.startswith("pond/theme.yaml:9: sounds.copy: sounds too much like mine")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CREDITS.replace("CC-BY", "CC-BY-SA"), "CREDITS.md:2: 'two.flac' is under sha"),
        (CREDITS.replace("CC-BY", "CC-BY-NC"), "CREDITS.md:2: 'two.flac' is under non"),
        (CREDITS.replace("CC-BY", "GPL-2.0"), "CREDITS.md:2: 'two.flac' is under the"),
        (CREDITS.replace("CC-BY", "?"), "CREDITS.md:2: 'two.flac' has no licence"),
        (CREDITS.replace("two", "2"), "theme.yaml:7: sounds.mine: CREDITS.md does not"),
        (None, "CREDITS.md: cannot be read"),
    ],
)
def test_licences_that_are_missing_or_bind_others_are_refused(capsys, pond, text, line):
    (pond / "CREDITS.md").unlink()
    if text is not None:
        (pond / "CREDITS.md").write_text(text)
    (said,) = refused(capsys, "check", "pond")
    assert said.startswith(f"pond/{line}")


def test_all_that_is_wrong_is_said_at_once(capsys, pond):
    (pond / "theme.yaml").write_text(WELL.replace("one.wav", "gone.wav"))
    (pond / "CREDITS.md").write_text(CREDITS.replace("CC-BY", "GPL"))
    recorded.write(pond / "sub/three.ogg", np.zeros(0))
    lines = "\n".join(refused(capsys, "check", "pond"))
    for part in ("theme.yaml:6", "CREDITS.md:2", "theme.yaml:8", "does not name"):
        assert part in lines


def test_what_an_overlay_takes_over_is_named_where_it_stands(capsys, pond, tmp_path):
    overlay(tmp_path, f"theme: mine\nextends: {pond}\nseed: 3\n")
    (pond / "one.wav").write_bytes(b"broken")
    (line,) = refused(capsys, "check", "mine")
    assert line.startswith(f"{pond}/theme.yaml:6: sounds.mine: 'one.wav' cannot be")


def test_what_an_overlay_says_anew_is_named_in_the_overlay(capsys, pond, tmp_path):
    text = f"theme: mine\nextends: {pond}\nsounds: {{mine: {{files: [bad.wav]}}}}\n"
    directory = overlay(tmp_path, text)
    (directory / "bad.wav").write_bytes(b"broken")
    (directory / "CREDITS.md").write_text("bad.wav: CC0\n")
    (line,) = refused(capsys, "check", "mine")
    assert line.startswith(
        f"{directory}/theme.yaml:3: sounds.mine: 'bad.wav' cannot be"
    )


def test_an_overlay_of_three_lines_is_a_theme_that_peep_yaml_can_name(capsys, tmp_path):
    text = "theme: mine\nextends: wetland\nfamilies: {mail: {sound: drop}}\n"
    directory = overlay(tmp_path, text)
    (tmp_path / "config/peep/peep.yaml").write_text("server: {theme: mine}\n")
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert f"* mine             ({directory})" in out
    _, out, _ = run(capsys, "show", "--json")
    sounds = {(it["table"], it["name"]): it["sound"] for it in json.loads(out)}
    assert sounds["families", "mail"] == "drop"
    assert sounds["families", "access"] == "frog"


def test_a_shipped_name_means_the_shipped_theme(tmp_path, capsys):
    overlay(tmp_path, "theme: wetland\nextends: wetland\nseed: 9\n", "wetland")
    assert load_theme("wetland")[0].seed == 1
    _, out, _ = run(capsys, "list")
    assert out.count("wetland") == 1


def test_the_list_names_every_theme_and_marks_the_one_in_use(capsys, tmp_path):
    overlay(tmp_path, "theme: broken: yes\n", "broken")
    _, out, _ = run(capsys, "list")
    marked = [line for line in out.splitlines() if line.startswith("*")]
    assert [line.split()[1] for line in marked] == ["wetland"]
    code, out, _ = run(capsys, "list", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows.keys() == {"broken", *shipped_themes()}
    assert all(
        rows[name]["about"] and rows[name]["shipped"] for name in shipped_themes()
    )
    assert rows["wetland"]["in_use"]


def test_a_theme_in_use_that_has_only_a_path_is_listed_too(capsys, pond, tmp_path):
    (tmp_path / "config/peep").mkdir(parents=True)
    (tmp_path / "config/peep/peep.yaml").write_text(f"server: {{theme: {pond}}}\n")
    _, out, _ = run(capsys, "list")
    assert f"* {pond}" in out
    assert "a small one, for tests" in out


def test_show_says_what_sounds_for_what_and_how(capsys, pond):
    _, out, _ = run(capsys, "show", "pond")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0].startswith("pond: a small one, for tests (")
    assert "access mine 3 files, 0.5 left somebody came in" in lines
    assert "default bell bell x1, alert, -2 dB an alert" in lines
    assert "system.load wind wind" in lines
    _, out, _ = run(capsys, "show", "wetland")
    for part in ("missed: ", "every 8 s", "states that nobody knows"):
        assert part in out


@pytest.mark.parametrize(
    "words",
    [
        ["check", "wetlnd"],
        ["show", "wetlnd"],
        ["import", "."],
        ["import", "gone"],
        ["import", ".", "--name", "No!"],
        ["import", ".", "--name", "wetland"],
        ["import", ".", "--to", "."],
        ["import", ".", "--licence", "a|b"],
        ["import", ".", "--by", "a\nb"],
        ["import", ".", "--extends", "wetlnd"],
        [],
    ],
)
def test_each_misuse_is_a_line(capsys, words):
    assert len(refused(capsys, *words)) == 1


@pytest.mark.parametrize("words", [["chekc"], ["list", "--jsno"], ["import"]])
def test_what_is_no_verb_or_option_ends_in_2(capsys, words):
    with pytest.raises(SystemExit) as ended:
        main(["theme", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err


@pytest.fixture
def birds(tmp_path):
    """A folder of a friend's recordings: three kinds, three rates, mono and stereo."""
    folder = tmp_path / "Some Birds"
    mono, both = recorded.call, recorded.both
    for path, hz, rate_hz, sides in (
        ("Mail 1.FLAC", 1_900, 44_100, mono),
        ("mail_2.wav", 2_000, 22_050, lambda it: both(mono(it, rate_hz=22_050))),
        ("web/anything.ogg", 600, 48_000, mono),
        ("alert.wav", 3_000, 96_000, mono),
    ):
        made = sides(hz, rate_hz=rate_hz) if sides is mono else sides(hz)
        recorded.write(folder / path, made, rate_hz)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_folder_of_recordings_becomes_a_theme_that_passes(capsys, birds, tmp_path):
    code, out, err = run(
        capsys, "import", birds, "--licence", "CC0", "--by", "a friend"
    )
    assert code == 0, err
    directory = tmp_path / "config/peep/themes/some-birds"
    assert f"some-birds is made: {directory}" in out
    assert f"{directory}/theme.yaml: ok, " in err
    again = refused(capsys, "import", birds)
    assert again == [f"{directory} is there already: nothing is written over"]


@pytest.fixture
def bare(tmp_path):
    """A theme of nothing, so that nothing of it need be made."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "theme.yaml").write_text("theme: bare\n")
    return tmp_path / "bare"


def test_what_an_imported_theme_lacks_is_said_and_it_stays(capsys, birds, bare):
    clip = recorded.write(birds / "job.wav", clipped())
    (birds / "who.ogg").write_bytes(clip.read_bytes())
    code, out, err = run(
        capsys, "import", birds, "--to", "made", "--extends", bare, "--name", "x"
    )
    assert code == 1
    assert "x is made: made" in out
    assert "left out: 'who.ogg': nothing is called 'who'" in err
    assert "'job-1.wav' is clipped" in err
    assert err.count("has no licence") == 5
    assert err.endswith("to mend: see above, then peep theme check made\n")
    assert (Path("made") / "mail-1.flac").is_file()
    credit = (Path("made") / "CREDITS.md").read_text()
    (Path("made") / "CREDITS.md").write_text(credit.replace("| ? |\n", "| CC0 |\n"))
    (line,) = refused(capsys, "check", "made")
    assert "is clipped" in line


def test_a_folder_without_a_name_for_a_theme_gives_one(capsys, birds, bare):
    shutil.move(birds, "!!!")
    code, out, _ = run(capsys, "import", "!!!", "--to", "made", "--extends", bare)
    assert code == 1
    assert "imported is made: made" in out
