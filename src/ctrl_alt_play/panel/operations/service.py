"""The life of operations: written before the node is asked, running once it accepted, ended by news, by refusal or by their deadline."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Insert, Select, Table, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.db import Touched, touch
from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.models import (
    INSTALLS,
    OPEN_STATES,
    Event,
    Node,
    Operation,
    OperationKind,
    OperationState,
    Server,
)
from ctrl_alt_play.panel.operations.outcomes import Failure, Pending, Verdict
from ctrl_alt_play.panel.paging import read_cursor
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.protocol.messages import OLDEST_VERSION
from ctrl_alt_play.protocol.specification import Specification

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LONGEST_MESSAGE = 2000
KEPT = timedelta(days=30)
MOST_FORGOTTEN = 1000

_TABLE = cast("Table", Operation.__table__)  # as mapped, it is one
_INSERT = insert(_TABLE)
_COLUMNS = _TABLE.columns.keys()
_OPEN_OR_INSTALL = (
    select(Operation)
    .where(Operation.server_id.in_(bindparam("server_ids", expanding=True)))
    .where(or_(Operation.state.in_(OPEN_STATES), Operation.kind.in_(INSTALLS)))
    .order_by(Operation.id.desc())
)
_GRACE = timedelta(minutes=2)
_ASKED = timedelta(seconds=10)
MOST_OVER_TIME = timedelta(hours=1)
"""So long an operation may go on past its deadline while its node is at it."""
_AT_ONCE = (OperationKind.STATUS, OperationKind.COMMAND, OperationKind.KILL)
"""They wait for nothing else."""
_STOPS = (
    *(OperationKind.STOP, OperationKind.RESTART, OperationKind.DELETE, OperationKind.UPDATE, OperationKind.REINSTALL),
)
_STARTS = (OperationKind.START, OperationKind.RESTART)
_DEADLINES = {
    **dict.fromkeys(INSTALLS, timedelta(minutes=30)),
    OperationKind.KILL: timedelta(minutes=1),
    OperationKind.COMMAND: _ASKED,
    OperationKind.STATUS: _ASKED,
}


def make_id(now: datetime) -> str:
    """The id of an operation and of its command: a ULID, so ids sort by the time they were made at."""
    number = int(now.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "cmd_" + "".join(_BASE32[number >> shift & 31] for shift in range(125, -1, -5))


def time_allowed(
    kind: OperationKind, of: Specification | None = None, stop_timeout_s: float | None = None
) -> timedelta:
    """How long an operation may take: what stops a server gets the time it has for that on top, what starts one the time to be ready,
    what installs one that of its installer.
    """
    allowed = _DEADLINES.get(kind, _GRACE)
    if of is None:
        return allowed
    if kind in _STOPS:
        allowed += timedelta(seconds=of.stop.timeout if stop_timeout_s is None else stop_timeout_s)
    if kind in _STARTS and (of.readiness.text or of.readiness.probe):
        allowed += timedelta(seconds=of.readiness.timeout)
    if kind in INSTALLS and of.installer is not None:
        allowed += timedelta(seconds=of.installer.timeout)
    return allowed


def has_fixed_time(kind: OperationKind) -> bool:
    """Whether the time that it is allowed does not depend on the server."""
    return kind in _AT_ONCE


def new(
    server_id: str,
    node_id: str,
    kind: OperationKind,
    actor: Actor | None,
    now: datetime,
    arguments: dict[str, Any],
    allowed: timedelta,
    key: str | None = None,
) -> Operation:
    """`actor` is None for what the panel does by itself."""
    return Operation(
        id=make_id(now),
        server_id=server_id,
        node_id=node_id,
        kind=kind,
        state=OperationState.QUEUED,
        arguments=arguments,
        created_by=None if actor is None else actor.id,
        created_by_name=None if actor is None else actor.username,
        request_key=key,
        created_at=now,
        deadline_at=now + allowed,
    )


def accept(operation: Operation, now: datetime, message: str | None) -> None:
    operation.state, operation.started_at, operation.message = OperationState.RUNNING, now, kept_text(message)


def succeed(
    operation: Operation, now: datetime, message: str | None = None, result: dict[str, Any] | None = None
) -> None:
    operation.state, operation.finished_at, operation.code = OperationState.SUCCEEDED, now, None
    operation.started_at = operation.started_at or now
    operation.message, operation.result, operation.undo = kept_text(message), result, None


def fail(operation: Operation, now: datetime, failure: Failure, result: dict[str, Any] | None = None) -> None:
    operation.state, operation.finished_at = OperationState.FAILED, now
    operation.code, operation.message = failure.code[:64], kept_text(failure.message)
    operation.result, operation.undo = result, None


def settle(operations: Iterable[Operation], verdicts: Sequence[Verdict], now: datetime) -> list[Operation]:
    """Those that ended."""
    by_id = {operation.id: operation for operation in operations}
    for verdict in verdicts:
        if verdict.failure is None:
            succeed(by_id[verdict.id], now, verdict.note)
        else:
            fail(by_id[verdict.id], now, verdict.failure)
    return [by_id[verdict.id] for verdict in verdicts]


def pending(operations: Iterable[Operation]) -> list[Pending]:
    return [Pending(operation.id, OperationKind(operation.kind)) for operation in operations]


async def accepted(session: AsyncSession, server_id: str, before: datetime | None = None) -> Sequence[Operation]:
    """A server's operations under way, locked, in the order in which the node accepted them; only those accepted `before` if given."""
    query = select(Operation).where(Operation.server_id == server_id, Operation.state == OperationState.RUNNING)
    if before is not None:
        query = query.where(Operation.started_at < before)
    return (await session.scalars(query.order_by(Operation.started_at, Operation.id).with_for_update())).all()


async def write(session: AsyncSession, operation: Operation) -> None:
    """Writes a new one as it is; it belongs to no session, so it can be handed on."""
    await session.execute(*insertion(operation))
    touch(session, touched(operation.id, operation.server_id))


def insertion(operation: Operation) -> tuple[Insert, dict[str, Any]]:
    return _INSERT, {name: getattr(operation, name) for name in _COLUMNS}


def touched(operation_id: str, server_id: str) -> Touched:
    return Touched(_TABLE.name, operation_id, server_id)


async def get(session: AsyncSession, operation_id: str) -> Operation:
    """Raises: LookupError."""
    operation = await session.get(Operation, operation_id)
    if operation is None:
        raise LookupError(f"operation {operation_id} is gone")
    return operation


async def existing(session: AsyncSession, operation_id: str) -> Operation:
    """Locked. Raises: LookupError."""
    operation = await session.get(Operation, operation_id, with_for_update=True)
    if operation is None:
        raise LookupError(f"operation {operation_id} is gone")
    return operation


async def named(session: AsyncSession, actor: Actor, key: str) -> Operation | None:
    """What the same actor asked for before by the same name."""
    query = select(Operation).where(Operation.created_by == actor.id, Operation.request_key == key)
    return await session.scalar(query)


async def left_over(session: AsyncSession, node_id: str, now: datetime) -> Sequence[Operation]:
    """What the node was sent, or was to be, and never answered; in the order in which it was asked."""
    query = (
        select(Operation)
        .where(Operation.node_id == node_id, Operation.state == OperationState.QUEUED, Operation.deadline_at > now)
        .where(Operation.kind != OperationKind.STATUS)
        .order_by(Operation.id)
    )
    return (await session.scalars(query)).all()


async def fail_forgotten(session: AsyncSession, node_id: str, now: datetime) -> None:
    """The node lost its journal: what it had accepted has no end any more that it could tell. Changes of servers are no matter of that."""
    sentence = "interrupted: the node lost its journal, so it cannot tell how this ended"
    failed = await session.execute(
        update(Operation)
        .where(Operation.node_id == node_id, Operation.state == OperationState.RUNNING)
        .where(Operation.kind != OperationKind.UPDATE)
        .values(state=OperationState.FAILED, finished_at=now, code="INTERRUPTED", message=sentence)
        .returning(Operation.id, Operation.server_id)
    )
    touch(session, *(touched(operation_id, server_id) for operation_id, server_id in failed))


async def accepted_changes(session: AsyncSession, node_id: str) -> Sequence[Operation]:
    """Changes of servers that a node accepted and did not end."""
    query = select(Operation).where(Operation.node_id == node_id, Operation.state == OperationState.RUNNING)
    return (await session.scalars(query.where(Operation.kind == OperationKind.UPDATE).with_for_update())).all()


async def overdue_changes(session: AsyncSession, now: datetime) -> Sequence[Operation]:
    """Changes of servers of whose end nothing was heard in their time."""
    query = select(Operation).where(Operation.state.in_(OPEN_STATES), Operation.deadline_at <= now)
    query = query.where(Operation.kind == OperationKind.UPDATE).order_by(Operation.id)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def get_visible(session: AsyncSession, actor: Actor, operation_id: str) -> Operation:
    """Raises: NotFound, also for what is another's."""
    operation = await session.scalar(visible_to(actor).where(Operation.id == operation_id))
    if operation is None:
        raise NotFound("There is no such operation.")
    return operation


async def list_of_server(
    session: AsyncSession, actor: Actor, server_id: str, limit: int, cursor: str | None
) -> Sequence[Operation]:
    """One more than `limit`, the latest first."""
    query = visible_to(actor).where(Operation.server_id == server_id).order_by(Operation.id.desc()).limit(limit + 1)
    if after := read_cursor(cursor, 1):
        query = query.where(Operation.id < after[0])
    return (await session.scalars(query)).all()


async def open_or_install(session: AsyncSession, server_ids: Iterable[str]) -> Sequence[Operation]:
    """What a server's status depends on: operations not ended, and installations however they ended; the latest first."""
    return (await session.scalars(_OPEN_OR_INSTALL, {"server_ids": list(server_ids)})).all()


@dataclass(frozen=True, slots=True)
class Late:
    """An operation whose time is up."""

    id: str
    node_id: str
    server_id: str
    deadline_at: datetime
    may_wait: bool
    """Its node accepted it, and does it only when what it is at on the same server has ended."""


async def overdue(session: AsyncSession, now: datetime) -> list[Late]:
    """What fails because its time is up; a change of a server does not."""
    query = select(
        Operation.id, Operation.node_id, Operation.server_id, Operation.deadline_at, Operation.state, Operation.kind
    ).where(Operation.state.in_(OPEN_STATES), Operation.deadline_at <= now, Operation.kind != OperationKind.UPDATE)
    return [
        Late(id_, node_id, server_id, deadline_at, state == OperationState.RUNNING and kind not in _AT_ONCE)
        for id_, node_id, server_id, deadline_at, state, kind in await session.execute(query)
    ]


async def fail_overdue(session: AsyncSession, ids: Iterable[str], now: datetime) -> Sequence[Operation]:
    query = select(Operation).where(Operation.id.in_(ids), Operation.state.in_(OPEN_STATES))
    failed = (await session.scalars(query.with_for_update(skip_locked=True))).all()
    for operation in failed:
        sentence = f"Nothing was heard of how the {operation.kind} ended, in the time it has."
        if now - operation.deadline_at >= MOST_OVER_TIME:
            sentence = f"The {operation.kind} took an hour longer than it may. Should it end yet, that is told here."
        fail(operation, now, Failure("TIMEOUT", sentence))
    return failed


async def forget_old(session: AsyncSession, now: datetime) -> int:
    """Removes what ended long ago, `MOST_FORGOTTEN` at most; how many it were. The installations of a server that is still there stay: they
    tell whether it ever came to be.
    """
    is_wanted = Operation.kind.in_(INSTALLS) & Operation.server_id.in_(select(Server.id))
    old = select(Operation.id).where(Operation.finished_at < now - KEPT, ~is_wanted).limit(MOST_FORGOTTEN)
    return await _delete(session, delete(_TABLE).where(_TABLE.c.id.in_(old)))


async def forget_old_events(session: AsyncSession, now: datetime) -> int:
    """As `forget_old`."""
    events = cast("Table", Event.__table__)
    old = select(Event.id).where(Event.received_at < now - KEPT).limit(MOST_FORGOTTEN)
    return await _delete(session, delete(events).where(events.c.id.in_(old)))


async def _delete(session: AsyncSession, statement: Delete) -> int:
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def take_over(session: AsyncSession, now: datetime) -> None:
    """Puts right what a panel that stopped in the middle left queued: nobody waits for the answer any more.

    A mere question is over. All else is sent again, by its id, once its node is back and speaks part 2. An agent of part 1 would do it a
    second time; it may have been sent already, so its outcome is found as after a lost connection.
    """
    interrupted = Failure("INTERRUPTED", "interrupted: the panel stopped before the node answered")
    query = select(Operation, Node.protocol_version).outerjoin(Node, Node.id == Operation.node_id)
    for operation, version in await session.execute(query.where(Operation.state == OperationState.QUEUED)):
        keeps = (version or OLDEST_VERSION) > OLDEST_VERSION
        if operation.kind == OperationKind.STATUS or (operation.kind == OperationKind.COMMAND and not keeps):
            fail(operation, now, interrupted)
        elif not keeps:
            operation.state, operation.started_at = OperationState.RUNNING, operation.created_at


def visible_to(actor: Actor) -> Select[Operation]:
    """Those of servers that they can see, and their own, also of servers that are gone."""
    query = select(Operation)
    if actor.is_admin:
        return query
    owned = select(Server.id).where(Server.owner_id == actor.id)
    return query.where(or_(Operation.created_by == actor.id, Operation.server_id.in_(owned)))


def kept_text(message: str | None) -> str | None:
    """PostgreSQL keeps no NUL, and nobody reads more."""
    return None if message is None else message.replace("\x00", "")[:LONGEST_MESSAGE]
