"""Figures as they are measured: a viewer gets the newest, and is told how many they missed."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from pydantic import BaseModel

from ctrl_alt_play.panel.live.channel import Channel, Subscription
from ctrl_alt_play.panel.live.frames import Frame, frame, listed
from ctrl_alt_play.panel.live.topics import Kind, Topic
from ctrl_alt_play.panel.live.watchers import Watchers


class Source(Protocol):
    """Who has figures. What it gets to know it tells by `Measured.tell_server` and `Measured.tell_node`."""

    def recent_of_server(self, server_id: str) -> Sequence[BaseModel]:
        """The samples of the last 60 s, the oldest first; none where there are none."""
        ...

    def recent_of_node(self, node_id: str) -> Sequence[BaseModel]:
        """As `recent_of_server`."""
        ...

    def watch(self, servers: Mapping[str, str], nodes: AbstractSet[str]) -> None:
        """These are looked at, servers with their nodes, and no others: said when it changes, and every 15 s while there are any.

        It must not wait.
        """
        ...


class FiguresOf(Subscription):
    """`node_id` is where they come from."""

    __slots__ = ("_closed", "_data", "_first", "_skipped", "node_id")

    def __init__(
        self, topic: Topic, channel: Channel, node_id: str, recent: Sequence[BaseModel], closed: Callable[[], None]
    ) -> None:
        super().__init__(topic, channel)
        self.node_id = node_id
        self._first: str | None = listed(sample.model_dump_json() for sample in recent)
        self._data: str | None = None
        self._skipped = 0
        self._closed = closed

    def offer(self, data: str) -> None:
        self._skipped += self._data is not None
        self._data = data
        self.wake()

    @property
    def has_more(self) -> bool:
        return self._first is not None or self._data is not None

    async def take(self) -> Frame | None:
        if self._first is not None:
            first, self._first = self._first, None
            return frame("recent", self.name, first)
        data, self._data = self._data, None
        skipped, self._skipped = self._skipped, 0
        return None if data is None else frame("sample", self.name, data, skipped=skipped or None)

    def close(self) -> None:
        self._closed()


class Measured:
    """Connects the source with those who look. `wake` is called when `watch_others` is due."""

    def __init__(self, watchers: Watchers, source: Source, wake: Callable[[], None]) -> None:
        self.is_due = False
        self._watched: tuple[dict[str, str], set[str]] = ({}, set())
        self._watchers = watchers
        self._source = source
        self._wake = wake

    def of_server(self, topic: Topic, channel: Channel, node_id: str) -> FiguresOf:
        self.changed()
        return FiguresOf(topic, channel, node_id, self._source.recent_of_server(topic.id), self.changed)

    def of_node(self, topic: Topic, channel: Channel) -> FiguresOf:
        self.changed()
        return FiguresOf(topic, channel, topic.id, self._source.recent_of_node(topic.id), self.changed)

    def changed(self) -> None:
        """Who looks at what."""
        self.is_due = True
        self._wake()

    def watch_others(self) -> None:
        """Says who is looked at, if they are others than before."""
        self.is_due = False
        if (watched := self._who()) != self._watched:
            self._watched = watched
            self._source.watch(*watched)

    def watch_on(self) -> None:
        """Says it again."""
        self._watched = self._who()
        if any(self._watched):
            self._source.watch(*self._watched)

    def _who(self) -> tuple[dict[str, str], set[str]]:
        servers = {}
        for server_id in self._watchers.ids((Kind.FIGURES,)):
            for subscription in self._watchers.of(Topic(Kind.FIGURES, server_id), FiguresOf)[:1]:
                servers[server_id] = subscription.node_id
        return servers, self._watchers.ids((Kind.FIGURES_OF_NODE,))

    def tell_server(self, server_id: str, sample: BaseModel) -> None:
        self._tell(Topic(Kind.FIGURES, server_id), sample)

    def tell_node(self, node_id: str, sample: BaseModel) -> None:
        self._tell(Topic(Kind.FIGURES_OF_NODE, node_id), sample)

    def _tell(self, topic: Topic, sample: BaseModel) -> None:
        if looking := self._watchers.of(topic, FiguresOf):
            data = sample.model_dump_json()
            for subscription in looking:
                subscription.offer(data)
