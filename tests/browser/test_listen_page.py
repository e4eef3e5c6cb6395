"""The page in a real browser, on a real server: it sounds, and it is harmless.

Chromium plays into a sound server whose sink is recorded, so that what is measured has
passed through all that a listener's sound passes through.
"""

import contextlib
import shutil
import socket
import time

import numpy as np
import psutil
import pytest
from listeners import Engine, living, serving
from lives import wait_until
from pulse import Pulse
from pulse import missing as no_pulse
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from peep.console.tap import MAX_LISTENERS
from peep.sound.engine import SAMPLE_RATE_HZ

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.audio,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(150),
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="chromium is not installed"),
]
EVIL = "<script>document.title='evil'</script><img src=x onerror=alert(1)>\x1b[2J"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
)


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def pulse():
    if no_pulse():
        pytest.skip(no_pulse())
    made = Pulse()
    made.start()
    yield made
    made.close()


@contextlib.contextmanager
def browser(env=None, size=(1280, 900)):
    options = Options()
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_argument(f"--window-size={size[0]},{size[1]}")
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, env=env))
    try:
        yield driver
    finally:
        driver.quit()


def lags_s(engine, engine_began, recording, recording_began, window_s=2.0):
    """For each window of the recording: how late it is, and how like the engine's."""
    size = round(window_s * SAMPLE_RATE_HZ)
    found = []
    for begin in range(0, len(recording) - size, size):
        part = recording[begin : begin + size, 0].astype(float)
        at_s = recording_began + begin / SAMPLE_RATE_HZ - engine_began
        begin_ref = max(0, round((at_s - 1.0) * SAMPLE_RATE_HZ))
        ref = engine[begin_ref : begin_ref + size + SAMPLE_RATE_HZ, 0].astype(float)
        if len(ref) < size + SAMPLE_RATE_HZ or part.std() < 1e-5:
            continue
        n = 1 << (len(ref) + size).bit_length()
        across = np.fft.irfft(np.fft.rfft(ref, n) * np.conj(np.fft.rfft(part, n)), n)
        across = across[: len(ref) - size]
        shift = int(np.argmax(across))
        like = np.corrcoef(part, ref[shift : shift + size])[0, 1]
        found.append((at_s - (begin_ref + shift) / SAMPLE_RATE_HZ, like))
    return found


def test_pressing_listen_plays_what_the_engine_makes_less_than_half_a_second_later(
    server, pulse, record_property
):
    server.emit("system.load", "--state", "0.6", "--for", "40")
    engine = Engine(server)
    with browser(env={**server.home.env, **pulse.env}) as page:
        page.get(server.url)
        page.find_element("id", "listen").click()
        wait_until(lambda: page.title == "Peep, listening", 10)
        recorder = pulse.record()
        wait_until(lambda: recorder.frames > 12 * SAMPLE_RATE_HZ, 40)
        began = recorder.began
        recording = recorder.stop()
        assert not [e for e in page.get_log("browser") if e["level"] == "SEVERE"]
    sound, engine_began = engine.stop()
    found = lags_s(sound, engine_began, recording, began)
    lag_s = float(np.median([lag for lag, _ in found]))
    like = float(np.median([like for _, like in found]))
    record_property("lag_ms", round(1000 * lag_s))
    assert len(found) >= 4
    assert like > 0.95
    assert 0 < lag_s < 0.5


def test_what_came_over_the_network_is_shown_as_text(server):
    home = server.home
    log = home.directory / "evil.log"
    rules = home.directory / "evil.yaml"
    rules.write_text(
        "- {name: evil, match: 'evil (?P<text>.*)', event: web.evil, family: web,"
        " tier: alert}\n"
    )
    log.write_text("")
    words = ("agent", "--source", f"tail:{log}", "--rules", rules)
    words += ("--interfaces", "lo", "--classes", server.class_name)
    with browser() as page, living(home, words) as agent:
        wait_until(lambda: agent.has_said("heard by"), 20)
        page.get(server.url)
        with log.open("a") as file:
            file.write(f"evil {EVIL}\n")
        wait_until(lambda: "web.evil" in page.find_element("id", "cues").text, 20)
        text = page.find_element("css selector", "#cues .alert .text").text
        assert text.startswith("<script>document.title='evil'</script><img src=x")
        assert page.title == "Peep"
        assert (
            page.execute_script("return document.querySelectorAll('img').length") == 0
        )
        assert "\x1b" not in page.page_source


def test_the_page_says_when_the_server_is_gone_within_five_seconds():
    with serving() as server, browser() as page:
        page.get(server.url)
        page.find_element("id", "listen").click()
        wait_until(lambda: page.title == "Peep, listening", 10)
        assert not page.find_element("id", "alarm").is_displayed()
        server.life.process.kill()
        killed = time.monotonic()
        wait_until(lambda: "gone" in page.find_element("id", "alarm").text, 15)
        assert time.monotonic() - killed < 10  # the page's own bound is three seconds
        assert page.title == "(!) Peep: no sound"


def test_it_can_be_worked_from_the_keyboard_and_fits_a_phone(server):
    with browser(size=(390, 844)) as page:
        page.get(server.url)
        page.execute_script("document.getElementById('listen').focus()")
        focused = page.switch_to.active_element
        focused.send_keys(" ")
        wait_until(lambda: focused.get_attribute("aria-pressed") == "true", 10)
        wide = page.execute_script(
            "return document.documentElement.scrollWidth - window.innerWidth"
        )
        assert wide <= 0


def test_a_listener_that_does_not_read_costs_no_memory_and_disturbs_nobody(server):
    process = psutil.Process(server.life.process.pid)
    engine = Engine(server)
    wait_until(lambda: len(engine.packets) > 50, 10)
    before = process.memory_info().rss
    stalled = []
    for _ in range(8):
        sock = socket.create_connection(("127.0.0.1", server.console))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /stream.wav HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        stalled.append(sock)
    seen = len(engine.packets)
    wait_until(lambda: len(engine.packets) > seen + 500, 30)  # ten seconds of sound
    assert process.memory_info().rss - before < 8e6  # 15 MB of sound went by for each 8
    for sock in stalled:
        sock.close()
    engine.stop()  # which asserts that nothing is missing


def test_too_many_listeners_are_refused_and_the_others_hear_on(server):
    engine = Engine(server)
    held = []
    answers = set()
    for _ in range(MAX_LISTENERS + 4):
        sock = socket.create_connection(("127.0.0.1", server.console))
        sock.sendall(b"GET /stream.wav HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answers.add(sock.recv(12))
        held.append(sock)
    assert answers == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    for sock in held:
        sock.close()
    seen = len(engine.packets)
    wait_until(lambda: len(engine.packets) > seen + 50, 20)
    engine.stop()
