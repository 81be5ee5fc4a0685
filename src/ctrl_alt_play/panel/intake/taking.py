"""One transaction's worth of what a node said: what it is about, loaded at once, and what is to follow the commit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.gateway.base import Fact
from ctrl_alt_play.panel.intake.presence import Presence
from ctrl_alt_play.panel.models import Operation, Server
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.protocol.contents import StatusChanged, StatusReport
from ctrl_alt_play.protocol.live import PlayersChanged
from ctrl_alt_play.protocol.panel_session import Answered, Told
from ctrl_alt_play.protocol.part2 import CommandCompleted, ServerCrashed, StateSnapshot

_OPERATIONS = (
    select(Operation, Server)
    .outerjoin(Server, Server.id == Operation.server_id)
    .where(Operation.id.in_(bindparam("ids", expanding=True)))
    .with_for_update(of=Operation)
)
_SERVERS = select(Server).where(Server.id.in_(bindparam("ids", expanding=True)))


@dataclass(slots=True)
class Taking:
    """A node has no say in what is not its own: `operation` and `server` give only what is."""

    session: AsyncSession
    presence: Presence
    now: datetime
    acked_seq: int | None = None
    is_truth: bool = False
    changed: dict[str, Operation] = field(default_factory=dict)
    """Operations that their node's word changed."""
    gone: set[str] = field(default_factory=set)
    """Servers that were removed."""
    _operations: dict[str, Operation] = field(default_factory=dict)
    _servers: dict[str, Server] = field(default_factory=dict)

    async def load(self, facts: Sequence[Fact]) -> None:
        """What the facts are about: operations, with their servers, in one statement; in another the servers of events that name none."""
        if named := set(_nameable(_command_of(fact) for fact in facts)):
            await self._load_operations(named)
        if missing := set(_nameable(server_id for fact in facts for server_id in _servers_of(fact))) - set(
            self._servers
        ):
            found = await self.session.scalars(_SERVERS, {"ids": list(missing)})
            self._servers.update((server.id, server) for server in found)

    async def _load_operations(self, ids: set[str]) -> None:
        for operation, server in await self.session.execute(_OPERATIONS, {"ids": list(ids)}):
            self._operations[operation.id] = operation
            if server is not None:
                self._servers[server.id] = server

    def operation(self, operation_id: str) -> Operation | None:
        found = self._operations.get(operation_id)
        return found if found is not None and found.node_id == self.presence.node_id else None

    def server(self, server_id: str) -> Server | None:
        """It needs no lock: its node's news alone change what they change."""
        found = self._servers.get(server_id)
        return found if found is not None and found.node_id == self.presence.node_id else None

    def is_anothers(self, server_id: str) -> bool:
        found = self._servers.get(server_id)
        return found is not None and found.node_id != self.presence.node_id

    def add(self, server: Server) -> None:
        self.session.add(server)
        self._servers[server.id] = server

    def add_up(self, other: "Taking") -> None:
        """What a part of this transaction did, which was not undone."""
        self.is_truth = self.is_truth or other.is_truth
        self.changed |= other.changed
        self.gone |= other.gone

    async def remove(self, server: Server) -> None:
        self._servers.pop(server.id, None)
        self.gone.add(server.id)
        await service.remove(self.session, server)


def _nameable(names: Iterable[str | None]) -> Iterable[str]:
    """A name that PostgreSQL cannot be asked for names nothing."""
    return (name for name in names if name is not None and "\x00" not in name)


def _command_of(fact: Fact) -> str | None:
    match fact:
        case Answered(id=command_id):
            return command_id
        case Told(content=CommandCompleted(command_id=command_id)):
            return command_id
        case _:
            return None


def _servers_of(fact: Fact) -> Iterable[str]:
    match fact:
        case Told(
            content=StatusChanged() | StatusReport() | ServerCrashed() | CommandCompleted() | PlayersChanged() as told
        ):
            return (told.server_id,)
        case Told(content=StateSnapshot() as snapshot):
            return (server.server_id for server in snapshot.servers)
        case _:
            return ()
