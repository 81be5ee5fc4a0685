"""The life of operations: written before the node is asked, running once it accepted, ended by news, by refusal or by their deadline."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.models import OPEN_STATES, Operation, OperationKind, OperationState, Server
from ctrl_alt_play.panel.operations.outcomes import Failure, Pending, Verdict
from ctrl_alt_play.panel.paging import read_cursor
from ctrl_alt_play.panel.security import Actor

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ASKS = (OperationKind.COMMAND, OperationKind.STATUS)
LONGEST_MESSAGE = 2000
KEPT = timedelta(days=30)

_GRACE = timedelta(minutes=2)
_DEADLINES = {
    OperationKind.CREATE: timedelta(minutes=30),
    OperationKind.START: _GRACE,
    OperationKind.KILL: timedelta(minutes=1),
    OperationKind.COMMAND: timedelta(seconds=10),
    OperationKind.STATUS: timedelta(seconds=10),
}


def make_id(now: datetime) -> str:
    """The id of an operation and of its command: a ULID, so ids sort by the time they were made at."""
    number = int(now.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "cmd_" + "".join(_BASE32[number >> shift & 31] for shift in range(125, -1, -5))


def time_allowed(kind: OperationKind, stop_timeout_s: float) -> timedelta:
    """How long an operation may take; one that stops a server gets the server's own time for it on top."""
    return _DEADLINES.get(kind) or timedelta(seconds=stop_timeout_s) + _GRACE


def new(
    server: Server, kind: OperationKind, actor: Actor, now: datetime, arguments: dict[str, Any], allowed: timedelta
) -> Operation:
    return Operation(
        id=make_id(now),
        server_id=server.id,
        node_id=server.node_id,
        kind=kind,
        state=OperationState.QUEUED,
        arguments=arguments,
        created_by=actor.id,
        created_at=now,
        deadline_at=now + allowed,
    )


def accept(operation: Operation, now: datetime, message: str | None) -> None:
    operation.state, operation.started_at, operation.message = OperationState.RUNNING, now, _text(message)


def succeed(
    operation: Operation, now: datetime, message: str | None = None, result: dict[str, Any] | None = None
) -> None:
    operation.state, operation.finished_at, operation.code = OperationState.SUCCEEDED, now, None
    operation.started_at = operation.started_at or now
    operation.message, operation.result = _text(message), result


def fail(operation: Operation, now: datetime, failure: Failure) -> None:
    operation.state, operation.finished_at = OperationState.FAILED, now
    operation.code, operation.message = failure.code[:64], _text(failure.message)


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


async def lock(session: AsyncSession, operation_id: str) -> Operation | None:
    return await session.get(Operation, operation_id, with_for_update=True)


async def get_visible(session: AsyncSession, actor: Actor, operation_id: str) -> Operation:
    """Raises: NotFound, also for what is another's."""
    operation = await session.scalar(_visible_to(actor).where(Operation.id == operation_id))
    if operation is None:
        raise NotFound("There is no such operation.")
    return operation


async def list_of_server(
    session: AsyncSession, actor: Actor, server_id: str, limit: int, cursor: str | None
) -> Sequence[Operation]:
    """One more than `limit`, the latest first."""
    query = _visible_to(actor).where(Operation.server_id == server_id).order_by(Operation.id.desc()).limit(limit + 1)
    if after := read_cursor(cursor, 1):
        query = query.where(Operation.id < after[0])
    return (await session.scalars(query)).all()


async def open_or_create(session: AsyncSession, server_ids: Iterable[str]) -> Sequence[Operation]:
    """What a server's status depends on: operations not ended, and creations however they ended; the latest first."""
    query = (
        select(Operation)
        .where(Operation.server_id.in_(server_ids))
        .where(or_(Operation.state.in_(OPEN_STATES), Operation.kind == OperationKind.CREATE))
        .order_by(Operation.id.desc())
    )
    return (await session.scalars(query)).all()


async def is_any_overdue(session: AsyncSession, now: datetime) -> bool:
    return await session.scalar(_overdue(now).limit(1)) is not None


async def fail_overdue(session: AsyncSession, now: datetime) -> Sequence[Operation]:
    overdue = (await session.scalars(_overdue(now).with_for_update(skip_locked=True))).all()
    for operation in overdue:
        sentence = f"Nothing was heard of how the {operation.kind} ended, in the time it has."
        fail(operation, now, Failure("TIMEOUT", sentence))
    return overdue


async def forget_old(session: AsyncSession, now: datetime) -> None:
    """Removes what ended long ago. The creation of a server that is still there stays: it tells whether it ever came to be."""
    is_wanted = (Operation.kind == OperationKind.CREATE) & Operation.server_id.in_(select(Server.id))
    await session.execute(delete(Operation).where(Operation.finished_at < now - KEPT, ~is_wanted))


async def take_over(session: AsyncSession, now: datetime) -> None:
    """Puts right what a panel that stopped in the middle left queued: nobody waits for the answer any more.

    What changes a server may have reached the node, so its outcome is found as after a lost connection; a mere question is over.
    """
    query = select(Operation).where(Operation.state == OperationState.QUEUED)
    for operation in await session.scalars(query):
        if operation.kind in _ASKS:
            fail(operation, now, Failure("INTERRUPTED", "interrupted: the panel stopped before the node answered"))
        else:
            operation.state, operation.started_at = OperationState.RUNNING, operation.created_at


def _overdue(now: datetime) -> Select[Operation]:
    return select(Operation).where(Operation.state.in_(OPEN_STATES), Operation.deadline_at <= now)


def _visible_to(actor: Actor) -> Select[Operation]:
    """Those of servers that they can see, and their own, also of servers that are gone."""
    query = select(Operation)
    if actor.is_admin:
        return query
    owned = select(Server.id).where(Server.owner_id == actor.id)
    return query.where(or_(Operation.created_by == actor.id, Operation.server_id.in_(owned)))


def _text(message: str | None) -> str | None:
    """PostgreSQL keeps no NUL, and nobody reads more."""
    return None if message is None else message.replace("\x00", "")[:LONGEST_MESSAGE]
