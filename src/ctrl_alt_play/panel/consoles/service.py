"""The consoles that somebody looks at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.consoles.asking import Asking
from ctrl_alt_play.panel.consoles.feed import Feed
from ctrl_alt_play.panel.consoles.memory import Memory
from ctrl_alt_play.panel.consoles.viewer import Viewer
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.protocol.contents import ServerOutput
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import ConsoleBatch, Offset

LINGER_S = 30.0
"""So long a console is still told when nobody looks any more: most come back."""


class Consoles:
    """A feed for each console that is looked at. What others tell of consoles is of no use, and costs nothing."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self.memory = Memory(clock)
        self.asking = Asking(gateway, self.memory)
        self._clock = clock
        self._feeds: dict[str, dict[str, Feed]] = {}
        self._spools: dict[str, str] = {}
        """The journals of nodes, as they last came."""
        self._detaching: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def watch(self, node_id: str, server_id: str, after: Offset | None = None) -> AsyncIterator[Viewer]:
        """A viewer of what follows this offset; without one it begins with the newest lines."""
        feed = self._enter(node_id, server_id)
        try:
            yield Viewer(feed, after)
        finally:
            self._leave(feed)

    def tell(self, node_id: str, batch: ConsoleBatch) -> None:
        feed = self._feeds.get(node_id, {}).get(batch.server_id)
        if feed is not None:
            feed.tell(batch.parts)

    def write(self, node_id: str, output: ServerOutput) -> None:
        """What a node of part 1 tells, whether somebody looks or not."""
        ring = self.memory.write(node_id, output, self._clock.utc())
        feed = self._feeds.get(node_id, {}).get(output.server_id)
        if feed is not None and not feed.has_history:
            feed.take_from(ring)

    def came(self, node_id: str, spool_id: str) -> None:
        """A node can be asked, from now on; attachments of its earlier connection ended with that. With another journal it has other consoles."""
        is_anew = self._spools.get(node_id, spool_id) != spool_id
        self._spools[node_id] = spool_id
        for feed in self._feeds.get(node_id, {}).values():
            feed.go_on(is_anew=is_anew)

    def forget(self, node_id: str, server_id: str) -> None:
        """The server is no more."""
        self.memory.forget(node_id, server_id)
        feed = self._feeds.get(node_id, {}).get(server_id)
        if feed is not None:
            self._drop(feed)

    def forget_node(self, node_id: str) -> None:
        self.memory.forget_node(node_id)
        self._spools.pop(node_id, None)
        for feed in list(self._feeds.get(node_id, {}).values()):
            self._drop(feed)

    def close(self) -> None:
        """All viewers end."""
        for node_id in list(self._feeds):
            self.forget_node(node_id)
        for task in self._detaching:
            task.cancel()

    def _enter(self, node_id: str, server_id: str) -> Feed:
        feeds = self._feeds.setdefault(node_id, {})
        feed = feeds.get(server_id)
        if feed is None:
            feed = feeds[server_id] = Feed(node_id, server_id, self.asking, self.memory)
        if feed.leaving is not None:
            feed.leaving.cancel()
            feed.leaving = None
        feed.viewers += 1
        return feed

    def _leave(self, feed: Feed) -> None:
        feed.viewers -= 1
        if feed.viewers == 0 and not feed.is_closed:
            feed.leaving = asyncio.get_running_loop().call_later(LINGER_S, self._let_go, feed)

    def _let_go(self, feed: Feed) -> None:
        self._drop(feed)
        if feed.has_history:
            name = f"detach console {feed.server_id}"
            task = asyncio.create_task(self._detach(feed), name=name, context=nothing_carried())
            self._detaching.add(task)
            task.add_done_callback(self._detaching.discard)

    async def _detach(self, feed: Feed) -> None:
        """Not where somebody has come back meanwhile, whom the node would tell nothing any more."""
        if feed.server_id not in self._feeds.get(feed.node_id, {}):
            with suppress(Fault):
                await self.asking.detach(feed.node_id, feed.server_id)

    def _drop(self, feed: Feed) -> None:
        feeds = self._feeds[feed.node_id]
        del feeds[feed.server_id]
        if not feeds:
            del self._feeds[feed.node_id]
        if feed.leaving is not None:
            feed.leaving.cancel()
        feed.close()
