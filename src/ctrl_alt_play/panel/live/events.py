"""The newest durable events of a server that is looked at: a log with numbers, over which each viewer has a place of their own."""

from bisect import bisect_right
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.events import service as events
from ctrl_alt_play.panel.live.frames import Frame, frame
from ctrl_alt_play.panel.live.topics import Kind, Topic
from ctrl_alt_play.panel.models import Event, Server

MOST_KEPT = 256
AT_ONCE = 100

Reading = Callable[[], AbstractAsyncContextManager[AsyncSession]]


class EventLog:
    """Holds all events after `first` up to `newest`; those before are in the database."""

    def __init__(self, server: Server, newest: int, reading: Reading) -> None:
        self.first = self.newest = newest
        self._server_id, self._node_id = server.id, server.node_id
        self._topic = str(Topic(Kind.SERVER, server.id))
        self._reading = reading
        self._places: list[int] = []
        self._frames: list[Frame] = []

    async def take_in(self, session: AsyncSession) -> None:
        """What came since. Past what is kept, all of it is left to the database."""
        found = await events.after(session, self._server_id, self._node_id, self.newest, MOST_KEPT + 1)
        if len(found) > MOST_KEPT:
            self._places, self._frames = [], []
            self.first = self.newest = await events.newest(session, self._server_id, self._node_id)
            return
        for event in found:
            self._places.append(event.id)
            self._frames.append(self._frame(event))
            self.newest = event.id
        if (surplus := len(self._places) - MOST_KEPT) > 0:
            self.first = self._places[surplus - 1]
            del self._places[:surplus], self._frames[:surplus]

    def after(self, place: int) -> Frame | None:
        """The one that follows a place which is not before `first`."""
        index = bisect_right(self._places, place)
        return self._frames[index] if index < len(self._frames) else None

    async def older(self, place: int) -> list[Frame]:
        """Some that follow a place, from the database."""
        async with self._reading() as session:
            found = await events.after(session, self._server_id, self._node_id, place, AT_ONCE)
            return [self._frame(event) for event in found]

    def _frame(self, event: Event) -> Frame:
        return frame("event", self._topic, events.view(event).model_dump_json(), event.id)
