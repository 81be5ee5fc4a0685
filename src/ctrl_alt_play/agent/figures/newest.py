"""Figures on their way to the panel: perishable, so that of each server, and of the node, only the newest waits."""

from ctrl_alt_play.protocol.contents import wire
from ctrl_alt_play.protocol.live import NodeFigures, Samples, ServerFigures
from ctrl_alt_play.protocol.messages import Event, Instant

MOST_NAMES_TOLD = 4000
"""Of players in one message, so that it fits into a frame."""
MOST_SERVERS = 500


class Newest:
    """What waits. It is empty again when all was taken."""

    def __init__(self) -> None:
        self._servers: dict[str, ServerFigures] = {}
        self._node: NodeFigures | None = None
        self._at: Instant = None

    def __bool__(self) -> bool:
        return bool(self._servers) or self._node is not None

    def put(self, samples: Samples) -> None:
        self._at = samples.at
        self._servers.update((each.server_id, each) for each in samples.servers)
        self._node = samples.node or self._node

    def take(self) -> Event:
        """As much as one message may hold."""
        servers: list[ServerFigures] = []
        names = 0
        while self._servers and len(servers) < MOST_SERVERS and names < MOST_NAMES_TOLD:
            servers.append(self._servers.pop(next(iter(self._servers))))
            names += len(servers[-1].players.list) if servers[-1].players else 0
        node, self._node = self._node, None
        return Event(event="samples", data=wire(Samples(at=self._at, servers=tuple(servers), node=node)))

    def clear(self) -> None:
        self._servers.clear()
        self._node = None
