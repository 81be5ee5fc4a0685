"""The one end of each command that a node of part 2 accepted: its operation settled, and what the server is by it."""

from datetime import datetime
from typing import Any, cast

import structlog
from pydantic import ValidationError
from sqlalchemy import Table, bindparam, case, select, update

from ctrl_alt_play.panel.intake import axes
from ctrl_alt_play.panel.intake.taking import Taking
from ctrl_alt_play.panel.models import (
    INSTALLS,
    Event,
    Node,
    Openness,
    Operation,
    OperationKind,
    OperationState,
    Server,
    User,
)
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations.outcomes import FORCED, Failure
from ctrl_alt_play.panel.prepared import Change
from ctrl_alt_play.panel.servers import changes, endings, service
from ctrl_alt_play.protocol.contents import Action, ServerState, StatusChanged
from ctrl_alt_play.protocol.part2 import CommandCompleted
from ctrl_alt_play.protocol.specification import Desired, Hold, Specification

NOT_READY = "It runs, but was not seen to be ready in the time it had."
_FIRST_REVISION = 1

_TABLE = cast("Table", Operation.__table__)  # as mapped, it is one
_ENDED_AT = bindparam("ended_at", type_=_TABLE.c.finished_at.type)
_END_OF_LINE = (
    update(_TABLE)
    .where(
        _TABLE.c.id == bindparam("its_id"),
        _TABLE.c.node_id == bindparam("its_node"),
        _TABLE.c.server_id == bindparam("its_server"),
        _TABLE.c.kind == OperationKind.COMMAND,
        _TABLE.c.state == OperationState.RUNNING,
    )
    .values(finished_at=case((_TABLE.c.created_at > _ENDED_AT, _TABLE.c.created_at), else_=_ENDED_AT))
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def of_line(node_id: str, told: CommandCompleted, now: datetime) -> tuple[Change, dict[str, Any]]:
    """The success of a line that the node took: what is to be written, and what its operation is by that."""
    ended_at = axes.past(told.finished_at, now)
    known = {"state": OperationState.SUCCEEDED, "code": None, "message": None, "result": kept_result(told.result)}
    its = {"its_id": told.command_id, "its_node": node_id, "its_server": told.server_id, "ended_at": ended_at}
    return (_END_OF_LINE, {**its, **known}), {**known, "finished_at": ended_at}


async def apply(taking: Taking, told: CommandCompleted) -> None:
    """A node's word on its own command replaces what the panel concluded without it, such as that its time was up."""
    operation = taking.operation(told.command_id)
    if operation is not None and operation.state != OperationState.SUCCEEDED:
        await _settle(taking, operation, told)
        taking.changed[operation.id] = operation
    if told.success:
        await _follow(taking, told, operation)


async def _settle(taking: Taking, operation: Operation, told: CommandCompleted) -> None:
    """At the moment when it ended on the node, which may have been away since."""
    now = taking.now
    server = taking.server(operation.server_id)
    ended_at = max(axes.past(told.finished_at, now), operation.created_at)
    if operation.started_at is None:
        operation.started_at = min(max(axes.past(told.started_at, now), operation.created_at), ended_at)
    result = kept_result(told.result)
    if told.success:
        operations.succeed(operation, ended_at, _note(OperationKind(operation.kind), told.result or {}), result)
        return
    error = told.error
    sentence = error.message if error else ""
    failure = Failure(error.code if error else "INTERNAL", sentence or "The node does not say why it failed.")
    if operation.kind == OperationKind.UPDATE and server is not None:
        await endings.refuse(taking.session, operation, server, failure, ended_at)
    else:
        operations.fail(operation, ended_at, failure, result)


def kept_result(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of what a server is made of only the revision: its variables may hold what nobody is to read but by the server itself."""
    if result is None or "specification" not in result:
        return result
    specification = result["specification"]
    revision = specification.get("revision", _FIRST_REVISION) if isinstance(specification, dict) else _FIRST_REVISION
    rest = {name: value for name, value in result.items() if name != "specification"}
    return {**rest, "revision": _revision({"revision": revision})}


def _note(kind: OperationKind, result: dict[str, Any]) -> str | None:
    if kind in (OperationKind.STOP, OperationKind.RESTART) and result.get("forced") is True:
        return FORCED
    if kind in (OperationKind.START, OperationKind.RESTART) and result.get("ready") is False:
        return NOT_READY
    warning = result.get("warning")
    return warning if kind in INSTALLS and isinstance(warning, str) else None


async def _follow(taking: Taking, told: CommandCompleted, operation: Operation | None) -> None:
    """What a success makes of the server. That a revision is held is believed also of what the panel sent without an operation."""
    match told.action:
        case Action.DELETE_SERVER if operation is not None and operation.kind == OperationKind.DELETE:
            if (server := taking.server(operation.server_id)) is not None:
                await taking.remove(server)
        case Action.CREATE_SERVER | Action.UPDATE_SERVER | Action.REINSTALL_SERVER:
            if (server := taking.server(told.server_id)) is not None:
                revision = _revision(told.result)
                axes.take_revision(server, max(revision, server.node_revision or _FIRST_REVISION))
                await endings.take(taking.session, server)
        case Action.ADOPT_SERVER if operation is not None and operation.kind == OperationKind.ADOPT:
            await _adopt(taking, told, operation)
        case _:
            return


def _revision(result: dict[str, Any] | None) -> int:
    told = (result or {}).get("revision")
    return told if isinstance(told, int) and 0 < told < 2**31 else _FIRST_REVISION


async def _adopt(taking: Taking, told: CommandCompleted, operation: Operation) -> None:
    try:
        specification = Specification.model_validate((told.result or {}).get("specification"))
    except ValidationError:
        specification = None
    server = taking.server(operation.server_id)
    if server is not None:
        if specification is not None:
            axes.take_revision(server, specification.revision)
            await endings.take(taking.session, server)
    elif specification is not None and "name" in operation.arguments and not taking.is_anothers(operation.server_id):
        await _make(taking, operation, specification)
    else:
        untold = Failure("CONFIG_INVALID", "The node did not tell what the server is made of.")
        operations.fail(operation, taking.now, untold)
        return
    await _forget_orphan(taking, operation.server_id)


async def _make(taking: Taking, operation: Operation, specification: Specification) -> None:
    """The server, as its node told what it is made of."""
    now = taking.now
    server = Server(
        id=operation.server_id,
        name=str(operation.arguments["name"]),
        node_id=operation.node_id,
        owner_id=await _owner(taking, operation),
        specification=service.stored(specification),
        revision=specification.revision,
        node_revision=specification.revision,
        desired=Desired.OFF,
        observed=ServerState.UNKNOWN,
        observed_at=now,
        observed_since=now,
        hold=specification.hold,
        hold_since=None if specification.hold is Hold.NONE else now,
        created_at=now,
    )
    taking.add(server)
    await taking.session.flush()
    await service.allocate_free(taking.session, server, specification.ports)
    await _see(taking, server, operation)
    node = await taking.session.get(Node, operation.node_id)
    if node is not None and node.openness == Openness.MAINTENANCE and server.hold == Hold.NONE:
        changes.put_on_hold(server, Hold.MAINTENANCE, now)


async def _see(taking: Taking, server: Server, operation: Operation) -> None:
    """What the node told of it while it was adopted; else as the container was found."""
    query = select(Event.data, Event.happened_at).where(
        Event.node_id == server.node_id,
        Event.server_id == server.id,
        Event.spool_id == taking.presence.spool_id,
        Event.kind == "server_status_changed",
        Event.received_at >= operation.created_at,
    )
    newest = (await taking.session.execute(query.order_by(Event.id.desc()).limit(1))).first()
    is_running = (await _orphan(taking, server.id)).get("state") == ServerState.RUNNING
    server.desired = Desired.ON if is_running else Desired.OFF
    if newest is not None:
        axes.take_change(server, StatusChanged.model_validate(newest.data), newest.happened_at, taking.now)
    else:
        server.observed = ServerState.RUNNING if is_running else ServerState.STOPPED


async def _orphan(taking: Taking, server_id: str) -> dict[str, Any]:
    node = await taking.session.get(Node, taking.presence.node_id)
    found = [] if node is None else [orphan for orphan in node.orphans if orphan.get("server_id") == server_id]
    return found[0] if found else {}


async def _owner(taking: Taking, operation: Operation) -> str:
    """Whom the server was meant for; where they are gone meanwhile, an administrator."""
    owner_id = str(operation.arguments["owner_id"])
    if await taking.session.get(User, owner_id) is not None:
        return owner_id
    query = select(User.id).where(User.is_admin).order_by(User.created_at).limit(1)
    return (await taking.session.scalars(query)).one()


async def _forget_orphan(taking: Taking, server_id: str) -> None:
    node = await taking.session.get(Node, taking.presence.node_id)
    if node is not None:
        node.orphans = [orphan for orphan in node.orphans if orphan.get("server_id") != server_id]
