"""The database: SQLite in a file unless told otherwise, PostgreSQL past one machine. Transactions are short and begin where they are meant to.

A reading transaction sees one moment; a writing one is committed when its block ends, before any reply goes out. On SQLite a writing
transaction takes the write lock at its beginning, so that it cannot fail half-way for having read something that changed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy import JSON, DateTime, Dialect, MetaData, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from ctrl_alt_play.panel.errors import Conflict

BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 30
REACH_TIMEOUT_S = 3
CLOSE_TIMEOUT_S = 2


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


class Database:
    """The panel's database. `close` it at the end."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._reading = async_sessionmaker(self.engine, expire_on_commit=False)
        self._writing = async_sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
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
        try:
            with self._in_use():
                async with self._writing() as session, session.begin():
                    yield session
        except IntegrityError as error:
            raise Conflict("That was just changed by someone else: look again, then try again.") from error

    async def is_reachable(self) -> bool:
        try:
            async with asyncio.timeout(REACH_TIMEOUT_S), self.reading() as session:
                await session.execute(text("SELECT 1"))
        except Exception:  # noqa: BLE001 - whatever it was, the answer is no
            return False
        return True

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def close(self) -> None:
        """Waits a moment for transactions under way: a connection that is given back later would never be closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._unused.wait()
        await self.engine.dispose()


def make_engine(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        deadlines = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": STATEMENT_TIMEOUT_S}
        return create_async_engine(url, pool_pre_ping=True, connect_args=deadlines)
    engine = create_async_engine(url)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """`connection` is the driver's own, which has no type of ours. Python's driver leaves BEGIN to us."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def database_of(connection: HTTPConnection) -> Database:
    return cast("Database", connection.app.state.database)  # Starlette's state has no types


async def _reading_session(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
    async with database_of(connection).reading() as session:
        yield session


Reading = Annotated[AsyncSession, Depends(_reading_session, scope="function")]
"""What a route reads from, given back before the reply goes out. What changes things is a service's, which ends its own transactions: before
it turns to a node, and before the route replies."""
