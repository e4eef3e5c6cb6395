"""What listeners cost, and how late a browser is.

A real server with two live layers and an event now and then, its engine on no card. Its
CPU (server and sound process together) with one listener and with ten: WebSockets, in a
process of their own, as the page opens them; then a real Chromium that plays the page
into a PulseAudio sink whose monitor is recorded for a minute, beside a listener that
keeps what the engine made: for each two seconds, how late the recording is. The first
row is the server with nobody listening.

    python tests/bench/browser.py [--seconds S] [--runs N]

Ends with RATIO browser-cpu (1.3 ÷ (ten ÷ one)) and RATIO browser-lag (0.5 s ÷ median).
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from listeners import Engine, Server, serving
from pulse import Pulse, missing
from test_listen_page import CHROMIUM, DRIVER, browser, lags_s

ALLOWED_GROWTH, ALLOWED_LAG_S = 1.3, 0.5
LISTENERS = """
import asyncio, sys
from websockets.asyncio.client import connect

async def listen(url):
    async with connect(url, compression=None, proxy=None) as socket:
        async for packet in socket:
            pass

async def main(url, count):
    await asyncio.gather(*(listen(url) for _ in range(int(count))))

asyncio.run(main(*sys.argv[1:]))
"""


def cpu_s(server: Server) -> float:
    process = psutil.Process(server.life.process.pid)
    family = (process, *process.children())
    return sum(sum(one.cpu_times()[:2]) for one in family)


def cost(server: Server, listeners: int, seconds: float) -> float:
    """Return the share of a core that so many listeners make the server use."""
    crowd = None
    if listeners:
        url = server.url.replace("http", "ws") + "listen"
        crowd = subprocess.Popen(
            [sys.executable, "-c", LISTENERS, url, str(listeners)],
            stderr=subprocess.DEVNULL,
        )
    pause = threading.Event()
    pause.wait(2.0)  # until all have joined
    begin, before = time.monotonic(), cpu_s(server)
    pause.wait(seconds)
    used = (cpu_s(server) - before) / (time.monotonic() - begin)
    if crowd is not None:
        if crowd.poll() is not None:
            raise SystemExit("the listeners were cut off")
        os.kill(crowd.pid, signal.SIGKILL)
        crowd.wait()
    return used


def lag(server: Server, seconds: float) -> tuple[list[float], list[float]]:
    """Return the lags of what was like the engine's sound, and how like all was."""
    pulse = Pulse()
    pulse.start()
    engine = Engine(server)
    with browser(env={**server.home.env, **pulse.env}) as page:
        page.get(server.url)
        page.find_element("id", "listen").click()
        recorder = pulse.record()
        pause = threading.Event()
        while recorder.frames < seconds * 48_000:
            pause.wait(0.5)
        began = recorder.began
        recording = recorder.stop()
    sound, engine_began = engine.stop()
    pulse.close()
    found = lags_s(sound, engine_began, recording, began)
    lags = [one for one, like in found if like > 0.8]
    return lags, [like for _, like in found]


def keep_sounding(server: Server, over: threading.Event) -> None:
    """Hold two states, and let something be heard now and then."""
    for number in itertools.count():
        if number % 10 == 0:
            server.emit("system.load", "--state", "0.6", "--for", "120")
            server.emit("system.network", "--state", "0.4", "--for", "120")
        server.emit(f"web.n{number}", "--family", "web")
        if over.wait(4.0):
            return


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    if missing() or not CHROMIUM or not DRIVER:
        raise SystemExit(missing() or "chromium or its driver is not installed")
    with serving() as server:
        over = threading.Event()
        busy = threading.Thread(target=keep_sounding, args=(server, over))
        busy.start()
        try:
            costs: dict[int, list[float]] = {0: [], 1: [], 10: []}
            for run in range(args.runs):
                for count, found in costs.items():
                    found.append(cost(server, count, args.seconds))
                told = ", ".join(f"{n}: {f[-1]:.2%}" for n, f in costs.items())
                say(f"run {run + 1}, of a core by listeners: {told}")
            ratios = [ten / one for one, ten in zip(costs[1], costs[10], strict=True)]
            lags, likes = lag(server, 60.0)
        finally:
            over.set()
            busy.join()
    for count, found in costs.items():
        say(
            f"{count} listeners: {statistics.median(found):.2%} of a core "
            f"({min(found):.2%} to {max(found):.2%})"
        )
    growth, late_s = statistics.median(ratios), statistics.median(lags)
    say(f"ten ÷ one: {growth:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    say(
        f"the page is {1000 * late_s:.0f} ms behind the engine (median of "
        f"{len(lags)} of {len(likes)} parts, those that are like it, "
        f"{1000 * min(lags):.0f} to {1000 * max(lags):.0f}); alike "
        f"{statistics.median(likes):.3f}"
    )
    say(f"RATIO browser-cpu {ALLOWED_GROWTH / growth:.2f} 1")
    say(f"RATIO browser-lag {ALLOWED_LAG_S / late_s:.2f} 1")


if __name__ == "__main__":
    main()
