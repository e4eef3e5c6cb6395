"""One page with every sound of every theme, to be heard and seen; and the table.

The page holds all that it shows, so that it can be sent to somebody. The pictures
stand beside it as files, too.
"""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from listening.pictures import LINES_HZ, spectrogram
from listening.rendering import HeldEngine, made, render
from listening.script import CALM, STORM, minutes
from listening.table import shown

from peep.mixer.commands import Level
from peep.sound.engine import SAMPLE_RATE_HZ as RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from listening.rendering import Made
    from listening.table import Line
    from numpy.typing import NDArray

PAUSE_S = 0.4  # between two forms of a sound
VALUES = (0.1, 0.4, 0.7, 1.0)  # of a layer, one after the other
VALUE_S = 3.0
CALM_S, STORM_S = 60.0, 30.0
TABLES = ("families", "alerts", "events", "endings", "heartbeats")
_AT_ONCE = RATE_HZ  # libsndfile's Vorbis overflows its stack at much more

_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The sounds of Peep</title>
<style>
body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 1240px; }}
img {{ display: block; max-width: 100%; image-rendering: pixelated; }}
audio {{ height: 2em; }}
td, th {{ text-align: left; padding: 0 1em 0 0; }}
.fail {{ color: #b00; font-weight: bold; }}
figure {{ margin: 1em 0; }}
</style>
<h1>The sounds of Peep</h1>
<p>Each sound in all its forms. Pictures: pitch upwards by octaves, with lines at
{lines} Hz; time to the right.</p>
"""


def pictured(name: str, out: Path) -> str:
    """Write a theme's pictures into a directory; return its part of the page."""
    it = made(name)
    directory = out / it.theme.name
    directory.mkdir(parents=True, exist_ok=True)
    parts = [f'<h2 id="{it.theme.name}">{html.escape(it.theme.name)}</h2>']
    for what, sound, means, pixels_s in _sounds(it):
        picture = spectrogram(sound.reshape(len(sound), -1).mean(axis=1), pixels_s)
        (directory / f"{what}.png").write_bytes(picture)
        parts.append(
            f"<figure><figcaption><b>{html.escape(what)}</b> {html.escape(means)}"
            f"</figcaption>{_audio(sound)}{_image(picture)}</figure>"
        )
    return "\n".join(parts)


def written(
    out: Path, tables: Mapping[str, Iterable[Line]], parts: Iterable[str]
) -> Path:
    """Write the page: tables by their titles, and what `pictured` gave."""
    path = out / "index.html"
    text = [_HEAD.format(lines=", ".join(map(str, LINES_HZ)))]
    text += [_table(title, lines) for title, lines in tables.items()]
    path.write_text("\n".join([*text, *parts, "</html>\n"]), encoding="utf-8")
    return path


def _sounds(it: Made) -> Iterable[tuple[str, NDArray[np.floating], str, float]]:
    """Give what there is to hear: what it is, the sound, what it means, pixels/s."""
    calm = render(it, minutes(CALM, CALM_S), CALM_S).sound
    yield "calm", calm, f"{CALM_S:.0f} s", 20
    storm = render(it, minutes(STORM, STORM_S), STORM_S).sound
    yield "storm", storm, f"{STORM_S:.0f} s, with the states high", 40
    for name in it.theme.layers:
        states = [key for key, one in it.theme.states.items() if one.sound == name]
        means = ", ".join(states) or "what is not known"
        yield f"layer-{name}", _layer(it, name), f"{means}; at {VALUES}", 100
    pause = np.zeros(round(PAUSE_S * RATE_HZ), np.float32)
    for name, spec in it.theme.sounds.items():
        forms = range(len(it.samples.bank.variants[name]))
        sound = np.concatenate(
            [part for n in forms for part in (it.samples.arrays[name, n], pause)]
        )
        yield name, sound, f"({spec.level}) {meanings(it, name)}", 240


def meanings(it: Made, sound: str) -> str:
    """Say what a sound means: which entries of which tables of the theme name it."""
    found = [
        f"{table} {key}"
        for table in TABLES
        for key, voicing in getattr(it.theme, table).items()
        if sound in {voicing.sound, voicing.miss}
    ]
    if it.theme.pulse is not None and it.theme.pulse.sound == sound:
        found.append("Peep itself")
    return ", ".join(found) or "nothing"


def _layer(it: Made, name: str) -> NDArray[np.float32]:
    """Return a layer at VALUES, one after the other."""
    blocks: list[NDArray[np.float32]] = []
    engine = HeldEngine(it, 1, blocks.append)
    for n, value in enumerate(VALUES):
        engine.send([Level(name, value, 0.0, 0.0, 0.5)])
        engine.advance((n + 1) * VALUE_S)
    return np.concatenate(blocks)


def _table(title: str, lines: Iterable[Line]) -> str:
    rows = []
    for line in lines:
        cells = (line.measure, shown(line), line.target, line.note)
        mark = "" if line.met else ' class="fail"'
        text = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{mark}>{text}</tr>")
    return f"<h3>{html.escape(title)}</h3>\n<table>{''.join(rows)}</table>"


def _audio(sound: NDArray[np.floating]) -> str:
    buffer = io.BytesIO()
    channels = 1 if sound.ndim == 1 else sound.shape[1]
    with soundfile.SoundFile(
        buffer, "w", RATE_HZ, channels, format="OGG", subtype="VORBIS"
    ) as file:
        for start in range(0, len(sound), _AT_ONCE):
            file.write(sound[start : start + _AT_ONCE])
    return f'<audio controls preload="none" src="{_data("audio/ogg", buffer)}"></audio>'


def _image(picture: bytes) -> str:
    return f'<img alt="" src="{_data("image/png", io.BytesIO(picture))}">'


def _data(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
