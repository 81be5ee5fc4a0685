"""Operations on their way to their nodes: sent at once when they are ordered, and again when a node is back that did not answer."""

import asyncio
import logging
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import carrying
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import NodeRefused
from ctrl_alt_play.panel.gateway.base import COMMAND_TIMEOUT_S, Gateway, Unanswered, Undelivered
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import Failure
from ctrl_alt_play.panel.operations.watched import Watched
from ctrl_alt_play.panel.servers import endings, service
from ctrl_alt_play.panel.servers.turns import Turns
from ctrl_alt_play.protocol.contents import (
    Action,
    AdoptPayload,
    DeletePayload,
    LinePayload,
    Nothing,
    ReinstallPayload,
    ServerCommand,
    StopPayload,
)
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Model

ACTIONS = {
    OperationKind.CREATE: Action.CREATE_SERVER,
    OperationKind.START: Action.START_SERVER,
    OperationKind.STOP: Action.STOP_SERVER,
    OperationKind.RESTART: Action.RESTART_SERVER,
    OperationKind.KILL: Action.KILL_SERVER,
    OperationKind.DELETE: Action.DELETE_SERVER,
    OperationKind.COMMAND: Action.SEND_COMMAND,
    OperationKind.STATUS: Action.GET_STATUS,
    OperationKind.UPDATE: Action.UPDATE_SERVER,
    OperationKind.ADOPT: Action.ADOPT_SERVER,
    OperationKind.REINSTALL: Action.REINSTALL_SERVER,
}
_SMALL_TALK = (OperationKind.COMMAND, OperationKind.STATUS)
"""Change nothing that a log is read for, and come by the hundred."""
AGAIN = {"again": True}
"""The arguments of a creation of what was created before."""
CATCHING_UP = "The node has just come back, and has not taken yet what it was told before."

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def payload_of(operation: Operation, server: Server | None) -> Model:
    """What the node is sent. Whatever depends on the server is as the server is now."""
    match OperationKind(operation.kind):
        case OperationKind.CREATE | OperationKind.UPDATE if server is not None:
            return service.specification_of(server)
        case OperationKind.ADOPT:
            return AdoptPayload(specification=None if server is None else service.specification_of(server))
        case OperationKind.REINSTALL:
            specification = None if server is None else service.specification_of(server)
            return ReinstallPayload(wipe=operation.arguments["wipe"], specification=specification)
        case OperationKind.STOP | OperationKind.RESTART:
            return StopPayload.model_validate(operation.arguments)
        case OperationKind.DELETE:
            return DeletePayload.model_validate(operation.arguments)
        case OperationKind.COMMAND:
            return LinePayload(line=operation.arguments["command"])
        case _:
            return Nothing()


class Dispatch:
    """Sends what was just ordered. The operation is committed and `watched`; what the node answers is written to it by the recorder, in
    its place among the node's news.
    """

    def __init__(self, database: Database, gateway: Gateway, watched: Watched, turns: Turns, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._watched = watched
        self._turns = turns
        self._clock = clock

    async def send(self, operation: Operation, payload: Model) -> Operation:
        """The operation as it is after the node's answer, or without one where the node may still have taken it.

        Raises:
            NodeRefused: the operation has failed.
        """
        with carrying(operation_id=operation.id, server_id=operation.server_id, node_id=operation.node_id):
            if self._turns.must_wait(operation.node_id, operation.server_id):
                try:
                    await self._wait(operation)
                except TimeoutError:
                    return await self._end(operation.id, Undelivered(ErrorCode.TIMEOUT, CATCHING_UP))
            if not self._watched.set_out(operation.id):
                return await self._as_it_is(operation.id)
            return await self._send(operation, OperationKind(operation.kind), payload)

    async def _wait(self, operation: Operation) -> None:
        """Raises: TimeoutError."""
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            await self._turns.wait(operation.node_id, operation.server_id)

    async def _as_it_is(self, operation_id: str) -> Operation:
        async with self._database.reading() as session:
            return await operations.get(session, operation_id)

    async def _send(self, operation: Operation, kind: OperationKind, payload: Model) -> Operation:
        log.log(logging.DEBUG if kind in _SMALL_TALK else logging.INFO, "operation_sent", kind=kind)
        try:
            await self._gateway.command(
                operation.node_id, ACTIONS[kind], operation.server_id, payload, operation.id, COMMAND_TIMEOUT_S
            )
        except Unanswered as fault:
            if kind is OperationKind.STATUS:
                return await self._end(operation.id, fault)
            log.warning("operation_unanswered", code=fault.code)
            return self._watched.latest(operation.id) or operation
        except Fault as fault:
            if kind is OperationKind.COMMAND and fault.code is ErrorCode.UNKNOWN_ACTION:
                return await self._send_legacy_command(operation)
            return await self._end(operation.id, fault)
        return self._settled(operation.id) or await self._end(
            operation.id, Fault(ErrorCode.INTERNAL, "The panel could not keep the answer.")
        )

    def _settled(self, operation_id: str) -> Operation | None:
        """As the recorder left it; None where it could not be written, which the log tells, or where nothing came of it."""
        latest = self._watched.latest(operation_id)
        return None if latest is None or latest.state == OperationState.QUEUED else latest

    async def _send_legacy_command(self, operation: Operation) -> Operation:
        content = ServerCommand(server_id=operation.server_id, command=operation.arguments["command"])
        try:
            await self._gateway.tell(operation.node_id, "server_command", content)
        except Fault as fault:
            return await self._end(operation.id, fault)
        return await self._succeed(operation.id, "sent; this agent does not confirm")

    async def _succeed(self, operation_id: str, message: str) -> Operation:
        async with self._database.writing() as session:
            operation = await operations.existing(session, operation_id)
            if operation.state == OperationState.QUEUED:
                operations.succeed(operation, self._clock.utc(), message)
        return operation

    async def _end(self, operation_id: str, fault: Fault) -> Operation:
        """What was refused may have succeeded by that: the deletion of what was not there."""
        operation = self._settled(operation_id)
        if operation is None:
            async with self._database.writing() as session:
                operation = await operations.existing(session, operation_id)
                if operation.state == OperationState.QUEUED:
                    await end_refused(session, operation, fault, self._clock.utc())
        if operation.state == OperationState.FAILED:
            log.warning("operation_refused", code=fault.code)
            raise NodeRefused(fault, operation_id)
        return operation


async def end_refused(session: AsyncSession, operation: Operation, fault: Fault, now: datetime) -> None:
    """A server that its node never heard of is removed: it holds no ports, and the operation tells why it is not there. One that was there
    before stays.
    """
    failure = Failure(fault.code, fault.message)
    server = await session.get(Server, operation.server_id)
    if operation.kind == OperationKind.UPDATE and server is not None:
        await endings.refuse(session, operation, server, failure, now)
        return
    operations.fail(operation, now, failure)
    is_unheard_of = isinstance(fault, Undelivered) and operation.arguments != AGAIN
    if operation.kind == OperationKind.CREATE and is_unheard_of and server is not None:
        await session.delete(server)
