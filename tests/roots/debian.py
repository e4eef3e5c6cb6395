"""Clean roots of Debian, made by mmdebstrap once and kept outside the repository.

Packages come from the Debian mirror that apt on this machine is configured with, the
libraries by the pip of this machine, as it is configured. What is kept is named by what
went into it; to have all made anew, delete the directory.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = (
    *("mmdebstrap", "apt-get", "apt-config"),
    *("unshare", "nsenter", "setpriv", "ip"),
)
PACKAGES = (
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "postfix",
    "postgresql",
    "python3-venv",
)
# Nobody reads manuals there, and a root need not survive a power cut while it is made.
DPKG = (
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
    "force-unsafe-io",
)
MAKING_S = 900


@dataclass(frozen=True)
class Recipe:
    """What a root is made of."""

    suite: str
    python: str
    syslog: str  # the daemon's package; either excludes the other


RECIPES = (
    Recipe("bookworm", "3.11", "rsyslog"),
    Recipe("trixie", "3.13", "syslog-ng-core"),
)


def why_not():
    """Return why there can be no roots here, or nothing."""
    if os.geteuid() != 0:
        return "clean roots are made and entered by root only"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not _mirrors():
        return "apt on this machine knows no mirror of Debian"
    return ""


def root(recipe, say):
    """Return the directory of a root, which must not be changed."""
    packages = (*PACKAGES, recipe.syslog)
    place = _cache() / f"{recipe.suite}-{_digest(*packages, *DPKG)}"
    if not place.is_dir():
        say(f"making {place}, which takes a minute or two")
        with _made(place) as unfinished:
            _run(
                *("mmdebstrap", "--variant=apt", "--mode=root", "--quiet"),
                f"--include={','.join(packages)}",
                *(f"--dpkgopt={option}" for option in DPKG),
                *(f"--aptopt={option}" for option in _proxies()),
                *(recipe.suite, unfinished, f"deb {_mirrors()[0]} {recipe.suite} main"),
            )
    return place


def libraries(recipe, wheel, say):
    """Return a directory with what Peep's wheel needs, as wheels of that Python."""
    constraints = REPOSITORY / "constraints.txt"
    needs = (REPOSITORY / "pyproject.toml").read_text() + constraints.read_text()
    place = _cache() / f"wheels-{recipe.python}-{_digest(needs)}"
    if not place.is_dir():
        say(f"downloading the libraries for Python {recipe.python}")
        with _made(place) as unfinished:
            _run(
                *(sys.executable, "-m", "pip", "download", "--quiet"),
                *("--disable-pip-version-check", "--only-binary=:all:"),
                *("--python-version", recipe.python, "--dest", unfinished),
                *("--constraint", constraints, wheel),
            )
            (unfinished / wheel.name).unlink()
    return place


def build_wheel(directory):
    """Return this Peep as a wheel."""
    words = ("build", "--wheel", "--no-isolation", "--outdir", directory, REPOSITORY)
    _run(sys.executable, "-m", *words)
    (wheel,) = directory.glob("*.whl")
    return wheel


def _cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base) / "peep" / "roots"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _digest(*words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


@contextlib.contextmanager
def _made(place):
    """Give a directory to fill, which takes its place when nothing failed."""
    unfinished = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    unfinished.chmod(0o755)
    try:
        yield unfinished
        with contextlib.suppress(FileExistsError):  # another run was quicker
            unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _mirrors():
    words = ("apt-get", "indextargets", "Created-By: Packages", "Label: Debian")
    return _run(*words, "--format", "$(REPO_URI)").split()


def _proxies():
    return [
        line
        for line in _run("apt-config", "dump").splitlines()
        if line.lower().startswith("acquire::http") and '""' not in line
    ]


def _run(*words):
    done = subprocess.run(
        [str(word) for word in words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MAKING_S,
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        pytest.fail(f"{words[0]} failed:\n{said}", pytrace=False)
    return done.stdout
