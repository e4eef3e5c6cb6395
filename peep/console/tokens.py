"""The console's token: made once, kept where only its owner may read."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 24  # 192 bits: not to be guessed


def token_in(directory: Path) -> str:
    """Return the token kept in a directory; make one if there is none."""
    path = directory / "console.token"
    try:
        kept = path.read_text("ascii").strip()
    except OSError:
        kept = ""
    if kept:
        return kept
    made = secrets.token_urlsafe(_BYTES)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(made + "\n", "ascii")
    return made
