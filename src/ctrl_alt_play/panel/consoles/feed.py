"""One console that somebody looks at: the node tells it, its newest lines are here, and whoever waits for more is woken."""

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from typing import NoReturn

import structlog

from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.consoles.asking import Asking
from ctrl_alt_play.panel.consoles.batch import Batch
from ctrl_alt_play.panel.consoles.memory import Memory
from ctrl_alt_play.panel.consoles.ring import Ring
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import ConsolePage, HistoryPayload, Lines, Offset

RING_BYTES = 512 * 1024
PAGES_KEPT = 8
RETRY_S = 5.0
REST = 0.2
"""Of the time that it took to tell all viewers, until they are told again."""
TAIL_LINES = 1000
"""What whoever begins without an offset sees first."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Page:
    """A page of history; `batch` is None for an empty one. The same for all who asked for it."""

    def __init__(self, page: ConsolePage, since: Offset | None) -> None:
        self.batch = Batch(page.parts).since(since or 0) if page.parts else None
        self.next = page.next if self.batch is None else self.batch.next
        self.end = page.end


class Feed:
    """`ring` is None until the node said where the console is. Without `has_history` the ring is all there is."""

    def __init__(self, node_id: str, server_id: str, asking: Asking, memory: Memory) -> None:
        self.node_id, self.server_id = node_id, server_id
        self.ring: Ring | None = None
        self.has_history = True
        self.is_closed = False
        self.viewers = 0
        self.leaving: asyncio.TimerHandle | None = None
        self.turns = 0
        """How often the console was another than before, or went back; then viewers go on at `goes_on_at`, None for its newest lines."""
        self.goes_on_at: Offset | None = None
        self._asking = asking
        self._memory = memory
        self._pages: OrderedDict[Offset | None, asyncio.Task[Page]] = OrderedDict()
        self._due = asyncio.Event()
        self._has_more = asyncio.Event()
        self._changed = asyncio.Event()
        works = {"console": self._stay_attached(), "tell console": self._tell_for_ever()}
        self._tasks = [
            asyncio.create_task(work, name=f"{name} {server_id}", context=nothing_carried())
            for name, work in works.items()
        ]

    @property
    def changed(self) -> asyncio.Event:
        """Set, and another one, when there is more than at this moment: one for all who wait."""
        return self._changed

    def close(self) -> None:
        """Viewers end."""
        self.is_closed = True
        for task in self._tasks:
            task.cancel()
        self._wake()

    def tell(self, parts: tuple[Lines, ...]) -> None:
        """What the node told. It may come before the attachment's answer has been looked at."""
        if not parts or not self.has_history:
            return
        if self.ring is None:
            self.ring = Ring(parts[0].offset, RING_BYTES)
        self.ring.add(parts)
        self._has_more.set()

    def take_from(self, ring: Ring) -> None:
        """The node keeps no consoles: what it tells is in memory, in this ring."""
        if self.ring is not ring:
            self._turn(ring, None)
            self.has_history = False
        self._has_more.set()

    def go_on(self, *, is_anew: bool) -> None:
        """The node has come; its console may be another than before."""
        if is_anew:
            self._turn(None, None)
        self._due.set()
        self._has_more.set()

    async def page(self, since: Offset | None) -> Page:
        """A page of history, asked for once for all who want it at that time; the newest without `since`. Raises: Fault."""
        task = self._pages.get(since)
        if task is None:
            task = asyncio.create_task(self._ask(since), name=f"console page {since}", context=nothing_carried())
            task.add_done_callback(lambda done: self._asked(since, done))
            self._pages[since] = task
            if len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        return await asyncio.shield(task)

    async def _ask(self, since: Offset | None) -> Page:
        asked = HistoryPayload(since=since, lines=TAIL_LINES)
        return Page(await self._asking.history(self.node_id, self.server_id, asked), since)

    def _asked(self, since: Offset | None, task: asyncio.Task[Page]) -> None:
        """Pages stay for a while; those that reach the console's end do not: there will be more."""
        is_whole = not task.cancelled() and task.exception() is None and task.result().next < task.result().end
        if not is_whole and self._pages.get(since) is task:
            del self._pages[since]

    async def _stay_attached(self) -> NoReturn:
        while True:
            self._due.clear()
            pause_s: float | None = None
            try:
                await self._attach()
            except Fault as fault:
                if fault.code is ErrorCode.UNKNOWN_ACTION:
                    self.take_from(self._memory.ring(self.node_id, self.server_id))
                elif fault.code is ErrorCode.AGENT_OFFLINE:
                    self._remember()
                else:
                    log.info("console_not_attached", server_id=self.server_id, code=fault.code, reason=fault.message)
                    pause_s = RETRY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._due.wait()

    def _remember(self) -> None:
        """What there is of a node that is away."""
        if self.ring is None and self._memory.holds(self.node_id, self.server_id):
            self.take_from(self._memory.ring(self.node_id, self.server_id))

    async def _attach(self) -> None:
        """From where the ring ends; a node whose console ends before that has lost what it told last, and gives these numbers again."""
        since = self.ring.end if self.ring is not None and self.has_history else None
        page = await self._asking.attach(self.node_id, self.server_id, since)
        if since is not None and page.end < since:
            self._turn(Ring(page.end, RING_BYTES), page.end)
            page = await self._asking.attach(self.node_id, self.server_id, page.end)
        elif not self.has_history:
            self._turn(None, None)
        if self.ring is None:
            self.ring = Ring(page.next, RING_BYTES)
        self._memory.forget(self.node_id, self.server_id)
        self._has_more.set()

    async def _tell_for_ever(self) -> NoReturn:
        """Viewers are woken in rounds: where one takes long, more has come until the next, which is told at once, and others have their turn."""
        while True:
            await self._has_more.wait()
            self._has_more.clear()
            began = time.perf_counter()
            self._wake()
            await asyncio.sleep(0)  # each of them has its turn before this,
            await asyncio.sleep(0)  # and whoever one of them hands it on to before this
            await asyncio.sleep((time.perf_counter() - began) * REST)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _turn(self, ring: Ring | None, goes_on_at: Offset | None) -> None:
        if self.ring is not None:
            self.turns += 1
            self.goes_on_at = goes_on_at
        self.ring, self.has_history = ring, True
        self._pages.clear()
