"""What the node itself uses. What may take long is looked at beside the rest, and told once it is known."""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import psutil
import structlog

from ctrl_alt_play.agent.engine.base import Engine
from ctrl_alt_play.agent.figures.counters import traffic
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import DiskFigures, NodeFigures

DOCKER_DISK_EVERY_S = 300.0
MOST_DISKS = 64
NET_DEV = Path("/proc/net/dev")
_INNER = ("lo", "veth", "docker", "br-", "virbr", "ifb", "cni", "flannel")
"""Interfaces that carry what others carry, too, or that leads nowhere."""
log = structlog.get_logger(__name__)


class _Busy(NamedTuple):
    at_s: float
    cpu_s: float


class Host:
    """Measures the node. It keeps the reading before."""

    def __init__(self, engine: Engine, folder: Path, clock: Clock) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._before: _Busy | None = None
        self._docker_disk: int | None = None
        self._docker_disk_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    @property
    def cpu_s(self) -> float | None:
        """Seconds that the node's cores were busy since it booted, when it was measured last."""
        return self._before.cpu_s if self._before else None

    async def measure(self, servers_running: int, *, is_watched: bool) -> NodeFigures:
        """Figures of now. What Docker takes on the disk is looked at only while somebody watches, and rarely."""
        is_old = self._clock.monotonic() - self._docker_disk_at > DOCKER_DISK_EVERY_S
        if is_watched and is_old and self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="Docker's disk")
        figures = await asyncio.to_thread(self._read)
        return figures.model_copy(
            update={
                "docker_disk": self._docker_disk,
                "servers_running": servers_running,
                "clock": self._clock.utc(),
            }
        )

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()

    def _read(self) -> NodeFigures:
        memory = psutil.virtual_memory()
        received, sent = traffic(NET_DEV.read_text(), lambda name: not name.startswith(_INNER))
        return NodeFigures(
            cpu=self._cpu(),
            cores=psutil.cpu_count(),
            memory=memory.total - memory.available,
            memory_total=memory.total,
            load=os.getloadavg(),
            disks=tuple(disks(self._folder)),
            rx=received,
            tx=sent,
        )

    def _cpu(self) -> float | None:
        times = psutil.cpu_times()
        busy_s = times.user + times.nice + times.system + times.irq + times.softirq
        before, self._before = self._before, _Busy(self._clock.monotonic(), busy_s)
        if before is None or self._before.at_s <= before.at_s:
            return None
        return round(max(0.0, 100 * (busy_s - before.cpu_s) / (self._before.at_s - before.at_s)), 2)

    async def _look(self) -> None:
        try:
            self._docker_disk = await self._engine.disk_bytes()
        except Fault as fault:
            log.warning("docker_disk_not_told", reason=fault.message)
        finally:
            self._docker_disk_at = self._clock.monotonic()
            self._looking = None


def disks(folder: Path) -> list[DiskFigures]:
    """The node's own disks, and the one that the servers' files are on, each once. Network disks, which may hang, are left out."""
    return list(_by_device(folder).values())


def disk_of(folder: Path) -> DiskFigures | None:
    """The disk that the folder is on, as `disks` tells it; None where it cannot be seen."""
    try:
        return _by_device(folder).get(folder.stat().st_dev)
    except OSError:
        return None


def _by_device(folder: Path) -> dict[int, DiskFigures]:
    found: dict[int, DiskFigures] = {}
    for path in [*(each.mountpoint for each in psutil.disk_partitions()), str(folder)]:
        try:
            device = os.stat(path).st_dev  # noqa: PTH116 - it is a path of the kernel's
            if device not in found and len(found) < MOST_DISKS:
                usage = psutil.disk_usage(path)
                found[device] = DiskFigures(path=path, used=usage.used, total=usage.total)
        except OSError:
            continue
    return found
