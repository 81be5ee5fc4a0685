"""The answer to an order that was placed a moment ago, which is most of what nodes answer: kept in two statements, with nothing read."""

from datetime import datetime
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import CursorResult, Table, Update, bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ctrl_alt_play.panel.intake.observation import of_report
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations.service import kept_text
from ctrl_alt_play.panel.servers.figures import as_stored
from ctrl_alt_play.protocol.contents import StatusReport
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.specification import Desired

DESIRES = {
    OperationKind.START: Desired.ON,
    OperationKind.RESTART: Desired.ON,
    OperationKind.STOP: Desired.OFF,
    OperationKind.KILL: Desired.OFF,
}
_OPERATIONS, _SERVERS = (
    cast("Table", Operation.__table__),
    cast("Table", Server.__table__),
)  # as mapped, they are tables
_OF_SERVER = update(_SERVERS).where(_SERVERS.c.id == bindparam("its_id"))
_OF_OPERATION = update(_OPERATIONS).where(
    _OPERATIONS.c.id == bindparam("its_id"), _OPERATIONS.c.state == OperationState.QUEUED
)


async def keep(
    connection: AsyncConnection, operation: Operation, response: Response, now: datetime
) -> dict[str, Any] | None:
    """What the operation is now; None where it is not as it was placed any more, and is to be looked at."""
    kind = OperationKind(operation.kind)
    of_server = _of_server(kind, operation.server_id, response, now)
    if of_server and not await _write(connection, _OF_SERVER, operation.server_id, of_server):
        return None
    known: dict[str, Any] = {"started_at": now, "message": kept_text(response.message)}
    if kind is OperationKind.STATUS:
        known |= {"state": OperationState.SUCCEEDED, "finished_at": now, "result": response.data}
    else:
        known |= {"state": OperationState.RUNNING}
    is_kept = await _write(connection, _OF_OPERATION, operation.id, known)
    return known if is_kept else None


def _of_server(kind: OperationKind, server_id: str, response: Response, now: datetime) -> dict[str, Any]:
    if kind in DESIRES:
        return {"desired": DESIRES[kind]}
    if kind is not OperationKind.STATUS:
        return {}
    try:
        report = StatusReport.model_validate({**(response.data or {}), "serverId": server_id})
    except ValidationError:
        return {}
    figures = of_report(report, now).figures
    return {} if figures is None else {"figures": as_stored(figures), "measured_at": now}


async def _write(connection: AsyncConnection, statement: Update, id_: str, values: dict[str, Any]) -> bool:
    result: CursorResult[Any] = await connection.execute(statement, {"its_id": id_, **values})
    return result.rowcount == 1
