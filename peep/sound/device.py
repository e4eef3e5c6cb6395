"""The sound card, by miniaudio: found, played, lost and found again.

miniaudio pulls from a thread of its own. A card that has gone (unplugged, its sound
server restarted) asks for nothing any more; some closings of it never return. So the
loop here watches whether blocks are pulled, and does not wait for a closing.

What a card holds in reserve is heard as delay, and is what there is to play while the
machine stands still: a host of virtual machines may take away a guest's processors, or
its pages, for 40 ms and more, whatever priority one has. So it is small at first, and
grows where it has not sufficed three times within ten minutes.
"""

import math
import os
import threading
from collections.abc import Generator
from typing import Any

import miniaudio
import numpy as np
from numpy.typing import NDArray

from peep.clock import Clock, SystemClock
from peep.errors import EngineError
from peep.sound.engine import CHANNELS, SAMPLE_RATE_HZ
from peep.sound.timed import Feed, TimedOutput

# Not miniaudio's own NULL, which "plays" where there is no card.
_BACKENDS = [
    miniaudio.Backend.PULSEAUDIO,
    miniaudio.Backend.ALSA,
    miniaudio.Backend.JACK,
    miniaudio.Backend.COREAUDIO,
    miniaudio.Backend.WASAPI,
]
# Pulled at once: about a block, for what is pulled has waited for no command any more.
_STEP_MS = 5
# Of PulseAudio's 40 ms some 25 bridge a stall; asked for 20 at once and holding 20, the
# 95th percentile of the delay was the same, and 14 ms a gap.
RESERVE_MS = 40
_MORE_MS = 40
_MOST_MS = 200  # more is a delay that one notices
_TORN_TIMES, _AGAIN_S = 3, 600.0
_LOOK_S = 0.2
_STALLED_LOOKS = 3
_RETRY_S = 1.0  # looking takes 5 ms; so a card is back within two seconds
_CLOSING_S = 0.1  # it goes on in its thread if it takes longer
_FADING_S = 0.1  # until a card that works has pulled what fades out; or it does not
# The least by which a card is behind the clock, second by second, changes by less than
# a millisecond, with its own idea of a second; PulseAudio's gaps are 5 ms and longer.
_WINDOW_FRAMES = SAMPLE_RATE_HZ
_GAP_S = 0.004


def card_names() -> list[str]:
    """Return the names of the sound cards there are, possibly none."""
    return [str(card["name"]) for card in _cards()]


def _cards() -> list[dict[str, Any]]:
    try:
        cards: list[dict[str, Any]] = miniaudio.Devices(_BACKENDS).get_playbacks()
    except miniaudio.MiniaudioError:
        return []
    return cards


def open_card(name: str, reserve_ms: int = RESERVE_MS) -> miniaudio.PlaybackDevice:
    """Open the card whose name contains `name`, or the usual one if that is empty.

    It holds about `reserve_ms` of sound. Raises EngineError that names the cards there
    are.
    """
    chosen = None
    if name:
        cards = _cards()
        matching = [c for c in cards if name.casefold() in str(c["name"]).casefold()]
        if not matching:
            known = "; ".join(str(card["name"]) for card in cards) or "none"
            raise EngineError(f"no sound card is called {name!r}; there are: {known}")
        chosen = matching[0]["id"]
    # miniaudio would ask PulseAudio to hold a single step; this says otherwise.
    os.environ["PULSE_LATENCY_MSEC"] = str(reserve_ms)
    try:
        return miniaudio.PlaybackDevice(
            output_format=miniaudio.SampleFormat.FLOAT32,
            nchannels=CHANNELS,
            sample_rate=SAMPLE_RATE_HZ,
            buffersize_msec=_STEP_MS,
            callback_periods=reserve_ms // _STEP_MS,
            device_id=chosen,
            backends=_BACKENDS,
            app_name="Peep",
        )
    except miniaudio.MiniaudioError as error:
        raise EngineError(f"no sound card can be opened: {error.args[0]}") from error


class CardOutput:
    """Plays on a sound card, by name or the usual one."""

    note: str | None = None

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self._name = name
        self._clock = clock or SystemClock()
        self._reserve = Reserve()

    def run(self, feed: Feed) -> None:
        """Play until the feed is over, over any number of cards lost and found."""
        while not feed.over():
            try:
                card = open_card(self._name, self._reserve.ms)
                pull = Pull(feed, self._clock)
                card.start(pull.blocks())
            except (EngineError, miniaudio.MiniaudioError) as error:
                feed.failure = f"the sound card is gone: {error.args[0]}"
                TimedOutput(clock=self._clock).run(feed, for_s=_RETRY_S)
                continue
            feed.failure = None
            self._watch(feed, pull)
            pull.end()
            _close(card)

    def _watch(self, feed: Feed, pull: "Pull") -> None:
        """Return once the feed is over, the card stalled or its reserve too small."""
        idle_looks, seen, gaps = 0, -1, 0
        while idle_looks < _STALLED_LOOKS and not feed.over(_LOOK_S):
            idle_looks = idle_looks + 1 if pull.frames == seen else 0
            seen = pull.frames
            if pull.gaps > gaps:
                gaps = pull.gaps
                if self._reserve.torn(self._clock.now()):
                    pull.fade()
                    return


class Reserve:
    """How much a card holds, given when that did not suffice."""

    def __init__(self) -> None:
        self.ms = RESERVE_MS
        self._torn_at: list[float] = []

    def torn(self, now: float) -> bool:
        """Note that there was a gap; say whether the reserve is larger from now on."""
        self._torn_at = [at for at in self._torn_at if now - at < _AGAIN_S]
        self._torn_at.append(now)
        if len(self._torn_at) < _TORN_TIMES or self.ms >= _MOST_MS:
            return False
        self.ms += _MORE_MS
        self._torn_at.clear()
        return True


class Pull:
    """Cuts blocks into the lengths a card asks for, and counts what tore it."""

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self.frames = 0
        self.gaps = 0
        self._feed = feed
        self._clock = clock
        self._lock = threading.Lock()  # so that a card given up pulls no more
        self._ended = False
        self._fading, self._faded = False, threading.Event()
        self._start_s = clock.now()
        self._least_s: float | None = None  # behind the clock, in the window before
        self._now_least_s = math.inf
        self._window_ends = 2 * _WINDOW_FRAMES

    def blocks(self) -> Generator[bytes, int, None]:
        """Return the generator miniaudio wants, already begun."""
        generator = self._blocks()
        next(generator)
        return generator

    def fade(self) -> None:
        """Let it fade out, if it is still pulled."""
        self._fading = True
        self._faded.wait(_FADING_S)

    def end(self) -> None:
        """Let no more be pulled."""
        with self._lock:
            self._ended = True

    def _blocks(self) -> Generator[bytes, int, None]:
        rest = np.zeros((0, CHANNELS), np.float32)
        wanted = yield b""
        while True:
            with self._lock:
                if self._ended:
                    return
                self._notice_gap()
                while len(rest) < wanted:
                    rest = np.concatenate((rest, self._feed.pull()))
                first = not self.frames
                self.frames += wanted
                now, rest = rest[:wanted], rest[wanted:]
                if first or self._fading:
                    now = now * _ramp(wanted, rising=not self._fading)
                self._ended = self._fading
            if self._ended:
                self._faded.set()
            wanted = yield now.tobytes()

    def _notice_gap(self) -> None:
        """Count an underrun: the card has come to be behind, and has not caught up.

        In its first second a card fills its reserve, and then waits: that is none.
        """
        if self.frames < _WINDOW_FRAMES:
            return
        lag_s = self._clock.now() - self._start_s - self.frames / SAMPLE_RATE_HZ
        self._now_least_s = min(self._now_least_s, lag_s)
        if self.frames < self._window_ends:
            return
        if self._least_s is not None and self._now_least_s > self._least_s + _GAP_S:
            self.gaps += 1
            self._feed.underruns += 1
        self._least_s, self._now_least_s = self._now_least_s, math.inf
        self._window_ends = self.frames + _WINDOW_FRAMES


def _ramp(frames: int, *, rising: bool) -> NDArray[np.float32]:
    """Return gains, shape (frames, 1): a card neither begins nor ends by a step."""
    ends = (0.0, 1.0) if rising else (1.0, 0.0)
    return np.linspace(*ends, frames, dtype=np.float32)[:, np.newaxis]


def _close(card: miniaudio.PlaybackDevice) -> None:
    closing = threading.Thread(target=card.close, daemon=True)
    closing.start()
    closing.join(_CLOSING_S)
