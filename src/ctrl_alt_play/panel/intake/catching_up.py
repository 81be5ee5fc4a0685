"""What a node of part 2 missed while it was away, sent once it has told the truth: its own servers that it does not know any more, orders it
never answered, and revisions.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy import select
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
from ctrl_alt_play.panel.servers.revisions import Revisions
from ctrl_alt_play.panel.servers.turns import Turns
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

SERVERS_AT_ONCE = 16

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Missed:
    left_over: Mapping[str, list[Operation]] = field(default_factory=dict)
    """By server, in the order in which they were given."""
    lost: list[Server] = field(default_factory=list)
    """The panel's servers that the node holds as orphans."""


class CatchingUp:
    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        watched: Watched,
        turns: Turns,
        revisions: Revisions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._watched = watched
        self._turns = turns
        self._revisions = revisions
        self._clock = clock

    async def catch_up(self, node_id: str) -> None:
        """Ends when all was answered, or can not be. New orders for a server wait until its older ones are on their way."""
        async with self._database.reading() as session:
            missed = await self._missed(session, node_id)
        to_send: dict[str, list[Operation]] = {one.server_id: [one] for one in await self._adopt(missed.lost)}
        for server_id, left_over in missed.left_over.items():
            to_send.setdefault(server_id, []).extend(left_over)
        self._turns.expect(node_id, to_send)
        places = asyncio.Semaphore(SERVERS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for server_id, sent in to_send.items():
                group.create_task(self._send_all(node_id, server_id, sent, places), name=f"catch up {server_id}")
        self._turns.end(node_id)
        await self._revisions.tell(node_id)

    async def _missed(self, session: AsyncSession, node_id: str) -> _Missed:
        """Whatever someone is sending at this moment is not left over."""
        left_over: dict[str, list[Operation]] = {}
        adopting = set()
        for operation in await operations.left_over(session, node_id, self._clock.utc()):
            if operation.id not in self._watched:
                left_over.setdefault(operation.server_id, []).append(operation)
            if operation.kind == OperationKind.ADOPT:
                adopting.add(operation.server_id)
        told = await session.scalar(select(Node.orphans).where(Node.id == node_id))
        orphans = {str(orphan.get("server_id")) for orphan in told or ()} - adopting
        lost = await session.scalars(select(Server).where(Server.node_id == node_id, Server.id.in_(orphans)))
        return _Missed(left_over, list(lost))

    async def _adopt(self, lost: list[Server]) -> list[Operation]:
        """Operations of nobody, for what the panel does here by itself."""
        new = [self._adoption(server) for server in lost]
        if new:
            async with self._database.writing() as session:
                session.add_all(new)
        return new

    def _adoption(self, server: Server) -> Operation:
        kind, arguments = OperationKind.ADOPT, {"revision": server.revision}
        allowed = operations.time_allowed(kind, service.specification_of(server))
        return operations.new(server.id, server.node_id, kind, None, self._clock.utc(), arguments, allowed)

    async def _send_all(self, node_id: str, server_id: str, sent: list[Operation], places: asyncio.Semaphore) -> None:
        """One after the other, so that what was ordered first is taken first. What stays unanswered is sent again the next time."""
        async with places:
            for operation in sent:
                ids = {"operation_id": operation.id, "server_id": server_id, "node_id": node_id}
                with carrying(**ids):
                    await self._send(operation)
        self._turns.done(node_id, server_id)

    async def _send(self, operation: Operation) -> None:
        """As operation and server are now: it may have been called off meanwhile."""
        async with self._database.reading() as session:
            latest = await session.get(Operation, operation.id)
            server = await service.on_node(session, operation.server_id, operation.node_id)
        if latest is None or latest.state != OperationState.QUEUED:
            return
        if server is None and operation.kind != OperationKind.ADOPT:
            await self._fail(operation.id, Failure("SERVER_DELETED", "The server was deleted."))
        else:
            await self._ask(operation, server)

    async def _ask(self, operation: Operation, server: Server | None) -> None:
        kind = OperationKind(operation.kind)
        log.info("operation_sent_again", kind=kind)
        try:
            payload = payload_of(operation, server)
            await self._gateway.command(
                operation.node_id, ACTIONS[kind], operation.server_id, payload, operation.id, COMMAND_TIMEOUT_S
            )
        except Unanswered as fault:
            log.warning("operation_unanswered", code=fault.code)
        except Fault as fault:
            log.warning("operation_refused", code=fault.code)
            if fault.code is ErrorCode.UNKNOWN_ACTION and kind is not OperationKind.UPDATE:
                await self._fail(operation.id, Failure(fault.code, fault.message))

    async def _fail(self, operation_id: str, failure: Failure) -> None:
        """Nobody was asked, so nobody's answer was written down."""
        async with self._database.writing() as session:
            operation = await operations.existing(session, operation_id)
            if operation.state == OperationState.QUEUED:
                operations.fail(operation, self._clock.utc(), failure)
