"""A room: a root to change as one likes, in namespaces of its own, gone when it ends.

What is written in it stays in memory, above the root that is kept. There is nothing but
loopback, so what runs there speaks to nobody outside. One process, the first of a
namespace of processes, holds all that; it reads from a pipe, and so ends with us, and
with it every daemon.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

PATIENCE_S = 30
PAUSE_S = 0.05
NAMESPACES = ("-m", "-n", "-p", "-u", "-i")
HOLD = """
read -r pid rest </proc/self/stat
mount -t tmpfs tmpfs "$2"
cd "$2"
mkdir changed work room
mount -t overlay overlay -o "lowerdir=$1,upperdir=changed,workdir=work" room
cd room
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm run/lock run/sshd
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/2 dev/stderr
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 666 dev/tty c 5 0
# What this machine's kernel says is not for the room; a test may speak in its place.
mkfifo run/kmsg
mount --bind run/kmsg proc/kmsg
exec 9<>run/kmsg
echo 127.0.0.1 localhost room >etc/hosts
hostname room
ip link set lo up
# Not the last command: a shell that waits takes in whoever lost its parent.
exec chroot . sh -c 'echo "$1"; cat; exit' - "$pid"
"""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
}


def until(happened, what, within_s=PATIENCE_S):
    """Return what `happened` returns as soon as it is true; fail in good time.

    `what` should have been, in words, or returns them.
    """
    end = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        found = happened()
        if found:
            return found
        if time.monotonic() > end:
            said = what() if callable(what) else what
            pytest.fail(f"not within {within_s} s: {said}", pytrace=False)
        pause.wait(PAUSE_S)


class Room:
    """A clean host, as it were."""

    def __init__(self, root, empty):
        words = ("unshare", *NAMESPACES, "--fork", "--kill-child")
        shell = ("--propagation", "private", "sh", "-euc", HOLD, "-", root, empty)
        self._holder = subprocess.Popen(
            [*words, *shell],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes = []
        self._first = self._holder.stdout.readline().strip()
        if not self._first:
            self.close()
            pytest.skip("this kernel does not let us have namespaces and overlays")

    def path(self, name):
        """Return where a file of the room is found from outside."""
        return Path(f"/proc/{self._first}/root") / name.lstrip("/")

    def start(self, *words, user="root", env=None):
        """Start a program in the room."""
        enter = ["nsenter", "-t", self._first, *NAMESPACES, "-r", "-w"]
        if user != "root":
            enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        home = {"HOME": "/root" if user == "root" else "/tmp"}
        return self._keep(
            Process([*enter, *words], ENVIRONMENT | home | (env or {}), forks=True)
        )

    def start_outside(self, *words, env=None):
        """Start a program of this machine that has the room's network only."""
        # What is in the room ends with us; this one must be told.
        enter = ("nsenter", "-t", self._first, "-n", "setpriv", "--pdeathsig", "TERM")
        return self._keep(Process([*enter, *words], os.environ | (env or {})))

    def _keep(self, process):
        self._processes = [x for x in self._processes if not x.ended]
        self._processes.append(process)
        return process

    def run(self, *words, user="root", env=None, code=0, feed=""):
        """Run a program in the room to its end; return what it said."""
        process = self.start(*words, user=user, env=env)
        return process.finish(feed, code)

    def listens(self, port, kind="tcp"):
        """Say whether somebody listens on a port there."""
        for family in ("", "6"):
            table = Path(f"/proc/{self._first}/net/{kind}{family}").read_text()
            for line in table.splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if int(local.rpartition(":")[2], 16) == port and state in ("0A", "07"):
                    return True
        return False

    def wait_for_port(self, port, kind="tcp"):
        """Return when somebody listens there."""
        until(lambda: self.listens(port, kind), f"{kind} port {port} is open")

    def close(self):
        """End all that runs there, and forget what was written."""
        self._holder.stdin.close()
        self._holder.wait(PATIENCE_S)
        self._holder.stdout.close()
        for process in self._processes:
            process.kill()


class Process:
    """A program, and the lines that it has said so far."""

    def __init__(self, words, env, *, forks=False):
        self._popen = subprocess.Popen(
            [shutil.which(words[0]), *map(str, words[1:])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
        )
        self._forks = forks
        self.lines = []
        self._more = threading.Condition()
        self.ended = False
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def _follow(self):
        for line in self._popen.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self.ended = True
            self._more.notify_all()

    def wait_for(self, text, within_s=PATIENCE_S):
        """Return the first line with this text; fail in good time."""
        with self._more:
            self._more.wait_for(lambda: self.ended or self._said(text), within_s)
            found = self._said(text)
        if not found:
            pytest.fail(f"no {text!r}; said {self.lines}")
        return found[0]

    def _said(self, text):
        return [line for line in self.lines if text in line]

    def finish(self, feed="", code=0):
        """Give it its input, wait for its end, and return what it said."""
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(feed)
            self._popen.stdin.close()
        self._wait()
        said = "\n".join(self.lines)
        assert code is None or self._popen.returncode == code, said
        return said

    def stop(self, how=signal.SIGTERM):
        """Ask it to end, and return its lines."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid(), how)
        self._wait()
        return self.lines

    def kill(self):
        """End it for good, if it has not ended."""
        self._popen.kill()
        self._popen.wait()
        self._close()

    def _pid(self):
        pid = self._popen.pid
        if not self._forks:
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return int(until(children.read_text, "it has begun").split()[0])

    def _wait(self):
        try:
            self._popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"does not end; said {self.lines}")
        self._close()

    def _close(self):
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()
        self._popen.stdout.close()
