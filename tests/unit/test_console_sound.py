"""How sound goes from the ring to those who listen."""

import asyncio

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from peep.clock import ManualClock
from peep.console.fan import Fan
from peep.console.jitter import MOST_FRAMES, WANTED_FRAMES, Jitter
from peep.console.listening import ALARM_EVERY_S, STALL_S, Listening, alarm, listen_url
from peep.console.ogg import OggStream
from peep.console.tap import PACKET_FRAMES, QUEUE_PACKETS, Packet, Tap
from peep.console.web import wav_header
from peep.errors import PeepError
from peep.sound.engine import BLOCK_FRAMES, SAMPLE_RATE_HZ
from peep.sound.ring import make_ring


def tone(frames, begin=0, hz=440.0):
    at = np.arange(begin, begin + frames) / SAMPLE_RATE_HZ
    wave = 0.2 * np.sin(2 * np.pi * hz * at)
    return np.stack((wave, wave), axis=1).astype(np.float32)


def packet(number, hz=440.0):
    begin = number * PACKET_FRAMES
    pcm = (32_767 * tone(PACKET_FRAMES, begin, hz)).astype(np.int16)
    return Packet(begin, pcm)


def step(sound):
    """The sharpest corner."""
    return float(np.abs(np.diff(sound, 2, axis=0)).max())


TONES_STEP = step(tone(4800))


# ---- fan and tap ---------------------------------------------------------------------


def test_everybody_gets_every_piece_in_order():
    async def body():
        fan = Fan(10)
        listeners = [fan.join() for _ in range(3)]
        for n in range(5):
            fan.offer(n)
        for listener in listeners:
            heard = []
            async for piece in listener:
                heard.append(piece)
                if len(heard) == 5:
                    break
            assert heard == [0, 1, 2, 3, 4]
            assert listener.dropped == 0

    asyncio.run(body())


def test_one_who_does_not_keep_up_goes_on_with_what_comes_now():
    async def body():
        fan = Fan(4)
        slow, quick = fan.join(), fan.join()
        heard = []
        for n in range(10):
            fan.offer(n)
            async for piece in quick:
                heard.append(piece)
                break
        assert heard == list(range(10))
        assert slow.dropped == 8
        async for piece in slow:
            assert piece == 8
            break

    asyncio.run(body())


def test_the_last_to_leave_lets_the_reader_rest():
    async def body():
        fan = Fan(4)
        listener = fan.join()
        await fan.anybody()
        fan.leave(listener)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fan.anybody(), 0.01)

    asyncio.run(body())


def test_what_is_in_the_ring_becomes_packets_without_a_gap():
    async def body():
        ring = make_ring()
        tap = Tap(ring)
        listener = tap.packets.join()
        at = 0
        written = 0
        for _ in range(40):
            ring.write(tone(BLOCK_FRAMES, written))
            written += BLOCK_FRAMES
            at = tap.read(at)
        assert at == written // PACKET_FRAMES * PACKET_FRAMES
        heard = []
        async for one in listener:
            heard.append(one)
            if len(heard) == at // PACKET_FRAMES:
                break
        begins = [int.from_bytes(one.numbered[:8], "little") for one in heard]
        assert begins == [n * PACKET_FRAMES for n in range(len(heard))]
        pcm = np.frombuffer(b"".join(one.samples for one in heard), "<i2")
        assert np.abs(pcm.reshape(-1, 2) / 32_767 - tone(at)).max() < 1e-4
        ring.close()

    asyncio.run(body())


def test_a_reader_that_was_held_up_goes_on_with_what_the_ring_still_has():
    async def body():
        ring = make_ring()
        tap = Tap(ring)
        listener = tap.packets.join()
        for _ in range(9000):  # more than the ring holds
            ring.write(np.zeros((BLOCK_FRAMES, 2), np.float32))
        at = tap.read(0)
        assert ring.frames - at < PACKET_FRAMES
        assert listener.dropped > 0
        ring.close()

    asyncio.run(body())


def test_a_wav_header_tells_of_48_khz_stereo_of_16_bits():
    header = wav_header()
    assert len(header) == 44
    assert header[:4] + header[8:16] == b"RIFFWAVEfmt "
    assert int.from_bytes(header[24:28], "little") == SAMPLE_RATE_HZ
    assert header[36:40] == b"data"


def test_whoever_comes_late_to_the_ogg_stream_can_play_it(tmp_path):
    stream = OggStream()
    pages = [stream.encode(packet(n).pcm) for n in range(300)]
    late = stream.header + b"".join(pages[150:])
    stream.close()
    path = tmp_path / "late.ogg"
    path.write_bytes(late)
    data, rate = soundfile.read(path)
    assert rate == SAMPLE_RATE_HZ
    assert data.shape[1] == 2
    loudness = np.sqrt(np.square(data[9600:-9600]).mean())
    assert loudness == pytest.approx(0.2 / np.sqrt(2), rel=0.1)


# ---- the listener's own store --------------------------------------------------------


def test_it_begins_to_give_when_it_holds_60_ms_and_gives_all_of_it():
    jitter = Jitter()
    for n in range(2):
        jitter.put(packet(n).numbered)
    assert not jitter.block().any()
    jitter.put(packet(2).numbered)
    sound = np.concatenate(
        [jitter.block() for _ in range(WANTED_FRAMES // BLOCK_FRAMES)]
    )
    assert np.abs(sound[200:] - tone(len(sound))[200:]).max() < 1e-3


def test_running_out_and_going_on_makes_no_step():
    jitter = Jitter()
    sound = []
    for n in range(12):
        if n not in (5, 6, 7):
            jitter.put(packet(n).numbered)
        sound += [jitter.block() for _ in range(4)]
    assert step(np.concatenate(sound)) < 8 * TONES_STEP


def test_what_is_too_late_is_left_out_without_a_step():
    jitter = Jitter()
    for n in range(4):
        jitter.put(packet(n).numbered)
    sound = [jitter.block() for _ in range(4)]
    for n in range(4, 4 + MOST_FRAMES // PACKET_FRAMES + 3):
        jitter.put(packet(n).numbered)
    sound += [jitter.block() for _ in range(8)]
    assert jitter._held <= MOST_FRAMES
    assert step(np.concatenate(sound)) < 8 * TONES_STEP


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=60))
def test_whatever_comes_and_when_what_is_held_is_bounded_and_nothing_clicks(times):
    jitter, sound = Jitter(), []
    for n, pulls in enumerate(times):
        jitter.put(packet(n).numbered)
        sound += [jitter.block() for _ in range(pulls)]
        assert 0 <= jitter._held <= MOST_FRAMES
    if sound:
        assert step(np.concatenate(sound)) < 8 * TONES_STEP


# ---- listening from afar -------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "url", "token"),
    [
        ("http://noc:2080/?token=abc", "ws://noc:2080/listen", "abc"),
        ("noc", "ws://noc:2080/listen", None),
        ("noc:99", "ws://noc:99/listen", None),
        ("http://[::1]:2080/", "ws://[::1]:2080/listen", None),
        ("https://noc/", "wss://noc/listen", None),
    ],
)
def test_an_address_is_read_as_people_write_it(address, url, token):
    assert listen_url(address) == (url, token)


@pytest.mark.parametrize("address", ["", "http://", "ftp://noc", "noc:99999", "noc:0"])
def test_what_is_no_address_to_listen_to_is_refused(address):
    with pytest.raises(PeepError, match="is no address"):
        listen_url(address)


def test_when_nothing_comes_there_is_an_alarm_within_five_seconds_and_again():
    clock = ManualClock(100.0)
    said, rung = [], []
    one = Listening(
        "127.0.0.1:9", clock=clock, say=said.append, ring=lambda: rung.append(1)
    )
    one.stop()
    one._thread.join()
    loud = []
    for _ in range(round(12.0 * SAMPLE_RATE_HZ / BLOCK_FRAMES)):
        block = one.pull()
        if np.abs(block).max() > 0.05:
            loud.append(clock.now() - 100.0)
        clock.advance(BLOCK_FRAMES / SAMPLE_RATE_HZ)
    assert STALL_S < loud[0] < 5.0
    assert any(at > loud[0] + ALARM_EVERY_S for at in loud)
    assert len(rung) == 3
    assert said == [f"no sound from 127.0.0.1:9: {one._why}"]
    assert not one.heard


def test_the_alarm_is_loud_falls_and_ends():
    made = alarm()
    assert 0.1 < np.abs(made).max() < 0.3
    assert len(made) < SAMPLE_RATE_HZ
    assert step(made) < 0.01


def test_the_queue_is_half_a_second():
    assert QUEUE_PACKETS * PACKET_FRAMES == SAMPLE_RATE_HZ // 2
