"""A node's responses applied to operations, in the order in which they came among its news."""

from datetime import datetime

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.gateway.base import fault_of
from ctrl_alt_play.panel.intake import axes
from ctrl_alt_play.panel.intake.acceptance import DESIRES
from ctrl_alt_play.panel.intake.observation import Observation, of_report
from ctrl_alt_play.panel.intake.record import record, record_after_absence
from ctrl_alt_play.panel.intake.taking import Taking
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations import outcomes
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.servers import endings
from ctrl_alt_play.protocol.contents import ServerState, StatusReport
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Response

_ABSENT = (ErrorCode.CONTAINER_NOT_FOUND, ErrorCode.SERVER_NOT_FOUND)


async def apply(taking: Taking, operation_id: str, response: Response) -> None:
    """A response to nothing that waits is ignored."""
    operation = taking.operation(operation_id)
    if operation is None or operation.state != OperationState.QUEUED:
        return
    server = taking.server(operation.server_id)
    if not response.success:
        await _refuse(taking, server, operation, fault_of(response))
    elif server is not None:
        await _accept(taking, server, operation, response)
    elif operation.kind == OperationKind.ADOPT:
        operations.accept(operation, taking.now, response.message)
    else:
        operations.fail(operation, taking.now, outcomes.Failure("SERVER_DELETED", "The server was deleted."))
    taking.changed[operation.id] = operation


async def apply_state(
    session: AsyncSession, server: Server, response: Response, connected_at: datetime, now: datetime
) -> None:
    """The answer to a server's state, asked for at its node's coming."""
    seen = _seen(server, response, now)
    if seen is not None:
        await record_after_absence(session, server, seen, connected_at, now)


def _seen(server: Server, response: Response, now: datetime) -> Observation | None:
    if response.success:
        report = _report(server, response)
        return None if report is None else of_report(report, now)
    fault = fault_of(response)
    if fault.code in _ABSENT:
        return Observation(server.id, ServerState.ABSENT, is_news=False)
    return Observation(server.id, ServerState.UNKNOWN, is_news=False, error=fault.message[:2000])


def _report(server: Server, response: Response) -> StatusReport | None:
    try:
        return StatusReport.model_validate({**(response.data or {}), "serverId": server.id})
    except ValidationError:
        return None


async def _accept(taking: Taking, server: Server, operation: Operation, response: Response) -> None:
    """An agent of part 2 tells how it ends; of one of part 1, what it was for may have been told before the acceptance was."""
    kind, now = OperationKind(operation.kind), taking.now
    server.desired = DESIRES.get(kind, server.desired)
    if kind is OperationKind.STATUS:
        operations.succeed(operation, now, response.message, response.data)
        await _measure(taking, server, response)
    elif taking.presence.speaks_part_2:
        operations.accept(operation, now, response.message)
    elif kind is OperationKind.COMMAND or _already(server, operation, kind):
        operations.succeed(operation, now, response.message)
    else:
        operations.accept(operation, now, response.message)


async def _measure(taking: Taking, server: Server, response: Response) -> None:
    report = _report(server, response)
    if report is None:
        return
    if taking.presence.speaks_part_2:
        axes.take_figures(server, report, taking.now)
    else:
        await record(taking.session, server, of_report(report, taking.now), taking.now)


def _already(server: Server, operation: Operation, kind: OperationKind) -> bool:
    """Whether the outcome was told before the acceptance was."""
    return server.observed_since >= operation.created_at and outcomes.is_achieved(kind, ServerState(server.observed))


async def _refuse(taking: Taking, server: Server | None, operation: Operation, fault: Fault) -> None:
    """What was to be deleted and is not there is deleted."""
    kind, now = OperationKind(operation.kind), taking.now
    if kind is OperationKind.COMMAND and fault.code is ErrorCode.UNKNOWN_ACTION:
        return  # whoever sent it tries the legacy message next
    if kind is OperationKind.DELETE and fault.code in _ABSENT:
        operations.succeed(operation, now, "The node had nothing of it.")
        if server is not None:
            await taking.remove(server)
        return
    failure = outcomes.Failure(fault.code, fault.message)
    if kind is OperationKind.UPDATE and server is not None:
        await endings.refuse(taking.session, operation, server, failure, now)
        return
    operations.fail(operation, now, failure)
    is_gone = kind is not OperationKind.CREATE and fault.code is ErrorCode.CONTAINER_NOT_FOUND
    if is_gone and server is not None and not taking.presence.speaks_part_2:
        await record(taking.session, server, Observation(server.id, ServerState.ABSENT, is_news=False), now)
