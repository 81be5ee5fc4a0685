"""What an agent costs while nothing happens: CPU and memory with no, some and many idle running containers, and how that grows with each."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from bench.boot import AT_ONCE, IMAGE, TINY, run_server
from bench.place import Place, remark, show
from ctrl_alt_play.games import image

COUNTS = (0, 20, 50)
SETTLE_S = 20.0
MEASURED_S = 90.0
"""Several rounds of all that the agent does by itself: figures each 15 s, the engine's pulse each 10 s and its list each minute."""


@dataclass(frozen=True)
class Cost:
    cpu_percent: float
    memory_mib: float


def measure(place: Place) -> None:
    image.build(IMAGE, TINY, place.folder / "cache", lambda _: None)
    assert place.installation.agent is not None
    agent, bare = psutil.Process(place.installation.agent.pid), psutil.Process(place.bare.pid)
    ids: list[str] = []
    costs: list[Cost] = []
    with ThreadPoolExecutor(AT_ONCE) as people:
        for count in COUNTS:
            ids += people.map(lambda _: run_server(place), range(count - len(ids)))
            time.sleep(SETTLE_S)
            ours, reference = _costs(agent, bare)
            show(f"agent's CPU, {count} idle containers; bare server", ours.cpu_percent, reference.cpu_percent, "%")
            show(f"agent's memory, {count} idle containers", ours.memory_mib, reference.memory_mib, "MiB")
            costs.append(ours)
        list(people.map(lambda server_id: place.installation.do("DELETE", f"/api/servers/{server_id}"), ids))
    cpu, memory = (_slope([getattr(cost, name) for cost in costs]) for name in ("cpu_percent", "memory_mib"))
    remark(
        f"each further container costs {1000 * cpu:.2f} thousandths of a percent of a core and {1024 * memory:.0f} KiB"
    )


def _costs(*processes: psutil.Process) -> list[Cost]:
    """Over the same stretch of time."""
    before = [_cpu_s(process) for process in processes]
    began = time.monotonic()
    time.sleep(MEASURED_S)
    took_s = time.monotonic() - began
    return [
        Cost(100 * (_cpu_s(process) - cpu_s) / took_s, process.memory_info().rss / 2**20)
        for process, cpu_s in zip(processes, before, strict=True)
    ]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _slope(values: list[float]) -> float:
    """How much is added by each container: the line of least squares through what was measured."""
    middle, mean = sum(COUNTS) / len(COUNTS), sum(values) / len(values)
    spread = sum((count - middle) ** 2 for count in COUNTS)
    return sum((count - middle) * (value - mean) for count, value in zip(COUNTS, values, strict=True)) / spread
