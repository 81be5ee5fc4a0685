"""The file of the journal may be taken away under it: it is made anew of what it held."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.journals import create, news
from tests.fakes.until import until

from ctrl_alt_play.agent import journal as journals
from ctrl_alt_play.agent import schema
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import Entry
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, Nothing, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault


def remove(file: Path) -> None:
    file.unlink()


def remove_the_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


def remove_what_was_written_last(file: Path) -> None:
    file.with_name("journal.db-wal").unlink()


def replace_by_notes(file: Path) -> None:
    notes = file.with_name("notes")
    notes.write_text("my notes, kept here by mistake")
    notes.replace(file)


def replace_by_another_journal(file: Path) -> None:
    other = file.with_name("other.db")
    schema.open_database(other).close()
    other.replace(file)


@pytest.mark.parametrize(
    "take_away",
    [remove, remove_the_folder, remove_what_was_written_last, replace_by_notes, replace_by_another_journal],
)
async def test_a_file_that_is_taken_away_is_made_anew_of_what_it_held(
    file: Path, journal: Journal, take_away: Callable[[Path], None]
) -> None:
    await create(journal, "one", command_id="before")
    await journal.put(Entry(news=(news(),)))
    take_away(file)
    await journal.accept(operation_of(Action.START_SERVER, "one", Nothing(), "meanwhile", None))
    await journal.look()
    assert not journal.is_lost
    await journal.accept(operation_of(Action.STOP_SERVER, "one", StopPayload(), "after", None))
    await journal.put(Entry(news=(news(word="stopped"),)))
    again = await Journal.open(file)
    assert [operation.id for operation in await again.operations()] == ["before", "meanwhile", "after"]
    assert [server.id for server in await again.servers()] == ["one"]
    assert [event.seq for event in await again.events_after(0, 10)] == [1, 2]
    assert again.spool_id == journal.spool_id
    await again.close()


async def test_what_lay_in_the_place_of_the_journal_is_set_aside(file: Path, journal: Journal) -> None:
    replace_by_notes(file)
    await journal.look()
    assert file.with_name("journal.db.aside").read_text() == "my notes, kept here by mistake"


async def test_an_agent_that_ends_after_its_journal_was_made_anew_leaves_it_whole(file: Path) -> None:
    journal = await Journal.open(file)
    remove_the_folder(file)
    await journal.look()
    await create(journal, "one")
    await journal.close()
    again = await Journal.open(file)
    assert [server.id for server in await again.servers()] == ["one"]
    await again.close()


async def test_a_file_that_is_there_stays_as_it_is(file: Path, journal: Journal) -> None:
    before = schema.names(file)
    for number in range(3):
        await create(journal, f"s{number}")
        await journal.look()
    assert schema.names(file) == before


async def test_while_the_file_cannot_be_made_anew_nothing_is_accepted(file: Path, journal: Journal) -> None:
    remove_the_folder(file)
    file.parent.touch()
    await journal.look()
    assert journal.is_lost
    with pytest.raises(Fault, match="journal cannot be written") as refused:
        await create(journal, "one")
    assert (refused.value.code, refused.value.details) == (ErrorCode.INSUFFICIENT_RESOURCES, "its file is gone")
    file.parent.unlink()
    await journal.look()
    assert not journal.is_lost
    await create(journal, "one")


async def test_a_file_that_is_taken_away_is_noticed_by_itself(
    file: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "LOOK_EVERY_S", 0.01)
    guard = asyncio.create_task(journal.guard())
    remove_the_folder(file)
    await until(file.exists)
    guard.cancel()
    await asyncio.gather(guard, return_exceptions=True)
