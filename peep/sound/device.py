"""The sound card, by miniaudio: found, played, lost and found again.

miniaudio pulls from a thread of its own. A card that has gone (unplugged, its sound
server restarted) asks for nothing any more; some closings of it never return. So the
loop here watches whether blocks are pulled, and does not wait for a closing.
"""

import threading
from collections.abc import Generator
from typing import Any

import miniaudio
import numpy as np

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
# PulseAudio is asked by miniaudio to hold one period, however many there are. With 10
# ms the recorded sink had gaps on a machine at work; 10 ms more cost 11 of latency.
_PERIOD_MS = 20
_PERIODS = 2  # where the card itself holds them (ALSA)
_BUFFER_S = _PERIOD_MS / 1000
_LOOK_S = 0.2
_STALLED_LOOKS = 3
_RETRY_S = 1.0  # looking takes 5 ms; so a card is back within two seconds
_CLOSING_S = 0.1  # it goes on in its thread if it takes longer
_DRIFT = 0.01  # how quickly a card's own idea of a second is followed


def card_names() -> list[str]:
    """Return the names of the sound cards there are, possibly none."""
    return [str(card["name"]) for card in _cards()]


def _cards() -> list[dict[str, Any]]:
    try:
        cards: list[dict[str, Any]] = miniaudio.Devices(_BACKENDS).get_playbacks()
    except miniaudio.MiniaudioError:
        return []
    return cards


def open_card(name: str) -> miniaudio.PlaybackDevice:
    """Open the card whose name contains `name`, or the usual one if that is empty.

    Raises EngineError that names the cards there are.
    """
    chosen = None
    if name:
        cards = _cards()
        matching = [c for c in cards if name.casefold() in str(c["name"]).casefold()]
        if not matching:
            known = "; ".join(str(card["name"]) for card in cards) or "none"
            raise EngineError(f"no sound card is called {name!r}; there are: {known}")
        chosen = matching[0]["id"]
    try:
        return miniaudio.PlaybackDevice(
            output_format=miniaudio.SampleFormat.FLOAT32,
            nchannels=CHANNELS,
            sample_rate=SAMPLE_RATE_HZ,
            buffersize_msec=_PERIOD_MS,
            callback_periods=_PERIODS,
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

    def run(self, feed: Feed) -> None:
        """Play until the feed is over, over any number of cards lost and found."""
        while not feed.over():
            try:
                card = open_card(self._name)
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

    @staticmethod
    def _watch(feed: Feed, pull: "Pull") -> None:
        """Return once the feed is over, or no block was pulled for a second."""
        idle_looks, seen = 0, -1
        while idle_looks < _STALLED_LOOKS and not feed.over(_LOOK_S):
            idle_looks = idle_looks + 1 if pull.frames == seen else 0
            seen = pull.frames


class Pull:
    """Cuts blocks into the lengths a card asks for."""

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self.frames = 0
        self._feed = feed
        self._clock = clock
        self._lock = threading.Lock()  # so that a card given up pulls no more
        self._ended = False
        self._lag_s: float | None = None
        self._start_s = clock.now()

    def blocks(self) -> Generator[bytes, int, None]:
        """Return the generator miniaudio wants, already begun."""
        generator = self._blocks()
        next(generator)
        return generator

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
                self.frames += wanted
            now, rest = rest[:wanted], rest[wanted:]
            wanted = yield now.tobytes()

    def _notice_gap(self) -> None:
        """Count an underrun: the card took a whole buffer less than time has passed."""
        lag_s = self._clock.now() - self._start_s - self.frames / SAMPLE_RATE_HZ
        if self._lag_s is None:
            self._lag_s = lag_s
        elif lag_s > self._lag_s + _BUFFER_S:
            self._feed.underruns += 1
            self._lag_s = lag_s
        self._lag_s += (lag_s - self._lag_s) * _DRIFT


def _close(card: miniaudio.PlaybackDevice) -> None:
    closing = threading.Thread(target=card.close, daemon=True)
    closing.start()
    closing.join(_CLOSING_S)
