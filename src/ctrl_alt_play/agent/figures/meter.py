"""What a running server uses, measured: CPU between two readings of its counters, memory without page cache, disk by looking."""

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ctrl_alt_play.agent.engine.base import Container, Engine, Sample
from ctrl_alt_play.agent.figures.cgroups import Counters
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import Disk, Memory, Resources, Traffic
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.specification import MIB, Limits

SHORTEST_SPAN_S = 0.25
"""CPU over a shorter time says more about the scheduler than about the game."""
FRESH_S = 1.0
"""Asked again within this time, what was measured is told again: Docker would think about it for a second."""
DISK_AGE_S = 60.0
SAMPLE_TIMEOUT_S = 0.5
DISK_TIMEOUT_S = 0.2


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. `cpu_percent` is of one core; None where there was nothing to compare with."""

    sample: Sample
    cpu_percent: float | None
    disk_bytes: int | None


class Meter:
    """Measures one server: by its control groups, or else by asking the engine. It keeps the reading before, and does nothing by itself."""

    def __init__(self, server_id: str, engine: Engine, folder: Path, clock: Clock) -> None:
        self._server_id = server_id
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._counters = Counters(clock)
        self._before: Sample | None = None
        self._last: Figures | None = None
        self._last_at = float("-inf")
        self._disk_bytes: int | None = None
        self._disk_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    @property
    def disk_bytes(self) -> int | None:
        """What the server's files took when they were looked at last."""
        return self._disk_bytes

    def reset(self) -> None:
        """The container started anew: its counters begin at zero."""
        self._before = self._last = None

    @property
    def last(self) -> Figures | None:
        """What was measured last, of the run that goes on."""
        return self._last

    async def measure(self, container: Container) -> Figures | None:
        """A fresh reading, or the last one when the engine is too slow to answer; None while nothing runs."""
        if self._last is not None and self._clock.monotonic() - self._last_at < FRESH_S:
            return replace(self._last, disk_bytes=self._disk_bytes)
        disk = asyncio.create_task(self._measure_disk(), name=f"disk {self._server_id}")
        sample = await asyncio.to_thread(self.read, container) or await self.ask()
        await disk
        if sample is None:
            return None if self._last is None else self.take(self._last.sample, container)
        return self.take(sample, container)

    def read(self, container: Container) -> Sample | None:
        """The counters as the kernel has them, where this agent sees them. Blocks, for less than a millisecond."""
        return self._counters.read(container)

    async def ask(self) -> Sample | None:
        """The counters as the engine tells them; None when it does not, or not in time."""
        try:
            async with asyncio.timeout(SAMPLE_TIMEOUT_S):
                return await self._engine.sample(self._server_id)
        except (TimeoutError, Fault):
            return None

    def take(self, sample: Sample, container: Container) -> Figures:
        """Figures from a reading of the counters of a container that runs."""
        before = self._before
        if before is None or before.cpu_ns > sample.cpu_ns or before.read_at_s > sample.read_at_s:
            started_at_s = container.started_at.timestamp() if container.started_at else sample.read_at_s
            before = replace(sample, read_at_s=started_at_s, cpu_ns=0)
        span_s = sample.read_at_s - before.read_at_s
        if span_s >= SHORTEST_SPAN_S:
            cpu: float | None = (sample.cpu_ns - before.cpu_ns) / 1e7 / span_s
            self._before = sample
        else:
            cpu = self._last.cpu_percent if self._last else None
        self._last, self._last_at = Figures(sample, cpu, self._disk_bytes), self._clock.monotonic()
        return self._last

    async def look_at_disk(self) -> None:
        """Has the files looked at again, however long that takes; a look that is under way is as good."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name=f"disk look {self._server_id}")
        await asyncio.wait({self._looking})

    async def _measure_disk(self) -> None:
        """Looks again when the last look is old, and waits a moment for it, but not for a large folder."""
        if self._looking is None and self._clock.monotonic() - self._disk_at > DISK_AGE_S:
            self._looking = asyncio.create_task(self._look(), name=f"disk look {self._server_id}")
        if self._looking is not None and self._disk_bytes is None:
            await asyncio.wait({self._looking}, timeout=DISK_TIMEOUT_S)

    async def _look(self) -> None:
        try:
            self._disk_bytes = await asyncio.to_thread(folder_bytes, self._folder)
        finally:
            self._disk_at = self._clock.monotonic()
            self._looking = None


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk, in bytes. Links are not followed, and files that vanish meanwhile do not count."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def resources_of(figures: Figures | None, limits: Limits) -> Resources | None:
    """Figures as the protocol tells them."""
    if figures is None:
        return None
    sample = figures.sample
    limit = sample.memory_limit_bytes
    return Resources(
        cpu=None if figures.cpu_percent is None else round(figures.cpu_percent, 2),
        memory=Memory(
            used=f"{round(sample.memory_bytes / MIB)}m",
            used_bytes=sample.memory_bytes,
            limit_bytes=limit,
            percentage=round(100 * sample.memory_bytes / limit, 2) if limit else None,
        ),
        disk=Disk(used_bytes=figures.disk_bytes, limit_bytes=limits.disk),
        network=Traffic(rx=sample.received_bytes, tx=sample.sent_bytes),
    )
