"""`peep redact LOG`."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence

from peep.cli import common
from peep.cli.reading import batches_of
from peep.config.redacting import RedactSettings
from peep.loglines import printable
from peep.rules.redaction import cut

MAX_SHOWN_BYTES = 4096  # what leaves a host is shorter

_EXAMPLES = """\
  peep redact /var/log/auth.log             every line of which something would be cut
  journalctl -o short | peep redact -
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = common.new_parser(
        "redact",
        "Show what an agent would cut out of a log's lines before they leave the host.",
        _EXAMPLES,
    )
    made.add_argument("log", metavar="LOG", help="a file, or - for standard input")
    common.add_config(made)
    made.add_argument("--json", action="store_true", help="one JSON object a line")
    return made


def run(argv: Sequence[str]) -> int:
    """Show each line that has a secret, with marks in its place, then the counts."""
    args = parser().parse_args(argv)
    wanted = common.settings(args.config).agent.redact
    if wanted is None:
        common.say("agent.redact is off: this is what it would do")
    redactor = (wanted or RedactSettings()).redactor()
    number = touched = 0
    counts: Counter[str] = Counter()
    for lines in batches_of(args.log):
        texts = [line.text for line in lines]
        for at in sorted(redactor.suspects(texts)):
            secrets = redactor.secrets(texts[at])
            if secrets:
                touched += 1
                kinds = [secret.kind for secret in secrets]
                counts.update(kinds)
                left = cut(texts[at], (0, len(texts[at])), secrets)
                shown = printable(left[:MAX_SHOWN_BYTES])
                print(_shown(number + at + 1, kinds, shown, as_json=args.json))
        number += len(lines)
    each = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    common.say(
        f"{counts.total()} secrets in {touched} of {number} lines"
        + (f" ({each})" if each else "")
    )
    return 0


def _shown(line: int, kinds: list[str], text: str, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"line": line, "kinds": kinds, "text": text})
    return f"{line:>8}  {','.join(dict.fromkeys(kinds)):<14} {text}"
