"""`peep key` and `peep join`: real files, real permissions, a real terminal."""

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from homes import FEW

from peep.cli.main import main
from peep.config.joined import Joined, add_joined, load_joined, with_joined
from peep.config.keyring import load_keyring
from peep.config.settings import AgentSettings, Settings
from peep.errors import ConfigError
from peep.protocol.keys import ClassKey, make_token, parse_token

pytestmark = pytest.mark.timeout(60)

NOC = "peep://noc.example.org:2001"
KEY = ClassKey("web.example.org", bytes(range(32)))


class Home:
    """A user's directories."""

    def __init__(self, directory):
        self.config = directory / "config" / "peep"
        self.keys = self.config / "keys"
        self.joined = self.config / "joined.yaml"
        self.env = {
            **os.environ,
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "XDG_STATE_HOME": str(directory / "state"),
            "XDG_RUNTIME_DIR": str(directory),
        }

    def peep(self, *words, text=""):
        return subprocess.run(
            [sys.executable, "-m", "peep", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            env=self.env,
            input=text,
        )

    def here(self, *words, text=""):
        """As `peep`, but in this process, which is quicker."""
        out, err = io.StringIO(), io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
                patch.setenv(name, self.env[name])
            patch.setattr(sys, "stdin", stdin)
            try:
                code = main(words)
            except SystemExit as end:
                code = end.code
        said = (out.getvalue(), err.getvalue())
        return subprocess.CompletedProcess(words, code, *said)

    @contextlib.contextmanager
    def start(self, *words):
        """Run a process until the end of the block."""
        with subprocess.Popen(
            [sys.executable, "-m", "peep", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.env, "PULSE_SERVER": "unix:/nonexistent"},
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def expect(self, process, text):
        """Read what a process says until it says this."""
        told = []
        for line in process.stderr:
            told.append(line)
            if text in line:
                return
        pytest.fail(f"no {text!r} in {told}")

    def made(self, name="web.example.org", *more):
        """Make a key by the command, and return it."""
        before = set(load_keyring(self.keys, os.getuid()))
        done = self.peep("key", "new", name, *more)
        assert done.returncode == 0, done.stderr
        (key,) = set(load_keyring(self.keys, os.getuid())) - before
        return key

    def files(self):
        """Return every file of the configuration and its permissions."""
        return {
            str(path.relative_to(self.config)): stat.S_IMODE(path.stat().st_mode)
            for path in self.config.rglob("*")
        }


@pytest.fixture
def user():
    """Give out homes, with short names, since a socket's path lies in them."""
    with contextlib.ExitStack() as undo:

        def new():
            directory = Path(tempfile.mkdtemp(prefix="peep-"))
            undo.callback(shutil.rmtree, directory)
            return Home(directory)

        yield new


@pytest.fixture
def home(user):
    return user()


def one_line(done, code):
    """Return the only line of a command that failed."""
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    return done.stderr.removeprefix("peep: ").strip()


# -- keys ---------------------------------------------------------------------------


def test_a_new_key_is_a_file_of_this_user_alone_and_is_never_shown(home):
    done = home.peep("key", "new", "web.example.org", "--comment", "by hand")
    assert done.returncode == 0, done.stderr
    (key,) = load_keyring(home.keys, os.getuid())
    assert (key.class_name, key.comment) == ("web.example.org", "by hand")
    name = f"web.example.org-{key.key_id:08x}.key"
    assert done.stdout == f"{home.keys / name}\n"
    assert home.files() == {"keys": 0o700, f"keys/{name}": 0o600}
    secret = (home.keys / name).read_text().split()[1]
    assert secret not in done.stdout + done.stderr
    assert "peep key token web.example.org --locator" in done.stderr


def test_two_keys_of_a_class_differ_and_are_listed_newest_first(home):
    old = home.made()
    (path,) = home.keys.iterdir()
    os.utime(path, (1, 1))
    new = home.made("web.example.org", "--comment", "second")
    assert old.secret != new.secret
    done = home.peep("key", "list")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["web.example.org", f"{new.key_id:08x}"],
        ["web.example.org", f"{old.key_id:08x}"],
    ]
    rows = json.loads(home.peep("key", "list", "--json").stdout)
    assert [row["key_id"] for row in rows] == [f"{k.key_id:08x}" for k in (new, old)]
    assert rows[0]["comment"] == "second"
    assert rows[1]["comment"].startswith("made on ")
    assert set(rows[0]) == {"class", "key_id", "comment"}


def test_where_there_are_no_keys_the_list_says_what_that_means(home):
    done = home.peep("key", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "every class is open" in done.stderr
    assert home.peep("key", "list", "--json").stdout == "[]\n"


def test_a_token_carries_locator_class_and_the_newest_key(home):
    home.made()
    (path,) = home.keys.iterdir()
    os.utime(path, (1, 1))
    new = home.made()
    home.made("other")
    done = home.peep("key", "token", "web.example.org", "--locator", "peep://noc")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    locator, key = parse_token(done.stdout)
    assert locator == "peep://noc:2001"
    assert (key.class_name, key.secret) == ("web.example.org", new.secret)
    assert done.stdout.strip() not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("new", "a b"), 2, "class 'a b' is not 1 to 64"),
        (("new", "none"), 2, "none speaks to nobody"),
        (("new", "x", "--comment", "a\nb"), 2, "a comment is one line"),
        (("new", "x", "--comment", "y" * 201), 2, "at most 200"),
        (("token", "x", "--locator", "peep://noc"), 1, "no key for class 'x'"),
        (("token", "x", "--locator", "noc"), 2, "--locator: locator 'noc': begins"),
        (("token", "x", "--locator", "peep://n:0"), 2, "is no port"),
    ],
)
def test_each_misuse_of_keys_is_one_line(home, words, code, says):
    assert says in one_line(home.here("key", *words), code)
    assert home.files() == {}


@pytest.mark.parametrize("words", [(), ("token", "x"), ("new",), ("steal",)])
def test_a_command_that_is_not_whole_names_the_help(home, words):
    said = one_line(home.here("key", *words), 2)
    assert said.startswith("peep key")
    assert said.rstrip().endswith("--help")


@pytest.mark.parametrize(
    "words", [("list",), ("new", "x"), ("token", "x", "--locator", "peep://noc")]
)
def test_a_key_that_others_can_read_is_refused_with_the_mend(home, words):
    home.made()
    (path,) = home.keys.iterdir()
    path.chmod(0o644)
    assert f"chmod 600 {path}" in one_line(home.here("key", *words), 2)
    assert list(home.keys.iterdir()) == [path]


# -- joining ------------------------------------------------------------------------


def test_joining_keeps_the_key_and_adds_class_and_locator(home):
    done = home.peep("join", text=make_token(NOC, KEY) + "\n")
    assert done.returncode == 0, done.stderr
    name = f"keys/web.example.org-{KEY.key_id:08x}.key"
    assert home.files() == {"joined.yaml": 0o644, "keys": 0o700, name: 0o600}
    assert load_keyring(home.keys, os.getuid()) == (KEY,)
    assert load_joined(home.config) == Joined(
        classes=("web.example.org",), locators=(NOC,)
    )
    assert "uses it from its next start on" in done.stderr
    told = done.stdout + done.stderr
    assert make_token(NOC, KEY) not in told
    assert (home.config / name).read_text().split()[1] not in told


def test_a_token_made_by_one_host_enrols_another(user):
    server, agent = user(), user()
    key = server.made()
    token = server.peep(
        "key", "token", "web.example.org", "--locator", "peep://[fd00::1]"
    )
    done = agent.peep("join", text=token.stdout)
    assert done.returncode == 0, done.stderr
    (kept,) = load_keyring(agent.keys, os.getuid())
    assert (kept.class_name, kept.secret) == (key.class_name, key.secret)
    assert load_joined(agent.config).locators == ("peep://[fd00::1]:2001",)


def test_joining_twice_changes_nothing(home):
    home.peep("join", text=make_token(NOC, KEY))
    before = home.files(), home.joined.read_text()
    done = home.peep("join", text=make_token(NOC, KEY))
    assert done.returncode == 0, done.stderr
    assert "was here already" in done.stderr
    assert (home.files(), home.joined.read_text()) == before


def test_a_second_class_is_added_beside_the_first(home):
    home.peep("join", text=make_token(NOC, KEY))
    other = ClassKey("db", bytes(32))
    home.peep("join", text=make_token("peep://two", other))
    assert load_joined(home.config) == Joined(
        classes=("web.example.org", "db"), locators=(NOC, "peep://two:2001")
    )
    assert len(load_keyring(home.keys, os.getuid())) == 2


def test_a_token_that_a_mail_broke_in_two_is_taken(home):
    token = make_token(NOC, KEY)
    done = home.peep("join", text=f"  {token[:40]}\n{token[40:]}\n")
    assert done.returncode == 0, done.stderr


def test_a_token_at_the_prompt_is_not_echoed(home):
    token = make_token(NOC, KEY)
    terminal, far_end = os.openpty()
    try:
        joining = subprocess.Popen(
            [sys.executable, "-m", "peep", "join"],
            stdin=far_end,
            stdout=far_end,
            stderr=subprocess.PIPE,
            env=home.env,
            start_new_session=True,  # getpass would find the tester's own terminal
        )
        prompt = b"token (it is not shown): "
        assert joining.stderr.read(len(prompt)) == prompt
        os.write(terminal, token.encode() + b"\n")
        told = joining.stderr.read()
        assert joining.wait(15) == 0, told
        joining.stderr.close()
        os.set_blocking(terminal, False)
        with contextlib.suppress(BlockingIOError):
            assert token.encode()[:12] not in os.read(terminal, 4096)
    finally:
        os.close(far_end)
        os.close(terminal)
    assert token.encode()[:12] not in told
    assert load_keyring(home.keys, os.getuid()) == (KEY,)


def test_the_end_of_input_at_the_prompt_is_no_token(home):
    terminal, far_end = os.openpty()
    joining = subprocess.Popen(
        [sys.executable, "-m", "peep", "join"],
        stdin=far_end,
        stderr=subprocess.PIPE,
        env=home.env,
        start_new_session=True,
    )
    with joining.stderr:
        joining.stderr.read(len("token (it is not shown): "))
        os.write(terminal, b"\x04")
        told = joining.stderr.read()
    assert joining.wait(15) == 2
    assert b"this is not a token" in told
    os.close(far_end)
    os.close(terminal)


@pytest.mark.parametrize("form", ["{}", "--token={}", "-t {}"])
def test_a_token_among_the_arguments_is_refused_and_not_repeated(home, form):
    token = make_token(NOC, KEY)
    done = home.peep("join", *form.format(token).split())
    assert "does not belong there" in one_line(done, 2)
    assert token[:20] not in done.stderr
    assert home.files() == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "this is not a token"),
        ("hello", "this is not a token"),
        (make_token(NOC, KEY)[:-3], "cut short or mistyped"),
        (make_token(NOC, KEY) + "x" * 2000, "too long"),
        (make_token("peep://a b".replace(" ", "_"), KEY)[:-1], "cut short"),
    ],
)
def test_what_is_no_token_is_one_line_and_leaves_nothing(home, text, says):
    assert says in one_line(home.here("join", text=text), 2)
    assert home.files() == {}


def test_a_locator_that_leads_nowhere_leaves_nothing(home):
    said = one_line(home.here("join", text=make_token("peep://n:99999", KEY)), 1)
    assert "is no port" in said
    assert home.files() == {}


def test_bytes_that_are_no_text_are_one_line(home):
    done = subprocess.run(
        [sys.executable, "-m", "peep", "join"],
        input=b"\xff\xfe\x00",
        capture_output=True,
        timeout=50,
        check=False,
        env={**home.env, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"this is not a token" in done.stderr


def test_a_token_for_a_domain_needs_this_hosts_own_class(home):
    token = make_token(NOC, ClassKey("*.example.org", bytes(32)))
    assert "say which, with --class" in one_line(home.here("join", text=token), 2)
    for wrong, says in (
        ("example.org", "this token is for class *.example.org"),
        ("*.example.org", "say which, with --class"),
        ("a b", "is not 1 to 64"),
    ):
        assert says in one_line(home.here("join", "--class", wrong, text=token), 2)
    assert home.files() == {}
    done = home.peep("join", "--class", "web1.example.org", text=token)
    assert done.returncode == 0, done.stderr
    assert load_joined(home.config).classes == ("web1.example.org",)
    assert load_keyring(home.keys, os.getuid())[0].class_name == "*.example.org"


def test_one_key_for_two_classes_is_refused(home):
    home.peep("join", text=make_token(NOC, KEY))
    again = make_token(NOC, ClassKey("db", KEY.secret))
    said = one_line(home.peep("join", text=again), 2)
    assert "class web.example.org has this key here" in said


@pytest.mark.parametrize("file", ["peep.yaml", "joined.yaml"])
def test_a_broken_configuration_is_refused_before_anything_is_written(home, file):
    home.config.mkdir(parents=True)
    (home.config / file).write_text("agent: {klasses: [a]}\n")
    said = one_line(home.here("join", text=make_token(NOC, KEY)), 2)
    assert f"{file}:1: agent: unknown key 'klasses'" in said or "did you mean" in said
    assert load_keyring(home.keys, os.getuid()) == ()


def test_a_dumb_client_is_told_why_the_token_does_nothing(home):
    home.config.mkdir(parents=True)
    (home.config / "peep.yaml").write_text("agent: {server: {host: noc}}\n")
    done = home.peep("join", text=make_token(NOC, KEY))
    assert done.returncode == 0
    assert "take agent.server out of it" in done.stderr


@pytest.mark.audio
@pytest.mark.network
def test_an_agent_that_joined_is_heard_in_its_sealed_class_without_further_ado(user):
    noc, web = user(), user()
    name = f"test-{secrets.token_hex(4)}"
    noc.made(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with (
        noc.start(
            "server",
            *("--interfaces=lo", f"--port={port}", "--output=null", "--classes", name),
            FEW,
        ) as server,
        contextlib.ExitStack() as undo,
    ):
        noc.expect(server, "listening")
        where = f"peep://127.0.0.1:{port}"
        token = noc.peep("key", "token", name, "--locator", where).stdout
        # So that only what was joined counts, and others on this machine are let be.
        web.config.mkdir(parents=True)
        (web.config / "peep.yaml").write_text("agent: {classes: [none]}\n")
        assert web.peep("join", text=token).returncode == 0
        agent = undo.enter_context(
            web.start("agent", "--interfaces=lo", "--source=system", "--host=web7")
        )
        web.expect(agent, f"port {port}, sealed with the key of")
        noc.expect(server, ") joined")
        assert web.peep("classes").stdout == f"agent {agent.pid}: {name}\n"
        assert noc.peep("classes").stdout == f"server {server.pid}: {name}\n"
        again = web.peep("join", text=token).stderr
        assert f"restart what runs (agent {agent.pid}) to use it" in again
        done = web.peep("classes", "add", "none")
        assert done.returncode == 0, done.stderr
        noc.expect(server, "web7 left")


# -- joined.yaml --------------------------------------------------------------------


def test_what_was_joined_is_added_to_the_agents_own_classes_and_locators():
    settings = Settings(agent=AgentSettings(classes=("a", "b"), locators=(NOC,)))
    joined = Joined(classes=("b", "c"), locators=(NOC, "peep://two:2001"))
    agent = with_joined(settings, joined).agent
    assert agent.classes == ("a", "b", "c")
    assert agent.locators == (NOC, "peep://two:2001")
    assert with_joined(settings, Joined()) == settings


def test_a_host_of_class_none_that_joins_one_is_of_that_class():
    settings = Settings(agent=AgentSettings(classes=("none",)))
    assert with_joined(settings, Joined(classes=("web",))).agent.classes == ("web",)
    only_locator = with_joined(settings, Joined(locators=(NOC,)))
    assert only_locator.agent.classes == ("none",)


def test_the_file_that_join_writes_is_read_as_it_was_meant(tmp_path):
    odd = "yes,#:[]{}!&*?|>'\"%@`"
    for name in ("2001", "no", odd):
        add_joined(tmp_path, name, NOC)
    assert load_joined(tmp_path).classes == ("2001", "no", odd)
    assert set(yaml.safe_load((tmp_path / "joined.yaml").read_text())) == {"agent"}
    assert [path.name for path in tmp_path.iterdir()] == ["joined.yaml"]


def test_every_fault_of_joined_yaml_is_told_at_once(tmp_path):
    (tmp_path / "joined.yaml").write_text(
        "agent:\n  classes: [a b]\n  locators: [noc]\n  port: 1\nserver: {}\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_joined(tmp_path)
    assert len(refused.value.problems) == 4


def test_joined_yaml_is_bounded(tmp_path):
    for number in range(64):
        add_joined(tmp_path, f"c{number}", NOC)
    with pytest.raises(ConfigError, match="more than 64"):
        add_joined(tmp_path, "more", NOC)
    lines = (tmp_path / "joined.yaml").read_text().replace("- c0\n", "- c0\n  - more\n")
    (tmp_path / "joined.yaml").write_text(lines)
    with pytest.raises(ConfigError, match="more than 64"):
        load_joined(tmp_path)


def test_where_joined_yaml_cannot_be_written_one_line_says_so_and_nothing_is_left(
    tmp_path,
):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        add_joined(tmp_path / "file", "web", NOC)
    (tmp_path / "joined.yaml").mkdir()
    with pytest.raises(ConfigError):
        add_joined(tmp_path, "web", NOC)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "joined.yaml"}
