"""SQLite for SQLAlchemy's asyncio without a thread: a statement takes microseconds, and is run by whoever asks for it.

What may take long leaves the loop alone: a lock that another holds is waited for asleep, and what was written ahead is brought into the
database's file by a thread. A statement is never cancelled half-way.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import URL, Dialect, Insert, Update
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection, AsyncAdapt_dbapi_cursor, AsyncAdapt_dbapi_module
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import await_

from ctrl_alt_play.panel.prepared import Change, Prepared

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.001, 0.05
CHECKPOINT_BYTES = 4 * 1024 * 1024
CHECKPOINT_EVERY_S = 1.0
MOST_AHEAD_PAGES = 16_384
"""64 MiB: past that SQLite does the checkpoint itself, within a commit."""

Result = TypeVar("Result")
log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Cursor(AsyncAdapt_dbapi_cursor):
    """All rows are fetched at once, as SQLAlchemy wants it of a driver for asyncio."""

    __slots__ = ()
    _awaitable_cursor_close = False
    _adapt_connection: "Connection"
    _cursor: Any

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        result = await self._adapt_connection.patiently(self._cursor.execute, operation, parameters or ())
        if self._cursor.description:
            self._rows = deque(self._cursor.fetchall())
        return result

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        return await self._adapt_connection.patiently(self._cursor.executemany, operation, seq_of_parameters)


class Connection(AsyncAdapt_dbapi_connection):
    """The standard library's connection, in which SQLite itself never waits for a lock."""

    __slots__ = ("_patience_s",)
    _cursor_cls = Cursor
    _connection: Any

    def __init__(self, driver: "Driver", connection: sqlite3.Connection, patience_s: float) -> None:
        super().__init__(driver, connection)  # type: ignore[arg-type] # it awaits nothing
        self._patience_s = patience_s

    @property
    def isolation_level(self) -> None:
        """Python's driver begins and ends nothing by itself."""

    def create_function(self, *arguments: Any, **options: Any) -> None:
        self._connection.create_function(*arguments, **options)

    def begin(self, statement: str) -> None:
        await_(self.patiently(self._connection.execute, statement))

    def commit(self) -> None:
        await_(self.patiently(self._connection.commit))

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    async def patiently(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await patiently(self._patience_s, work, *arguments)


async def patiently(patience_s: float, work: Callable[..., Result], *arguments: Any) -> Result:
    """Does it again while another connection holds the lock, as long as the time that there is for it.

    Raises:
        sqlite3.OperationalError: "database is locked" when that is over.
    """
    deadline, pause_s = None, FIRST_PAUSE_S
    while True:
        try:
            return work(*arguments)
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            deadline = deadline or now + patience_s
            if error.sqlite_errorcode not in _WAITED_FOR or now >= deadline:
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


_WAITED_FOR = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)
"""A snapshot that is out of date (SQLITE_BUSY_SNAPSHOT) does not get better by waiting."""


class Driver(AsyncAdapt_dbapi_module):
    """The standard library's module, with connections of ours."""

    def __init__(self) -> None:
        super().__init__(sqlite3)

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, file: str, *, patience_s: float, **options: Any) -> Connection:
        settings = {"timeout": 0, "isolation_level": None, **options}
        return Connection(self, sqlite3.connect(file, **settings), patience_s)


class InlineDialect(SQLiteDialect_pysqlite):
    """`sqlite+inline`; `begin` is the statement by which its transactions begin."""

    driver = "inline"
    is_async = True
    supports_statement_cache = True
    has_terminate = True

    def __init__(self, begin: str = "BEGIN", **options: Any) -> None:
        super().__init__(**options)
        self._begin = begin

    @classmethod
    def import_dbapi(cls) -> Any:
        return Driver()

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:  # noqa: ARG003 - SQLAlchemy's signature
        return AsyncAdaptedQueuePool

    def get_driver_connection(self, connection: Any) -> Any:
        return connection._connection  # noqa: SLF001 - what SQLAlchemy asks a dialect for

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.begin(self._begin)

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.close()


registry.register("sqlite.inline", __name__, "InlineDialect")


class Direct:
    """A connection that is kept for what each request does: questions of one statement, and changes that need no look at anything.

    Each is done whole where it stands, so that none begins while another is open.
    """

    def __init__(self, file: str, dialect: Dialect, patience_s: float) -> None:
        self._file = file
        self._dialect = dialect
        self._patience_s = patience_s
        self._kept: sqlite3.Connection | None = None
        self._prepared: dict[tuple[Insert | Update, frozenset[str]], Prepared] = {}

    async def row(self, question: str, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """As the moment is at which it is asked."""
        return await patiently(self._patience_s, self._row, question, parameters)

    async def change(self, changes: Iterable[Change]) -> bool:
        """Whether each found its row; else none of them is done."""
        prepared = [(self._prepare(statement, values), values) for statement, values in changes]
        steps = [(each.text, each.take(values)) for each, values in prepared]
        return await patiently(self._patience_s, self._change, steps)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connection(self) -> sqlite3.Connection:
        if self._kept is None:
            connection = sqlite3.connect(self._file, timeout=0, isolation_level=None)
            set_up(connection)
            self._kept = connection
        return self._kept

    def _row(self, question: str, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        rows = self._connection().execute(question, parameters).fetchall()
        return rows[0] if rows else None

    def _change(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> bool:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            is_done = all(connection.execute(text, values).rowcount == 1 for text, values in steps)
            if not is_done:
                connection.rollback()
        return is_done

    def _prepare(self, statement: Insert | Update, values: Mapping[str, Any]) -> Prepared:
        key = statement, frozenset(values)
        if (known := self._prepared.get(key)) is None:
            known = self._prepared[key] = Prepared(statement, list(values), self._dialect)
        return known


def set_up(connection: Any, _record: Any = None) -> None:
    """`connection` is the driver's own, which has no type of ours."""
    settings = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=0")
    cursor = connection.cursor()
    for setting in (*settings, f"wal_autocheckpoint={MOST_AHEAD_PAGES}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


class Checkpoints:
    """Brings what was written ahead into the file, when there is enough of it. No commit has to wait for the disk then."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._ahead = Path(f"{file}-wal")
        self._task: asyncio.Task[None] | None = None
        self._next_at = 0.0

    def look(self) -> None:
        """To be called after each commit."""
        now = time.monotonic()
        if self._task is None and now >= self._next_at and self._size_bytes() >= CHECKPOINT_BYTES:
            self._next_at = now + CHECKPOINT_EVERY_S
            self._task = asyncio.create_task(self._do(), name="checkpoint")

    async def close(self) -> None:
        if self._task is not None:
            await self._task

    def _size_bytes(self) -> int:
        try:
            return self._ahead.stat().st_size
        except OSError:
            return 0

    async def _do(self) -> None:
        try:
            await asyncio.to_thread(self._checkpoint)
        except sqlite3.Error as error:
            log.warning("checkpoint_failed", reason=str(error))
        finally:
            self._task = None

    def _checkpoint(self) -> None:
        """Of the kind that nobody has to wait for: readers and writers go on."""
        with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
