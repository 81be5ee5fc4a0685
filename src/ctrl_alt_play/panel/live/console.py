"""A console in the live channel: its own viewer goes over it, two batches ahead of what was sent."""

import asyncio
from weakref import WeakKeyDictionary

import structlog

from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.consoles.batch import Batch
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.panel.live.channel import Channel, Subscription
from ctrl_alt_play.panel.live.frames import Frame, frame, problem, removed
from ctrl_alt_play.panel.live.topics import Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ConsoleFrames:
    """Each batch written once for all who get it, and forgotten with it."""

    def __init__(self) -> None:
        self._frames: WeakKeyDictionary[Batch, Frame] = WeakKeyDictionary()

    def of(self, topic: str, batch: Batch) -> Frame:
        found = self._frames.get(batch)
        if found is None:
            found = self._frames[batch] = frame("lines", topic, batch.json, batch.next)
        return found


class ConsoleOf(Subscription):
    __slots__ = ("_frames", "_is_taken", "_next", "_task")

    def __init__(
        self,
        topic: Topic,
        channel: Channel,
        consoles: Consoles,
        frames: ConsoleFrames,
        node_id: str,
        after: int | None,
    ) -> None:
        super().__init__(topic, channel)
        self._frames = frames
        self._next: Frame | None = frame("subscribed", self.name, place=after)
        self._is_taken = asyncio.Event()
        looking = self._look(consoles, node_id, after)
        self._task = asyncio.create_task(looking, name=f"view of {self.name}", context=nothing_carried())

    @property
    def has_more(self) -> bool:
        return self._next is not None

    async def take(self) -> Frame | None:
        taken, self._next = self._next, None
        self._is_taken.set()
        return taken

    def close(self) -> None:
        self._task.cancel()

    async def _look(self, consoles: Consoles, node_id: str, after: int | None) -> None:
        last = removed(self.name, self.topic.id)
        try:
            async with consoles.watch(node_id, self.topic.id, after) as viewer:
                async for batch in viewer:
                    while self._next is not None:
                        self._is_taken.clear()
                        await self._is_taken.wait()
                    self._next = self._frames.of(self.name, batch)
                    self.wake()
        except Exception:
            log.exception("console_view_failed", server_id=self.topic.id)
            last = problem("INTERNAL_ERROR", "The panel failed at this console.", self.name)
        self.end(last)
