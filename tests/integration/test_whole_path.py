"""From the REST API to a real game and back, with real processes; no part is replaced."""

import json
import socket
from typing import Any

import psutil
import pytest
from tests.integration.installation import Installation, free_port
from tests.waiting import until

from ctrl_alt_play.games import minecraft
from ctrl_alt_play.games.game import Answer, Game, NoAnswer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
ANSWERS = {"openarena": ("status", "map: "), "minecraft": ("help", "page 1 of")}


def specification(game: Game, port: int) -> dict[str, Any]:
    return {
        "image": game.image,
        "startup": game.startup,
        "environment": dict(game.environment),
        "limits": {"memory": game.memory_bytes, "cpu": game.cpu_percent, "disk": game.disk_bytes},
        "ports": [{"internal": game.port, "external": port, "protocol": game.protocol}],
        "stop": {"command": game.stop_command, "timeout": 15},
    }


def answer_of(game: Game, port: int) -> Answer | None:
    try:
        return game.query("127.0.0.1", port, 1.0)
    except NoAnswer:
        return None


def joined_player(game: Game, port: int, installation: Installation, server_id: str) -> str:
    """Lets a player in; gives its name as the game's own query tells it."""
    if game.key == "openarena":
        installation.do("POST", f"/api/servers/{server_id}/command", {"command": "addbot sarge 3"})
        answer = until(
            lambda: (found := answer_of(game, port)) and found.players and found, "the bot is in the list", 20
        )
        return str(answer.players[0]) if answer else ""
    bot = minecraft.send_bot("127.0.0.1", port, "WholePath", 30)
    try:
        until(
            lambda: (found := answer_of(game, port)) and "WholePath" in found.players, "the player is in the list", 20
        )
        assert bot.stdout is not None
        assert json.loads(bot.stdout.readline())["joined"] is True
    finally:
        bot.terminate()
        bot.communicate(timeout=20)
    return "WholePath"


@pytest.mark.parametrize("key", ["openarena", "minecraft"])
def test_a_real_game_goes_the_whole_way(key: str, installation: Installation, built_games: dict[str, Game]) -> None:
    game = built_games[key]
    port = free_port(socket.SOCK_DGRAM if game.protocol == "udp" else socket.SOCK_STREAM)
    server_id = installation.create(**specification(game, port))
    path = f"/api/servers/{server_id}"
    assert installation.status(server_id) == "OFFLINE"

    installation.do("POST", f"{path}/start")
    assert installation.status(server_id) == "RUNNING"
    until(lambda: answer_of(game, port), "the game answers a real query", 30)
    installation.says(server_id, game.ready_line)

    command, answer = ANSWERS[key]
    installation.do("POST", f"{path}/command", {"command": command})
    installation.says(server_id, answer)
    assert joined_player(game, port, installation, server_id)

    figures_are_true(installation, server_id, game)
    stops_are_told(installation, server_id)
    a_killed_game_is_not_a_crash(installation, server_id)

    before = installation.pid(server_id)
    installation.do("POST", f"{path}/restart")
    assert installation.pid(server_id) not in {0, before}
    until(lambda: answer_of(game, port), "the game answers again", 30)

    folder = installation.folder / "agent" / "servers" / server_id
    assert folder.is_dir()
    installation.do("DELETE", path)
    assert installation.api.get(path).status_code == 404
    assert installation.container(server_id) is None
    assert not folder.exists()


def figures_are_true(installation: Installation, server_id: str, game: Game) -> None:
    """Against the kernel's own counts of the same processes."""
    process = psutil.Process(installation.pid(server_id))
    family = [process, *process.children(recursive=True)]
    installation.measured(server_id)
    cpu_before = sum(sum(each.cpu_times()[:2]) for each in family)
    first = installation.measured(server_id)
    until(lambda: installation.measured(server_id)["uptime"] > first["uptime"] + 2, "two seconds of the game", 10)
    status = installation.measured(server_id)
    cpu_after = sum(sum(each.cpu_times()[:2]) for each in family)
    assert status["status"] == "running"
    assert status["containerId"]
    resources = status["resources"]
    seconds = status["uptime"] - first["uptime"]
    true_percent = 100 * (cpu_after - cpu_before) / seconds
    assert 0 <= resources["cpu"] <= 2 * true_percent + 10
    resident = sum(each.memory_info().rss for each in family)
    assert 0.4 * resident < resources["memory"]["usedBytes"] < 1.6 * resident
    assert resources["memory"]["limitBytes"] == game.memory_bytes
    assert resources["network"]["rx"] > 0
    known = installation.get(f"/api/servers/{server_id}/status")
    assert known["figures"]["memory_used_bytes"] == resources["memory"]["usedBytes"]


def stops_are_told(installation: Installation, server_id: str) -> None:
    """By the game's own command, then by a signal that ends it with a code; neither is a crash."""
    path = f"/api/servers/{server_id}"
    installation.do("POST", f"{path}/stop")
    container = installation.container(server_id)
    assert container is not None
    assert container["State"]["ExitCode"] == 0
    assert installation.status(server_id) == "OFFLINE"
    refused = installation.api.post(f"{path}/stop")
    assert refused.status_code == 409
    assert refused.json()["code"] == "INVALID_STATE"
    installation.do("POST", f"{path}/start")
    installation.do("POST", f"{path}/stop", {"signal": "SIGINT", "timeout": 15})
    assert installation.status(server_id) == "OFFLINE"
    assert installation.get(f"{path}/status")["observed"] == "stopped"


def a_killed_game_is_not_a_crash(installation: Installation, server_id: str) -> None:
    path = f"/api/servers/{server_id}"
    installation.do("POST", f"{path}/start")
    installation.do("POST", f"{path}/kill")
    container = installation.container(server_id)
    assert container is not None
    assert container["State"]["ExitCode"] == 137
    assert installation.get(f"{path}/status")["observed"] == "stopped"
    installation.do("POST", f"{path}/start")


def test_a_game_that_dies_unasked_is_a_crash_and_its_code_is_told(
    installation: Installation, built_games: dict[str, Game]
) -> None:
    game = built_games["openarena"]
    server_id = installation.create(**specification(game, free_port(socket.SOCK_DGRAM)), crash={"restart": False})
    installation.do("POST", f"/api/servers/{server_id}/start")
    psutil.Process(installation.pid(server_id)).children()[0].kill()
    until(lambda: installation.status(server_id) == "CRASHED", "the crash is told")
    assert installation.get(f"/api/servers/{server_id}/status")["exit_code"] == 137


def test_what_cannot_start_says_why(installation: Installation, built_games: dict[str, Game]) -> None:
    missing = installation.ended(
        installation.order(
            "POST",
            "/api/servers",
            {"name": "no image", "node_id": installation.node_id, "image": "nowhere.invalid/nothing:1"},
        )
    )
    assert (missing["state"], missing["code"]) == ("failed", "IMAGE_NOT_FOUND")
    assert installation.status(missing["server_id"]) == "INSTALL_FAILED"
    installation.do("DELETE", f"/api/servers/{missing['server_id']}")
    game = built_games["openarena"]
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", port))
        server_id = installation.create(**specification(game, port))
        failed = installation.ended(installation.order("POST", f"/api/servers/{server_id}/start"))
    assert failed["state"] == "failed"
    assert f"Port {port}/udp is taken" in failed["message"]
    installation.do("POST", f"/api/servers/{server_id}/start")
