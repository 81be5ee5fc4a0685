"""What the integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.installation import Installation

from ctrl_alt_play.games import GAMES
from ctrl_alt_play.games.game import Game


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A panel and an agent that run, of this test alone."""
    made = Installation(tmp_path)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which what the builds of images fetched stays for the whole session."""
    folder = tmp_path_factory.getbasetemp() / "own-data"
    monkeypatch.setenv("CTRL_ALT_PLAY_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def built_games(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Game]:
    """All games, their images built."""
    cache = tmp_path_factory.mktemp("games")
    for game in GAMES.values():
        game.build(cache, lambda _: None)
    return dict(GAMES)
