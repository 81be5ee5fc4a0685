"""Measures all running servers and the node: every 15 s, and what somebody watches every second. One task, whose work another thread does where it
reads files.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import structlog

from ctrl_alt_play.agent.engine.base import Sample
from ctrl_alt_play.agent.figures.census import Census
from ctrl_alt_play.agent.figures.host import Host
from ctrl_alt_play.agent.figures.meter import Figures
from ctrl_alt_play.agent.figures.subject import Subject
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.live import NodeFigures, PlayersSeen, Samples, ServerFigures, WatchPayload

EVERY_S = 15.0
WATCHED_EVERY_S = 1.0
HOST_TIMEOUT_S = 5.0
ASKED_AT_ONCE = 8
DISKS_EVERY_S = 60.0
DISKS_SHARE = 50
"""Looking at the servers' files takes at most one part in so many of one core's time."""
RETRY_S = 1.0
log = structlog.get_logger(__name__)


class Sampler:
    """`node` is what was measured of the node last."""

    def __init__(
        self,
        running: Callable[[], Iterable[Subject]],
        host: Host,
        census: Census,
        clock: Clock,
        tell: Callable[[Samples], None],
    ) -> None:
        self.node: NodeFigures | None = None
        self._running = running
        self._host = host
        self._census = census
        self._clock = clock
        self._tell = tell
        self._watched_until: dict[str, float] = {}
        self._node_until = float("-inf")
        self._all_at = float("-inf")
        self._disks_at = float("-inf")
        self._disks: asyncio.Task[None] | None = None
        self._reading_host: asyncio.Task[NodeFigures] | None = None
        self._woken = asyncio.Event()

    def subjects(self) -> list[Subject]:
        """The servers that run now."""
        return list(self._running())

    @property
    def node_cpu_s(self) -> float | None:
        """Seconds that the node's cores were busy since it booted."""
        return self._host.cpu_s

    def players(self, server_id: str) -> PlayersSeen | None:
        """Who plays on a server, where its game told lately."""
        return self._census.seen(server_id)

    def watch(self, wanted: WatchPayload) -> None:
        """Measures these every second from now on, for as long as is wanted."""
        now = self._clock.monotonic()
        self._watched_until = {id_: until for id_, until in self._watched_until.items() if until > now}
        for server_id in wanted.servers:
            self._watched_until[server_id] = max(self._watched_until.get(server_id, 0), now + wanted.seconds)
        if wanted.node:
            self._node_until = max(self._node_until, now + wanted.seconds)
        self._woken.set()

    async def run(self) -> None:
        """Measures until cancelled."""
        try:
            while True:
                began = self._clock.monotonic()
                try:
                    await self._measure()
                except Exception:  # whatever is wrong with one figure must not end the others
                    log.exception("sampler_broke")
                    await asyncio.sleep(RETRY_S)
                await self._pause(began)
        finally:
            self._census.close()
            self._host.close()
            for task in (self._disks, self._reading_host):
                if task is not None:
                    task.cancel()

    async def _pause(self, began: float) -> None:
        """Until the next are due: a second after the last at the soonest, also where watching begins meanwhile."""
        await asyncio.sleep(max(0.0, began + WATCHED_EVERY_S - self._clock.monotonic()))
        while not self._is_watched() and (left_s := self._all_at - self._clock.monotonic()) > 0:
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()

    def _is_watched(self) -> bool:
        now = self._clock.monotonic()
        return self._node_until > now or any(until > now for until in self._watched_until.values())

    async def _measure(self) -> None:
        now = self._clock.monotonic()
        is_all = now >= self._all_at
        if is_all:
            self._all_at = now + EVERY_S
        running = self.subjects()
        due = running if is_all else [each for each in running if self._watched_until.get(each.id, 0) > now]
        self._census.ask(running)
        self._look_at_disks(running)
        measured = await self._measure_servers(due)
        is_node_watched = self._node_until > now
        node = await self._measure_node(len(running), is_node_watched) if is_all or is_node_watched else None
        at = self._clock.utc()
        servers = [figures_of(each, measured.get(each.id), self.players(each.id), at.timestamp()) for each in due]
        if servers or node is not None:
            self._tell(Samples(at=at, servers=tuple(servers), node=node))

    async def _measure_servers(self, due: Sequence[Subject]) -> Mapping[str, Figures]:
        """By their control groups; the engine is asked for those that cannot be seen."""
        samples = await asyncio.to_thread(_read, due) if due else {}
        unseen = [each for each in due if samples[each.id] is None]
        if unseen:
            turns = asyncio.Semaphore(ASKED_AT_ONCE)
            samples |= dict(await asyncio.gather(*(_ask(each, turns) for each in unseen)))
        return {each.id: each.meter.take(sample, each.container) for each in due if (sample := samples[each.id])}

    async def _measure_node(self, servers_running: int, is_watched: bool) -> NodeFigures | None:  # noqa: FBT001 - private
        """A disk that hangs keeps nobody waiting: its reading is left behind until it ends."""
        if self._reading_host is None:
            measuring = self._host.measure(servers_running, is_watched=is_watched)
            self._reading_host = asyncio.create_task(measuring, name="node figures")
        reading = self._reading_host
        if not (await asyncio.wait({reading}, timeout=HOST_TIMEOUT_S))[0]:
            return None
        self._reading_host = None
        self.node = reading.result()
        return self.node

    def _look_at_disks(self, running: Sequence[Subject]) -> None:
        """One server after the other; all of them rarely enough, and those that never were as soon as they run."""
        is_all = self._clock.monotonic() >= self._disks_at
        due = running if is_all else [each for each in running if each.meter.disk_bytes is None]
        if due and self._disks is None:
            self._disks = asyncio.create_task(self._look(due), name="disk looks")

    async def _look(self, due: Sequence[Subject]) -> None:
        began = self._clock.monotonic()
        try:
            for subject in due:
                await subject.meter.look_at_disk()
        finally:
            took_s = self._clock.monotonic() - began
            self._disks_at = max(self._disks_at, began + max(DISKS_EVERY_S, DISKS_SHARE * took_s))
            self._disks = None


def figures_of(subject: Subject, figures: Figures | None, players: PlayersSeen | None, now_s: float) -> ServerFigures:
    """As the protocol tells them. A server that cannot be measured still runs, and says since when."""
    sample = figures.sample if figures else None
    told = {} if sample is None else _told(sample)
    cpu = figures.cpu_percent if figures else None
    return ServerFigures(
        server_id=subject.id,
        cpu=None if cpu is None else round(cpu, 2),
        disk=subject.meter.disk_bytes,
        uptime=round(max(0.0, now_s - subject.started_at_s), 3) if subject.started_at_s else None,
        players=players,
        **told,
    )


def _told(sample: Sample) -> dict[str, int | None]:
    return {
        "memory": sample.memory_bytes,
        "memory_limit": sample.memory_limit_bytes or None,
        "rx": sample.received_bytes,
        "tx": sample.sent_bytes,
        "read": sample.read_bytes,
        "written": sample.written_bytes,
        "pids": sample.pids or None,
    }


def _read(due: Sequence[Subject]) -> dict[str, Sample | None]:
    return {each.id: each.meter.read(each.container) for each in due}


async def _ask(subject: Subject, turns: asyncio.Semaphore) -> tuple[str, Sample | None]:
    async with turns:
        return subject.id, await subject.meter.ask()
