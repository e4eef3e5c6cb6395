"""What is kept on disk, and how much of it: `server.journal` and `agent.spool`."""

from pathlib import Path

import msgspec

from peep.config.document import Node

MAX_AGE_DAYS = 3650  # ten years; beyond, one wants an archive and not a journal
MIN_JOURNAL_MIB = 8  # the file, its log, and room to delete what is old
MAX_JOURNAL_MIB = 1024 * 1024  # a TiB
MAX_SPOOL_ALERTS = 1_000_000  # all are in memory, too: half a gigabyte
MAX_SPOOL_MIB = 1024


class JournalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server keeps of what it heard, up to an age and a size.

    Without a `path`, the journal is journal.db in the state directory.
    """

    path: str = ""
    max_age_days: int = 90
    max_mib: int = 1024


class SpoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts that no server confirmed an agent keeps, and their size."""

    max_alerts: int = 10_000
    max_mib: int = 8


def journal_settings(node: Node, directory: Path) -> JournalSettings | None:
    """Read `journal`, a mapping or `off`, which is None; a path is made absolute."""
    if node.given and not node.is_mapping and not node.is_list:
        return JournalSettings() if node.flag(default=True) else None
    keys = node.section(*JournalSettings.__struct_fields__)
    default = JournalSettings()
    path = keys["path"].text("")
    return JournalSettings(
        path=str(directory / path) if path else "",
        max_age_days=keys["max_age_days"].integer(
            default.max_age_days, low=1, high=MAX_AGE_DAYS
        ),
        max_mib=keys["max_mib"].integer(
            default.max_mib, low=MIN_JOURNAL_MIB, high=MAX_JOURNAL_MIB
        ),
    )


def spool_settings(node: Node) -> SpoolSettings:
    """Read `spool`."""
    keys = node.section(*SpoolSettings.__struct_fields__)
    default = SpoolSettings()
    return SpoolSettings(
        max_alerts=keys["max_alerts"].integer(
            default.max_alerts, low=1, high=MAX_SPOOL_ALERTS
        ),
        max_mib=keys["max_mib"].integer(default.max_mib, low=1, high=MAX_SPOOL_MIB),
    )
