"""Many agents on one machine, that connect, say what real ones say, and leave. `python -m bench.swarm URL AGENTS EVENTS KIND`.

Prints `connected`, waits for a line on standard input, sends EVENTS events of KIND an agent, prints `sent`, waits again, and ends. AGENT_SECRET names
the shared secret. Nothing is sent to any address but URL, which must be on loopback.
"""

import asyncio
import json
import os
import sys
from urllib.parse import urlsplit

import websockets

CONNECTING_AT_ONCE = 50


def frame(kind: str, agent: int, number: int) -> str:
    server_id = f"swarm-{agent}"
    if kind == "output":
        data = {
            "serverId": server_id,
            "output": f"[12:00:00] line {number}: a player said something",
            "stream": "stdout",
        }
        return json.dumps({"type": "server_output", "data": data})
    if kind == "status":
        word = "running" if number % 2 else "stopped"
        data = {"serverId": server_id, "previousStatus": "running", "currentStatus": word}
        return json.dumps({"type": "event", "event": "server_status_changed", "data": data})
    return json.dumps({"type": "heartbeat", "data": {"nodeId": f"bench-{agent}", "status": "online"}})


async def connect(url: str, agent: int, room: asyncio.Semaphore) -> websockets.ClientConnection:
    headers = {"Authorization": f"Bearer {os.environ['AGENT_SECRET']}", "X-Node-Id": f"bench-{agent}"}
    async with room:
        return await websockets.connect(
            url, additional_headers=headers, compression=None, ping_interval=None, open_timeout=30
        )


async def drain(connection: websockets.ClientConnection) -> None:
    async for _ in connection:
        pass


async def main(url: str, agents: int, events: int, kind: str) -> None:
    if urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
        sys.exit("the swarm goes to loopback only")
    room = asyncio.Semaphore(CONNECTING_AT_ONCE)
    connections = await asyncio.gather(*(connect(url, agent, room) for agent in range(agents)))
    reading = [asyncio.create_task(drain(connection)) for connection in connections]
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(events):
        await asyncio.gather(*(each.send(frame(kind, agent, number)) for agent, each in enumerate(connections)))
    print("sent", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(connection.close() for connection in connections))
    await asyncio.gather(*reading)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
