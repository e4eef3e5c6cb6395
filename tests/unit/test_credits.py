"""CREDITS.md names each recording of a theme, and a licence that lets it be used."""

import pytest

from peep.config.credits import check_credits
from peep.config.problems import Problems
from peep.errors import ConfigError

WHERE = ("theme.yaml", 7)


def said(tmp_path, text, *files):
    """Return what is wrong, without the directory."""
    if text is not None:
        (tmp_path / "CREDITS.md").write_text(text)
    problems = Problems()
    named = [("mail", file, WHERE) for file in files or ("mail-1.flac",)]
    check_credits(tmp_path, named, problems)
    try:
        problems.raise_if_any()
    except ConfigError as refused:
        return [line.replace(f"{tmp_path}/", "") for line in refused.problems]
    return []


@pytest.mark.parametrize(
    "licence",
    [
        "CC0",
        "CC0-1.0",
        "Public domain",
        "CC-BY-4.0",
        "CC BY 3.0",
        "Creative Commons Attribution 4.0",
        "MIT",
        "BSD-3-Clause",
        "Apache-2.0",
        "ISC",
        "own recording",
    ],
)
def test_a_free_licence_is_taken(tmp_path, licence):
    assert said(tmp_path, f"# Birds\n\n| mail-1.flac | me | {licence} |\n") == []


@pytest.mark.parametrize(
    ("licence", "why"),
    [
        ("CC-BY-SA 4.0", "share-alike"),
        ("Creative Commons Attribution-ShareAlike", "share-alike"),
        ("CC BY-NC 3.0", "non-commercial"),
        ("CC0, non-commercial use only", "non-commercial"),
        ("CC-BY-ND", "no derivatives"),
        ("GPL-3.0", "the GPL"),
        ("LGPL", "the GPL"),
        ("GNU General Public License", "the GPL"),
        ("CC Sampling+", "non-commercial"),
    ],
)
def test_a_licence_that_binds_others_is_refused_at_its_line(tmp_path, licence, why):
    text = f"| file | licence |\n|---|---|\n| mail-1.flac | {licence} |\n"
    (line,) = said(tmp_path, text)
    assert line.startswith(f"CREDITS.md:3: 'mail-1.flac' is under {why}: take one")


@pytest.mark.parametrize("licence", ["?", "", "ask Bob", "submit", "reserved"])
def test_a_file_without_a_licence_that_is_known_is_refused(tmp_path, licence):
    (line,) = said(tmp_path, f"| mail-1.flac | {licence} |")
    assert line.startswith("CREDITS.md:1: 'mail-1.flac' has no licence that Peep knows")


@pytest.mark.parametrize("text", ["", "| mail-10.flac | CC0 |", "| e-mail | CC0 |"])
def test_a_file_that_is_not_named_is_refused_where_the_theme_names_it(tmp_path, text):
    (line,) = said(tmp_path, text)
    assert line == (
        "theme.yaml:7: sounds.mail: CREDITS.md does not name 'mail-1.flac', and its "
        "licence"
    )


def test_a_sounds_name_stands_for_all_of_its_files(tmp_path):
    assert said(tmp_path, "- mail: CC0\n", "mail-1.flac", "sub/mail-2.wav") == []


def test_what_a_file_is_called_is_no_licence_and_no_reason(tmp_path):
    assert said(tmp_path, "| gpl-nc.wav | CC0 |", "gpl-nc.wav") == []
    assert len(said(tmp_path, "| cc0.wav | ? |", "cc0.wav")) == 1


def test_a_missing_file_is_one_problem_however_many_recordings_there_are(tmp_path):
    (line,) = said(tmp_path, None, "a.wav", "b.wav")
    assert line.startswith("CREDITS.md: cannot be read")
    assert line.endswith("name each file's licence")


def test_a_theme_without_recordings_needs_none(tmp_path):
    check_credits(tmp_path, [], problems := Problems())
    assert len(problems) == 0
