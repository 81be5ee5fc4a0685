"""What an agent costs the panel: memory while it is connected, CPU for each event; beside a bare uvicorn echo."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

AGENTS, EVENTS = 200, 100
SETTLED_CPU_S = 0.01
SETTLE_LIMIT_S = 60.0


@dataclass(frozen=True)
class Cost:
    memory_kib_an_agent: float
    cpu_us_an_event: float


def cost_of(server: psutil.Process, url: str, kind: str, secret: str) -> Cost:
    """Connects a swarm to a server that is there, lets it speak, and counts what the server used."""
    before = _settled(server)
    swarm = subprocess.Popen(
        [sys.executable, "-m", "bench.swarm", url, str(AGENTS), str(EVENTS), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AGENT_SECRET": secret},
    )
    try:
        _expect(swarm, "connected")
        idle = _settled(server)
        _go_on(swarm)
        _expect(swarm, "sent")
        after = _settled(server)
        _go_on(swarm)
        swarm.wait(60)
    finally:
        if swarm.poll() is None:
            swarm.kill()
    return Cost((idle[1] - before[1]) / 1024 / AGENTS, (after[0] - idle[0]) * 1e6 / (AGENTS * EVENTS))


def _settled(process: psutil.Process) -> tuple[float, int]:
    """CPU seconds and resident bytes, once the process has nothing more to do."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    last = sum(process.cpu_times()[:2])
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = sum(process.cpu_times()[:2])
        if now - last <= SETTLED_CPU_S:
            break
        last = now
    return sum(process.cpu_times()[:2]), process.memory_info().rss


def _expect(swarm: "subprocess.Popen[str]", word: str) -> None:
    assert swarm.stdout is not None
    said = swarm.stdout.readline().strip()
    if said != word:
        raise RuntimeError(f"the swarm said {said!r} instead of {word!r}")


def _go_on(swarm: "subprocess.Popen[str]") -> None:
    assert swarm.stdin is not None
    swarm.stdin.write("\n")
    swarm.stdin.flush()
