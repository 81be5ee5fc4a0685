"""Who waits while a node catches up: a new order does not overtake what the node missed of the same server."""

import asyncio
from collections import Counter
from collections.abc import Iterable


class _CatchingUp:
    def __init__(self) -> None:
        self.servers: set[str] | None = None
        """Those with something left over; None while it is not known yet."""
        self.moved = asyncio.Event()

    def concerns(self, server_id: str) -> bool:
        return self.servers is None or server_id in self.servers

    def move(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


class Turns:
    def __init__(self) -> None:
        self._nodes: dict[str, _CatchingUp] = {}
        self._comings = Counter[str]()

    def begin(self, node_id: str) -> None:
        """The node is there, and what it missed is to come first."""
        self._nodes[node_id] = _CatchingUp()
        self._comings[node_id] += 1

    def coming(self, node_id: str) -> int:
        """Which of its comings to this panel the node's last one was."""
        return self._comings[node_id]

    def expect(self, node_id: str, server_ids: Iterable[str]) -> None:
        """Only these servers have anything left over; each until it is `done`."""
        if (node := self._nodes.get(node_id)) is not None:
            node.servers = set(server_ids)
            node.move()

    def done(self, node_id: str, server_id: str) -> None:
        if (node := self._nodes.get(node_id)) is not None and node.servers is not None:
            node.servers.discard(server_id)
            node.move()

    def end(self, node_id: str) -> None:
        """The node has caught up, or is gone."""
        if (node := self._nodes.pop(node_id, None)) is not None:
            node.move()

    def must_wait(self, node_id: str, server_id: str) -> bool:
        node = self._nodes.get(node_id)
        return node is not None and node.concerns(server_id)

    async def wait(self, node_id: str, server_id: str) -> None:
        while (node := self._nodes.get(node_id)) is not None and node.concerns(server_id):
            await node.moved.wait()
