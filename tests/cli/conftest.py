"""A panel that the command line speaks to, signed in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.panel import FakePanel


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakePanel]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with FakePanel() as panel:
        monkeypatch.setenv("CTRL_ALT_PLAY_URL", panel.url)
        monkeypatch.setenv("CTRL_ALT_PLAY_TOKEN", "token")
        yield panel
