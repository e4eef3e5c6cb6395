"""The directory of keys: what is taken, what is refused, and how it is mended."""

import base64
import os
import stat

import pytest

from peep.cli import common
from peep.config import keyring
from peep.config.keyring import load_keyring, write_key
from peep.errors import ConfigError
from peep.protocol.keys import ClassKey, format_key_file

ME = os.getuid()


def key(number, class_name="web", comment=""):
    return ClassKey(class_name, bytes([number]) * 32, comment)


def put(directory, name, content, mode=0o600, changed=None):
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    if changed is not None:
        os.utime(path, (changed, changed))
    return path


def problems(directory, uid=ME):
    with pytest.raises(ConfigError) as refused:
        load_keyring(directory, uid)
    return refused.value.problems


def test_no_directory_and_an_empty_one_hold_no_key(tmp_path):
    assert load_keyring(tmp_path, ME) == ()
    assert load_keyring(tmp_path / "missing", ME) == ()


def test_a_key_that_was_written_is_loaded(tmp_path):
    directory = tmp_path / "etc" / "keys"
    path = write_key(directory, key(1, comment="made on ada"))
    assert path.parent == directory
    assert path.name == f"web-{key(1).key_id:08x}.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert load_keyring(directory, ME) == (key(1, comment="made on ada"),)


def test_several_keys_of_a_class_are_told_newest_first(tmp_path):
    for name, number, changed in (("a", 1, 200), ("b", 2, 300), ("c", 3, 100)):
        put(tmp_path, f"{name}.key", format_key_file(key(number)), changed=changed)
    assert load_keyring(tmp_path, ME) == (key(2), key(1), key(3))


def test_keys_of_one_age_have_a_fixed_order(tmp_path):
    for name, number in (("b", 1), ("a", 2)):
        put(tmp_path, f"{name}.key", format_key_file(key(number)), changed=100)
    assert load_keyring(tmp_path, ME) == (key(2), key(1))


def test_only_files_that_end_in_key_are_looked_at(tmp_path):
    put(tmp_path, "README", "nothing to see", mode=0o644)
    put(tmp_path, "web.key.bak", "nothing to see", mode=0o644)
    put(tmp_path, "web.key", format_key_file(key(1)))
    assert load_keyring(tmp_path, ME) == (key(1),)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
def test_a_file_that_others_may_use_is_refused_with_the_command_that_mends_it(
    tmp_path, mode
):
    path = put(tmp_path, "my web.key", format_key_file(key(1)), mode=mode)
    (line,) = problems(tmp_path)
    assert line == (f"{path}: others can use it (mode {mode:04o}): chmod 600 '{path}'")
    path.chmod(0o600)
    assert load_keyring(tmp_path, ME) == (key(1),)


def test_a_file_of_somebody_else_is_refused_but_not_one_of_root(tmp_path):
    path = put(tmp_path, "web.key", format_key_file(key(1)))
    if ME == 0:
        assert load_keyring(tmp_path, 1234) == (key(1),)
        os.chown(path, 4321, -1)
    (line,) = problems(tmp_path, 1234)
    assert "belongs to user" in line
    assert f"chown 1234 {path} && chmod 600 {path}" in line


def test_a_link_is_judged_by_where_it_leads(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = put(elsewhere, "real", format_key_file(key(1)), mode=0o644)
    directory = tmp_path / "keys"
    directory.mkdir()
    (directory / "web.key").symlink_to(target)
    assert "others can use it (mode 0644)" in problems(directory)[0]
    target.chmod(0o600)
    assert load_keyring(directory, ME) == (key(1),)
    target.unlink()
    assert "cannot be read: No such file" in problems(directory)[0]


def test_what_is_not_a_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    (tmp_path / "folder.key").mkdir()
    assert [line.rsplit(": ", 1)[1] for line in problems(tmp_path)] == [
        "is not a file",
        "is not a file",
    ]


def test_all_problems_are_told_at_once_and_none_shows_a_key(tmp_path):
    text = base64.b64encode(bytes([1]) * 32).decode()
    put(tmp_path, "a.key", format_key_file(key(1)), mode=0o644)
    put(tmp_path, "b.key", f"{text} web\n")
    put(tmp_path, "c.key", f"web {text}\n".encode() + b"\xff")
    put(tmp_path, "d.key", f"web {text} {'x' * 2000}")
    put(tmp_path, "e.key", format_key_file(key(5)))
    lines = problems(tmp_path)
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / f"{name}.key") for name in "abcd"
    ]
    assert not any(text[:8] in line for line in lines)
    assert "not a key" in lines[1]
    assert "UTF-8" in lines[2]
    assert "at most 1024 bytes" in lines[3]


def test_a_file_name_cannot_play_with_the_terminal(tmp_path):
    put(tmp_path, "we\x1b[31mb.key", "nonsense")
    assert "\x1b" not in problems(tmp_path)[0]


def test_more_files_than_the_bound_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keyring, "MAX_KEYS", 3)
    for number in range(3):
        write_key(tmp_path, key(number))
    assert len(load_keyring(tmp_path, ME)) == 3
    write_key(tmp_path, key(3))
    assert problems(tmp_path) == [f"{tmp_path}: more than 3 key files"]


def test_a_directory_that_is_none_is_told(tmp_path):
    path = put(tmp_path, "keys", "")
    assert problems(path) == [f"{path}: cannot be read: Not a directory"]
    with pytest.raises(ConfigError, match="cannot be made: File exists"):
        write_key(path, key(1))


def test_a_copy_of_a_key_counts_once(tmp_path):
    put(tmp_path, "a.key", format_key_file(key(1, comment="old")), changed=100)
    put(tmp_path, "b.key", format_key_file(key(1, comment="new")), changed=200)
    (only,) = load_keyring(tmp_path, ME)
    assert only.comment == "new"


def test_one_key_for_two_classes_is_refused(tmp_path):
    put(tmp_path, "a.key", format_key_file(key(1, "web")), changed=200)
    put(tmp_path, "b.key", format_key_file(key(1, "mail")), changed=100)
    (line,) = problems(tmp_path)
    assert line.startswith(f"{tmp_path / 'b.key'}: has the key id of ")
    assert "which is of class web" in line


def test_a_key_is_not_written_over(tmp_path):
    path = write_key(tmp_path, key(1, comment="first"))
    with pytest.raises(ConfigError, match="this key is here already"):
        write_key(tmp_path, key(1, comment="second"))
    assert "first" in path.read_text()


@pytest.mark.parametrize(
    ("class_name", "stem"),
    [
        ("*.example.org", "_.example.org"),
        ("../../etc/passwd", "__.._etc_passwd"),
        ("..", "_"),
        ("-rf", "_rf"),
        ("$(reboot);'\"", "__reboot____"),
        ("~" * 64, "_" * 64),
    ],
)
def test_any_class_makes_a_safe_file_name_in_the_directory(tmp_path, class_name, stem):
    made = key(1, class_name)
    path = write_key(tmp_path, made)
    assert path == tmp_path / f"{stem}-{made.key_id:08x}.key"
    assert list(tmp_path.iterdir()) == [path]
    assert load_keyring(tmp_path, ME) == (made,)


def test_two_classes_that_look_alike_as_file_names_have_two_files(tmp_path):
    assert write_key(tmp_path, key(1, "a/b")) != write_key(tmp_path, key(2, "a*b"))


def test_a_file_is_private_from_its_first_moment_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        path = write_key(tmp_path / "keys", key(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_disk_that_is_full_leaves_no_half_key(tmp_path):
    path = tmp_path / f"web-{key(1).key_id:08x}.key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyring.os, "fsync", full)
        with pytest.raises(ConfigError, match="cannot be written: No space left"):
            write_key(tmp_path, key(1))
    assert not path.exists()


def full(handle):
    raise OSError(28, os.strerror(28))


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    # A name too long fails alike for root, whom no mode keeps out.
    directory = tmp_path / ("d" * 255) / ("d" * 255)
    directory.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyring, "_SUFFIX", "x" * 255)
        with pytest.raises(ConfigError, match="cannot be written: File name too long"):
            write_key(directory, key(1))


def test_a_file_that_a_service_manager_guards_is_taken_whatever_its_mode_says(tmp_path):
    put(tmp_path, "keys_web.key", format_key_file(key(1)), mode=0o440)
    assert "mode 0440" in problems(tmp_path)[0]
    assert load_keyring(tmp_path, ME, guarded=True) == (key(1),)
    put(tmp_path, "keys", "none", mode=0o400)
    assert load_keyring(tmp_path, ME, guarded=True) == (key(1),)


def test_keys_that_a_service_manager_hands_over_take_the_place_of_others(
    tmp_path, monkeypatch
):
    handed, own = tmp_path / "handed", tmp_path / "peep" / "keys"
    handed.mkdir()
    own.mkdir(parents=True)
    put(handed, "keys_web.key", format_key_file(key(1)), mode=0o440)
    put(own, "web.key", format_key_file(key(2)))
    monkeypatch.delenv("CONFIGURATION_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert common.load_keys() == (key(2),)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    assert common.load_keys() == (key(1),)
