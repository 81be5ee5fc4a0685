"""Someone who looks at a console: no queue, only how far they are."""

import asyncio
from contextlib import suppress
from typing import Self

from ctrl_alt_play.panel.consoles.batch import Batch, gap
from ctrl_alt_play.panel.consoles.feed import RETRY_S, TAIL_LINES, Feed
from ctrl_alt_play.panel.consoles.ring import Ring
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import Loss, Offset

MOST_BEHIND_BYTES = 4 * 1024 * 1024


class Viewer:
    """Gives batch after batch, each line once and in order: who cannot keep pace gets more at once, not later. Waits while there is none, also for
    a node that is away. Ends when the server is deleted, and with the panel.

    It may be cancelled while it waits: what was not given is given the next time.
    """

    def __init__(self, feed: Feed, after: Offset | None) -> None:
        self.position = after
        """The line that comes next; None until it is known where the newest lines begin."""
        self._feed = feed
        self._turns = feed.turns
        self._is_begun = False
        self._seen = 0
        """Bytes that the feed had got when this was last not behind."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        feed = self._feed
        while not feed.is_closed:
            changed, pause_s = feed.changed, None
            try:
                batch = await self._next()
            except Fault:
                batch, pause_s = None, RETRY_S
            if batch is not None:
                self.position = batch.next
                return batch
            await _wait(changed, pause_s)
        raise StopAsyncIteration

    async def _next(self) -> Batch | None:
        if self._turns != self._feed.turns:
            self._follow()
        ring = self._feed.ring
        if ring is None:
            return None
        if not self._is_begun or self.position is None:
            return await self._begin(ring)
        if self.position >= ring.first:
            self._seen = ring.written
            return ring.read(self.position)
        if not self._feed.has_history:
            return gap(self.position, ring.first, Loss.ROTATED)
        if ring.written - self._seen > MOST_BEHIND_BYTES:
            return gap(self.position, ring.first, Loss.SKIPPED)
        return await self._older(self.position, ring)

    def _follow(self) -> None:
        """The console is another, or went back."""
        self._turns = self._feed.turns
        goes_on_at = self._feed.goes_on_at
        self.position = None if self.position is None or goes_on_at is None else min(self.position, goes_on_at)

    async def _begin(self, ring: Ring) -> Batch | None:
        self._seen = ring.written
        if self.position is not None and ring.origin <= self.position <= ring.end:
            self._is_begun = True
            return await self._next()
        if not self._feed.has_history or (self.position is None and _has_tail(ring)):
            self.position, self._is_begun = max(ring.first, ring.end - TAIL_LINES), True
            return await self._next()
        page = await self._feed.page(self.position)
        if self.position is not None and self.position > page.end:
            self.position = None  # it is of a console that is no more
            return await self._begin(ring)
        self.position, self._is_begun = page.next, True
        return page.batch

    async def _older(self, position: Offset, ring: Ring) -> Batch:
        """What is not in memory any more. What the node has nothing of is a gap, up to where memory begins."""
        page = await self._feed.page(position)
        if page.batch is None or page.next <= position:
            return gap(position, ring.first, Loss.AWAY)
        self._seen = min(ring.written, self._seen + page.batch.size)
        return page.batch


async def _wait(changed: asyncio.Event, most_s: float | None) -> None:
    if most_s is None:
        await changed.wait()
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await changed.wait()


def _has_tail(ring: Ring) -> bool:
    return ring.first == ring.origin or ring.end - ring.first >= TAIL_LINES
