"""The database in a file: who waits for whom, what a transaction sees, and what is left when one is broken off."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import bindparam, column, insert, select, table, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs
from tests.panel.support import until

from ctrl_alt_play.panel import sqlite
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, Unavailable

THINGS = table("things", column("id"), column("amount"))


@pytest_asyncio.fixture(loop_scope="session")
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'panel.db'}")
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)"))
        await session.execute(insert(THINGS).values(id=1, amount=0))
    yield database
    await database.close()


@pytest.fixture
def another(tmp_path: Path, database: Database) -> Iterator[sqlite3.Connection]:
    """Another program on the same file."""
    with closing(sqlite3.connect(tmp_path / "panel.db", isolation_level=None, timeout=0)) as connection:
        yield connection


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def amount(session: AsyncSession) -> int:
    return int(await session.scalar(select(THINGS.c.amount).where(THINGS.c.id == 1)) or 0)


async def add(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(update(THINGS).values(amount=await amount(session) + 1))


async def test_a_lock_of_another_program_is_waited_for_and_the_loop_goes_on(
    database: Database, another: sqlite3.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    adding = asyncio.create_task(add(database))
    for _ in range(20):
        async with database.reading() as session:
            assert await amount(session) == 0
        await asyncio.sleep(0)
    assert not adding.done()
    another.execute("COMMIT")
    await adding
    async with database.reading() as session:
        assert await amount(session) == 1


async def test_a_lock_that_is_held_too_long_is_said(
    tmp_path: Path, another: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.db.BUSY_TIMEOUT_MS", 10)
    impatient = Database(f"sqlite:///{tmp_path / 'panel.db'}")
    another.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs, pytest.raises(Unavailable, match="database is busy"):
        await add(impatient)
    assert [(entry["event"], "exc_info" in entry) for entry in logs] == [("database_busy", False)]
    another.execute("COMMIT")
    await add(impatient)
    await impatient.close()


async def test_whoever_stands_in_line_too_long_is_told_as_well(
    tmp_path: Path, database: Database, another: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.db.BUSY_TIMEOUT_MS", 10)
    impatient = Database(f"sqlite:///{tmp_path / 'panel.db'}")
    async with impatient.writing() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(Unavailable, match="database is busy"):
            await add(impatient)
    await add(impatient)
    await impatient.close()


async def test_what_is_no_lock_is_no_matter_of_time(database: Database) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        async with database.writing() as session:
            await session.execute(text("SELECT * FROM nowhere"))


async def test_whoever_stops_waiting_for_a_lock_leaves_nothing_begun(
    database: Database, another: sqlite3.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    adding = asyncio.create_task(add(database))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    another.execute("COMMIT")
    another.execute("BEGIN IMMEDIATE")
    another.execute("COMMIT")
    await add(database)


async def test_writers_stand_in_line_and_none_overwrites_another(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(add(database))
    async with database.reading() as session:
        assert await amount(session) == 100


async def test_a_writer_that_waits_in_the_middle_keeps_the_others_out_and_not_the_readers(database: Database) -> None:
    go_on = asyncio.Event()

    async def slowly() -> None:
        async with database.writing() as session:
            before = await amount(session)
            await go_on.wait()
            await session.execute(update(THINGS).values(amount=before + 1))

    first, second = asyncio.create_task(slowly()), asyncio.create_task(add(database))
    for _ in range(10):
        async with database.reading() as session:
            assert await amount(session) == 0
    assert not second.done()
    go_on.set()
    await asyncio.gather(first, second)
    async with database.reading() as session:
        assert await amount(session) == 2


async def test_a_reader_sees_one_moment(database: Database) -> None:
    async with database.reading() as session:
        assert await amount(session) == 0
        await add(database)
        assert await amount(session) == 0


async def test_what_a_broken_or_cancelled_block_wrote_is_undone(database: Database) -> None:
    reached = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.writing() as session:
            await session.execute(update(THINGS).values(amount=7))
            reached.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write_and_wait())
    await reached.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with pytest.raises(ZeroDivisionError):
        async with database.writing() as session:
            await session.execute(update(THINGS).values(amount=1 // 0))
    async with database.reading() as session:
        assert await amount(session) == 0


async def test_what_was_read_is_there_after_its_transaction(database: Database) -> None:
    async with database.reading() as session:
        found = await session.execute(select(THINGS))
    await add(database)
    assert found.all() == [(1, 0)]


async def test_what_the_rules_of_the_database_forbid_is_a_conflict(database: Database) -> None:
    with pytest.raises(Conflict):
        async with database.writing() as session:
            await session.execute(insert(THINGS).values(id=1, amount=1))


async def test_small_changes_are_done_whole_or_not_at_all(database: Database) -> None:
    more = update(THINGS).where(THINGS.c.id == bindparam("its_id"))
    new = insert(THINGS)
    assert await database.change((more, {"its_id": 1, "amount": 5}), (new, {"id": 2, "amount": 6}))
    assert not await database.change((new, {"id": 3, "amount": 7}), (more, {"its_id": 9, "amount": 8}))
    with pytest.raises(Conflict):
        await database.change((more, {"its_id": 1, "amount": 9}), (new, {"id": 2, "amount": 9}))
    async with database.writing() as session:
        assert (await session.execute(select(THINGS))).all() == [(1, 5), (2, 6)]


async def test_a_small_change_waits_for_a_lock_and_keeps_nobody_waiting(
    database: Database, another: sqlite3.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    changing = asyncio.create_task(database.change((insert(THINGS), {"id": 2, "amount": 0})))
    for _ in range(20):
        assert await database.row("SELECT count(*) FROM things") == (1,)
    assert not changing.done()
    another.execute("COMMIT")
    assert await changing


async def test_a_savepoint_takes_back_only_its_own(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(insert(THINGS).values(id=2, amount=2))
        with pytest.raises(ZeroDivisionError):
            async with session.begin_nested():
                await session.execute(insert(THINGS).values(id=3, amount=3 // 0))
    question = "SELECT amount FROM things WHERE id = :id"
    assert await database.row(question, id=2) == (2,)
    assert await database.row(question, id=3) is None


async def test_what_is_written_ahead_is_brought_into_the_file_and_does_not_grow_for_ever(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr(sqlite, "CHECKPOINT_EVERY_S", 0)
    ahead = tmp_path / "panel.db-wal"

    async def shrunk() -> bool:
        before = ahead.stat().st_size
        await add(database)
        return ahead.stat().st_size < before

    await until(shrunk)
    assert ahead.stat().st_size < 100_000


async def test_nothing_is_open_after_the_end(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'panel.db'}")
    assert await database.is_reachable()
    await database.close()
    assert names(tmp_path) == ["panel.db"]
