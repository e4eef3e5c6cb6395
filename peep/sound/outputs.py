"""Where the sound goes, as people write it: a sound card, a file, or nowhere."""

from pathlib import Path

import msgspec

from peep.errors import EngineError
from peep.sound.files import SoundWriter
from peep.sound.timed import Output, TimedOutput

NO_CARD = (
    "no sound card here: hear it in a browser, or write the sound to a file "
    "(./run --out FILE, peep server --output file:FILE)"
)
FORMS = "auto, null, stream, device, device:NAME or file:PATH"


class OutputSpec(msgspec.Struct, frozen=True):
    """What was asked for: kind is auto, null, stream, device or file.

    null and stream are paced by the clock; stream says that somebody listens from afar.
    """

    kind: str
    argument: str = ""


def parse_output(text: str) -> OutputSpec:
    """Read an output as people write it. Raises EngineError that lists the forms."""
    kind, colon, argument = text.partition(":")
    plain = kind in {"auto", "null", "stream", "device"} and not colon
    if plain or (kind in {"device", "file"} and argument):
        return OutputSpec(kind, argument)
    raise EngineError(f"unknown output {text!r}; write {FORMS}")


def next_output(text: str, restarts: int) -> str:
    """Return where a sound process that takes over writes: never over a recording."""
    spec = parse_output(text)
    if spec.kind != "file" or not restarts:
        return text
    path = Path(spec.argument)
    return f"file:{path.with_stem(f'{path.stem}-{restarts + 1}')}"


def open_output(text: str) -> Output:
    """Open an output as people write it. Raises EngineError, one line."""
    spec = parse_output(text)
    if spec.kind in {"null", "stream"}:
        return TimedOutput()
    if spec.kind == "file":
        return TimedOutput(SoundWriter(Path(spec.argument)))
    from peep.sound.device import CardOutput, open_card  # noqa: PLC0415 - loads a C library that files do without

    try:
        open_card(spec.argument).close()
    except EngineError:
        if spec.kind == "device":
            raise
        return TimedOutput(note=NO_CARD)
    return CardOutput(spec.argument)
