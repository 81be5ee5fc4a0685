"""`server top`: what it shows, at a terminal and without one."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cli.panel import SERVER, FakePanel, Turns
from tests.cli.terminal import Terminal
from typer.testing import CliRunner, Result

from ctrl_alt_play.cli import top
from ctrl_alt_play.cli.main import app

SINCE = (datetime.now(UTC) - timedelta(hours=26, minutes=5)).isoformat()
FIGURES = {"cpu_percent": 12.345, "memory_used_bytes": 512 * 2**20, "memory_limit_bytes": 2 * 2**30, "players": 0}
RUNNING = SERVER | {"id": "2", "name": "duel\x1b", "status": "RUNNING", "status_since": SINCE, "figures": FIGURES}
ENDED = SERVER | {"figures": FIGURES}


@pytest.fixture(autouse=True)
def _listing(panel: FakePanel) -> None:
    panel.answers["GET", "/api/servers"] = servers(ENDED, RUNNING)


def servers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": items, "next_cursor": None}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["server", "top", *arguments])


def test_what_runs_is_told_first_with_what_it_uses_and_what_has_ended_without(panel: FakePanel) -> None:
    _, first, second = run("--once").stdout.splitlines()
    assert re.split(" {2,}", first) == ["duel\\x1b", "first", "RUNNING", "12.3", "512M / 2.0G", "0", "1d 2h"]
    assert second.split() == ["arena", "first", "CRASHED", "-", "-", "-", "-"]


def test_a_look_is_the_apis_json(panel: FakePanel) -> None:
    assert json.loads(run("--once", "--json").stdout) == [ENDED, RUNNING]


def test_it_looks_again_and_waits_for_a_panel_that_restarts(panel: FakePanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "LOOK_EVERY_S", 0.01)
    starting = (503, {"code": "STARTING", "detail": "The panel begins."})
    gone = (401, {"code": "UNAUTHORIZED", "detail": "Log in again."})
    panel.answers["GET", "/api/servers"] = Turns([servers(ENDED), starting, servers(ENDED, RUNNING), gone])
    done = run("--json")
    assert [len(json.loads(line)) for line in done.stdout.splitlines()] == [1, 1, 2]
    assert done.exit_code == 4


def test_a_terminal_is_drawn_anew_and_given_back(panel: FakePanel) -> None:
    many = [RUNNING | {"id": str(number), "name": f"server {number}"} for number in range(100)]
    panel.answers["GET", "/api/servers"] = servers(*many)
    with Terminal(["server", "top"], rows=10, columns=80) as terminal:
        terminal.shows("100 servers, 100 running")
        terminal.shows("UPTIME", "server 0")
        terminal.types("\x03")
        assert terminal.ends() == 0
    assert "server 50" not in terminal.text, "only as many as fit"
    assert terminal.text.endswith(top.FIRST_SCREEN)
