"""A node's responses applied to operations, in the order in which they came among its news."""

from datetime import datetime

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.gateway.base import fault_of
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import outcomes
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.panel.servers.observation import Observation, of_report
from ctrl_alt_play.panel.servers.record import record, record_after_absence
from ctrl_alt_play.protocol.contents import ServerState, StatusReport
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.specification import Desired

_ABSENT = (ErrorCode.CONTAINER_NOT_FOUND, ErrorCode.SERVER_NOT_FOUND)
_DESIRES = {
    OperationKind.START: Desired.ON,
    OperationKind.RESTART: Desired.ON,
    OperationKind.STOP: Desired.OFF,
    OperationKind.KILL: Desired.OFF,
}


async def apply(
    session: AsyncSession, node_id: str, operation_id: str, response: Response, now: datetime
) -> str | None:
    """The id of the server that is gone by it, if one is. A response to nothing that waits is ignored."""
    operation = await operations.lock(session, operation_id)
    if operation is None or operation.node_id != node_id or operation.state != OperationState.QUEUED:
        return None
    server = await service.on_node(session, operation.server_id, node_id)
    if server is None:
        operations.fail(operation, now, outcomes.Failure("SERVER_DELETED", "The server was deleted."))
    elif response.success:
        await _accept(session, server, operation, response, now)
    elif await _refuse(session, server, operation, fault_of(response), now):
        return server.id
    return None


async def apply_state(
    session: AsyncSession, server: Server, response: Response, connected_at: datetime, now: datetime
) -> None:
    """The answer to a server's state, asked for at its node's coming."""
    seen = _seen(server, response, now)
    if seen is not None:
        await record_after_absence(session, server, seen, connected_at, now)


def _seen(server: Server, response: Response, now: datetime) -> Observation | None:
    if response.success:
        return _report(server, response, now)
    fault = fault_of(response)
    if fault.code in _ABSENT:
        return Observation(server.id, ServerState.ABSENT, is_news=False)
    return Observation(server.id, ServerState.UNKNOWN, is_news=False, error=fault.message[:2000])


def _report(server: Server, response: Response, now: datetime) -> Observation | None:
    try:
        report = StatusReport.model_validate({**(response.data or {}), "serverId": server.id})
    except ValidationError:
        return None
    return of_report(report, now)


async def _accept(
    session: AsyncSession, server: Server, operation: Operation, response: Response, now: datetime
) -> None:
    kind = OperationKind(operation.kind)
    server.desired = _DESIRES.get(kind, server.desired)
    if kind is OperationKind.STATUS:
        operations.succeed(operation, now, response.message, response.data)
        if (seen := _report(server, response, now)) is not None:
            await record(session, server, seen, now)
    elif kind is OperationKind.COMMAND or _already(server, operation, kind):
        operations.succeed(operation, now, response.message)
    else:
        operations.accept(operation, now, response.message)


def _already(server: Server, operation: Operation, kind: OperationKind) -> bool:
    """Whether the outcome was told before the acceptance was."""
    return server.observed_since >= operation.created_at and outcomes.is_achieved(kind, ServerState(server.observed))


async def _refuse(session: AsyncSession, server: Server, operation: Operation, fault: Fault, now: datetime) -> bool:
    """Whether the server is gone: what was to be deleted and is not there is deleted."""
    kind = OperationKind(operation.kind)
    if kind is OperationKind.COMMAND and fault.code is ErrorCode.UNKNOWN_ACTION:
        return False  # whoever sent it tries the legacy message next
    if kind is OperationKind.DELETE and fault.code in _ABSENT:
        operations.succeed(operation, now, "The node had nothing of it.")
        await service.remove(session, server)
        return True
    operations.fail(operation, now, outcomes.Failure(fault.code, fault.message))
    if kind is not OperationKind.CREATE and fault.code is ErrorCode.CONTAINER_NOT_FOUND:
        await record(session, server, Observation(server.id, ServerState.ABSENT, is_news=False), now)
    return False
