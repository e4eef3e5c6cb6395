"""Where things are: packaged data, configuration, state, control sockets.

A wheel carries sounds, configs and man pages inside the package; a checkout has them
beside it. A service manager may name the directories that it made for a service
(systemd.exec(5): $STATE_DIRECTORY and others). Else root uses /etc and /var/lib,
everybody else the XDG directories. The environment is an argument, so that tests need
not change the real one.
"""

import os
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(kind: str) -> Path:
    """Return the directory of packaged data: sounds, configs or man."""
    packaged = _PACKAGE / "data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def config_dir(environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Return where peep.yaml, keys and overlays are looked for."""
    if given := _given(environ, "CONFIGURATION_DIRECTORY"):
        return given
    if _uid(uid) == 0 and not environ.get("XDG_CONFIG_HOME"):
        return Path("/etc/peep")
    return _xdg(environ, "XDG_CONFIG_HOME", ".config")


def state_dir(environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Return where ids, locks, spool and journal are kept."""
    if given := _given(environ, "STATE_DIRECTORY"):
        return given
    if _uid(uid) == 0 and not environ.get("XDG_STATE_HOME"):
        return Path("/var/lib/peep")
    return _xdg(environ, "XDG_STATE_HOME", ".local/state")


def runtime_dir(
    environ: Mapping[str, str] = os.environ, uid: int | None = None
) -> Path:
    """Return where running processes have their control sockets."""
    if given := _given(environ, "RUNTIME_DIRECTORY"):
        return given
    base = environ.get("XDG_RUNTIME_DIR", "")
    # Root is root in every login and in none: a service has no /run/user/0, and after
    # `su` the variable is somebody else's.
    if _uid(uid) == 0 and (not base or base.startswith("/run/user/")):
        return Path("/run/peep")
    if base.startswith("/"):
        return Path(base) / "peep"
    return state_dir(environ, uid) / "run"


def credentials_dir(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return where a service manager put keys for this process alone, if it did."""
    return _given(environ, "CREDENTIALS_DIRECTORY")


def _given(environ: Mapping[str, str], variable: str) -> Path | None:
    # Several are parted by colons, in the unit's order.
    first = environ.get(variable, "").partition(":")[0]
    return Path(first) if first.startswith("/") else None


def _uid(uid: int | None) -> int:
    return os.getuid() if uid is None else uid


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    base = environ.get(variable, "")
    # A relative XDG path is to be ignored, says the XDG specification.
    if not base.startswith("/"):
        base = str(Path(environ.get("HOME") or "/") / default)
    return Path(base) / "peep"
