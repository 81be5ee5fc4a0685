"""The history of figures in the database. Rows go by subject first, so each question and each removal is a look at a few stretches of the table."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    Integer,
    Select,
    Table,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ctrl_alt_play.panel.figures.meter import MINUTE, QUARTER, SECOND
from ctrl_alt_play.panel.models import Node, Sample, Server, Subject

KEPT_S = {SECOND: 600, MINUTE: 7 * 24 * 3600, QUARTER: 366 * 24 * 3600}
MOST_REMOVED = 1000

_SAMPLES, _SUBJECTS = cast("Table", Sample.__table__), cast("Table", Subject.__table__)  # as mapped, they are tables
_SERVERS, _NODES = cast("Table", Server.__table__), cast("Table", Node.__table__)
_KEY = ("subject_id", "resolution", "at")
_VALUES = [column.name for column in _SAMPLES.columns if column.name not in _KEY]
_NEWEST = (
    update(_SERVERS)
    .where(_SERVERS.c.id == bindparam("its_id"), _SERVERS.c.node_id == bindparam("its_node"))
    .values(figures=bindparam("its_figures", type_=_SERVERS.c.figures.type), measured_at=bindparam("its_time"))
)

_NEWEST_OF_NODES = (
    update(_NODES)
    .where(_NODES.c.id == bindparam("its_id"))
    .values(figures=bindparam("its_figures", type_=_NODES.c.figures.type))
)


async def subjects_of_servers(session: AsyncSession, server_ids: Collection[str]) -> dict[str, tuple[str, int | None]]:
    """Those servers that there are: the node of each, and its subject's number, if it was ever measured."""
    query = select(Server.id, Server.node_id, Subject.id).outerjoin(Subject, Subject.server_id == Server.id)
    found = await session.execute(query.where(Server.id.in_(server_ids)))
    return {server_id: (node_id, subject_id) for server_id, node_id, subject_id in found}


async def subjects_of_nodes(session: AsyncSession, node_ids: Collection[str]) -> dict[str, int | None]:
    """As `subjects_of_servers`."""
    query = select(Node.id, Subject.id).outerjoin(Subject, Subject.node_id == Node.id).where(Node.id.in_(node_ids))
    return {row[0]: row[1] for row in await session.execute(query)}


async def add_subjects(
    session: AsyncSession, server_ids: Iterable[str], node_ids: Iterable[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers for what is measured for the first time."""
    servers = [Subject(server_id=server_id) for server_id in server_ids]
    nodes = [Subject(node_id=node_id) for node_id in node_ids]
    session.add_all([*servers, *nodes])
    await session.flush()
    return (
        {subject.server_id: subject.id for subject in servers if subject.server_id},
        {subject.node_id: subject.id for subject in nodes if subject.node_id},
    )


async def write(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """All by one statement. Where there is such a row already, as of a minute in which the panel was started anew, that which is made of more
    measurements stays. Of a subject that went there is nothing to write.
    """
    await connection.execute(_upsert(connection.dialect.name, _as_told()), rows)


def _as_told() -> Select[Any]:
    values = [bindparam(f"its_{column.name}", type_=column.type) for column in _SAMPLES.columns]
    is_there = _SUBJECTS.c.server_id.is_not(None) | _SUBJECTS.c.node_id.is_not(None)
    return select(*values).where(_SUBJECTS.c.id == bindparam("its_subject_id", type_=Integer()), is_there)


def as_parameters(row: Mapping[str, Any]) -> dict[str, Any]:
    return {f"its_{name}": value for name, value in row.items()}


def _upsert(dialect: str, rows: Select[Any]) -> sqlite.Insert | postgresql.Insert:
    insert = postgresql.insert(_SAMPLES) if dialect == "postgresql" else sqlite.insert(_SAMPLES)
    statement = insert.from_select([column.name for column in _SAMPLES.columns], rows)
    return statement.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={name: statement.excluded[name] for name in _VALUES},
        where=statement.excluded["count"] >= _SAMPLES.c["count"],
    )


async def write_newest(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """As last measured, on the servers themselves: by one statement."""
    await connection.execute(_NEWEST, rows)


async def write_newest_of_nodes(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Likewise."""
    await connection.execute(_NEWEST_OF_NODES, rows)


async def to_be_rolled(session: AsyncSession, until: int) -> Sequence[int]:
    """The subjects whose minutes may not be summed up to this time."""
    return (await session.scalars(select(Subject.id).where(Subject.rolled_at < until).order_by(Subject.id))).all()


async def roll(connection: AsyncConnection, subject_ids: Collection[int], until: int) -> None:
    """Sums the minutes of these up to quarters of an hour, from where that ended last. Done again it does the same."""
    quarter = (_SAMPLES.c.at - _SAMPLES.c.at % QUARTER).label("quarter")
    values = [_summed(name).label(f"its_{name}") for name in _VALUES]
    rows = (
        select(_SAMPLES.c.subject_id, as_type(QUARTER, Integer), quarter, *values)
        .join_from(_SUBJECTS, _SAMPLES, _SAMPLES.c.subject_id == _SUBJECTS.c.id)
        .where(_SUBJECTS.c.id.in_(subject_ids), _SAMPLES.c.resolution == MINUTE)
        .where(_SAMPLES.c.at >= _SUBJECTS.c.rolled_at, _SAMPLES.c.at < until)
        .group_by(_SAMPLES.c.subject_id, quarter)
    )
    await connection.execute(_upsert(connection.dialect.name, rows))
    await connection.execute(update(_SUBJECTS).where(_SUBJECTS.c.id.in_(subject_ids)).values(rolled_at=until))


def _summed(name: str) -> ColumnElement[Any]:
    """A column over several rows: what says the most stays that, averages are averaged."""
    column = _SAMPLES.c[name]
    match name:
        case "count":
            return func.sum(column)
        case "cpu":
            return func.avg(column)
        case "cpu_max" | "memory_max" | "disk" | "pids" | "players":
            return func.max(column)
        case _:
            return as_type(func.avg(column), BigInteger)


GRAPHED = [name for name in _VALUES if name != "count"]


def graph(subject: ColumnElement[bool], resolution: int, since: int, until: int, step: int) -> Select[Any]:
    """One row for each step in which something was measured: when the step begins, then `GRAPHED`."""
    begins = (_SAMPLES.c.at - _SAMPLES.c.at % step).label("begins")
    its_id = select(_SUBJECTS.c.id).where(subject).scalar_subquery()
    query = (
        select(_SAMPLES.c.at, *(_SAMPLES.c[name] for name in GRAPHED))
        if step == resolution
        else select(begins, *(_summed(name) for name in GRAPHED)).group_by(begins)
    )
    return query.where(
        _SAMPLES.c.subject_id == its_id,
        _SAMPLES.c.resolution == resolution,
        _SAMPLES.c.at >= since,
        _SAMPLES.c.at < until,
    )


def is_server(server_id: str) -> ColumnElement[bool]:
    return _SUBJECTS.c.server_id == server_id


def is_node(node_id: str) -> ColumnElement[bool]:
    return _SUBJECTS.c.node_id == node_id


async def subjects_after(session: AsyncSession, subject_id: int, limit: int) -> Sequence[tuple[int, bool]]:
    """In order, with whether what they were about is gone."""
    is_gone = Subject.server_id.is_(None) & Subject.node_id.is_(None)
    query = select(Subject.id, is_gone).where(Subject.id > subject_id).order_by(Subject.id).limit(limit)
    return [(id_, bool(gone)) for id_, gone in await session.execute(query)]


async def remove_old(connection: AsyncConnection, subject_ids: Collection[int], resolution: int, now_s: float) -> int:
    """What of these is too old, `MOST_REMOVED` at most; how many it were."""
    before = int(now_s) - KEPT_S[resolution]
    is_old = (_SAMPLES.c.resolution == resolution) & (_SAMPLES.c.at < before)
    return await _remove(connection, _SAMPLES.c.subject_id.in_(subject_ids) & is_old)


async def remove_subject(connection: AsyncConnection, subject_id: int) -> int:
    """All samples of it, `MOST_REMOVED` at most, and with the last of them itself; how many samples it were."""
    removed = await _remove(connection, _SAMPLES.c.subject_id == subject_id)
    if removed < MOST_REMOVED:
        await connection.execute(delete(_SUBJECTS).where(_SUBJECTS.c.id == subject_id))
    return removed


async def _remove(connection: AsyncConnection, condition: ColumnElement[bool]) -> int:
    key = [_SAMPLES.c[name] for name in _KEY]
    chosen = select(*key).where(condition).limit(MOST_REMOVED)
    result: CursorResult[Any] = await connection.execute(delete(_SAMPLES).where(tuple_(*key).in_(chosen)))
    return result.rowcount
