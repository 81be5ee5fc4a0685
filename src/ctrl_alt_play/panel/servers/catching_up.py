"""What a node of part 2 missed while it was away, sent once it has told the truth: orders it never answered, revisions, and its own servers that
it does not know any more.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import carrying
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.gateway.base import COMMAND_TIMEOUT_S, Gateway, Unanswered
from ctrl_alt_play.panel.models import Node, Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.operations.watched import Watched
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.panel.servers.dispatch import ACTIONS, payload_of
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Model

SENT_AT_ONCE = 16

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Missed:
    left_over: list[Operation]
    servers: Mapping[str, Server]
    lost: list[Server]
    """The panel's servers that the node holds as orphans."""
    behind: list[Server]
    """Servers of which the node holds an older revision."""


class CatchingUp:
    def __init__(self, database: Database, gateway: Gateway, watched: Watched, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._watched = watched
        self._clock = clock

    async def catch_up(self, node_id: str) -> None:
        """Ends when all was answered, or can not be. What the panel does here by itself has operations as well, of nobody."""
        async with self._database.reading() as session:
            missed = await self._missed(session, node_id)
        sent = [operation for operation in missed.left_over if operation.id not in self._watched]
        sent += await self._order(missed)
        turns = asyncio.Semaphore(SENT_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for operation in sent:
                sending = self._send(operation, missed.servers.get(operation.server_id), turns)
                group.create_task(sending, name=f"send again {operation.id}")

    async def _missed(self, session: AsyncSession, node_id: str) -> _Missed:
        left_over = list(await operations.left_over(session, node_id, self._clock.utc()))
        told = await session.scalar(select(Node.orphans).where(Node.id == node_id))
        orphans = {str(orphan.get("server_id")) for orphan in told or ()}
        is_behind = and_(Server.observed != ServerState.ABSENT, Server.node_revision < Server.revision)
        wanted = {operation.server_id for operation in left_over} | orphans
        found = await session.scalars(
            select(Server).where(Server.node_id == node_id, or_(is_behind, Server.id.in_(wanted)))
        )
        servers = {server.id: server for server in found}
        under_way = {(operation.server_id, operation.kind) for operation in left_over}
        return _Missed(
            left_over,
            servers,
            lost=[
                server
                for server in servers.values()
                if server.id in orphans and (server.id, OperationKind.ADOPT) not in under_way
            ],
            behind=[
                server
                for server in servers.values()
                if server.observed != ServerState.ABSENT
                and server.node_revision is not None
                and server.node_revision < server.revision
                and (server.id, OperationKind.UPDATE) not in under_way
            ],
        )

    async def _order(self, missed: _Missed) -> list[Operation]:
        new = [self._new(server, OperationKind.ADOPT) for server in missed.lost]
        new += [self._new(server, OperationKind.UPDATE) for server in missed.behind]
        if new:
            async with self._database.writing() as session:
                session.add_all(new)
        return new

    def _new(self, server: Server, kind: OperationKind) -> Operation:
        allowed = operations.time_allowed(kind, service.specification_of(server))
        arguments = {"revision": server.revision}
        return operations.new(server.id, server.node_id, kind, None, self._clock.utc(), arguments, allowed)

    async def _send(self, operation: Operation, server: Server | None, turns: asyncio.Semaphore) -> None:
        """In turn, so that what was ordered first arrives first. What stays unanswered is sent again the next time."""
        ids = {"operation_id": operation.id, "server_id": operation.server_id, "node_id": operation.node_id}
        async with turns:
            with carrying(**ids):
                if server is None and operation.kind != OperationKind.ADOPT:
                    await self._fail(operation.id, Failure("SERVER_DELETED", "The server was deleted."))
                else:
                    await self._ask(operation, OperationKind(operation.kind), payload_of(operation, server))

    async def _ask(self, operation: Operation, kind: OperationKind, payload: Model) -> None:
        log.info("operation_sent_again", kind=kind)
        try:
            await self._gateway.command(
                operation.node_id, ACTIONS[kind], operation.server_id, payload, operation.id, COMMAND_TIMEOUT_S
            )
        except Unanswered as fault:
            log.warning("operation_unanswered", code=fault.code)
        except Fault as fault:
            log.warning("operation_refused", code=fault.code)
            if fault.code is ErrorCode.UNKNOWN_ACTION:
                await self._fail(operation.id, Failure(fault.code, fault.message))

    async def _fail(self, operation_id: str, failure: Failure) -> None:
        """Nobody was asked, so nobody's answer was written down."""
        async with self._database.writing() as session:
            operation = await operations.existing(session, operation_id)
            if operation.state == OperationState.QUEUED:
                operations.fail(operation, self._clock.utc(), failure)
