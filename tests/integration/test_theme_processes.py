"""`peep audition` and `peep keytest` as processes, the latter in a real terminal."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios

import psutil
import pytest
import recorded
import soundfile
from homes import Home, one_line

pytestmark = [pytest.mark.audio, pytest.mark.slow, pytest.mark.timeout(60)]

SMALL = """\
theme: small
sounds:
  mine: {files: [mine.wav]}
  bell: {recipe: bell, level: alert}
layers: {wind: {recipe: wind}}
families: {access: {sound: mine}, default: {sound: mine}}
alerts: {default: {sound: bell}}
states: {default: {layer: wind}}
pulse: {sound: bell, every_s: 8}
"""


@pytest.fixture
def home():
    made = Home()
    # No sound server of whoever runs the tests may be played on.
    made.env["PULSE_SERVER"] = "unix:/nonexistent"
    directory = made.config / "themes" / "small"
    recorded.write(directory / "mine.wav", recorded.call(), 44_100)
    (directory / "theme.yaml").write_text(SMALL)
    (made.config / "peep.yaml").write_text("server: {theme: small}\n")
    yield made
    made.close()


class Terminal:
    """A terminal of our own with a program in it."""

    def __init__(self, home, *words):
        self.ours, self._theirs = pty.openpty()
        self.before = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "peep", *words],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env=home.env,
        )
        self.said = ""

    def expect(self, text):
        while text not in self.said:
            assert select.select([self.ours], [], [], 30)[0], self.said
            self.said += os.read(self.ours, 4096).decode()

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def end(self):
        """Return the exit code and whether the terminal is as it was."""
        code = self.process.wait(15)
        return code, termios.tcgetattr(self._theirs) == self.before

    def hang_up(self):
        os.close(self._theirs)
        os.close(self.ours)

    def close(self):
        self.process.kill()
        self.process.wait()
        for end in (self.ours, self._theirs):
            with contextlib.suppress(OSError):
                os.close(end)


@pytest.fixture
def keytest(home):
    terminal = Terminal(home, "keytest", "--output", "null")
    terminal.expect("q ends")
    yield terminal
    terminal.close()


def test_keys_play_and_q_puts_the_terminal_back(keytest):
    assert "  a  mine " in keytest.said
    assert "  b  bell " in keytest.said
    before = keytest.said
    keytest.press("a")
    keytest.expect("mine: access, default\r\n")
    assert not keytest.said.removeprefix(before).startswith("a"), "it is not echoed"
    keytest.press("b7 \x1b[A!")
    keytest.expect("bell: alert default, pulse\r\nwind 7\r\nsilence\r\n")
    keytest.press("q")
    assert keytest.end() == (0, True)


@pytest.mark.parametrize("key", ["\x03", "\x04", "\x1b"])
def test_other_ways_to_leave_by_a_key_put_the_terminal_back(keytest, key):
    keytest.press(key)
    assert keytest.end() == (0, True)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
)
def test_a_signal_ends_it_and_puts_the_terminal_back(keytest, number):
    keytest.process.send_signal(number)
    assert keytest.end() == (0, True)


def test_a_sound_process_that_dies_is_said_and_the_terminal_put_back(keytest):
    (sound,) = psutil.Process(keytest.process.pid).children()
    sound.kill()
    keytest.expect("the sound process died")
    assert keytest.end() == (1, True)


def test_a_closed_terminal_ends_it_and_its_sound(keytest):
    (sound,) = psutil.Process(keytest.process.pid).children()
    keytest.hang_up()
    assert keytest.process.wait(15) == 0
    assert not sound.is_running()


def test_in_a_terminal_a_check_shows_how_far_it_is(home):
    (home.config / "themes/small/CREDITS.md").write_text("mine.wav: CC0")
    terminal = Terminal(home, "theme", "check")
    terminal.expect("ok, 2 sounds")
    assert "\r1 of 2 sounds\r2 of 2 sounds\r\n" in terminal.said
    assert terminal.process.wait(15) == 0
    terminal.close()


def test_in_a_terminal_an_import_shows_how_far_it_is(home):
    recorded.write(home.directory / "folder" / "mail.wav", recorded.call())
    words = ("theme", "import", str(home.directory / "folder"), "--extends", "small")
    terminal = Terminal(home, *words)
    terminal.expect("to mend")
    assert "\rreading: 1" in terminal.said
    assert terminal.process.wait(15) == 1
    terminal.close()


def test_without_a_terminal_keytest_says_so_in_a_line(home):
    done = subprocess.run(
        [sys.executable, "-m", "peep", "keytest"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=home.env,
    )
    assert (
        one_line(done, 2) == "peep: keytest reads keys, and needs a terminal for that"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("frgo",),
        ("mine", "--tour"),
        ("--output", "stream"),
        ("--output", "speaker"),
        ("--theme", "smal"),
    ],
)
def test_each_misuse_of_audition_is_a_line(home, words):
    assert one_line(home.peep("audition", *words), 2)


def test_where_there_is_no_sound_card_audition_says_what_to_do(home):
    done = home.peep("audition", "access")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("peep: no sound card here: write a")


def test_a_tour_is_a_file_as_long_as_its_last_line_says(home):
    out = home.directory / "tour.flac"
    done = home.peep("audition", "--tour", "--out", out)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "0:00  -- families of events"
    assert any(line.endswith("wind             default") for line in lines)
    samples, rate_hz = soundfile.read(out)
    minutes, seconds = lines[-1].split()[0].split(":")
    assert len(samples) / rate_hz > 60 * int(minutes) + int(seconds)
    assert abs(samples[: 2 * rate_hz]).max() > 0.01


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bell", "0:00  bell (1 of 1)"),
        ("access", "0:00  mine             access: somebody came in"),
        ("ssh.login-failed", "0:00  mine             ssh.login-failed"),
    ],
)
def test_a_sound_a_family_or_an_event_is_played_by_its_name(home, name, says):
    done = home.peep("audition", name, "--output", "null")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{says}\n"


def test_ctrl_c_ends_a_tour_cleanly(home):
    terminal = Terminal(home, "audition", "--output", "null")
    terminal.expect("0:00  mine")
    terminal.press("\x03")
    assert terminal.process.wait(15) == 0
    assert "Traceback" not in terminal.said
    terminal.close()


def test_ctrl_c_leaves_a_file_that_can_be_heard(home):
    out = home.directory / "tour.wav"
    terminal = Terminal(home, "audition", "--out", str(out))
    terminal.expect("-- alerts")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(15) == 0
    assert len(soundfile.read(out)[0]) > 48_000
    terminal.close()


def test_a_sound_process_that_dies_ends_a_tour_with_a_line(home):
    terminal = Terminal(home, "audition", "--output", "null")
    terminal.expect("0:00  mine")
    (sound,) = psutil.Process(terminal.process.pid).children()
    sound.kill()
    terminal.expect("the sound process died")
    assert terminal.process.wait(15) == 1
    terminal.close()
