"""Programs killed in the middle: the truth is told again within seconds, and no game is harmed."""

import socket
import time
from collections.abc import Callable

import psutil
import pytest
from tests.integration.installation import Installation, free_port, run_until
from tests.integration.test_whole_path import specification

from ctrl_alt_play.games.game import Game

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
TRUE_WITHIN_S = 5.0
STATUS = {"created": "OFFLINE", "running": "RUNNING", "exited": "OFFLINE"}

Kill = Callable[[Installation], None]


def kill_panel(installation: Installation) -> None:
    installation.kill(installation.panel)
    installation.start_panel()
    installation.wait_for_panel()


def kill_agent(installation: Installation) -> None:
    installation.kill(installation.agent)
    installation.start_agent()


@pytest.fixture(params=[kill_panel, kill_agent], ids=["panel", "agent"])
def kill(request: pytest.FixtureRequest) -> Kill:
    chosen: Kill = request.param
    return chosen


def is_true(installation: Installation, server_id: str) -> bool:
    """Whether the API's status is what Docker says, and nothing is said to be under way."""
    status = installation.get(f"/api/servers/{server_id}/status")
    container = installation.container(server_id)
    return (
        container is not None
        and status["operation"] is None
        and status["status"] == STATUS[container["State"]["Status"]]
    )


def true_again(installation: Installation, server_id: str) -> float:
    return run_until(lambda: is_true(installation, server_id), f"the status of {server_id} is true", 15)


def arena(installation: Installation, games: dict[str, Game]) -> str:
    return installation.create(**specification(games["openarena"], free_port(socket.SOCK_DGRAM)))


def test_killed_during_a_start(kill: Kill, installation: Installation, built_games: dict[str, Game]) -> None:
    bystander, server_id = arena(installation, built_games), arena(installation, built_games)
    installation.do("POST", f"/api/servers/{bystander}/start")
    before = installation.pid(bystander)
    started = installation.order("POST", f"/api/servers/{server_id}/start")
    kill(installation)
    assert true_again(installation, server_id) < TRUE_WITHIN_S
    assert installation.ended(started)["state"] == "succeeded"
    assert installation.status(server_id) == "RUNNING"
    assert installation.pid(bystander) == before
    assert true_again(installation, bystander) < TRUE_WITHIN_S


def test_killed_during_a_stop(kill: Kill, installation: Installation, built_games: dict[str, Game]) -> None:
    bystander, server_id = arena(installation, built_games), arena(installation, built_games)
    for each in (bystander, server_id):
        installation.do("POST", f"/api/servers/{each}/start")
    before = installation.pid(bystander)
    stopped = installation.order("POST", f"/api/servers/{server_id}/stop")
    kill(installation)
    assert true_again(installation, server_id) < TRUE_WITHIN_S
    assert installation.ended(stopped)["state"] == "succeeded"
    container = installation.container(server_id)
    assert container is not None
    assert container["State"]["ExitCode"] == 0
    assert installation.pid(bystander) == before


def test_killed_during_a_slow_stop_the_game_keeps_its_time(
    kill: Kill, installation: Installation, built_games: dict[str, Game]
) -> None:
    """A stop that the game does not hear of runs into its time limit, counted from when it was asked, not from the restart."""
    body = specification(built_games["openarena"], free_port(socket.SOCK_DGRAM))
    server_id = installation.create(**{**body, "stop": {"command": "say not yet", "timeout": 6}})
    installation.do("POST", f"/api/servers/{server_id}/start")
    pid = installation.pid(server_id)
    began = time.monotonic()
    stopped = installation.order("POST", f"/api/servers/{server_id}/stop")
    kill(installation)
    installation.wait_for_node()
    back = time.monotonic()
    assert psutil.pid_exists(pid)
    ended = installation.ended(stopped)
    assert ended["state"] == "succeeded"
    assert "was killed" in ended["message"]
    assert time.monotonic() - began > 5
    assert time.monotonic() - max(back, began + 6) < 5
    assert true_again(installation, server_id) < TRUE_WITHIN_S


def test_killed_during_a_create(kill: Kill, installation: Installation, built_games: dict[str, Game]) -> None:
    bystander = arena(installation, built_games)
    installation.do("POST", f"/api/servers/{bystander}/start")
    before = installation.pid(bystander)
    body = {
        "name": "new",
        "node_id": installation.node_id,
        **specification(built_games["openarena"], free_port(socket.SOCK_DGRAM)),
    }
    created = installation.order("POST", "/api/servers", body)
    kill(installation)
    assert true_again(installation, created["server_id"]) < TRUE_WITHIN_S
    assert installation.ended(created)["state"] == "succeeded"
    installation.do("POST", f"/api/servers/{created['server_id']}/start")
    assert installation.pid(bystander) == before


def test_a_node_that_is_away_makes_its_servers_unknown_and_orders_fail_at_once(
    installation: Installation, built_games: dict[str, Game]
) -> None:
    server_id = arena(installation, built_games)
    installation.do("POST", f"/api/servers/{server_id}/start")
    pid = installation.pid(server_id)
    assert installation.end(installation.agent) < 3
    run_until(lambda: installation.status(server_id) == "UNKNOWN", "the server is unknown", 3)
    refused = installation.api.post(f"/api/servers/{server_id}/stop")
    assert (refused.status_code, refused.json()["code"]) == (503, "AGENT_OFFLINE")
    assert installation.pid(server_id) == pid
    installation.start_agent()
    assert true_again(installation, server_id) < TRUE_WITHIN_S
    assert installation.status(server_id) == "RUNNING"


def test_both_programs_end_quickly_and_the_game_goes_on(
    installation: Installation, built_games: dict[str, Game]
) -> None:
    server_id = arena(installation, built_games)
    installation.do("POST", f"/api/servers/{server_id}/start")
    pid = installation.pid(server_id)
    assert installation.end(installation.panel) < 3
    assert installation.end(installation.agent) < 3
    assert psutil.pid_exists(pid)
