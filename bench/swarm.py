"""Many agents on one machine, in a process of their own: they connect, say what real ones say, and leave.

The process prints `connected`, waits for a line on standard input, speaks, prints `sent` unless it is to go on for ever, waits again, and ends.
AGENT_SECRET names the shared secret. Nothing is sent to any address but the one given, which must be on loopback.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psutil
import websockets

CONNECTING_AT_ONCE = 50
SETTLED_CPU_S = 0.01
SETTLE_LIMIT_S = 60.0


@dataclass(frozen=True)
class Used:
    """By a process, until now."""

    cpu_s: float
    memory_bytes: int
    at_s: float


def settled(pid: int, *, at_once: bool = False) -> Used:
    """Once the process has nothing more to do."""
    process = psutil.Process(pid)
    deadline = time.monotonic() + (0 if at_once else SETTLE_LIMIT_S)
    last = sum(process.cpu_times()[:2])
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = sum(process.cpu_times()[:2])
        if now - last <= SETTLED_CPU_S:
            break
        last = now
    return Used(sum(process.cpu_times()[:2]), process.memory_info().rss, time.monotonic())


class Swarm:
    """The process, as those who measure see it."""

    def __init__(self, url: str, secret: str, **how: float | str) -> None:
        options = [part for name, value in how.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.swarm", url, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "AGENT_SECRET": secret},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._process.wait(SETTLE_LIMIT_S)
        elif self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def expect(self, word: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"the swarm said {said!r} instead of {word!r}")

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


class Agent:
    """Part 1 says what it is; part 2 waits for the welcome besides, tells that its servers run, and says yes to whatever it is asked."""

    def __init__(self, number: int, part: int, servers: int) -> None:
        self._number = number
        self._part = part
        self._server_ids = [f"swarm-{number}-{one}" for one in range(servers)]
        self._is_introduced = asyncio.Event()
        self._seq = 0

    async def come(self, url: str) -> None:
        """Again, where the panel was too busy to hear in time what it is, as real ones do."""
        while not await self._is_met(url):
            self._is_introduced.clear()

    async def _is_met(self, url: str) -> bool:
        headers = {"Authorization": f"Bearer {os.environ['AGENT_SECRET']}", "X-Node-Id": f"bench-{self._number}"}
        self._connection = await websockets.connect(
            url, additional_headers=headers, compression=None, ping_interval=None, open_timeout=60
        )
        self._reading = asyncio.create_task(self._read())
        offer = {"protocol": {"version": 2, "minimum": 1}, "agentVersion": "1", "spoolId": f"spool-{os.getpid()}"}
        told = {"nodeId": f"bench-{self._number}", "os": "linux", **(offer if self._part == 2 else {})}
        await self._send({"type": "system_info", "data": told})
        if self._part == 2:
            await self._is_introduced.wait()
            if self._reading.done():
                return False
            servers = [{"serverId": one, "observed": "running", "desired": "on"} for one in self._server_ids]
            await self._send({"type": "state_snapshot", "data": {"servers": servers, "seq": 0}})
        return True

    async def _read(self) -> None:
        """The first word is the welcome, or the echo that stands for it."""
        with suppress(websockets.ConnectionClosed):
            async for frame in self._connection:
                self._is_introduced.set()
                if '"type":"command"' in str(frame):
                    await self._send({"type": "response", "id": json.loads(frame)["id"], "success": True, "data": {}})
        self._is_introduced.set()

    async def say(self, kind: str, number: int) -> None:
        server_id = f"swarm-{self._number}-0"
        match kind:
            case "output":
                line = f"[12:00:00] line {number}: a player said something"
                data = {"serverId": server_id, "output": line, "stream": "stdout"}
                await self._send({"type": "server_output", "data": data})
            case "status":
                word = "running" if number % 2 else "stopped"
                data = {"serverId": server_id, "previousStatus": "running", "currentStatus": word}
                await self._send({"type": "event", "event": "server_status_changed", "data": data, **self._durable()})
            case "console":
                line = f"[12:00:00] line {number}: a player said something"
                data = {"serverId": server_id, "parts": [{"offset": number, "lines": 1, "at": _now(), "text": line}]}
                await self._send({"type": "event", "event": "console", "data": data})
            case "samples":
                await self._send({"type": "event", "event": "samples", "data": self._samples(number)})
            case _:
                await self._send({"type": "heartbeat", "data": {"nodeId": f"bench-{self._number}", "status": "online"}})

    def _durable(self) -> dict[str, object]:
        """In part 2 it has a number."""
        if self._part == 1:
            return {}
        self._seq += 1
        return {"seq": self._seq, "timestamp": _now()}

    def _samples(self, number: int) -> dict[str, object]:
        count = 1000 * number
        used = {
            "cpu": 12.5,
            "memory": 10**9 + number,
            "memoryLimit": 2**31,
            "disk": 10**10,
            "pids": 42,
            "uptime": number,
        }
        used |= {"rx": count, "tx": count, "read": count, "written": count}
        used |= {"players": {"online": 3, "max": 16, "list": ["Sarge", "Grunt", "Major"]}}
        servers = [{"serverId": one, **used} for one in self._server_ids]
        node = {
            "cpu": 150,
            "cores": 4,
            "memory": 2**31,
            "memoryTotal": 2**33,
            "load": [1, 1, 1],
            "rx": count,
            "tx": count,
        }
        return {"at": _now(), "servers": servers, "node": node}

    async def _send(self, frame: dict[str, object]) -> None:
        await self._connection.send(json.dumps(frame))

    async def go(self) -> None:
        await self._connection.close()
        await self._reading


def _now() -> str:
    return datetime.now(UTC).isoformat()


async def keep_alive(agents: list[Agent], every_s: float) -> None:
    """Those that are there say so while the others are still coming."""
    while every_s:
        await asyncio.sleep(every_s)
        for agent in list(agents):
            await agent.say("heartbeat", 0)


async def beat(agents: list[Agent], every_s: float) -> None:
    """Each once in `every_s`, one after the other."""
    loop = asyncio.get_running_loop()
    began, said = loop.time(), 0
    while True:
        due = int((loop.time() - began) / every_s * len(agents))
        for number in range(said, due):
            await agents[number % len(agents)].say("heartbeat", number)
        said = due
        await asyncio.sleep(0.05)


async def main(
    url: str, agents: int, part: int, servers: int, events: int, kind: str, pace_s: float, heartbeat_s: float
) -> None:
    room = asyncio.Semaphore(CONNECTING_AT_ONCE)
    swarm = [Agent(number, part, servers) for number in range(agents)]
    present: list[Agent] = []

    async def come(agent: Agent) -> None:
        async with room:
            await agent.come(url)
            present.append(agent)

    waiting = asyncio.create_task(keep_alive(present, heartbeat_s))
    await asyncio.gather(*(come(agent) for agent in swarm))
    waiting.cancel()
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    beating = asyncio.create_task(beat(swarm, heartbeat_s)) if heartbeat_s else None
    for number in range(events):
        await asyncio.gather(*(agent.say(kind, number) for agent in swarm))
        await asyncio.sleep(pace_s)
    if beating is None:
        print("sent", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if beating is not None:
        beating.cancel()
    await asyncio.gather(*(agent.go() for agent in swarm))


def given() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--part", type=int, default=1)
    parser.add_argument("--servers", type=int, default=0)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--kind", default="heartbeat")
    parser.add_argument("--pace-s", type=float, default=0)
    parser.add_argument("--heartbeat-s", type=float, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    asked = given()
    if urlsplit(asked.url).hostname not in {"127.0.0.1", "localhost"}:
        sys.exit("the swarm goes to loopback only")
    asyncio.run(main(**vars(asked)))
