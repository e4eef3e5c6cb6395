"""A real systemd-journald in a mount namespace of its own, and what writes to it."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DAEMON = Path("/lib/systemd/systemd-journald")
PATIENCE_S = 10
# Of this test only: nothing of the kernel's, no limits, nothing on consoles.
CONFIGURATION = """\
[Journal]
Storage=volatile
ReadKMsg=no
Audit=no
RateLimitIntervalSec=0
ForwardToConsole=no
ForwardToKMsg=no
ForwardToSyslog=no
ForwardToWall=no
"""
# The agent passes over what its own process says: another has to.
SENDER = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    for line in sys.stdin:
        sock.sendto(bytes.fromhex(line), sys.argv[1])
        print("sent", flush=True)
"""


def why_not() -> str:
    """Why there can be no journal here, or nothing."""
    if os.geteuid() != 0:
        return "needs root for a mount namespace"
    if not DAEMON.exists() or not shutil.which("journalctl"):
        return "systemd-journald is not installed"
    done = subprocess.run(
        ["unshare", "-m", "true"], check=False, capture_output=True, timeout=PATIENCE_S
    )
    return "" if done.returncode == 0 else "no mount namespaces here"


class Journal:
    def __init__(self, directory: Path, sender: subprocess.Popen) -> None:
        self.directory = directory
        self.sender_pid = sender.pid
        self._sender = sender

    def begin(self, identifier: str = "sshd", **more) -> None:
        """Write an entry, and wait until it can be read: the last of the past."""
        self.write("begin", identifier, **more)
        read = ["journalctl", "-D", str(self.directory), "-n", "1", "-o", "cat"]
        until = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(read, capture_output=True, check=False)
            if done.stdout == b"begin\n":
                return
            assert time.monotonic() < until, "journald does not write"

    def write(self, message: str | bytes, identifier: str = "sshd", **more) -> None:
        """Write an entry; it is in the journal soon after this returns."""
        data = b""
        fields = {"MESSAGE": message, "SYSLOG_IDENTIFIER": identifier, **more}
        for name, value in fields.items():
            said = value.encode() if isinstance(value, str) else value
            size = len(said).to_bytes(8, "little")
            data += name.encode() + b"\n" + size + said + b"\n"
        self._sender.stdin.write(data.hex() + "\n")
        self._sender.stdin.flush()
        self._sender.stdout.readline()


@contextlib.contextmanager
def journal():
    """A journal that is written to; it ends with the block."""
    # Not pytest's directory: the path of a socket is at most 107 bytes long.
    place = Path(tempfile.mkdtemp(prefix="pj"))
    (place / "systemd/journal").mkdir(parents=True)
    (place / "log/journal").mkdir(parents=True)
    settings = place / "systemd/journald.conf.d"
    settings.mkdir()
    (settings / "test.conf").write_text(CONFIGURATION)
    script = f"mount --bind {place} /run && exec {DAEMON}"
    nothing = subprocess.DEVNULL
    daemon = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
    )
    sender = None
    try:
        sock = place / "systemd/journal/socket"
        until = time.monotonic() + PATIENCE_S
        while not (sock.exists() and any(place.glob("log/journal/*/system.journal"))):
            assert time.monotonic() < until, "journald does not come up"
            time.sleep(0.01)
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, str(sock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        yield Journal(place / "log/journal", sender)
    finally:
        if sender is not None:
            sender.communicate(timeout=PATIENCE_S)
        daemon.terminate()
        try:
            daemon.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        shutil.rmtree(place)
