"""The database: SQLite in a file unless told otherwise, PostgreSQL past one machine. Transactions are short and begin where they are meant to.

A reading transaction sees one moment; a writing one is committed when its block ends, before any reply goes out. On SQLite a writing
transaction takes the write lock at its beginning, so that it cannot fail half-way for having read something that changed; one writes at a
time, and the others stand in line. Statements on SQLite run in the loop: what reads or writes many rows does so in pieces.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, cast

import structlog
from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy import JSON, URL, DateTime, Dialect, MetaData, event, make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from ctrl_alt_play.panel.errors import Conflict, Unavailable
from ctrl_alt_play.panel.prepared import Change
from ctrl_alt_play.panel.sqlite import Checkpoints, Direct, set_up

BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 30
REACH_TIMEOUT_S = 3
CLOSE_TIMEOUT_S = 2
RETRY_AFTER_S = 5
BUSY = "The database is busy: try again in a moment."

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also on SQLite, which keeps none of a time's zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """The root of all models; constraints get names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy reads it as it stands


class Touched(NamedTuple):
    """A row that a transaction made, changed or removed."""

    table: str
    id: str
    server_id: str | None = None
    node_id: str | None = None
    is_same: bool = True
    """It was there before, and still is."""


Listener = Callable[[AbstractSet[Touched]], None]


class _Noting(Session):
    """Notes which rows it writes as objects. What is written without them is told by `touch`."""


@event.listens_for(_Noting, "after_flush")
def _note(session: Session, _: object) -> None:
    for row in (row for row in session.dirty if session.is_modified(row)):
        _note_row(session, row, is_same=True)
    for rows in (session.new, session.deleted):
        for row in rows:
            _note_row(session, row, is_same=False)


def _note_row(session: Session, row: Any, *, is_same: bool) -> None:
    """`row` is of any model; some have no id."""
    if isinstance(getattr(row, "id", None), str):
        of = (getattr(row, "server_id", None), getattr(row, "node_id", None))
        _notes(session).add(Touched(row.__tablename__, row.id, *of, is_same))


def touch(session: AsyncSession, *touched: Touched) -> None:
    """What this transaction writes without objects, for whoever listens."""
    _notes(session).update(touched)


def _notes(session: Session | AsyncSession) -> set[Touched]:
    notes: set[Touched] = session.info.setdefault("touched", set())
    return notes


class Database:
    """The panel's database. `close` it at the end."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._file = _File(url) if url.startswith("sqlite") else None
        self._writer = self._file.writer if self._file else self.engine
        self._reading = async_sessionmaker(self.engine, expire_on_commit=False)
        self._writing = async_sessionmaker(self._writer, expire_on_commit=False, sync_session_class=_Noting)
        self._listeners: list[Listener] = []
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        with self._in_use():
            async with self._reading() as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Commits when the block ends, rolls back when it raises.

        Raises:
            Conflict: someone else did the same at the same moment, and the database's own rules forbid both.
        """
        with self._committing():
            async with self._writing() as session, session.begin():
                yield session
        self._tell(_notes(session))

    def listen(self, listener: Listener) -> None:
        """Told of what each transaction touched, once it is committed. It must not wait, nor fail."""
        self._listeners.append(listener)

    def _tell(self, touched: AbstractSet[Touched]) -> None:
        for listener in self._listeners if touched else ():
            listener(touched)

    @asynccontextmanager
    async def writing_rows(self) -> AsyncIterator[AsyncConnection]:
        """As `writing`, for statements on tables: without objects, and without what a session costs to keep them."""
        with self._committing():
            async with self._writer.begin() as connection:
                yield connection

    async def change(self, *changes: Change, touched: AbstractSet[Touched] = frozenset()) -> bool:
        """A transaction of what needs no look at anything, without what one costs otherwise. Whether each found its row: else none is done.
        Listeners are told that these were `touched`.

        Raises: Conflict, as `writing`.
        """
        is_done = await self._change(changes)
        if is_done:
            self._tell(touched)
        return is_done

    async def _change(self, changes: Sequence[Change]) -> bool:
        if self._file is not None:
            with self._committing():
                return await self._file.direct.change(changes)
        async with self.writing_rows() as connection:
            for statement, values in changes:
                if (await connection.execute(statement, values)).rowcount != 1:
                    await connection.rollback()
                    return False
        return True

    async def row(self, question: str, **parameters: str | int | None) -> Sequence[Any] | None:
        """The row that a SELECT finds, as the driver gives it, or None: for what each request asks, without the cost of a transaction."""
        with self._in_use():
            if self._file is not None:
                return await self._file.direct.row(question, parameters)
            async with self.engine.connect() as connection:
                return (await connection.execute(text(question), parameters)).one_or_none()

    async def is_reachable(self) -> bool:
        try:
            async with asyncio.timeout(REACH_TIMEOUT_S):
                await self.row("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever it was, the answer is no
            return False
        return True

    @contextmanager
    def _committing(self) -> Iterator[None]:
        try:
            with self._in_use():
                yield
                if self._file is not None:
                    self._file.checkpoints.look()
        except (IntegrityError, sqlite3.IntegrityError) as error:
            raise Conflict("That was just changed by someone else: look again, then try again.") from error

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Raises: Unavailable, another program holds the database, or too many stand in line, for longer than anyone is made to wait."""
        self._users += 1
        self._unused.clear()
        try:
            yield
        except (OperationalError, PoolTimeout, sqlite3.OperationalError) as error:
            if not _is_busy(error):
                raise
            log.warning("database_busy", reason=str(error.orig if isinstance(error, OperationalError) else error))
            raise Unavailable(BUSY, RETRY_AFTER_S, "DATABASE_BUSY") from error
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def close(self) -> None:
        """Waits a moment for transactions under way: a connection that is given back later would never be closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._unused.wait()
        if self._file is not None:
            await self._file.close()
        await self.engine.dispose()


def _is_busy(error: Exception) -> bool:
    cause = error.orig if isinstance(error, OperationalError) else error
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(cause, PoolTimeout)


class _File:
    """What a database in a file has beside the engine for reading."""

    def __init__(self, url: str) -> None:
        path = str(make_url(url).database)
        self.writer = make_engine(url, writes=True)
        self.direct = Direct(path, self.writer.dialect, BUSY_TIMEOUT_MS / 1000)
        self.checkpoints = Checkpoints(path)

    async def close(self) -> None:
        await self.checkpoints.close()
        self.direct.close()
        await self.writer.dispose()


def make_engine(url: str, *, writes: bool = False) -> AsyncEngine:
    """An error of it shows no values: they may be secrets of a game, or hashes."""
    if not url.startswith("sqlite"):
        deadlines = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": STATEMENT_TIMEOUT_S}
        return create_async_engine(url, pool_pre_ping=True, connect_args=deadlines, hide_parameters=True)
    return _sqlite_engine(make_url(url), writes=writes)


def _sqlite_engine(url: URL, *, writes: bool) -> AsyncEngine:
    """Where it writes it has one connection, for which its users stand in line."""
    patience_s = BUSY_TIMEOUT_MS / 1000
    line: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": patience_s} if writes else {}
    engine = create_async_engine(
        url.set(drivername="sqlite+inline"),
        begin="BEGIN IMMEDIATE" if writes else "BEGIN",
        connect_args={"patience_s": patience_s},
        hide_parameters=True,
        **line,
    )
    event.listen(engine.sync_engine, "connect", set_up)
    return engine


def database_of(connection: HTTPConnection) -> Database:
    return cast("Database", connection.app.state.database)  # Starlette's state has no types


async def _reading_session(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
    async with database_of(connection).reading() as session:
        yield session


Reading = Annotated[AsyncSession, Depends(_reading_session, scope="function")]
"""What a route reads from, given back before the reply goes out. What changes things is a service's, which ends its own transactions: before
it turns to a node, and before the route replies."""
