"""The tutorial's server, made and started as the tutorial says."""

import json
import re
import socket
from pathlib import Path

import pytest
from tests.integration.installation import Installation, free_port
from tests.integration.test_whole_path import answer_of
from tests.waiting import until

from ctrl_alt_play.games.game import Game

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-server.md"


@pytest.mark.docker
def test_the_tutorials_server_runs(installation: Installation, built_games: dict[str, Game]) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    body = {**json.loads(text), "node_id": installation.node_id}
    port = free_port(socket.SOCK_DGRAM)
    body["ports"][0]["external"] = port
    server_id = installation.create(**body)
    installation.do("POST", f"/api/servers/{server_id}/start")
    until(lambda: answer_of(built_games["openarena"], port), "the game answers", 20)
    installation.do("POST", f"/api/servers/{server_id}/stop")
