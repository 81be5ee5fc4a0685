"""What servers of nodes wrote that keep no consoles, which are those of part 1. In memory only, and bounded in every direction."""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.consoles.ring import Ring
from ctrl_alt_play.protocol.contents import ServerOutput
from ctrl_alt_play.protocol.live import ConsolePage, HistoryPayload, Lines, Loss, Offset

LINES_KEPT = 1000
"""Of what comes at once."""
BYTES_KEPT = 256 * 1024
LONGEST_LINE = 8192
SERVERS_PER_NODE = 256
BYTES_OF_ALL = 64 * 1024 * 1024
"""For the consoles of all nodes together, with what it costs to keep them."""
COST_OF_A_CONSOLE = 1024
OFFSETS_A_SECOND = 20
"""As a power of two: so many lines a second a console may write until a number is given twice in two lives of the panel."""


class Memory:
    """Kept by node and server, so that a node which speaks of another's servers writes into nothing that anyone reads.

    Lines are numbered from when the panel began, so that a number from an earlier life of it is told from those of this one.
    """

    def __init__(self, clock: Clock) -> None:
        self._nodes: dict[str, OrderedDict[str, Ring]] = {}
        self._order: OrderedDict[tuple[str, str], None] = OrderedDict()
        """All consoles by node and server, those first that were silent the longest."""
        self._origin: Offset = int(clock.utc().timestamp()) << OFFSETS_A_SECOND
        self.bytes_held = 0

    def write(self, node_id: str, output: ServerOutput, now: datetime) -> Ring:
        """Past `SERVERS_PER_NODE`, and past `BYTES_OF_ALL`, the console that was silent the longest goes."""
        ring = self.ring(node_id, output.server_id)
        self._order.move_to_end((node_id, output.server_id))
        self._nodes[node_id].move_to_end(output.server_id)
        before = ring.cost
        ring.add(list(_parts(ring.end, output, now)))
        self.bytes_held += ring.cost - before
        while self.bytes_held > BYTES_OF_ALL and len(self._order) > 1:
            self.forget(*next(iter(self._order)))
        return ring

    def ring(self, node_id: str, server_id: str) -> Ring:
        """Makes one where there is none."""
        rings = self._nodes.setdefault(node_id, OrderedDict())
        ring = rings.get(server_id)
        if ring is None:
            ring = rings[server_id] = Ring(self._origin, BYTES_KEPT, self._origin)
            self._order[node_id, server_id] = None
            self.bytes_held += COST_OF_A_CONSOLE
        if len(rings) > SERVERS_PER_NODE:
            self.forget(node_id, next(iter(rings)))
        return ring

    def holds(self, node_id: str, server_id: str) -> bool:
        return server_id in self._rings(node_id)

    def page(self, node_id: str, server_id: str, asked: HistoryPayload) -> ConsolePage:
        """As a node would answer it. A number of an earlier life of the panel is as none."""
        ring = self._rings(node_id).get(server_id) or Ring(self._origin, BYTES_KEPT, self._origin)
        since = asked.since
        if since is None or since < ring.origin:
            stop = ring.end if asked.before is None else min(asked.before, ring.end)
            start = max(ring.first, stop - asked.lines)
            since = start
        else:
            start = max(ring.first, since)
            stop = min(ring.end, start + asked.lines)
        lost = [Lines(offset=since, lines=start - since, lost=Loss.ROTATED)] if start > since else []
        parts = (*lost, *ring.parts(start, stop))
        return ConsolePage(parts=parts, first=ring.first, next=max(start, stop), end=ring.end)

    def forget(self, node_id: str, server_id: str) -> None:
        rings = self._rings(node_id)
        if (ring := rings.pop(server_id, None)) is not None:
            self._origin = max(self._origin, ring.end)
            self.bytes_held -= ring.cost + COST_OF_A_CONSOLE
            del self._order[node_id, server_id]
            if not rings:
                del self._nodes[node_id]

    def forget_node(self, node_id: str) -> None:
        for server_id in list(self._rings(node_id)):
            self.forget(node_id, server_id)

    def _rings(self, node_id: str) -> OrderedDict[str, Ring]:
        return self._nodes.get(node_id) or OrderedDict()


def _parts(offset: Offset, output: ServerOutput, now: datetime) -> Iterator[Lines]:
    """What is too much to be kept is a gap before the rest."""
    lines = output.output.removesuffix("\n").split("\n")
    kept = [line.removesuffix("\r")[:LONGEST_LINE] for line in lines[-LINES_KEPT:]]
    while sum(len(line.encode()) for line in kept) > BYTES_KEPT:
        del kept[: len(kept) // 2]
    lost = len(lines) - len(kept)
    at = output.timestamp or now
    if lost:
        yield Lines(offset=offset, lines=lost, at=at, stream=output.stream, lost=Loss.FLOOD)
    yield Lines(offset=offset + lost, lines=len(kept), at=at, stream=output.stream, text="\n".join(kept))
