"""What servers are made of, told to their nodes until they have it: what is kept is not a promise to try once.

Nobody waits for these commands, so they have no operations; that a node has taken one it tells by its end. Only a refusal for good is written
down, once, for someone has to put that right: the server goes back to what its node has.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import carrying
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.models import OPEN_STATES, Node, Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.servers import endings, service
from ctrl_alt_play.panel.servers.turns import Turns
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.messages import OLDEST_VERSION

SENT_AT_ONCE = 16
MOST_AT_A_LOOK = 256
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class _Try:
    revision: int
    coming: int
    """Of its node: at the next one all is tried anew, for it may be another program then."""
    next_at: float
    pause_s: float = FIRST_PAUSE_S


class Revisions:
    def __init__(self, database: Database, gateway: Gateway, turns: Turns, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._turns = turns
        self._clock = clock
        self._tries: dict[str, _Try] = {}

    async def tell_for_ever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await self._keep_overdue()
                await self.tell_due()
            except Exception:  # a database that is away comes back
                log.exception("revisions_not_told")

    async def tell(self, node_id: str) -> None:
        """All that the node lacks, at its coming, and was not told of since."""
        async with self._database.reading() as session:
            behind = await _behind(session, node_id)
        await self._tell_all(behind)

    async def _keep_overdue(self) -> None:
        """Looks before it locks."""
        now = self._clock.utc()
        async with self._database.reading() as session:
            if not await operations.overdue_changes(session, now):
                return
        unheard = Failure("TIMEOUT", "Nothing was heard of it in the time it has.")
        async with self._database.writing() as session:
            await endings.keep(session, await operations.overdue_changes(session, now), unheard, now)

    async def tell_due(self) -> None:
        """All that was not told yet, or not for a while."""
        before = dict(self._tries)
        async with self._database.reading() as session:
            behind = await _behind(session)
        for server_id in before.keys() - {server.id for server in behind}:
            if self._tries.get(server_id) is before[server_id]:
                del self._tries[server_id]
        await self._tell_all([server for server in behind if self._is_due(server)][:MOST_AT_A_LOOK])

    def _is_due(self, server: Server) -> bool:
        """Not before its node has caught up, so far as that concerns it."""
        if self._turns.must_wait(server.node_id, server.id):
            return False
        tried = self._last_try(server)
        return tried is None or tried.next_at <= self._clock.monotonic()

    def _last_try(self, server: Server) -> _Try | None:
        """Of the same revision, since its node came."""
        tried = self._tries.get(server.id)
        same = tried is not None and (tried.revision, tried.coming) == (server.revision, self._coming(server))
        return tried if same else None

    def _coming(self, server: Server) -> int:
        return self._turns.coming(server.node_id)

    async def _tell_all(self, servers: Sequence[Server]) -> None:
        turns = asyncio.Semaphore(SENT_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for server in servers:
                group.create_task(self._tell(server, turns), name=f"tell revision of {server.id}")

    async def _tell(self, server: Server, turns: asyncio.Semaphore) -> None:
        """The pause begins with the try: one that was accepted may be waiting on the node."""
        async with turns:
            if not self._is_due(server):
                return
            tried = self._try(server)
            command_id = operations.make_id(self._clock.utc())
            with carrying(command_id=command_id, server_id=server.id, node_id=server.node_id):
                log.info("revision_told", revision=server.revision, node_revision=server.node_revision)
                try:
                    specification = service.specification_of(server)
                    await self._gateway.command(
                        server.node_id, Action.UPDATE_SERVER, server.id, specification, command_id
                    )
                except Fault as fault:
                    log.warning("revision_not_taken", revision=server.revision, code=fault.code)
                    if fault.code in endings.FOR_GOOD and await self._give_up(server, fault):
                        tried.next_at = float("inf")

    def _try(self, server: Server) -> _Try:
        before = self._last_try(server)
        pause_s = FIRST_PAUSE_S if before is None else min(2 * before.pause_s, LONGEST_PAUSE_S)
        next_at = self._clock.monotonic() + pause_s
        tried = self._tries[server.id] = _Try(server.revision, self._coming(server), next_at, pause_s)
        return tried

    async def _give_up(self, server: Server, fault: Fault) -> bool:
        """Whether that revision is of no use any more, until its node comes again."""
        async with self._database.writing() as session:
            refused = Failure(fault.code, fault.message)
            told = await endings.give_up(session, server.id, server.revision, refused)
            if told is not None:
                await self._write_down(session, server, told)
        return told is not None

    async def _write_down(self, session: AsyncSession, server: Server, failure: Failure) -> None:
        """As a failed operation of nobody, unless it is there already."""
        now = self._clock.utc()
        kind, arguments = OperationKind.UPDATE, {"revision": server.revision}
        query = select(Operation).where(
            Operation.server_id == server.id,
            Operation.state == OperationState.FAILED,
            Operation.kind == kind,
            Operation.created_by.is_(None),
        )
        last = (await session.scalars(query.order_by(Operation.id.desc()).limit(1))).first()
        if last is None or last.arguments != arguments or last.message != operations.kept_text(failure.message):
            new = operations.new(server.id, server.node_id, kind, None, now, arguments, operations.time_allowed(kind))
            operations.fail(new, now, failure)
            session.add(new)


async def _behind(session: AsyncSession, node_id: str | None = None) -> Sequence[Server]:
    """Servers that are on a node which is there and holds an older revision, and which nobody is changing just now."""
    changing = select(Operation.id).where(
        Operation.server_id == Server.id, Operation.state.in_(OPEN_STATES), Operation.kind == OperationKind.UPDATE
    )
    query = (
        select(Server)
        .join(Node, Node.id == Server.node_id)
        .where(Server.node_revision < Server.revision, Server.observed != ServerState.ABSENT)
        .where(Node.online, Node.protocol_version > OLDEST_VERSION, ~changing.exists())
    )
    if node_id is not None:
        query = query.where(Node.id == node_id)
    return (await session.scalars(query)).all()
