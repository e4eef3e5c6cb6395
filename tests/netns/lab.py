"""Hosts of our own: network namespaces joined by bridges, gone when a test ends.

One process holds a user, a network and a mount namespace (`unshare -rnm`), in which
`ip netns add` makes the hosts. It reads from a pipe, and so ends with us, and all
hosts with it. Nothing outside is touched, and no privilege is needed where the kernel
lets users have namespaces.
"""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
import time

import pytest

TOOLS = ("unshare", "nsenter", "ip", "nft")
PATIENCE_S = 20
HOLD = "mount -t tmpfs tmpfs /run && mkdir /run/netns && echo ready && cat"
# Else an IPv6 address may not be used for its first second.
NO_DAD = "ip netns exec {} sysctl -qw net.ipv6.conf.{}.accept_dad=0"


class Lab:
    """Some hosts and the links between them."""

    def __init__(self):
        words = ("unshare", "-rnm", "--propagation", "private", "sh", "-c", HOLD)
        self._holder = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._holder.stdout.readline() != "ready\n":
            self.close()
            pytest.skip("this kernel does not let us have namespaces")
        self._processes = []

    def inside(self, *words):
        """Return a command that runs in the lab, on no host."""
        flags = ["--preserve-credentials", "-U", "-n", "-m", "-t"]
        return ["nsenter", *flags, str(self._holder.pid), *words]

    def run(self, script, host=None):
        """Run lines of a shell script in the lab or on a host; they must succeed."""
        prefix = ["ip", "netns", "exec", host] if host else []
        subprocess.run(
            self.inside(*prefix, "sh", "-ec", script), check=True, timeout=PATIENCE_S
        )

    def bridge(self, name):
        """Make a switch."""
        self.run(f"ip link add {name} type bridge; ip link set {name} up")

    def host(self, name, **bridges):
        """Make a host with one interface for each switch: eth0=("br0", addresses)."""
        lines = [f"ip netns add {name}", f"ip -n {name} link set lo up"]
        for interface, (bridge, *addresses) in bridges.items():
            port = f"{name}{interface}"
            lines += [
                f"ip link add {port} type veth peer name {interface} netns {name}",
                f"ip link set {port} master {bridge} up",
                NO_DAD.format(name, interface),
                *(f"ip -n {name} addr add {a} dev {interface}" for a in addresses),
                f"ip -n {name} link set {interface} up",
            ]
        self.run("\n".join(lines))

    def firewall(self, host, *rules):
        """Drop on its way out of a host what the rules name, and nothing else."""
        lines = [
            "nft flush ruleset",
            "nft add table inet lab",
            "nft add chain inet lab out '{ type filter hook output priority 0; }'",
            *(f"nft add rule inet lab out {rule} drop" for rule in rules),
        ]
        self.run("\n".join(lines), host)

    def plug(self, host, interface="eth0", *, up):
        """Pull a host's cable out of the switch, or put it back."""
        self.run(f"ip link set {host}{interface} {'up' if up else 'down'}")

    def start(self, host, *words, env=None, feed=False):
        """Start a program on a host."""
        made = Process(
            self.inside("ip", "netns", "exec", host, *words), env or {}, feed=feed
        )
        self._processes.append(made)
        return made

    def stop_all(self):
        """Stop every program, the last first."""
        while self._processes:
            self._processes.pop().stop()

    def close(self):
        """Let go of every host."""
        self._holder.stdin.close()
        self._holder.wait(PATIENCE_S)
        self._holder.stdout.close()


class Process:
    """A program whose lines can be waited for."""

    def __init__(self, words, env, *, feed):
        self._popen = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        )
        self.lines = []  # as far as they were waited for
        self._read = queue.Queue()
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def _follow(self):
        for line in self._popen.stdout:
            self._read.put((time.monotonic(), line.rstrip("\n")))
        self._read.put(None)

    def wait_for(self, text, within_s=PATIENCE_S):
        """Return when a later line with this text was read; fail in good time."""
        end = time.monotonic() + within_s
        while True:
            try:
                found = self._read.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no {text!r} within {within_s} s; said {self.lines}")
            if found is None:
                pytest.fail(f"no {text!r} before the end; said {self.lines}")
            self.lines.append(found[1])
            if text in found[1]:
                return found[0]

    def feed(self, line):
        """Write a line to the program's standard input."""
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def stop(self):
        """Stop it as Ctrl-C does, and return all that it said."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(PATIENCE_S)
        self._popen.kill()
        self._popen.wait()
        self._reader.join()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                stream.close()
        while not self._read.empty():
            found = self._read.get()
            if found is not None:
                self.lines.append(found[1])
        return self.lines


def make_lab():
    """Return a lab, or skip with the reason."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return Lab()
