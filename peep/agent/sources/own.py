"""Files into which this process writes what it says: it must not follow them.

Standard output and standard error may be led into a file that a pattern takes, or that
rotation has renamed meanwhile. It is known by device and inode, whatever it is called.
"""

import os
from stat import S_ISREG

_OUTPUTS = (1, 2)


def is_own(identity: tuple[int, int]) -> bool:
    """Say whether our output goes into the file with this device and inode."""
    for fd in _OUTPUTS:
        try:
            status = os.fstat(fd)
        except OSError:  # closed before we began
            continue
        if S_ISREG(status.st_mode) and identity == (status.st_dev, status.st_ino):
            return True
    return False
