"""The last of what servers wrote on their consoles. In memory only: a console is for looking at, the node keeps the whole."""

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime

LINES_KEPT = 1000
BYTES_KEPT = 256 * 1024
LONGEST_LINE = 8192
SERVERS_PER_NODE = 256
BYTES_OF_ALL = 64 * 1024 * 1024
"""For the consoles of all nodes together, with what it costs to keep them."""
CURSOR = r"^[0-9a-f]{8}-[0-9]{1,19}$"
"""What cursors look like: the life of the panel that gave it, and a line's number."""
COST_OF_A_LINE = 256
COST_OF_A_CONSOLE = 1024


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """Counts a server's lines, from 1, for as long as the panel runs."""
    stream: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    lines: list[Line]
    cursor: str
    """Gives what follows, when asked with it."""
    missed: int
    """How many lines between the cursor asked with and the first line here are not kept any more."""


class _Ring:
    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.written = 0
        self._bytes = 0

    @property
    def cost(self) -> int:
        """The bytes of memory that it takes, about."""
        return COST_OF_A_CONSOLE + self._bytes + COST_OF_A_LINE * len(self.lines)

    def skip(self, lines: int) -> None:
        """Counts lines that would be gone at once; no time is lost on them."""
        self.written += lines

    def add(self, stream: str, text: str, time: datetime) -> None:
        self.written += 1
        self.lines.append(Line(self.written, stream, text, time))
        self._bytes += len(text.encode())
        while len(self.lines) > LINES_KEPT or self._bytes > BYTES_KEPT:
            self._bytes -= len(self.lines.popleft().text.encode())


class Consoles:
    """Kept by node and server, so that a node which speaks of another's servers writes into nothing that anyone reads."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._nodes: dict[str, OrderedDict[str, _Ring]] = {}
        self._order: OrderedDict[tuple[str, str], None] = OrderedDict()
        """All consoles by node and server, those first that were silent the longest."""
        self.bytes_held = 0

    def write(self, node_id: str, server_id: str, output: str, stream: str, time: datetime) -> None:
        """Past `SERVERS_PER_NODE`, and past `BYTES_OF_ALL`, the console that was silent the longest goes."""
        ring = self._ring(node_id, server_id)
        before = ring.cost
        self._fill(ring, output, stream, time)
        self.bytes_held += ring.cost - before
        while self.bytes_held > BYTES_OF_ALL and len(self._order) > 1:
            self.forget(*next(iter(self._order)))

    def _ring(self, node_id: str, server_id: str) -> _Ring:
        rings = self._nodes.setdefault(node_id, OrderedDict())
        ring = rings.get(server_id)
        if ring is None:
            ring = rings[server_id] = _Ring()
            self.bytes_held += ring.cost
        rings.move_to_end(server_id)
        self._order[node_id, server_id] = None
        self._order.move_to_end((node_id, server_id))
        if len(rings) > SERVERS_PER_NODE:
            self.forget(node_id, next(iter(rings)))
        return ring

    @staticmethod
    def _fill(ring: _Ring, output: str, stream: str, time: datetime) -> None:
        lines = output.removesuffix("\n").split("\n")
        ring.skip(max(0, len(lines) - LINES_KEPT))
        for line in lines[-LINES_KEPT:]:
            ring.add(stream, line.removesuffix("\r")[:LONGEST_LINE], time)

    def read(self, node_id: str, server_id: str, most: int, after: str | None) -> Reading:
        """Without a cursor the last lines; with one what follows it, the oldest first. A cursor of an earlier life of the panel is as none."""
        ring = self._rings(node_id).get(server_id) or _Ring()
        position = self._position(after)
        if position is None:
            lines, missed = list(ring.lines)[-most:], 0
        else:
            lines = [line for line in ring.lines if line.number > position][:most]
            oldest = ring.lines[0].number if ring.lines else ring.written + 1
            missed = max(0, oldest - position - 1)
        last = lines[-1].number if lines else max(position or 0, ring.written)
        return Reading(lines, f"{self._epoch}-{last}", missed)

    def forget(self, node_id: str, server_id: str) -> None:
        rings = self._rings(node_id)
        if (ring := rings.pop(server_id, None)) is not None:
            self.bytes_held -= ring.cost
            del self._order[node_id, server_id]
            if not rings:
                del self._nodes[node_id]

    def forget_node(self, node_id: str) -> None:
        for server_id in list(self._rings(node_id)):
            self.forget(node_id, server_id)

    def _rings(self, node_id: str) -> OrderedDict[str, _Ring]:
        return self._nodes.get(node_id) or OrderedDict()

    def _position(self, cursor: str | None) -> int | None:
        epoch, _, number = (cursor or "").partition("-")
        return int(number) if epoch == self._epoch else None
