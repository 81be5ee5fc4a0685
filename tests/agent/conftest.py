"""What the agent's tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.journals import file, journal
from tests.agent.stations import panel, station
from tests.fakes.engine import FakeEngine
from tests.fakes.household import Household, household

from ctrl_alt_play.agent.servers import fleet, game, server

__all__ = ["engine", "file", "home", "journal", "panel", "station"]


@pytest.fixture(autouse=True)
def _the_engine_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "ENGINE_RETRY_S", 0.01)
    monkeypatch.setattr(game, "KILL_TIMEOUT_S", 0.1)
    monkeypatch.setattr(server, "RETRY_S", 0.01)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def home(tmp_path: Path, engine: FakeEngine) -> AsyncIterator[Household]:
    async with household(tmp_path, engine) as home:
        yield home
