"""A journal of a test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.clock import NOON

from ctrl_alt_play.agent import journal as journals
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import News, ServerRecord
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, StatusChanged
from ctrl_alt_play.protocol.specification import Limits, Port, Specification, StopRule

FULL = Specification(
    image="game",
    startup='run "it" now',
    environment={"A": "1", "B": "ü\n"},
    limits=Limits(memory=2**29, swap=-1, cpu=150.5, io=500),
    ports=(Port(internal=1, external=2, protocol="udp", address="127.0.0.1"),),
    stop=StopRule(command="quit", timeout=5),
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a journal is to be, which tries again soon what could not be written."""
    monkeypatch.setattr(journals, "RETRY_S", 0.01)
    monkeypatch.setattr(journals, "PATIENCE_S", 0.2)
    return tmp_path / "agent" / "journal.db"


@pytest.fixture
async def journal(file: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(file)
    yield journal
    await journal.close()


async def create(journal: Journal, server_id: str, uid: int = 0, command_id: str | None = None) -> int:
    operation = operation_of(Action.CREATE_SERVER, server_id, FULL, command_id, None)
    _, record = await journal.accept(operation, ServerRecord(server_id, uid, FULL))
    assert record is not None
    return record.uid


def news(server_id: str = "one", word: str = "running") -> News:
    return News("server_status_changed", server_id, StatusChanged(server_id=server_id, current_status=word), NOON)
