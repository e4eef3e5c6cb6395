"""`peep COMMAND …`: finds the command, runs it, turns errors into lines and codes.

Exit codes: 0 ok, 1 failed, 2 usage or configuration. A command is imported only when
it is called, so that an agent loads no audio.
"""

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from peep import __version__
from peep.cli.light import without_inspection, without_openssl
from peep.errors import ConfigError, PeepError

# Command → module below peep.cli, and what it does.
COMMANDS: Final = {
    "here": ("here", "hear this machine: a server and an agent on loopback"),
    "demo": ("demo", "hear a made-up network through calm, fault, storm and relief"),
    "server": ("server", "listen to agents and make the sound"),
    "agent": ("agent", "follow logs and the system, send signals to servers"),
    "emit": ("emit", "send one event, state or heartbeat"),
    "discover": ("discover", "list servers as they appear and vanish"),
    "classes": ("classes", "list, add or remove classes of what runs"),
    "hosts": ("hosts", "list the hosts that servers hear, and those that they miss"),
    "mute": ("mix", "silence a class, host, name, tier or all, now"),
    "unmute": ("mix", "end a mute or snooze"),
    "solo": ("mix", "sound nothing but this"),
    "unsolo": ("mix", "end a solo"),
    "snooze": ("mix", "silence something for a while"),
    "gain": ("mix", "make something louder or softer"),
    "controls": ("mix", "list what is muted, soloed, snoozed or turned"),
    "devices": ("devices", "list the sound cards"),
    "listen": ("listen", "hear a server from afar, with an alarm when it is gone"),
    "metrics": ("metrics", "print what running agents and servers have counted"),
    "history": ("history", "what came in, and what became of it"),
    "key": ("key", "make keys of sealed classes, and tokens for other hosts"),
    "join": ("join", "enrol this host with one token"),
    "render": ("render", "turn logs into a sound file, from their own timestamps"),
    "rules": ("rules", "try, list, check and measure the rules"),
    "theme": ("theme", "list, show and check themes; make one of recordings"),
    "audition": ("audition", "hear what each sound means"),
    "keytest": ("keytest", "press keys and hear the sounds"),
    "redact": ("redact", "show what an agent would cut out of a log"),
    "config": ("config", "config check: say all that is wrong with peep.yaml"),
    "dev": ("dev", "dev simulate, dev torture: the protocol, and tail, in misfortune"),
}
# Modules of the extra `server`, and so the mend when one is missing.
_SOUND_PARTS = {
    *("numpy", "pyo", "miniaudio", "soundfile"),
    *("starlette", "uvicorn", "websockets"),
}

_HELP = """\
usage: peep COMMAND [options]        peep COMMAND --help

Hear your network: agents report, a server mixes one quiet, natural soundscape.

commands:
{commands}

examples:
  peep here --seconds 20 --out first.flac      this machine, as a file
  peep server                                  make the sound of a network
  peep agent                                   be heard by whatever server is there
  peep agent -noautodiscovery -server noc -port 2001
  peep render /var/log/auth.log --speed 60 --out auth.flac
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    first = words[0] if words else ""
    try:
        if first in COMMANDS:
            return _run(first, words[1:])
        return _without_command(first)
    except ConfigError as problem:
        return _failed(2, *problem.problems)
    except PeepError as problem:
        return _failed(1, str(problem))
    except OSError as problem:
        # `peep … | head`, or the terminal was closed: nobody reads on, and that is fine
        unread = problem.errno in (errno.EPIPE, errno.EIO)
        what = f"{problem.filename or 'output'}: {problem.strerror}"
        return 0 if unread else _failed(1, what)
    except KeyboardInterrupt:
        return 130
    finally:
        _let_go_of_the_dead()


def _let_go_of_the_dead() -> None:
    """Flush what is left; into nothing where nobody is there to read it.

    Python itself would fail to, at the very end, and exit with 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _without_command(word: str) -> int:
    if word in ("-V", "--version"):
        print(f"peep {__version__}")
        return 0
    if word in ("", "-h", "--help", "help"):
        rows = [f"  {name:<8} {does}" for name, (_, does) in COMMANDS.items()]
        print(_HELP.format(commands="\n".join(rows)), end="")
        return 0 if word else 2
    # Loaded only where it is used.
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(word, COMMANDS, 1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    return _failed(2, f"no command {word!r}{meant}; see peep --help")


def _run(name: str, words: Sequence[str]) -> int:
    try:
        if name == "agent":
            without_inspection()
            without_openssl()
        module = importlib.import_module(f"peep.cli.{COMMANDS[name][0]}")
        if COMMANDS[name][0] == "mix":  # one module for many verbs
            return int(module.run(name, words))
        return int(module.run(words))
    except ModuleNotFoundError as problem:
        if problem.name not in _SOUND_PARTS:
            raise
        raise PeepError(
            f"{name} makes sound and needs more than an agent does: "
            "pip install 'peep-auralizer[server]'"
        ) from None


def _failed(code: int, *lines: str) -> int:
    from peep.config.problems import safe  # noqa: PLC0415 - not what all need

    for line in lines:
        print(f"peep: {safe(line)}", file=sys.stderr)
    return code
