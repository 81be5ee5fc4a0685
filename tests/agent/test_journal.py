"""The journal keeps what was accepted, whole or not at all."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ctrl_alt_play.agent.config import ConfigError
from ctrl_alt_play.agent.journal import FIRST_UID, SCHEMA_VERSION, Journal
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, DeletePayload, Nothing, StopPayload
from ctrl_alt_play.protocol.specification import Limits, Model, Port, Specification, StopRule

FULL = Specification(
    image="game",
    startup='run "it" now',
    environment={"A": "1", "B": "ü\n"},
    limits=Limits(memory=2**29, swap=-1, cpu=150.5, io=500),
    ports=(Port(internal=1, external=2, protocol="udp", address="127.0.0.1"),),
    stop=StopRule(command="quit", timeout=5),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent" / "journal.db"


@pytest.fixture
async def journal(file: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(file)
    yield journal
    await journal.close()


async def create(journal: Journal, server_id: str, specification: Specification = FULL, uid: int | None = None) -> int:
    _, record = await journal.accept(operation_of(Action.CREATE_SERVER, server_id, specification, "c", None), uid)
    assert record is not None
    return record.uid


async def test_all_of_it_survives_reopening(file: Path) -> None:
    journal = await Journal.open(file)
    uid = await create(journal, "one")
    contents: list[tuple[Action, Model]] = [
        (Action.STOP_SERVER, StopPayload(signal="SIGINT", timeout=1.5)),
        (Action.DELETE_SERVER, DeletePayload(keep_data=True)),
        (Action.START_SERVER, Nothing()),
    ]
    for number, (action, content) in enumerate(contents):
        accepted, record = await journal.accept(operation_of(action, "one", content, f"c{number}", None))
        assert record is None
        if action is Action.STOP_SERVER:
            await journal.note_phase(accepted.position, {"asked_at": 12.5})
    await journal.accept(operation_of(Action.KILL_SERVER, "one", Nothing(), None, "m1"))
    await journal.mean_to_stop("one", stop=False)
    before = (await journal.servers(), await journal.operations())
    await journal.close()
    journal = await Journal.open(file)
    assert (await journal.servers(), await journal.operations()) == before
    await journal.close()
    servers, operations = before
    assert [(s.id, s.uid, s.specification, s.is_meant_to_stop) for s in servers] == [("one", uid, FULL, False)]
    assert [(o.id, o.payload, o.phase, o.message_id) for o in operations] == [
        ("c", FULL, {}, None),
        ("c0", contents[0][1], {"asked_at": 12.5}, None),
        ("c1", contents[1][1], {}, None),
        ("c2", contents[2][1], {}, None),
        (None, Nothing(), {}, "m1"),
    ]


async def test_a_process_that_ends_without_closing_loses_nothing(file: Path, journal: Journal) -> None:
    await create(journal, "one")
    other = sqlite3.connect(file)
    assert other.execute("SELECT count(*) FROM servers").fetchone() == (1,)
    assert other.execute("SELECT count(*) FROM operations").fetchone() == (1,)
    other.close()


async def test_a_creation_is_kept_whole_or_not_at_all(journal: Journal) -> None:
    await create(journal, "one")
    with pytest.raises(sqlite3.IntegrityError):
        await create(journal, "one")
    assert len(await journal.servers()) == 1
    assert len(await journal.operations()) == 1
    await create(journal, "two")


async def test_every_server_has_a_user_of_its_own_and_the_lowest_free_one(journal: Journal) -> None:
    uids = await asyncio.gather(*(create(journal, f"s{number}") for number in range(20)))
    assert sorted(uids) == list(range(FIRST_UID, FIRST_UID + 20))
    gone = uids[7]
    await journal.remove_server("s7")
    assert await create(journal, "new") == gone
    assert await create(journal, "given", uid=1000) == 1000
    assert await create(journal, "next") == FIRST_UID + 20


async def test_an_operation_that_has_ended_is_forgotten(journal: Journal) -> None:
    first, _ = await journal.accept(operation_of(Action.START_SERVER, "one", Nothing(), "a", None))
    second, _ = await journal.accept(operation_of(Action.STOP_SERVER, "one", StopPayload(), "b", None))
    assert second.position > first.position
    await journal.end_operation(second.position)
    third, _ = await journal.accept(operation_of(Action.START_SERVER, "one", Nothing(), "c", None))
    assert third.position > second.position
    assert [operation.id for operation in await journal.operations()] == ["a", "c"]


async def test_a_journal_of_a_newer_version_is_refused_with_a_sentence(file: Path) -> None:
    await (await Journal.open(file)).close()
    with sqlite3.connect(file) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(ConfigError, match="written by a newer agent"):
        await Journal.open(file)


def test_a_journal_that_is_none_is_refused_and_stays_as_it_was(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("my notes, kept here by mistake" * 100)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="cannot be opened"):
        asyncio.run(Journal.open(file))
    assert file.read_bytes() == before


async def test_a_journal_without_a_place_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Check the disk and who owns the folder"):
        await Journal.open(tmp_path / "file" / "journal.db")
