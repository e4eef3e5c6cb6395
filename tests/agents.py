"""Some agents in one process, on the loopback: python agents.py CLASS HOST...

They are the real machine on real sockets, and watch nothing. Runs until killed.
"""

import asyncio
import os
import random
import sys

from peep.clock import SystemClock
from peep.net.sockets import agent_endpoint
from peep.net.udp import UdpDriver
from peep.protocol.agent import AgentConfig, AgentProtocol
from peep.protocol.packets import ID_BYTES


async def run(class_name, hosts):
    for host in hosts:
        endpoint, _ = agent_endpoint(["lo"])
        config = AgentConfig(
            agent_id=os.urandom(ID_BYTES),
            host=host,
            classes=(class_name,),
            near=endpoint.networks(),
        )
        machine = AgentProtocol(config, random.Random(), os.urandom)
        UdpDriver(machine, endpoint, SystemClock(), lambda *_: None).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2:]))
