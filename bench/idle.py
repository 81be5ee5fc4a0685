"""Many agents that have nothing to tell: memory and CPU of one panel process, beside a bare uvicorn echo with as many sockets."""

import resource
import sys
import time
from dataclasses import dataclass

from bench.place import Place, remark, show
from bench.swarm import Swarm, settled

AGENTS = 5000
HEARTBEAT_S = {1: 30.0, 2: 10.0}
"""By part: what part 1 has always had, and what our panel asks for."""
WATCHED_S = 30.0
SPARE_FILES = 500


def measure(place: Place, part: int = 2) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < AGENTS + SPARE_FILES:
        sys.exit(
            f"{AGENTS} agents need {AGENTS + SPARE_FILES} open files; this shell allows {most}: raise it by `ulimit -n`"
        )
    place.add_nodes(AGENTS)
    ours = _cost(place, place.panel.pid, place.agents_url, part)
    bare = _cost(place, place.bare.pid, place.bare_url, part)
    show(f"memory an idle agent, part {part}", ours.memory_kib, bare.memory_kib, "KiB")
    show(f"CPU of {AGENTS} idle agents, part {part}", ours.cpu_percent, bare.cpu_percent, "%")
    show(f"until all of them are there, part {part}", ours.coming_s, bare.coming_s, "s")
    remark(f"a heartbeat every {HEARTBEAT_S[part]:.0f} s an agent; CPU of one core, over {WATCHED_S:.0f} s")


@dataclass(frozen=True)
class Cost:
    memory_kib: float
    cpu_percent: float
    coming_s: float


def _cost(place: Place, pid: int, url: str, part: int) -> Cost:
    """Of a server that had no agents before: memory that it once had, it keeps."""
    before = settled(pid)
    began = time.monotonic()
    with Swarm(url, place.secret, agents=AGENTS, part=part, heartbeat_s=HEARTBEAT_S[part]) as swarm:
        swarm.expect("connected")
        coming_s = time.monotonic() - began
        idle = settled(pid)
        swarm.go_on()
        time.sleep(WATCHED_S)
        after = settled(pid, at_once=True)
        swarm.go_on()
    memory_kib = (idle.memory_bytes - before.memory_bytes) / 1024 / AGENTS
    return Cost(memory_kib, (after.cpu_s - idle.cpu_s) * 100 / (after.at_s - idle.at_s), coming_s)
