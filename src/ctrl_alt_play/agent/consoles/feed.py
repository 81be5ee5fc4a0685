"""What the panel is told of consoles that it has attached to: for each a cursor over its log, and no queue."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from ctrl_alt_play.agent.consoles.log import ConsoleLog
from ctrl_alt_play.agent.consoles.part import Part, gap
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import wire
from ctrl_alt_play.protocol.live import MOST_BATCH_BYTES, ConsoleBatch, Loss
from ctrl_alt_play.protocol.messages import Event

TELL_EVERY_S = 0.02
"""At most so often, but at once for a console that has more than one batch to tell."""
MOST_BEHIND_BYTES = 8 * 2**20
"""A flood's first burst is told as a whole."""
MOST_HELD_BYTES = 64 * 2**20
"""In memory, for all consoles that are behind; the disk has the rest."""


class Cursor:
    """How far the panel was told of one console."""

    def __init__(self, log: ConsoleLog, offset: int, on_more: Callable[[], None]) -> None:
        self.log = log
        self.offset = offset
        self.on_more = on_more
        self.most_bytes = MOST_BEHIND_BYTES
        self.due_at = 0.0
        self.fetched: list[Part] | None = None
        """From the disk, for what is not in memory any more."""
        self.fetching: asyncio.Task[None] | None = None

    @property
    def has_more(self) -> bool:
        return self.offset < self.log.end

    @property
    def is_waiting(self) -> bool:
        """Whether the disk has to be read first."""
        return self.fetched is None and self.offset < self.log.remembered

    def is_far_behind(self) -> bool:
        return self.log.behind(self.offset) > MOST_BEHIND_BYTES and self.offset < self.log.remembered

    async def fetch(self) -> None:
        offset = self.offset
        parts = await self.log.kept(offset)
        self.fetched = parts if offset == self.offset else None

    def take(self) -> list[Part]:
        """The next batch."""
        if self.is_far_behind():
            since, self.offset = self.offset, self.log.end
            self.log.forget()
            parts = [gap(since, self.log.remembered - since, self.log.at, Loss.SKIPPED)]
        elif self.fetched:
            parts = self.fetched
        else:
            parts = self.log.newest(self.offset)
        self.fetched = None
        self.offset = parts[-1].next if parts else self.log.end
        self.log.forget()
        return parts


class Feed:
    """One connection's attachments; they end with it. Consoles take turns, so that one that floods delays no other by more than a batch."""

    def __init__(self, clock: Clock) -> None:
        self.on_more: Callable[[], None] = lambda: None
        """Told when there may be something to send."""
        self._clock = clock
        self._cursors: OrderedDict[str, Cursor] = OrderedDict()

    def attach(self, server_id: str, log: ConsoleLog, since: int) -> None:
        """Tells the console from this line on."""
        self.detach(server_id)
        log.reader = self._cursors[server_id] = Cursor(log, since, self.on_more)
        self._share()
        self.on_more()

    def detach(self, server_id: str) -> None:
        cursor = self._cursors.pop(server_id, None)
        if cursor is not None:
            cursor.log.reader = None
            if cursor.fetching is not None:
                cursor.fetching.cancel()
            self._share()

    def detach_all(self) -> None:
        for server_id in list(self._cursors):
            self.detach(server_id)

    def due_in_s(self) -> float | None:
        """Seconds until something may be sent, 0 or less when it is time; None while there is nothing, or the disk is being read."""
        due_at = min(
            (each.due_at for each in self._cursors.values() if each.has_more and not self._reads(each)), default=None
        )
        return None if due_at is None else due_at - self._clock.monotonic()

    def take(self) -> Event | None:
        """A batch of the console whose turn it is."""
        now = self._clock.monotonic()
        for server_id, cursor in list(self._cursors.items()):
            if not cursor.has_more or cursor.due_at > now or self._reads(cursor):
                continue
            parts = cursor.take()
            self._cursors.move_to_end(server_id)
            is_behind = cursor.log.behind(cursor.offset) > MOST_BATCH_BYTES
            cursor.due_at = now if is_behind else now + TELL_EVERY_S
            if parts:
                batch = ConsoleBatch.model_construct(server_id=server_id, parts=tuple(part.told() for part in parts))
                return Event(event="console", data=wire(batch))
        return None

    def _share(self) -> None:
        for cursor in self._cursors.values():
            cursor.most_bytes = min(MOST_BEHIND_BYTES, MOST_HELD_BYTES // len(self._cursors))

    def _reads(self, cursor: Cursor) -> bool:
        """Whether the disk is being read for it; begins to, where that is needed."""
        if not cursor.is_waiting or cursor.is_far_behind():
            return False
        if cursor.fetching is None or cursor.fetching.done():
            cursor.fetching = asyncio.create_task(cursor.fetch(), name="console pages")
            cursor.fetching.add_done_callback(lambda _: self.on_more())
        return True
