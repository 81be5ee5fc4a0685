"""What a machine is found to be like as a node: each check by its facts, and what is seen of real ones."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from tests.fakes.engine import FakeEngine
from typer.testing import CliRunner

from ctrl_alt_play.agent import checks, examination
from ctrl_alt_play.agent.checks import AgentSeen, EngineSeen, FolderSeen, PanelSeen
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.engine.base import EngineSetup
from ctrl_alt_play.cli.main import app
from ctrl_alt_play.doctor import worst
from ctrl_alt_play.protocol.doctor import Finding, State

WELL = EngineSetup("27.3.1", "overlay2", "2", keeps_games=True)
PANEL = {"address": "https://panel.example.org/", "is_panel": True, "clock_ahead_s": 0.0, "is_admitted": True}


def by_id(findings: list[Finding]) -> dict[str, tuple[str, str]]:
    assert all(finding.todo for finding in findings if finding.state in {State.WARNING, State.PROBLEM})
    return {finding.id: (finding.state, finding.seen) for finding in findings}


@pytest.mark.parametrize(
    ("seen", "id_", "state", "words"),
    [
        (EngineSeen(WELL), "docker", "ok", "27.3.1 answers"),
        (EngineSeen(), "docker", "problem", "does not answer"),
        (EngineSeen(is_forbidden=True), "docker", "problem", "may not use Docker"),
        (EngineSeen(EngineSetup("19.03.1")), "docker", "problem", "older than 20.10"),
        (EngineSeen(WELL), "storage", "ok", "overlay2"),
        (EngineSeen(EngineSetup("27.0.0", "vfs")), "storage", "warning", "vfs"),
        (EngineSeen(WELL), "cgroup", "ok", "version 2"),
        (EngineSeen(EngineSetup("27.0.0", cgroup="1")), "cgroup", "ok", "version 1; version 2 counts"),
        (EngineSeen(EngineSetup("27.0.0")), "cgroup", "unknown", "does not say"),
        (EngineSeen(WELL), "live-restore", "ok", "run on"),
        (EngineSeen(EngineSetup("27.0.0", keeps_games=False)), "live-restore", "warning", "end whenever"),
    ],
)
def test_each_check_of_an_engine(seen: EngineSeen, id_: str, state: str, words: str) -> None:
    found = by_id(checks.engine(seen))[id_]
    assert found[0] == state
    assert words in found[1]


@pytest.mark.parametrize(
    ("seen", "id_", "state", "words"),
    [
        ({}, "panel", "ok", "answers"),
        ({"fault": "Connection refused"}, "panel", "problem", "not reached: Connection refused"),
        ({"fault": "self-signed", "is_distrusted": True}, "panel", "problem", "not trusted"),
        ({"is_panel": False}, "panel", "problem", "no panel"),
        ({}, "secret", "ok", "takes"),
        ({"is_admitted": False, "reason": "Node attic is disabled."}, "secret", "problem", "attic is disabled"),
        ({"is_admitted": None}, "secret", "unknown", "does not tell"),
        ({}, "clock", "ok", "agree"),
        ({"clock_ahead_s": 400.0}, "clock", "problem", "6 min ahead of"),
    ],
)
def test_each_check_of_a_panel(seen: dict[str, Any], id_: str, state: str, words: str) -> None:
    found = by_id(checks.panel(PanelSeen(**{**PANEL, **seen})))[id_]
    assert found[0] == state
    assert words in found[1]


@pytest.mark.parametrize(
    ("finding", "state", "words"),
    [
        (checks.agent(AgentSeen(8081), "attic"), "warning", "does not run"),
        (checks.agent(AgentSeen(8081, is_taken=True), "attic"), "problem", "Port 8081 is taken"),
        (checks.agent(AgentSeen(8081, "cellar", is_connected=True), "attic"), "warning", "node cellar, not attic"),
        (checks.agent(AgentSeen(8081, "attic"), "attic"), "warning", "not connected"),
        (checks.agent(AgentSeen(8081, "attic", is_connected=True), "attic"), "ok", "connected to the panel"),
        (checks.folder(FolderSeen(Path("/srv")))[0], "ok", "user of its own"),
        (checks.folder(FolderSeen(Path("/srv"), is_root=False))[0], "warning", "this one user"),
        (checks.folder(FolderSeen(Path("/srv"), "Permission denied"))[0], "problem", "Permission denied"),
        (checks.journal(is_lost=False, is_stuck=False), "ok", "can be written"),
        (checks.journal(is_lost=False, is_stuck=True), "problem", "takes no orders"),
        (checks.journal(is_lost=True, is_stuck=False), "problem", "takes no orders"),
        (checks.settings(""), "ok", "can be read"),
        (checks.settings("Wrong settings: NODE_ID."), "problem", "NODE_ID"),
    ],
)
def test_each_other_check(finding: Finding, state: str, words: str) -> None:
    assert finding.state == state
    assert words in finding.seen
    assert bool(finding.todo) == (state != "ok")


def test_the_worst_counts() -> None:
    states = [State.OK, State.WARNING, State.PROBLEM, State.UNKNOWN]
    assert worst(Finding(id=state, state=state) for state in states).state is State.PROBLEM
    assert worst(Finding(id=state, state=state) for state in (State.OK, State.UNKNOWN)).state is State.UNKNOWN


@pytest_asyncio.fixture
async def panel() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Where a panel answers, and what it says of agents."""
    verdict: dict[str, Any] = {"is_admitted": True, "reason": None}

    async def admittance(request: web.Request) -> web.Response:
        assert request.headers["X-Node-Id"] == "attic"
        return web.json_response(verdict)

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": "0.1.0"})

    application = web.Application()
    application.add_routes([web.get("/api/health", health), web.get("/api/agents/admittance", admittance)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}", verdict
    await runner.cleanup()


def config(folder: Path, url: str, **more: Any) -> AgentConfig:
    return AgentConfig(
        data=folder, panel_url=url, node_id="attic", health_port=1, docker_host="unix:///nowhere", **more
    )


async def test_a_panel_is_looked_at_as_the_agent_would_dial_it(
    panel: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    url, verdict = panel
    found = by_id(await examination.of_machine(config(tmp_path, url)))
    assert [found[id_][0] for id_ in ("panel", "clock", "secret", "folder")][:3] == ["ok", "ok", "ok"]
    assert found["docker"][0] == "problem"
    assert found["agent"][0] == "warning"
    verdict.update(is_admitted=False, reason="That is not the secret of any node.")
    found = by_id(await examination.of_machine(config(tmp_path, url)))
    assert found["secret"] == ("problem", "The panel refuses this agent: That is not the secret of any node.")


async def test_what_is_no_panel_is_found_out(tmp_path: Path, panel: tuple[str, dict[str, Any]]) -> None:
    found = by_id(await examination.of_machine(config(tmp_path, "ws://127.0.0.1:1")))
    assert found["panel"][0] == "problem"
    missing = tmp_path / "no-authorities.pem"
    found = by_id(await examination.of_machine(config(tmp_path, panel[0], panel_ca_file=missing)))
    assert found["panel"][0] == "problem"
    assert "no-authorities" in found["panel"][1] or "No such file" in found["panel"][1]


async def test_an_engine_that_is_away_is_a_finding(tmp_path: Path) -> None:
    engine = FakeEngine()
    assert (await examination._engine(engine, "")).setup is not None
    engine.go_away()
    assert (await examination._engine(engine, "")).setup is None


def test_a_folder_that_is_not_there_yet_is_judged_by_what_is_above(tmp_path: Path) -> None:
    assert examination._folder(tmp_path / "not" / "yet").fault == ""
    assert not (tmp_path / "not").exists()
    assert examination._folder(Path("/proc/nobody/writes/here")).fault


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text('panel_url = "ws://127.0.0.1:1"\nnode_id = "attic"\nhealth_port = 1\n')
    monkeypatch.setenv("CTRL_ALT_PLAY_DATA", str(tmp_path))
    done = CliRunner().invoke(app, ["doctor", "--config", str(settings)])
    assert done.exit_code == 1
    assert "PROBLEM  panel:" in done.output
    assert "→ Look whether PANEL_URL is right" in done.output
    told = json.loads(CliRunner().invoke(app, ["doctor", "--config", str(settings), "--json"]).output)
    assert {finding["id"] for finding in told} >= {"settings", "panel", "agent", "docker", "folder", "disk", "memory"}


def test_the_command_says_which_setting_is_wrong(tmp_path: Path) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text('health_port = "many"\n')
    done = CliRunner().invoke(app, ["doctor", "--config", str(settings)])
    assert done.exit_code == 1
    assert "HEALTH_PORT" in done.output
    assert os.linesep + "ok" not in done.output
