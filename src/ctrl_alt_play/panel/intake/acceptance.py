"""The answer to an order that was placed a moment ago, which is most of what nodes answer: kept in two statements, with nothing read."""

from datetime import datetime
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import Table, bindparam, update

from ctrl_alt_play.panel.intake.observation import of_report
from ctrl_alt_play.panel.models import Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations.service import kept_text
from ctrl_alt_play.panel.prepared import Change
from ctrl_alt_play.panel.servers.figures import as_stored
from ctrl_alt_play.protocol.contents import StatusReport
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.specification import Desired

DESIRES = {
    OperationKind.START: Desired.ON,
    OperationKind.RESTART: Desired.ON,
    OperationKind.STOP: Desired.OFF,
    OperationKind.KILL: Desired.OFF,
    OperationKind.REINSTALL: Desired.OFF,
}
_OPERATIONS, _SERVERS = (
    cast("Table", Operation.__table__),
    cast("Table", Server.__table__),
)  # as mapped, they are tables
_OF_SERVER = update(_SERVERS).where(_SERVERS.c.id == bindparam("its_id"))
_OF_OPERATION = update(_OPERATIONS).where(
    _OPERATIONS.c.id == bindparam("its_id"), _OPERATIONS.c.state == OperationState.QUEUED
)


def changes(operation: Operation, response: Response, now: datetime) -> tuple[list[Change], dict[str, Any]]:
    """What is to be written where the operation is as it was placed, and what it is by that."""
    kind = OperationKind(operation.kind)
    known: dict[str, Any] = {"started_at": now, "message": kept_text(response.message)}
    if kind is OperationKind.STATUS:
        known |= {"state": OperationState.SUCCEEDED, "finished_at": now, "result": response.data}
    else:
        known |= {"state": OperationState.RUNNING}
    of_server = _of_server(kind, operation.server_id, response, now)
    written: list[Change] = [(_OF_SERVER, {"its_id": operation.server_id, **of_server})] if of_server else []
    return [*written, (_OF_OPERATION, {"its_id": operation.id, **known})], known


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
