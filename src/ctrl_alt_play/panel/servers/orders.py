"""What people order done with servers: written down, sent to the node, and answered with the operation that tells how it ends."""

from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, NodeRefused
from ctrl_alt_play.panel.gateway.base import COMMAND_TIMEOUT_S, Gateway
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.panel.servers.schemas import ConsoleCommand, NewServer, StopRequest
from ctrl_alt_play.protocol.contents import Action, DeletePayload, Nothing, ServerCommand, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Hold, Model, Specification

ACTIONS = {
    OperationKind.CREATE: Action.CREATE_SERVER,
    OperationKind.START: Action.START_SERVER,
    OperationKind.STOP: Action.STOP_SERVER,
    OperationKind.RESTART: Action.RESTART_SERVER,
    OperationKind.KILL: Action.KILL_SERVER,
    OperationKind.DELETE: Action.DELETE_SERVER,
    OperationKind.COMMAND: Action.SEND_COMMAND,
    OperationKind.STATUS: Action.GET_STATUS,
}
_FORBIDDEN_ON_HOLD = (OperationKind.START, OperationKind.RESTART, OperationKind.COMMAND)

FORGOTTEN = "The node is away, so the panel only forgot the server; what the node holds of it is still there."

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Orders:
    """Each order returns its operation once the node accepted it.

    Raises:
        NotFound: the server is not there, or not theirs to see.
        NodeRefused: with the operation's id; the operation has failed.
    """

    def __init__(self, database: Database, gateway: Gateway, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock

    async def create(self, actor: Actor, new: NewServer) -> Operation:
        """Raises also: Invalid, Conflict, as `service.add`; nothing was done then."""
        async with self._database.writing() as session:
            server = await service.add(session, actor, new, self._clock.utc())
            operation = self._write(session, server, actor, OperationKind.CREATE, {})
        return await self._send(operation, new.specification())

    async def delete(self, actor: Actor, server_id: str, *, keep_data: bool, force: bool = False) -> Operation:
        """With `force` a server whose node is away is forgotten: a machine that is gone for good must not keep its servers in the panel."""
        payload = DeletePayload(keep_data=keep_data)
        try:
            return await self._order(actor, server_id, OperationKind.DELETE, payload, {"keep_data": keep_data})
        except NodeRefused as refused:
            if not force or refused.code != ErrorCode.AGENT_OFFLINE:
                raise
            return await self._forget(str(refused.extras["operation_id"]))

    async def _forget(self, operation_id: str) -> Operation:
        async with self._database.writing() as session:
            operation = await self._lock(session, operation_id)
            operations.succeed(operation, self._clock.utc(), FORGOTTEN)
            server = await session.get(Server, operation.server_id)
            if server is not None:
                await session.delete(server)
        return operation

    async def start(self, actor: Actor, server_id: str) -> Operation:
        return await self._order(actor, server_id, OperationKind.START, Nothing(), {})

    async def stop(self, actor: Actor, server_id: str, how: StopRequest) -> Operation:
        return await self._order_stop(actor, server_id, OperationKind.STOP, how)

    async def restart(self, actor: Actor, server_id: str, how: StopRequest) -> Operation:
        return await self._order_stop(actor, server_id, OperationKind.RESTART, how)

    async def kill(self, actor: Actor, server_id: str) -> Operation:
        return await self._order(actor, server_id, OperationKind.KILL, Nothing(), {})

    async def ask_status(self, actor: Actor, server_id: str) -> Operation:
        """The operation's result is what the node measured just now."""
        return await self._order(actor, server_id, OperationKind.STATUS, Nothing(), {})

    async def command(self, actor: Actor, server_id: str, command: ConsoleCommand) -> Operation:
        return await self._order(
            actor, server_id, OperationKind.COMMAND, command.payload(), {"command": command.command}
        )

    async def _order_stop(self, actor: Actor, server_id: str, kind: OperationKind, how: StopRequest) -> Operation:
        given = how.model_dump(exclude_none=True)
        return await self._order(actor, server_id, kind, StopPayload.model_validate(given), given)

    async def _order(
        self, actor: Actor, server_id: str, kind: OperationKind, payload: Model, arguments: dict[str, Any]
    ) -> Operation:
        async with self._database.writing() as session:
            server = await service.get_visible(session, actor, server_id)
            if kind in _FORBIDDEN_ON_HOLD and server.hold != Hold.NONE:
                raise Conflict(f"The server is on hold ({server.hold}).", "SERVER_ON_HOLD")
            operation = self._write(session, server, actor, kind, arguments)
        return await self._send(operation, payload)

    def _write(
        self, session: AsyncSession, server: Server, actor: Actor, kind: OperationKind, arguments: dict[str, Any]
    ) -> Operation:
        rule = Specification.model_validate(server.specification).stop
        allowed = operations.time_allowed(kind, arguments.get("timeout", rule.timeout))
        operation = operations.new(server, kind, actor, self._clock.utc(), arguments, allowed)
        session.add(operation)
        return operation

    async def _send(self, operation: Operation, payload: Model) -> Operation:
        """The operation's row is committed; what the node answers is written to it by the recorder, in its place among the node's news."""
        kind = OperationKind(operation.kind)
        log.info("operation_sent", operation_id=operation.id, kind=kind, server_id=operation.server_id)
        try:
            await self._gateway.command(
                operation.node_id, ACTIONS[kind], operation.server_id, payload, operation.id, COMMAND_TIMEOUT_S
            )
        except Fault as fault:
            if kind is OperationKind.COMMAND and fault.code is ErrorCode.UNKNOWN_ACTION:
                return await self._send_legacy_command(operation)
            return await self._after_fault(operation.id, fault)
        return await self._after(operation.id)

    async def _send_legacy_command(self, operation: Operation) -> Operation:
        content = ServerCommand(server_id=operation.server_id, command=operation.arguments["command"])
        try:
            await self._gateway.tell(operation.node_id, "server_command", content)
        except Fault as fault:
            return await self._after_fault(operation.id, fault)
        async with self._database.writing() as session:
            locked = await self._lock(session, operation.id)
            if locked.state == OperationState.QUEUED:
                operations.succeed(locked, self._clock.utc(), "sent; this agent does not confirm")
        return locked

    async def _after_fault(self, operation_id: str, fault: Fault) -> Operation:
        """What was refused may have succeeded by that: the deletion of what was not there."""
        async with self._database.writing() as session:
            operation = await self._lock(session, operation_id)
            if operation.state == OperationState.QUEUED:
                operations.fail(operation, self._clock.utc(), Failure(fault.code, fault.message))
        if operation.state == OperationState.FAILED:
            log.warning("operation_refused", operation_id=operation_id, code=fault.code)
            raise NodeRefused(fault, operation_id)
        return operation

    async def _after(self, operation_id: str) -> Operation:
        async with self._database.reading() as session:
            operation = await session.get(Operation, operation_id)
        if operation is None:
            raise LookupError(f"operation {operation_id} is gone")
        if operation.state == OperationState.QUEUED:  # the recorder could not write it, and said so in the log
            return await self._after_fault(
                operation_id, Fault(ErrorCode.INTERNAL, "The panel could not keep the answer.")
            )
        return operation

    async def _lock(self, session: AsyncSession, operation_id: str) -> Operation:
        operation = await operations.lock(session, operation_id)
        if operation is None:
            raise LookupError(f"operation {operation_id} is gone")
        return operation
