"""The journal keeps what was accepted, whole or not at all, and what is still to be told."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.agent.journals import FULL, create, news
from tests.fakes.clock import NOON
from tests.fakes.until import until

from ctrl_alt_play.agent import schema, spool, tables
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import Ending, Entry, Memory, News, ServerRecord
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.agent.tables import FIRST_UID
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.protocol.contents import Action, DeletePayload, Nothing, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import ServerCrashed
from ctrl_alt_play.protocol.specification import Desired, Model


async def test_all_of_it_survives_reopening(file: Path) -> None:
    journal = await Journal.open(file)
    uid = await create(journal, "one", command_id="c")
    contents: list[tuple[Action, Model]] = [
        (Action.STOP_SERVER, StopPayload(signal="SIGINT", timeout=1.5)),
        (Action.DELETE_SERVER, DeletePayload(keep_data=True)),
        (Action.START_SERVER, Nothing()),
    ]
    for number, (action, content) in enumerate(contents):
        accepted, record = await journal.accept(operation_of(action, "one", content, f"c{number}", None))
        assert record is None
        if action is Action.STOP_SERVER:
            await journal.put(Entry(phase=(accepted.position, {"asked_at": 12.5})))
    await journal.accept(operation_of(Action.KILL_SERVER, "one", Nothing(), None, "m1"))
    memory = Memory(desired=Desired.ON, crashed_at=(1.5, 2.5), restart_at=3.5)
    await journal.put(Entry(memory=("one", memory), news=(news(),)))
    before = (await journal.servers(), await journal.operations(), await journal.events_after(0, 10), journal.spool_id)
    await journal.close()
    journal = await Journal.open(file)
    after = (await journal.servers(), await journal.operations(), await journal.events_after(0, 10), journal.spool_id)
    assert after == before
    await journal.close()
    servers, operations, events, _ = before
    assert servers == [ServerRecord("one", uid, FULL, memory)]
    assert [(o.id, o.payload, o.phase, o.message_id) for o in operations] == [
        ("c", FULL, {}, None),
        ("c0", contents[0][1], {"asked_at": 12.5}, None),
        ("c1", contents[1][1], {}, None),
        ("c2", contents[2][1], {}, None),
        (None, Nothing(), {}, "m1"),
    ]
    assert [(event.seq, event.kind, event.at) for event in events] == [(1, "server_status_changed", NOON)]


async def test_a_process_that_ends_without_closing_loses_nothing(file: Path, journal: Journal) -> None:
    await create(journal, "one")
    other = sqlite3.connect(file)
    assert other.execute("SELECT count(*) FROM servers").fetchone() == (1,)
    assert other.execute("SELECT count(*) FROM commands").fetchone() == (1,)
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
    await journal.put(Entry(removed="s7"))
    assert await create(journal, "new") == gone
    assert await create(journal, "given", uid=1000) == 1000
    assert await create(journal, "next") == FIRST_UID + 20


@pytest.mark.parametrize(
    ("action", "desired"),
    [
        (Action.START_SERVER, "on"),
        (Action.RESTART_SERVER, "on"),
        (Action.STOP_SERVER, "off"),
        (Action.KILL_SERVER, "off"),
    ],
)
async def test_what_is_wanted_of_a_server_is_kept_with_the_command_that_wants_it(
    journal: Journal, action: Action, desired: str
) -> None:
    await create(journal, "one")
    await journal.put(Entry(memory=("one", Memory(desired=Desired.ON, restart_at=9.0))))
    await journal.accept(operation_of(action, "one", Nothing(), "a", None))
    (server,) = await journal.servers()
    assert (server.memory.desired, server.memory.restart_at) == (desired, None)


async def test_an_id_is_accepted_once_and_remembered_with_its_end(journal: Journal) -> None:
    accepted, _ = await journal.accept(operation_of(Action.START_SERVER, "one", Nothing(), "a", None))
    with pytest.raises(sqlite3.IntegrityError):
        await journal.accept(operation_of(Action.STOP_SERVER, "one", Nothing(), "a", None))
    known = await journal.outcome("a")
    assert known is not None
    assert (known.action, known.has_ended, known.accepted_at) == (Action.START_SERVER, False, accepted.accepted_at)
    await journal.put(Entry(ending=Ending(accepted.position, NOON, Fault(ErrorCode.PORT_CONFLICT, "Taken."))))
    known = await journal.outcome("a")
    assert known is not None
    assert known.fault is not None
    assert (known.has_ended, known.fault.code, known.fault.message) == (True, ErrorCode.PORT_CONFLICT, "Taken.")
    assert await journal.operations() == []
    assert await journal.outcome("b") is None


async def test_what_ended_is_remembered_for_a_good_while_and_without_its_payload(
    file: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "KEPT_AT_LEAST", 1)
    now = datetime.now(UTC)
    for id_, hours in (("old", 49), ("young", 47), ("newest", 100)):
        accepted, _ = await journal.accept(operation_of(Action.STOP_SERVER, "one", StopPayload(timeout=9), id_, None))
        await journal.put(Entry(ending=Ending(accepted.position, now - timedelta(hours=hours))))
    other = sqlite3.connect(file)
    assert other.execute("SELECT DISTINCT payload FROM commands").fetchall() == [("{}",)]
    tables.forget_old(other)
    other.commit()
    other.close()
    assert [await journal.outcome(id_) is not None for id_ in ("old", "young", "newest")] == [False, True, True]


async def test_events_are_numbered_without_a_gap_and_for_ever(file: Path) -> None:
    journal = await Journal.open(file)
    seen: list[int] = []
    journal.on_news = lambda seq, _: seen.append(seq)
    await journal.put(Entry(news=(news(), news())))
    await journal.put(Entry(news=(news(),)))
    journal.ack(3)
    await journal.put(Entry(news=(news(),)))
    assert seen == [1, 2, 3, 4]
    assert [event.seq for event in await journal.events_after(0, 10)] == [4]
    await journal.close()
    again = await Journal.open(file)
    again.ack(4)
    await again.put(Entry(news=(news(),)))
    assert [event.seq for event in await again.events_after(0, 10)] == [5]
    await again.close()
    third = await Journal.open(file)
    assert third.newest_seq == 5
    await third.close()


async def test_a_panel_that_knows_more_is_not_told_numbers_again(journal: Journal) -> None:
    journal.ack(10)
    await journal.put(Entry(news=(news(),)))
    assert [event.seq for event in await journal.events_after(0, 10)] == [11]


async def test_a_full_spool_keeps_the_newest_status_and_crash_of_each_server(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_EVENTS", 20)
    monkeypatch.setattr(spool, "KEPT_WHEN_FULL", 15)
    for number in range(30):
        crash = News("server_crashed", f"s{number % 3}", ServerCrashed(server_id=f"s{number % 3}"), NOON)
        await journal.put(Entry(news=(news(f"s{number % 3}"), crash)))
    found = await journal.events_after(0, 100)
    assert len(found) <= 20
    newest = {(event.data["serverId"], event.kind): event.seq for event in found}
    assert sorted(newest.values())[-6:] == list(range(55, 61))


async def test_what_cannot_be_coalesced_goes_when_it_is_the_oldest(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_EVENTS", 20)
    monkeypatch.setattr(spool, "KEPT_WHEN_FULL", 15)
    for _ in range(30):
        await journal.put(Entry(news=(News("command_completed", "one", Nothing(), NOON),)))
    found = [event.seq for event in await journal.events_after(0, 100)]
    assert found == list(range(31 - len(found), 31))
    assert 15 <= len(found) <= 20


async def test_what_cannot_be_written_is_kept_and_written_later_in_order(file: Path, journal: Journal) -> None:
    await create(journal, "one")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    waiting = [journal.put(Entry(news=(news(word=word),))) for word in ("running", "stopped", "running")]
    assert not await journal.written(Entry(news=(news(word="crashed"),)), 0.05)
    await until(lambda: journal.is_stuck)
    with pytest.raises(Fault, match="journal cannot be written") as refused:
        await journal.accept(operation_of(Action.START_SERVER, "one", Nothing(), "a", None))
    assert refused.value.code is ErrorCode.INSUFFICIENT_RESOURCES
    other.execute("ROLLBACK")
    other.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
        await journal.put(Entry())
    words = [event.data["currentStatus"] for event in await journal.events_after(0, 10)]
    assert words == ["running", "stopped", "running", "crashed"]
    assert not journal.is_stuck
    await journal.accept(operation_of(Action.START_SERVER, "one", Nothing(), "a", None))


async def test_a_journal_of_the_first_version_is_taken_over(file: Path) -> None:
    file.parent.mkdir()
    old = sqlite3.connect(file)
    old.executescript(f"{schema.STEPS[0]} PRAGMA user_version = 1;")
    text = FULL.model_dump_json(by_alias=True)
    old.executemany("INSERT INTO servers VALUES (?, ?, ?, ?)", [("up", 20000, text, 0), ("down", 20001, text, 1)])
    insert = "INSERT INTO operations (id, server_id, action, payload, message_id) VALUES (?, ?, ?, '{}', ?)"
    old.executemany(insert, [("a", "up", "stop_server", None), ("", "up", "start_server", "m")])
    old.commit()
    old.close()
    journal = await Journal.open(file)
    assert [(server.id, server.memory.desired) for server in await journal.servers()] == [("down", "off"), ("up", "on")]
    assert [(each.id, each.message_id) for each in await journal.operations()] == [("a", None), (None, "m")]
    await journal.close()


async def test_a_journal_of_a_newer_version_is_refused_with_a_sentence(file: Path) -> None:
    await (await Journal.open(file)).close()
    with sqlite3.connect(file) as database:
        database.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    database.close()
    with pytest.raises(StartupError, match="written by a newer agent"):
        await Journal.open(file)


def test_a_journal_that_is_none_is_refused_and_stays_as_it_was(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("my notes, kept here by mistake" * 100)
    before = file.read_bytes()
    with pytest.raises(StartupError, match="cannot be opened"):
        asyncio.run(Journal.open(file))
    assert file.read_bytes() == before


async def test_a_journal_without_a_place_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="Check the disk and who owns the folder"):
        await Journal.open(tmp_path / "file" / "journal.db")


@pytest.mark.parametrize(("action", "level"), [(Action.START_SERVER, 2), (Action.SEND_COMMAND, 1)])
async def test_what_is_accepted_survives_a_loss_of_power_but_for_lines_to_a_game_that_does_not_either(
    journal: Journal, action: Action, level: int
) -> None:
    await journal.accept(operation_of(action, "one", Nothing(), "a", None))
    (synchronous,) = await journal._run(lambda db: db.execute("PRAGMA synchronous").fetchone())
    assert synchronous == level
