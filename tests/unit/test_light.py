"""What an agent does without, and that nothing is missing when it is wanted."""

import hashlib
import hmac
import os
import subprocess
import sys

import pytest

from peep.cli import common
from peep.cli.light import without_inspection, without_openssl

LIGHT = """
from peep.cli.light import without_inspection, without_openssl
without_inspection()
without_openssl()
"""
AGENT = "import peep.cli.main, peep.agent.sources.tail, peep.agent.sources.system\n"
FETCH = """
import asyncio
async def greet(reader, writer):
    writer.write(b"no TLS here")
    writer.close()
async def fetch():
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "_ssl" not in sys.modules
        import ssl
        context = ssl.create_default_context()
        try:
            await asyncio.open_connection("127.0.0.1", port, ssl=context)
        except ssl.SSLError as refused:
            print(refused.reason)
asyncio.run(fetch())
print(asyncio.sslproto.SSLProtocol.__name__)
"""
DIGESTS = """
import hashlib, hmac
print(*(hashlib.new(name, b"peep").hexdigest() for name in {names!r}))
print(hmac.digest(b"key", b"peep", "sha256").hex())
"""
SIGNALLED = """
import asyncio, os, signal
async def wait():
    heard = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, heard.set)
    os.kill(os.getpid(), signal.SIGHUP)
    await heard.wait()
asyncio.run(wait())
print("heard")
print("ast" in sys.modules)
"""
INSPECTED = """
import functools, inspect
class Some:
    def method(self): ...
    async def coroutine(self): ...
@functools.wraps(Some.coroutine)
def wrapped(): ...
def judged():
    asked = (Some, Some().method, Some().coroutine, Some.coroutine, wrapped, print, 1)
    print(
        *map(inspect.iscoroutinefunction, asked),
        *map(inspect.isfunction, asked),
        *(inspect.unwrap(one) is one for one in asked),
        inspect.unwrap(wrapped) is Some.coroutine,
    )
judged()
assert "ast" not in sys.modules
inspect.signature(judged)
assert "ast" in sys.modules
judged()
"""
NAMES = ("blake2b", "blake2s", "md5", "sha1", "sha256", "sha3_256", "sha512")


def said(program: str, *, alone: bool = True) -> list[str]:
    """Return what a program says that begins light; `alone`, without any coverage.

    Which loads a lot itself, such as hashlib.
    """
    environ = dict(os.environ)
    if alone:
        environ = {k: v for k, v in environ.items() if not k.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{LIGHT}{program}"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "unwanted",
    [
        *("_ssl", "_hashlib", "shutil", "tempfile", "lzma"),
        *("ast", "dis", "typing_extensions", "difflib"),
    ],
)
def test_an_agent_does_not_load_what_it_does_not_use(unwanted):
    program = f"peep.cli.agent.parser()\nprint({unwanted!r} in sys.modules)"
    assert said(f"{AGENT}import peep.cli.agent\n{program}") == ["False"]


def test_signals_of_the_system_are_heard_without_looking_into_code():
    heard, read = said(SIGNALLED)
    assert (heard, read) == ("heard", "False")


def test_what_is_said_of_code_before_it_is_looked_into_is_what_is_said_after():
    before, after = said(INSPECTED)
    assert before == after
    assert {"True", "False"} <= set(before.split())


def test_looking_into_code_that_was_put_off_is_there_when_somebody_asks_for_it():
    program = "import inspect\ndef f(a, *, b=1): ...\nprint(inspect.signature(f))"
    assert said(program) == ["(a, *, b=1)"]


def test_types_that_were_done_without_can_be_had_later():
    program = "import typing_extensions\nprint(typing_extensions.NotRequired)"
    assert "NotRequired" in said(program)[0]


def test_tls_that_was_put_off_is_there_when_somebody_asks_for_it():
    reason, protocol = said(FETCH, alone=False)
    assert reason == "WRONG_VERSION_NUMBER"
    assert protocol == "SSLProtocol"


def test_tls_that_was_put_off_is_read_once():
    program = "import ssl\nbefore = ssl.SSLContext\nimport ssl as again\n"
    assert said(f"{program}print(again.SSLContext is before)") == ["True"]


def test_what_ssl_does_not_have_is_missed_as_ever():
    assert said("import ssl\nprint(hasattr(ssl, 'nothing'))") == ["False"]


def test_digests_are_the_same_without_openssl():
    digests, keyed = said(DIGESTS.format(names=NAMES))
    assert digests.split() == [hashlib.new(n, b"peep").hexdigest() for n in NAMES]
    assert keyed == hmac.digest(b"key", b"peep", "sha256").hex()


def test_a_library_that_asks_for_openssl_later_gets_it():
    program = "import _hashlib\nprint(_hashlib.openssl_sha256(b'').hexdigest()[:8])"
    assert said(program) == ["e3b0c442"]


def test_what_was_loaded_already_stays():
    before = dict(sys.modules)
    without_inspection()
    without_openssl()
    assert dict(sys.modules) == before


def test_hashlib_that_is_loaded_anew_does_without_openssl(monkeypatch):
    for name in ("hashlib", "hmac", "_hashlib"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    without_openssl()
    assert "_hashlib" not in sys.modules
    assert not hasattr(sys.modules["hashlib"], "scrypt")


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_help_is_as_wide_as_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    made = common.new_parser("agent", "word " * 50, "")
    made.add_argument("--option", help="word " * 50)
    lines = made.format_help().splitlines()
    # An epilog and a description that are laid out by hand are left as they are.
    widths = [len(line) for line in lines if line.startswith("    ")]
    assert columns - 8 < max(widths) <= columns - 2


@pytest.mark.parametrize("said_columns", ["", "0", "-5", "wide", "²"])
def test_help_has_eighty_columns_where_nobody_says_otherwise(
    monkeypatch, capfd, said_columns
):
    # What is captured is no terminal.
    monkeypatch.setenv("COLUMNS", said_columns)
    assert common._columns() == common.USUAL_COLUMNS
