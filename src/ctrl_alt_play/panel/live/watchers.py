"""Who looks at what."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from ctrl_alt_play.panel.live.topics import OF_A_NODE, OF_A_SERVER, Kind, Topic

if TYPE_CHECKING:
    from ctrl_alt_play.panel.live.channel import Channel, Subscription

Looking = TypeVar("Looking", bound="Subscription")


class Watchers:
    def __init__(self) -> None:
        self.channels: set[Channel] = set()
        self._by_topic: dict[Topic, set[Subscription]] = {}

    def add(self, subscription: "Subscription") -> None:
        self._by_topic.setdefault(subscription.topic, set()).add(subscription)

    def discard(self, subscription: "Subscription") -> None:
        """Without one that looks there is no trace left."""
        looking = self._by_topic[subscription.topic]
        looking.discard(subscription)
        if not looking:
            del self._by_topic[subscription.topic]

    def of(self, topic: Topic, shape: type[Looking]) -> list[Looking]:
        """As they are now: they may end while they are told."""
        return [each for each in self._by_topic.get(topic, ()) if isinstance(each, shape)]

    def any(self, kind: Kind, id_: str = "") -> bool:
        return Topic(kind, id_) in self._by_topic

    def of_server(self, server_id: str) -> Iterator["Subscription"]:
        for kind in OF_A_SERVER:
            yield from list(self._by_topic.get(Topic(kind, server_id), ()))

    def of_node(self, node_id: str) -> Iterator["Subscription"]:
        for kind in OF_A_NODE:
            yield from list(self._by_topic.get(Topic(kind, node_id), ()))

    def watched(self, ids: Iterable[str], *kinds: Kind) -> list[str]:
        """Those of these ids that somebody looks at by one of these kinds."""
        return [id_ for id_ in ids if any(Topic(kind, id_) in self._by_topic for kind in kinds)]

    def ids(self, kinds: Collection[Kind]) -> set[str]:
        return {topic.id for topic in self._by_topic if topic.kind in kinds}
