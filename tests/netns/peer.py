"""An agent or a server without sources and sound, for ways that have no options yet.

peer.py server [--mdns]
peer.py agent [--mdns] [--locator peep://…]
"""

import argparse
import asyncio
import os
import random
import signal
import sys

from peep.clock import SystemClock
from peep.net.backends import Backends, Wanted, backends
from peep.net.locators import parse_locator
from peep.net.mdns import Advert
from peep.net.sockets import agent_endpoint, server_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.events import AgentJoined, Gone, Joined, Lapsed
from peep.protocol.server import ServerConfig, ServerProtocol

CLOCK = SystemClock()
RNG = random.Random()


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def server(options, stop):
    def tell(event, _now):
        if isinstance(event, AgentJoined):
            say("joined", event.peer.host)

    config = ServerConfig(server_id=os.urandom(8), secret=os.urandom(32))
    endpoint, _ = server_endpoint(None)
    driver = UdpDriver(ServerProtocol(config, RNG), endpoint, CLOCK, tell)
    driver.start()
    say("listening")
    advert = None
    if options.mdns:
        made = Advert("server", config.server_id, endpoint.port, config.classes)
        advert = asyncio.create_task(made.run())
    await stop.wait()
    driver.close()
    if advert is not None:
        advert.cancel()
        await asyncio.gather(advert, return_exceptions=True)


async def agent(options, stop):
    def tell(event, _now):
        match event:
            case Joined(address=address):
                group.leased(address)
                say("heard by", *address)
            case Lapsed(address=address) | Gone(address=address):
                group.lost(address)
                say("lost", *address)

    def propose(address):
        machine.propose(address, CLOCK.now())
        driver.kick()

    config = AgentConfig(agent_id=os.urandom(8), host=options.host)
    endpoint, _ = agent_endpoint()
    machine = AgentProtocol(config, RNG)
    driver = UdpDriver(machine, endpoint, CLOCK, tell)
    wanted = Wanted(
        locators=tuple(map(parse_locator, options.locator)), mdns=options.mdns
    )
    made = backends(wanted, config.classes, clock=CLOCK, chance=RNG.random, say=say)
    group = Backends(made, propose, say)
    driver.start()
    group.start()
    say("looking")
    await stop.wait()
    await group.close()
    driver.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["agent", "server"])
    parser.add_argument("--mdns", action="store_true")
    parser.add_argument("--locator", action="append", default=[])
    parser.add_argument("--host", default="peer")
    options = parser.parse_args()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await (server if options.role == "server" else agent)(options, stop)


asyncio.run(main())
