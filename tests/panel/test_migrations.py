"""The database's shape: made from nothing, in step with the models, and refused with a sentence where it cannot be used."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy import Connection, MetaData, event
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.panel.support import make_config

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel.db import Database, make_engine
from ctrl_alt_play.panel.migrations import alembic_config, migrate
from ctrl_alt_play.panel.operations import service as operations


async def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    await migrate(config)
    engine = make_engine(config.database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda plain: command.check(alembic_config(plain)))
    await engine.dispose()


async def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    await migrate(config)
    before = shape(tmp_path / "panel.db")
    await migrate(config)
    assert shape(tmp_path / "panel.db") == before


def shape(file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


async def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "panel.db"
    await migrate(make_config(tmp_path))
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    await migrate(make_config(tmp_path))
    assert file.stat().st_mode & 0o007 == 0


async def test_migrations_go_back_as_well(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    await migrate(config)
    engine = make_engine(config.database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda plain: command.downgrade(alembic_config(plain), "base"))
    await engine.dispose()
    with sqlite3.connect(tmp_path / "panel.db") as database:
        assert database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'servers%'").fetchall() == []
    database.close()


def fill(connection: Connection) -> None:
    """A row in each table, each of the one before."""
    tables = MetaData()
    tables.reflect(connection)
    by_type = {str: "one", int: 1, bool: True, datetime: datetime(2026, 11, 21, tzinfo=UTC), object: {}}
    for name in ("users", "nodes", "servers", "operations"):
        table = tables.tables[name]
        needed = [column for column in table.columns if not column.nullable and column.server_default is None]
        connection.execute(table.insert().values({column.name: by_type[column.type.python_type] for column in needed}))


async def test_a_database_with_something_in_it_goes_all_the_way_and_back(tmp_path: Path) -> None:
    engine = make_engine(make_config(tmp_path).database)
    async with engine.begin() as connection:
        await connection.run_sync(lambda plain: command.upgrade(alembic_config(plain), "0001"))
        await connection.run_sync(fill)
    for step, revision in ((command.upgrade, "head"), (command.downgrade, "0001"), (command.upgrade, "head")):
        async with engine.begin() as connection:
            await connection.run_sync(lambda plain, step=step, to=revision: step(alembic_config(plain), to))
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM servers")).scalar_one() == 1
        assert (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all() == []
    await engine.dispose()


async def limits_of_before(engine: AsyncEngine) -> None:
    """Also on a database that was used before."""
    servers = sa.table("servers", sa.column("specification", sa.JSON))
    specification = {"limits": {"memory": 8 * 2**30, "cpu": 12.5}}
    for step, revision in ((command.upgrade, "head"), (command.downgrade, "base"), (command.upgrade, "0009")):
        async with engine.begin() as connection:
            await connection.run_sync(lambda plain, step=step, to=revision: step(alembic_config(plain), to))
    async with engine.begin() as connection:
        await connection.run_sync(fill)
        await connection.execute(servers.update().values(specification=specification))
    async with engine.begin() as connection:
        await connection.run_sync(lambda plain: command.upgrade(alembic_config(plain), "head"))
    async with engine.connect() as connection:
        limits = (await connection.exec_driver_sql("SELECT memory, cpu, disk FROM servers")).one()
    assert tuple(limits) == (8 * 2**30, 12.5, 0)


async def test_limits_of_servers_that_were_there_are_added_up(tmp_path: Path) -> None:
    engine = make_engine(make_config(tmp_path).database)
    await limits_of_before(engine)
    await engine.dispose()


async def test_what_ended_long_ago_is_found_without_looking_at_all_operations(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    await migrate(config)
    database = Database(config.database)
    asked: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", listen)
    async with database.reading() as session:
        await operations.forget_old(session, SystemClock().utc())
        ((statement, parameters),) = asked
        connection = await session.connection()
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [row[-1] for row in plan]
    await database.close()
    assert any("operations USING INDEX ix_operations_finished_at" in step for step in steps), steps


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    await migrate(config)
    with sqlite3.connect(tmp_path / "panel.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(StartupError, match="newer Ctrl-Alt-Play") as refused:
        await migrate(config)
    assert "9999" in str(refused.value)


async def test_a_database_that_another_program_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(tmp_path)
    await migrate(config)
    monkeypatch.setattr("ctrl_alt_play.panel.db.BUSY_TIMEOUT_MS", 10)
    database = sqlite3.connect(tmp_path / "panel.db")
    database.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StartupError, match="locked by another program"):
        await migrate(config)
    database.close()


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "panel.db").write_text("this is a text, and long enough to be taken for more than an empty file" * 9)
    with pytest.raises(StartupError, match="not a database"):
        await migrate(make_config(tmp_path))


async def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "panel.db").mkdir()
    with pytest.raises(StartupError, match="cannot be opened or written"):
        await migrate(make_config(tmp_path))


async def test_a_data_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartupError, match="data folder"):
        await migrate(make_config(tmp_path / "data"))


@pytest.mark.parametrize("url", ["nonsense", "mysql://u@h/d", "postgresql://u:hidden@127.0.0.1:1/d"])
async def test_an_address_that_leads_nowhere_is_said_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(StartupError) as refused:
        await migrate(make_config(tmp_path, database_url=url))
    assert "hidden" not in str(refused.value)
    assert "\n" not in str(refused.value)
