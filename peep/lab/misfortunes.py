"""What happens to logs, one function each: it writes, and has its way with the file.

Each goes on while the trial says so, and leaves to the trial how it came out. Whatever
it does to a file that the follower could not have seen is in `trial.nowhere`.
"""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from peep.lab.told import number_of

if TYPE_CHECKING:
    from peep.lab.torture import Trial

KEPT = 50  # generations, as logrotate would keep
MOMENT_S = 0.02  # at most, between two rotations: some are not looked at in between
FAST_LINES_PER_S = 50_000
FAST_ROTATION_S = 0.1
_REUSE_TRIES = 200  # until an inode is given again, where the file system does so


def rename(trial: "Trial") -> None:
    """Rotate by renaming, up to three times at once; reopen late."""
    while trial.goes_on():
        trial.write(trial.some(), in_parts=True)
        for _ in range(trial.rng.randint(1, 3)):
            _shift(trial.log)
            trial.write(trial.rng.randint(0, 20), in_parts=True)
            trial.reopen()
            trial.write(trial.rng.randint(0, 20))
        trial.pause(MOMENT_S)


def copytruncate(trial: "Trial") -> None:
    """Copy the log and truncate it; write some lines in between."""
    while trial.goes_on():
        trial.write(trial.some())
        _shift(trial.log, copied=True)
        between = trial.write(trial.rng.randint(0, 3))
        os.truncate(trial.log, 0)
        trial.nowhere.update(between)
        if trial.rng.random() < 0.5:  # noqa: PLR2004 - as often as not
            trial.write(trial.rng.randint(0, 20))
        trial.pause(MOMENT_S)


def delete(trial: "Trial") -> None:
    """Delete the log, and make it anew; go on in the old one for a while."""
    while trial.goes_on():
        trial.write(1)
        trial.wait_until_told()  # what nobody opened is nowhere
        trial.write(trial.some())
        trial.log.unlink()
        trial.write(trial.rng.randint(0, 20), in_parts=True)
        trial.reopen()


def symlink(trial: "Trial") -> None:
    """Let the name be a link that is switched to a new file."""
    trial.log.unlink()
    generation = 0
    while trial.goes_on():
        generation += 1
        target = trial.log.with_name(f"app-{generation:06d}.log")
        target.touch()
        link = trial.log.with_name("link")
        link.symlink_to(target.name)
        link.rename(trial.log)
        trial.write(trial.rng.randint(0, 20), in_parts=True)
        trial.reopen()
        trial.write(trial.some())
        trial.pause(MOMENT_S)


def inode_reuse(trial: "Trial") -> None:
    """Delete the log while nobody looks, and give its inode to the new one."""
    while trial.goes_on():
        trial.write(trial.some())
        trial.wait_until_told()
        trial.stop()
        old = trial.log.stat().st_ino
        trial.close()
        trial.log.unlink()
        for _ in range(_REUSE_TRIES):
            trial.reopen()
            if trial.log.stat().st_ino == old:
                break
            trial.close()
            trial.log.unlink()
        trial.reopen()
        trial.write(trial.some())
        trial.start()


def truncate_shorter(trial: "Trial") -> None:
    """Truncate the log: at the next look it is shorter than it was."""
    while trial.goes_on():
        trial.write(trial.some() + 20)
        trial.wait_until_told()
        os.truncate(trial.log, 0)
        trial.write(trial.rng.randint(0, 9))
        trial.wait_until_told()


def truncate_longer(trial: "Trial") -> None:
    """Truncate the log: at the next look it is longer than it was."""
    while trial.goes_on():
        trial.wait_until_told()
        size = trial.log.stat().st_size
        os.truncate(trial.log, 0)
        while trial.log.stat().st_size <= size:
            trial.write(20)
        if size > 200_000:  # noqa: PLR2004 - it need not grow for ever
            trial.wait_until_told()
            os.truncate(trial.log, 0)


def rotate_fast(trial: "Trial") -> None:
    """Rotate ten times a second, at fifty thousand lines a second."""
    began = trial.clock.now()
    turned = 0
    count = 0
    while trial.goes_on():
        passed_s = trial.clock.now() - began
        if passed_s >= (turned + 1) * FAST_ROTATION_S:
            turned += 1
            _shift(trial.log)
            trial.reopen()
        want = int(passed_s * FAST_LINES_PER_S) - count
        count += len(trial.write(min(want, 1000)))
        trial.pause()


def kill_9(trial: "Trial") -> None:
    """Kill the follower at any moment, while the log is rotated by renaming."""
    while trial.goes_on():
        for _ in range(trial.rng.randint(1, 8)):
            trial.write(trial.some())
            trial.pause()
            if trial.rng.random() < 0.4:  # noqa: PLR2004 - often
                _shift(trial.log)
                trial.reopen()
        trial.stop()
        trial.write(trial.rng.randint(0, 50))
        trial.start()


def rotated_while_stopped(trial: "Trial") -> None:
    """Rotate once or several times while the follower is stopped."""
    while trial.goes_on():
        _while_stopped(trial, packs=False)


def gzip_while_stopped(trial: "Trial") -> None:
    """Compress the old ones as well, all of them or all but the newest."""
    while trial.goes_on():
        _while_stopped(trial, packs=True)


def logrotate_create(trial: "Trial") -> None:
    """Let logrotate create, compress and delaycompress."""
    _logrotate(trial, "create", "compress", "delaycompress")


def logrotate_copytruncate(trial: "Trial") -> None:
    """Let logrotate copytruncate, while lines are written."""
    _logrotate(trial, "copytruncate")


CASES: Final[Mapping[str, Callable[["Trial"], None]]] = {
    "rename": rename,
    "copytruncate": copytruncate,
    "delete": delete,
    "symlink": symlink,
    "inode-reuse": inode_reuse,
    "truncate-shorter": truncate_shorter,
    "truncate-longer": truncate_longer,
    "rotate-fast": rotate_fast,
    "kill-9": kill_9,
    "rotated-while-stopped": rotated_while_stopped,
    "gzip-while-stopped": gzip_while_stopped,
    "logrotate": logrotate_create,
    "logrotate-copytruncate": logrotate_copytruncate,
}


def find_logrotate() -> str | None:
    """Return the program, if it is here."""
    return shutil.which("logrotate") or shutil.which("/usr/sbin/logrotate")


def _shift(log: Path, *, copied: bool = False) -> None:
    """Give every generation the next number, and the log the first."""
    for number in range(KEPT, 0, -1):
        for packed in ("", ".gz"):
            old = Path(f"{log}.{number}{packed}")
            if old.exists():
                old.rename(f"{log}.{number + 1}{packed}")
            Path(f"{log}.{KEPT + 1}{packed}").unlink(missing_ok=True)
    first = Path(f"{log}.1")
    if copied:
        shutil.copyfile(log, first)
    else:
        log.rename(first)


def _while_stopped(trial: "Trial", *, packs: bool) -> None:
    trial.write(trial.some())
    if trial.rng.random() < 0.5:  # noqa: PLR2004 - as often as not
        trial.wait_until_told()
    trial.stop()
    for _ in range(trial.rng.randint(1, 3)):
        trial.write(trial.some())
        _shift(trial.log)
        trial.reopen()
    if packs:
        for number in range(trial.rng.randint(1, 2), KEPT):
            _pack(Path(f"{trial.log}.{number}"))
    trial.write(trial.rng.randint(0, 50))
    trial.start()


def _pack(log: Path) -> None:
    if log.exists():
        status = log.stat()
        packed = Path(f"{log}.gz")
        with log.open("rb") as plain, gzip.open(packed, "wb") as out:
            shutil.copyfileobj(plain, out)
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        log.unlink()


def _logrotate(trial: "Trial", *options: str) -> None:
    program = find_logrotate()
    assert program is not None, "the case is left out without it"
    # It refuses directories and configurations that others may write to.
    trial.log.parent.chmod(0o755)
    conf = trial.log.with_name("logrotate.conf")
    rules = "\n".join(("rotate 1000", *options))
    conf.write_text(f"{trial.log} {{\n{rules}\n}}\n")
    conf.chmod(0o644)
    state = trial.log.with_name("logrotate.state")
    while trial.goes_on():
        trial.write(trial.some())
        command = [program, "--force", "--state", str(state), str(conf)]
        with subprocess.Popen(command) as rotating:  # noqa: S603 - found above
            while rotating.poll() is None:
                trial.write(5)
                trial.pause()
        trial.reopen()
        trial.pause()
    if "copytruncate" in options:
        trial.nowhere.update(trial.written - _on_disk(trial.log))


def _on_disk(log: Path) -> set[int]:
    """Return the lines that stand in any of a log's files."""
    found = set()
    for path in log.parent.glob(f"{log.name}*"):
        for line in path.read_bytes().split(b"\n"):
            number = number_of(line)
            if number is not None:
                found.add(number)
    return found
