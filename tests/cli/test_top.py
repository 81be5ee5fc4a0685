"""`server top`: what it shows, at a terminal and without one."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cli.panel import NOT_FOUND, SERVER, FakePanel, Raw, Turns
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


def stream(*frames: dict[str, Any]) -> Raw:
    """It ends after these."""
    return Raw(f"data: {json.dumps(frame)}\n\n".encode() for frame in frames)


def page(*items: dict[str, Any], more: bool = False, first: bool = True) -> dict[str, Any]:
    return {"topic": "servers", "kind": "page", "first": first, "more": more, "data": items}


def looks(panel: FakePanel, *streams: Any) -> list[list[dict[str, Any]]]:
    """All that is seen until the login ends."""
    gone = (401, {"code": "UNAUTHORIZED", "detail": "Log in again."})
    panel.answers["GET", top.LIVE] = Turns([*streams, gone])
    done = run("--json")
    assert done.exit_code == 4, done
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "LOOK_EVERY_S", 0.0)


@pytest.mark.usefixtures("quick")
def test_it_follows_what_runs_and_waits_for_a_panel_that_restarts(panel: FakePanel) -> None:
    sample = {"topic": "figures:2", "kind": "sample", "data": FIGURES | {"cpu_percent": 99}}
    starting = (503, {"code": "STARTING", "detail": "The panel begins."})
    seen = looks(panel, stream(page(ENDED, RUNNING), sample), starting, stream(page(ENDED, RUNNING)))
    assert [[server["figures"]["cpu_percent"] for server in look] for look in seen] == [
        *[[12.345, 12.345]] * 2,
        *[[12.345, 99]] * 3,
        *[[12.345, 12.345]] * 2,
    ]


def last_topics(panel: FakePanel) -> list[str]:
    """Of each stream that was asked for."""
    return [query["topic"] for _, path, query, _ in panel.asked if path == top.LIVE]


@pytest.mark.usefixtures("quick")
def test_it_watches_what_runs_by_now(panel: FakePanel) -> None:
    started = ENDED | {"status": "RUNNING"}
    changed = {"topic": "servers", "kind": "changed", "data": started}
    removed = [{"topic": "servers", "kind": "removed", "data": {"id": id_}} for id_ in ("2", SERVER["id"])]
    seen = looks(
        panel, stream(page(ENDED, RUNNING), changed), stream(page(started, RUNNING), *removed), stream(removed[1])
    )
    assert last_topics(panel) == ["figures:2", "figures:3f0c", "figures:3f0c", "servers"]
    assert seen[-1] == []


@pytest.mark.usefixtures("quick")
def test_a_list_in_several_pages_is_shown_when_it_is_whole(panel: FakePanel) -> None:
    seen = looks(panel, stream(page(ENDED, more=True), page(RUNNING, first=False)))
    assert [len(look) for look in seen] == [2, 2, 2]
    assert last_topics(panel) == ["figures:2"] * 2


@pytest.mark.usefixtures("quick")
def test_one_that_is_deleted_just_now_ends_nothing(panel: FakePanel) -> None:
    seen = looks(panel, NOT_FOUND, stream(page(ENDED)))
    assert last_topics(panel) == ["figures:2", "servers", "servers"]
    assert seen[-1] == [ENDED]


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
