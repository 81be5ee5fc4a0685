"""Topics whose newest state is all that counts: what was not sent yet is replaced by what is newer, and nothing else is lost."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ctrl_alt_play.panel.live.channel import Channel, Subscription
from ctrl_alt_play.panel.live.events import EventLog
from ctrl_alt_play.panel.live.frames import Frame, frame, listed, removed
from ctrl_alt_play.panel.live.topics import Topic


class Row(NamedTuple):
    """One thing of a list, as administrators get it."""

    id: str
    json: str
    guarded: Callable[[], str] | None = None
    """As others get it, where that is less."""

    def seen(self, *, is_admin: bool) -> str:
        return self.json if is_admin or self.guarded is None else self.guarded()


class Page(NamedTuple):
    rows: Sequence[Row]
    more: bool


class State(Subscription):
    """One thing, or several by name."""

    __slots__ = ("pending",)

    def __init__(self, topic: Topic, channel: Channel) -> None:
        super().__init__(topic, channel)
        self.pending: dict[str, Frame] = {}

    def offer(self, key: str, told: Frame) -> None:
        self.pending[key] = told
        self.wake()

    @property
    def has_more(self) -> bool:
        return bool(self.pending)

    async def take(self) -> Frame | None:
        return self.pending.pop(next(iter(self.pending))) if self.pending else None


class OfServer(State):
    """A server, its operations, and its events from a place on."""

    __slots__ = ("_log", "_older", "_place")

    def __init__(self, topic: Topic, channel: Channel, log: EventLog, after: int | None) -> None:
        super().__init__(topic, channel)
        self._log = log
        self._place = log.newest if after is None else min(after, log.newest)
        self._older: list[Frame] = []
        self.pending[""] = frame("subscribed", self.name, place=self._place)

    @property
    def has_more(self) -> bool:
        return bool(self.pending or self._older) or self._place < self._log.newest

    async def take(self) -> Frame | None:
        if self.pending:
            return await super().take()
        if not self._older and self._place < self._log.first:
            self._older = await self._log.older(self._place)
            self._place = self._place if self._older else self._log.first
        told = self._older.pop(0) if self._older else self._log.after(self._place)
        if told is not None and told.place is not None:
            self._place = told.place
        return told


Read = Callable[["Listing"], Awaitable[Page]]


class Listing(State):
    """All of a kind that its viewer may see: pages first, then what changes.

    `known` are those that its viewer was told of; None where they see all there are.
    """

    __slots__ = ("_is_first", "_read", "known", "last_id", "more")

    def __init__(self, topic: Topic, channel: Channel, read: Read) -> None:
        super().__init__(topic, channel)
        self._read = read
        self.known: set[str] | None = None if self.channel.actor.is_admin else set()
        self.last_id = ""
        self.more = self._is_first = True

    def anew(self) -> "Listing":
        """In its place, where its viewer may see others now than before."""
        return Listing(self.topic, self.channel, self._read)

    def tell(self, id_: str, changed: Frame | None, *, is_visible: bool) -> None:
        """`changed` is None for what is no more."""
        if changed is not None and is_visible:
            self.offer(id_, changed)
            if self.known is not None:
                self.known.add(id_)
        elif self.known is None or id_ in self.known:
            self.offer(id_, removed(self.name, id_))
            if self.known is not None:
                self.known.discard(id_)

    @property
    def has_more(self) -> bool:
        return self.more or bool(self.pending)

    async def take(self) -> Frame | None:
        return await self._page() if self.more else await super().take()

    async def _page(self) -> Frame:
        """What is pending of it was read before, and is older."""
        page = await self._read(self)
        is_first, self._is_first, self.more = self._is_first, False, page.more
        for row in page.rows:
            self.pending.pop(row.id, None)
            self.last_id = row.id
        if self.known is not None:
            self.known.update(row.id for row in page.rows)
        return frame(
            "page",
            self.name,
            listed(row.seen(is_admin=self.channel.actor.is_admin) for row in page.rows),
            first=is_first,
            more=page.more,
        )
