"""What was touched since it was last told: names only. However often something changes, it is looked at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from ctrl_alt_play.panel.db import Touched
from ctrl_alt_play.panel.models import Event, Node, Operation, PortRange, Server, User, UserSession


@dataclass(slots=True)
class Dirty:
    users: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    """Of which all is to be told: their servers depend on them."""
    counts: set[str] = field(default_factory=set)
    """Nodes that have more servers now, or fewer."""
    servers: set[str] = field(default_factory=set)
    operations: dict[str, str | None] = field(default_factory=dict)
    """With their servers, where these are known."""
    events: set[str] = field(default_factory=set)
    """Servers that have new ones."""

    def note(self, touched: Iterable[Touched]) -> None:
        for row in touched:
            if _is_name(row.id):
                self._note(row)

    def _note(self, row: Touched) -> None:
        match row.table:
            case Server.__tablename__:
                self.servers.add(row.id)
                if not row.is_same and row.node_id is not None:
                    self.counts.add(row.node_id)
            case Operation.__tablename__:
                self.note_operation(row.id, row.server_id)
                if row.server_id is not None and _is_name(row.server_id):
                    self.servers.add(row.server_id)
            case Event.__tablename__:
                self.events.add(row.id)
            case Node.__tablename__:
                self.nodes.add(row.id)
            case PortRange.__tablename__ if row.node_id is not None:
                self.nodes.add(row.node_id)
            case User.__tablename__:
                self.users.add(row.id)
            case UserSession.__tablename__:
                self.sessions.add(row.id)

    def note_operation(self, id_: str, server_id: str | None) -> None:
        if _is_name(id_):
            self.operations[id_] = server_id or self.operations.get(id_)

    def add(self, other: "Dirty") -> None:
        self.users |= other.users
        self.sessions |= other.sessions
        self.nodes |= other.nodes
        self.counts |= other.counts
        self.servers |= other.servers
        self.events |= other.events
        for id_, server_id in other.operations.items():
            self.note_operation(id_, server_id)


def _is_name(id_: str) -> bool:
    """A node may say anything, and PostgreSQL cannot even be asked for this."""
    return "\x00" not in id_


def pieces(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(ids)
    while piece := list(islice(rest, size)):
        yield piece
