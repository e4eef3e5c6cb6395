"""The program as its users run it: real processes, real sockets, on loopback only.

Each test uses classes and ports of its own, so that whatever else runs on this machine
is neither heard nor disturbed.
"""

import contextlib
import json
import os
import pty
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
import soundfile
from homes import FEW

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.network, pytest.mark.audio, pytest.mark.timeout(60)]

FAILED = (
    "Nov 21 13:00:00 web1 sshd[4242]: Failed password for invalid user hunter2 "
    "from 203.0.113.7 port 4242 ssh2\n"
)
OUT_OF_MEMORY = (
    "Nov 21 13:00:01 web1 kernel: [ 1.0] Out of memory: Killed process 1234 (java) "
    "total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB\n"
)


class Program:
    """A running `peep`, its lines read as they come."""

    def __init__(self, *words, home, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peep", *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(home),
        )
        self.lines = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self.lines.append("(end)")
            self._news.notify_all()

    def expect(self, text, seconds=30):
        """Wait until a line holds this text, and return it."""
        with self._news:
            found = self._news.wait_for(
                lambda: (
                    [ln for ln in self.lines if text in ln]
                    or self.lines[-1:] == ["(end)"]
                ),
                seconds,
            )
        assert isinstance(found, list), f"no {text!r} in {self.lines}"
        return found[0]

    def end(self, number=signal.SIGINT, seconds=15):
        """Send a signal; return the exit code, or fail if it takes too long."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join()
        return code


def environment(home):
    return {
        **os.environ,
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        # No sound server of whoever runs the tests may be played on.
        "XDG_RUNTIME_DIR": str(home),
        "PULSE_SERVER": "unix:/nonexistent",
    }


def peep(*words, home, **more):
    return subprocess.run(
        [sys.executable, "-m", "peep", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=environment(home),
        **more,
    )


@pytest.fixture
def start(tmp_path):
    """Start programs that are killed at the end, come what may."""
    running = []

    def run(*words, **more):
        running.append(Program(*words, home=tmp_path, **more))
        return running[-1]

    yield run
    for program in running:
        with contextlib.suppress(ProcessLookupError):
            program.process.kill()
        program.process.wait()
        program._reader.join()
        program.process.stdout.close()


@pytest.fixture
def classes():
    return f"--classes=test-{secrets.token_hex(4)}"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def serve(start, classes, *more, output="null"):
    server = start(
        "server",
        "--interfaces=lo",
        f"--port={free_port()}",
        f"--output={output}",
        FEW,
        classes,
        *more,
    )
    server.expect("listening")
    return server


def test_here_leaves_an_audible_file_of_the_right_length_and_a_summary(tmp_path):
    out = tmp_path / "first.flac"
    done = peep("here", "--seconds", "4", "--out", out, home=tmp_path)
    assert done.returncode == 0, done.stderr
    samples, rate = soundfile.read(out)
    assert len(samples) / rate == pytest.approx(4, abs=0.5)
    assert abs(samples).max() > 0.005
    assert (samples[:, 0] != samples[:, 1]).any(), "not mono"
    assert "Signals in:" in done.stdout
    assert "LUFS" in done.stdout
    assert "following the system" in done.stderr


def test_a_second_here_says_that_one_runs(start, tmp_path):
    first = start("here", "--seconds", "30", "--output", "null")
    first.expect("following")
    second = peep("here", "--seconds", "1", home=tmp_path)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert str(first.process.pid) in second.stderr
    assert first.end() == 0


def test_ctrl_c_ends_it_cleanly_and_leaves_no_process(start):
    program = start("here", "--output", "null")
    program.expect("following")
    (engine,) = psutil.Process(program.process.pid).children()
    assert program.end() == 0
    assert not engine.is_running()


def test_a_killed_server_leaves_no_engine(start, classes):
    server = serve(start, classes)
    (engine,) = psutil.Process(server.process.pid).children()
    watch = os.pidfd_open(engine.pid)
    server.process.kill()
    assert select.select([watch], [], [], 15)[0], "the engine ended"
    os.close(watch)


@pytest.mark.parametrize("server_first", [True, False])
def test_lines_appended_to_a_log_sound_in_either_order_of_start(
    start, classes, tmp_path, server_first
):
    log = tmp_path / "auth.log"
    log.touch()
    agent_words = ("agent", "--interfaces=lo", classes, f"--source=tail:{log}")
    if server_first:
        server = serve(start, classes)
        agent = start(*agent_words)
    else:
        agent = start(*agent_words)
        agent.expect("following")
        server = serve(start, classes)
    server.expect("joined")
    agent.expect("heard by")
    with log.open("a") as file:
        file.write(FAILED * 3)
    log.rename(tmp_path / "auth.log.1")
    with (tmp_path / "auth.log.1").open("a") as file:
        file.write(FAILED)
    log.write_text(FAILED + OUT_OF_MEMORY)
    server.expect("alert kernel.oom")
    assert agent.end() == 0
    assert "6 lines read, 6 matched" in agent.lines[-2]
    server.expect("left")
    assert server.end() == 0
    # What still waits for its row's cue when all ends is never told.
    assert "Signals in: 6; cues: " in "\n".join(server.lines)


def test_a_dead_agent_is_heard_as_lost_and_its_return_as_back(start, classes, tmp_path):
    server = serve(start, classes, "--lease=10")
    words = ("agent", "--interfaces=lo", classes, "--source=system", "--host=web7")
    agent = start(*words)
    server.expect(") joined")
    agent.end(signal.SIGKILL)
    server.expect("web7 is late", seconds=30)
    server.expect("web7 is lost", seconds=30)
    server.expect("alert peep.agent-lost from web7: owl")
    start(*words)
    server.expect(") is back")


def test_a_new_server_is_found_without_touching_the_agent(start, classes):
    port = free_port()
    words = ("server", "--interfaces=lo", f"--port={port}", "--output=null", classes)
    words += (FEW,)
    first = start(*words)
    first.expect("listening")
    agent = start("agent", "--interfaces=lo", classes, "--source=system")
    first.expect("joined")
    first.end(signal.SIGKILL)
    second = start(*words)
    second.expect("joined")
    assert agent.process.poll() is None


def test_a_dumb_client_with_the_classic_spellings_is_heard(start, tmp_path):
    port = free_port()
    server = start("server", "--interfaces=lo", f"--port={port}", "--output=null")
    server.expect("listening")
    for words in (
        ("-noautodiscovery", "-server", "127.0.0.1", "-port", port),
        ("--no-autodiscovery", "--server", "127.0.0.1", "--port", port),
    ):
        done = peep("agent", *words, "--source", "-", home=tmp_path, input=FAILED)
        assert done.returncode == 0
        assert "1 lines read, 1 matched" in done.stderr
    server.end()
    assert "Signals in: 2; cues: 2" in "\n".join(server.lines)


def test_a_dumb_client_is_told_why_nothing_sounds(start, classes, tmp_path):
    port = free_port()
    server = start(
        "server", "--interfaces=lo", f"--port={port}", "--output=null", FEW, classes
    )
    server.expect("listening")
    done = peep(
        "agent",
        *("-noautodiscovery", "-server", "127.0.0.1", "-port", port, "--source", "-"),
        home=tmp_path,
        input=FAILED,
    )
    assert "refuses" in done.stderr
    done = peep("emit", "x", "-server", "127.0.0.1", "-port", port, home=tmp_path)
    assert done.returncode == 1
    assert "dumb_networks" in done.stderr


def test_emit_finds_the_server_by_itself(start, classes, tmp_path):
    port = free_port()
    server = start(
        "server",
        "--interfaces=lo",
        f"--port={port}",
        "--output=null",
        FEW,
        classes + ",public",
    )
    server.expect("listening")
    where = ("--interfaces=lo", classes)
    for words in (
        ("backup.failed", "--tier=alert"),
        ("queue", "--state=0.7"),
        ("build", "--heartbeat=2"),
    ):
        done = peep("emit", *words, *where, home=tmp_path)
        assert done.returncode == 0, done.stderr
        # Loopback has two families, and either may answer first.
        assert re.search(rf"sent to (127\.0\.0\.1|::1) port {port}", done.stderr)
    heard = server.expect("alert backup.failed from ")
    assert heard.endswith(": bell")
    server.end()
    assert "Signals in: 3; cues: 3" in "\n".join(server.lines)


def test_emit_without_a_server_says_so(classes, tmp_path):
    done = peep("emit", "x", "--interfaces=lo", classes, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("peep: no server of class test-")


def test_emit_names_every_mistake(tmp_path):
    words = ("emit", "Bad Name", "--family", "X!", "--state", "7", "--pan", "3")
    done = peep(*words, "--count", "0", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 5
    done = peep("emit", "x", "--heartbeat", "99", home=tmp_path)
    assert "--heartbeat 99" in done.stderr


LOG = """\
Dec 10 06:55:46 web1 sshd[1]: Invalid user webmaster from 203.0.113.7
Dec 10 06:55:48 web1 sshd[1]: Failed password for invalid user webmaster from \
203.0.113.7 port 3 ssh2
    at com.example.Stack(Trace.java)
Dec 10 06:56:20 web1 app[2]: nothing that anybody has a rule for
Dec 10 06:56:46 web1 sshd[3]: Accepted publickey for anna from 198.51.100.4 port 5 ssh2
"""


def test_render_accounts_for_every_line_and_gives_the_same_bytes_again(tmp_path):
    log = tmp_path / "auth.log"
    log.write_text(LOG)
    sounds = []
    for name in ("a.flac", "b.flac"):
        words = ("render", log, "--speed", "6", "--out", tmp_path / name, "--json")
        done = peep(*words, home=tmp_path)
        assert done.returncode == 0, done.stderr
        account = json.loads(done.stdout)
        assert account["lines"] == 5
        assert account["unmatched"] == 2
        suppressed = sum(account["suppressions"].values())
        assert account["cues"] + suppressed + account["unmatched"] == 5
        sounds.append((tmp_path / name).read_bytes())
    assert sounds[0] == sounds[1]
    assert account["seconds"] == pytest.approx(60 / 6 + 3, abs=0.1)
    done = peep(
        "render", log, "--speed", "60", "--out", tmp_path / "c.wav", home=tmp_path
    )
    assert "5 lines: 3 cues" in done.stdout
    assert "LUFS" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "usage: peep COMMAND"),
        (("--help",), 0, "examples:"),
        (("help",), 0, "examples:"),
        (("--version",), 0, "peep 0."),
        (("sever",), 2, "did you mean server?"),
        (("xyzzy",), 2, "no command 'xyzzy'; see"),
        (("agent", "--help"), 0, "-noautodiscovery -server noc"),
        (("agent", "-noautodiscovery"), 2, "needs -server HOST"),
        (("agent", "-server", "x"), 2, "add -noautodiscovery"),
        (("agent", "--source", "tial:/x"), 2, "did you mean 'tail'"),
        (("agent", "--source", "tail:x"), 2, "absolute path"),
        (("agent", "--source", "tail:/usr"), 2, "say which files, as in /usr/*.log"),
        (("agent", "--souce", "system"), 2, "did you mean --source?"),
        (("agent", "-sever", "x"), 2, "did you mean -server?"),
        (("rules", "list", "--gruops"), 2, "did you mean --groups?"),
        (("agent", "--lag-max", "1.5"), 2, "not a whole number of MiB"),
        (("agent", "--source", "-", "--source", "stdin"), 2, "only once"),
        (("agent", "--rules", "sduo"), 2, "did you mean 'sudo'"),
        (("agent", "--classes", "a b"), 2, "'a b' is not 1 to 64"),
        (("agent", "--classes", "none,a"), 2, "none stands alone"),
        (("rules", "list", "--grou", "x"), 2, "did you mean --groups?"),
        (("agent", "--classes", ","), 2, "names nothing"),
        (("agent", "--interfaces", "nope0"), 1, "no interface 'nope0'"),
        (
            ("agent", "-noautodiscovery", "-server", "no.such.host.invalid"),
            1,
            "cannot find server 'no.such.host.invalid'",
        ),
        (("server", "--port", "0"), 2, "'0' is no port"),
        (("server", "--seconds", "-1"), 2, "not a number above 0"),
        (("server", "--seconds", "x"), 2, "not a number above 0"),
        (("server", "--lease", "5"), 2, "between 10 and 300"),
        (("server", "--theme", "wetlnd"), 2, "did you mean 'wetland'"),
        (("server", "--output", "file:/nonexistent/x.flac"), 1, "/nonexistent"),
        (("server", "--output", "file:x.mp4"), 1, ".flac"),
        (("server", "--output", "loud"), 1, "loud"),
        (("render", "/nonexistent.log", "--out", "x.flac"), 1, "/nonexistent.log"),
        (("render", "LOG", "--out", "/nonexistent/x.flac"), 1, "/nonexistent"),
        (("render", "EMPTY", "--out", "OUT"), 1, "no line of"),
        (("render", "YEARS", "--out", "OUT"), 1, "--speed"),
        (("rules",), 2, "say `test`"),
        (("rules", "--help"), 0, "peep rules test"),
        (("rules", "test", "/nonexistent.log"), 1, "/nonexistent.log"),
        (("rules", "test", "LOG"), 0, "3 of 5 lines matched"),
        (("rules", "test", "LOG", "--json"), 0, '"rule": '),
        (("rules", "test", "LOG", "--unmatched"), 0, "nothing that anybody"),
        (("config", "check"), 0, "defaults are used"),
        (("config", "check", "/nonexistent.yaml"), 2, "/nonexistent.yaml"),
        (("config", "check", "GOOD"), 0, "ok"),
        (("config", "check", "BAD"), 2, "did you mean 'port'"),
        (("server", "--config", "BAD"), 2, "did you mean 'port'"),
    ],
)
def test_each_use_and_misuse_gets_its_line_and_code(tmp_path, words, code, says):
    files = {
        "LOG": LOG,
        "EMPTY": "no time here\n",
        "YEARS": "2001-01-01T00:00:00Z a\n2020-01-01T00:00:00Z b\n",
        "GOOD": "server: {classes: [a]}\n",
        "BAD": "server: {prot: 1}\n",
        "OUT": None,
    }
    for name, text in files.items():
        if text is not None:
            (tmp_path / name).write_text(text)
    filled = [tmp_path / w if w in files and w != "OUT" else w for w in words]
    filled = [tmp_path / "out.flac" if w == "OUT" else w for w in filled]
    if words[:1] in (("agent",), ("server",)) and "--interfaces" not in words:
        filled.insert(1, "--interfaces=lo")
    done = peep(*filled, home=tmp_path)
    assert says in done.stdout + done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if code:
        assert done.stderr.count("\n") <= 1


def test_five_mistakes_in_a_configuration_give_five_lines(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "server:\n  prot: 2001\n  lease_s: 5\n  theme: wetlnd\n"
        "agent:\n  sources: [{tial: /x}]\n  rules: [sduo]\n"
    )
    done = peep("config", "check", bad, home=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    for number, (line, path) in enumerate(
        zip(
            lines,
            ["server.prot", "server.lease_s", "server.theme", "agent.", "agent."],
            strict=True,
        )
    ):
        assert line.startswith(f"peep: {bad}:{(2, 3, 4, 6, 7)[number]}: {path}")
    assert sum("did you mean" in line for line in lines) == 4


def test_rules_and_theme_that_are_broken_are_found_by_config_check(tmp_path):
    (tmp_path / "mine.yaml").write_text("- {name: a, match: '(', event: x}\n")
    (tmp_path / "theme").mkdir()
    (tmp_path / "theme" / "theme.yaml").write_text("theme: mine\nsuonds: {}\n")
    config = tmp_path / "peep.yaml"
    config.write_text("server: {theme: ./theme}\nagent: {rules: [mine.yaml]}\n")
    done = peep("config", "check", config, home=tmp_path)
    assert done.returncode == 2
    assert "mine.yaml:1" in done.stderr
    assert "did you mean 'sounds'" in done.stderr


def test_a_port_that_was_asked_for_and_is_busy_is_an_error(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        words = ("server", "--interfaces=lo", f"--port={port}", "--output=null")
        done = peep(*words, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"peep: UDP port {port} is busy\n"


def test_a_log_that_cannot_be_followed_is_said_and_the_rest_goes_on(start, classes):
    agent = start(
        *("agent", "--interfaces=lo", classes),
        *("--source=tail:/dev/null", "--source=system"),
    )
    agent.expect("not a regular file")
    assert agent.process.poll() is None
    assert agent.end() == 0


def test_peep_into_a_closed_pipe_ends_quietly(tmp_path):
    log = tmp_path / "auth.log"
    log.write_text(LOG * 2000)
    done = subprocess.run(
        f"{sys.executable} -m peep rules test {log} 2>{tmp_path}/err | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment(tmp_path),
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in (tmp_path / "err").read_text()


def test_a_full_disk_under_the_output_is_said_once_and_ends_in_failure(
    start, classes, tmp_path
):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is refused here")
    try:
        server = start(
            *("server", "--interfaces=lo", f"--port={free_port()}", FEW, classes),
            f"--output=file:{small}/a.wav",
        )
        server.expect("No space left")
        assert server.process.poll() is None, "it goes on"
        assert server.end() == 1
        assert "\n".join(server.lines).count("No space left") == 1
    finally:
        subprocess.run(["umount", str(small)], check=False)


def in_a_terminal(*words, home):
    """Start a program as a terminal does; return it and the terminal's end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "peep", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(home),
    )
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize(
    "words",
    [
        ("agent", "--interfaces=lo", "--source=system"),
        ("server", "--interfaces=lo", "--output=null"),
    ],
)
def test_a_closed_terminal_ends_what_ran_in_it(tmp_path, words):
    name = f"--classes=tty-{secrets.token_hex(4)}"
    more = (f"--port={free_port()}",) if words[0] == "server" else ()
    config = tmp_path / "config" / "peep"
    config.mkdir(parents=True)
    (config / "peep.yaml").write_text(f"{words[0]}: {{classes: [{name[10:]}]}}\n")
    process, ours = in_a_terminal(*words, *more, home=tmp_path)
    said = b""
    while b"following" not in said and b"listening" not in said:
        said += os.read(ours, 1000)
    os.close(ours)
    assert process.wait(15) == 0


def test_a_hangup_makes_agent_and_server_read_their_classes_again(start, tmp_path):
    name = f"hup-{secrets.token_hex(4)}"
    config = tmp_path / "config" / "peep" / "peep.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("server: {classes: [other]}\nagent: {classes: [another]}\n")
    server = start(
        "server", "--interfaces=lo", f"--port={free_port()}", "--output=null", FEW
    )
    server.expect("listening")
    agent = start("agent", "--interfaces=lo", "--source=system")
    agent.expect("following")
    config.write_text("server: {clases: [x]}\n")
    server.process.send_signal(signal.SIGHUP)
    server.expect("did you mean 'classes'")
    config.write_text(f"server: {{classes: [{name}]}}\nagent: {{classes: [{name}]}}\n")
    for program in (server, agent):
        program.process.send_signal(signal.SIGHUP)
        program.expect(f"classes are now {name}")
    agent.expect("heard by")
    assert agent.end() == 0
    assert server.end() == 0


def test_a_wrong_key_is_named_once_on_both_sides_and_the_right_one_joins(tmp_path):
    name = f"sealed-{secrets.token_hex(4)}"
    homes = {side: tmp_path / side for side in ("server", "agent")}
    for home in homes.values():
        home.mkdir()
        assert peep("key", "new", name, home=home).returncode == 0
    port = free_port()
    words = ("--interfaces=lo", f"--classes={name}")
    server = Program(
        *("server", *words, f"--port={port}", "--output=null", FEW),
        home=homes["server"],
    )
    agents = []
    try:
        server.expect("listening")
        source = f"--source=tail:{tmp_path}/auth.log"
        (tmp_path / "auth.log").touch()
        agents.append(Program("agent", *words, source, home=homes["agent"]))
        server.expect("(unknown-key)")
        agents[0].expect("does not hold the key that was tried")
        token = peep(
            *("key", "token", name, "--locator", f"peep://127.0.0.1:{port}"),
            home=homes["server"],
        )
        assert token.returncode == 0, token.stderr
        (key,) = (homes["agent"] / "config" / "peep" / "keys").iterdir()
        key.unlink()
        joined = peep("join", home=homes["agent"], input=token.stdout)
        assert joined.returncode == 0, joined.stderr
        agents.append(Program("agent", *words, source, home=homes["agent"]))
        agents[1].expect("heard by ")
        with (tmp_path / "auth.log").open("a") as log:
            log.write(OUT_OF_MEMORY)
        server.expect("alert kernel.oom")
        refused = [line for line in server.lines if "unknown-key" in line]
        assert len(set(refused)) == len(refused), "each address once"
        said = "\n".join(server.lines)
        assert "Killed process 1234 (java)" in said, "text travels sealed"
    finally:
        for program in (server, *agents):
            program.process.kill()
            program.process.wait()
            program._reader.join()
            program.process.stdout.close()


def test_config_check_holds_rules_to_their_samples_and_makes_the_sounds(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "- {name: mine, match: 'boom', event: x, samples: {take: [bang], "
        "refuse: [boom]}}\n"
    )
    (tmp_path / "theme").mkdir()
    (tmp_path / "theme" / "theme.yaml").write_text(
        "theme: mine\nextends: wetland\nsounds: {frog: {recipe: frgo}}\n"
    )
    config = tmp_path / "peep.yaml"
    config.write_text("server: {theme: ./theme}\nagent: {rules: [mine.yaml]}\n")
    done = peep("config", "check", config, home=tmp_path)
    assert done.returncode == 2
    assert "rule mine does not take 'bang'" in done.stderr
    assert "rule mine takes 'boom'" in done.stderr
    assert "did you mean" in done.stderr


def test_an_agent_that_nobody_hears_says_so(classes, tmp_path):
    words = ("agent", "--interfaces=lo", classes, "--source", "-")
    # From as many addresses: of one it would be a storm, and folded.
    lines = [FAILED.replace(".113.7", f".{n >> 8}.{n & 255}") for n in range(5000)]
    done = peep(*words, home=tmp_path, input="".join(lines))
    assert done.returncode == 1
    assert "no server heard any of it" in done.stderr
    assert "904 events were dropped while no server was there" in done.stderr


def test_an_agent_that_can_keep_nothing_says_so(classes, tmp_path):
    (tmp_path / "state").write_text("a file, where a directory should be")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "peep",
            "agent",
            "--interfaces=lo",
            classes,
            "--source=-",
        ],
        input=FAILED,
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
        | {"XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    kept = f"cannot keep anything in {tmp_path}/state/peep: alerts, and how far logs"
    assert kept in done.stderr


def test_an_agent_that_waits_for_a_server_says_so(start, classes):
    agent = start("agent", "--interfaces=lo", classes, "--source=system")
    agent.expect("no server of class test-")
    assert agent.end() == 0
    assert "no server heard any of it" in agent.lines


def test_a_verbose_server_prints_every_cue(start, classes):
    server = serve(start, classes, "--verbose")
    start("agent", "--interfaces=lo", classes, "--source=system", "--host=web3")
    server.expect("system.load from web3: wind")


def test_a_key_whose_class_is_not_served_is_named(start, classes, tmp_path):
    assert peep("key", "new", "web", home=tmp_path).returncode == 0
    server = serve(start, classes)
    server.expect("the key of class web is not used")


def test_a_render_that_is_stopped_leaves_no_half_file(start, tmp_path):
    log = tmp_path / "a.log"
    log.write_text(LOG)
    out = tmp_path / "a.flac"
    program = start("render", log, "--speed", "0.01", "--out", out)
    program.expect("rendering 6000 s of sound")
    assert program.end(signal.SIGTERM, seconds=10) == 130
    assert not out.exists()
    assert "is removed" in "\n".join(program.lines)
    done = peep("render", log, "--out", log, home=tmp_path)
    assert done.returncode == 1
    assert "is the log itself" in done.stderr


def test_a_full_standard_output_is_one_line(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m peep --help > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert "Traceback" not in done.stderr
