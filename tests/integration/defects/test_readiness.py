"""Readiness: by a text, a port or a query, and never a server that is "starting" for ever."""

import socket
from typing import Any

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.integration.installation import Installation, free_port
from tests.integration.test_whole_path import specification

from ctrl_alt_play.games import GAMES, Game

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
NEVER = "a text that the game never writes"
LISTEN = "busybox httpd -p 7777"
COLOURED = r"printf '\033[32mDone \033[0m(3.14s)!\n'"
DONE = r"regex:^Done \(\d+\.\d+s\)!$"


@pytest.fixture(scope="session")
def openarena(tmp_path_factory: pytest.TempPathFactory) -> Game:
    game = GAMES["openarena"]
    game.build(tmp_path_factory.mktemp("games"), print)
    return game


def test_a_server_is_starting_until_it_says_that_it_is_ready(puppet: MakePuppet) -> None:
    game = puppet(at_start="echo booting", readiness={"text": ["Done"]})
    started = game.order("start")
    game.becomes("STARTING")
    game.types("echo nearly")
    assert game.view()["ready"] is None
    game.types("echo All Done.")
    assert game.ended(started)["result"] == {"ready": True}
    assert (game.status(), game.view()["ready"]) == ("RUNNING", True)


def test_a_wrong_ready_text_ends_in_running_readiness_not_seen(puppet: MakePuppet) -> None:
    game = puppet(readiness={"text": [NEVER], "timeout": 1})
    assert game.does("start")["result"] == {"ready": False}
    view = game.view()
    assert (view["status"], view["ready"], view["detail"]) == ("RUNNING", False, "running, readiness not seen")
    game.types("exit 0")
    game.becomes("OFFLINE")


def test_a_port_probe_serves_where_no_text_does(puppet: MakePuppet) -> None:
    probe = {"kind": "tcp", "port": 7777}
    game = puppet(at_start="echo booting", readiness={"text": [NEVER], "probe": probe})
    started = game.order("start")
    game.becomes("STARTING")
    game.types(LISTEN)
    assert game.ended(started)["result"] == {"ready": True}


def test_a_query_probe_asks_a_real_game(installation: Installation, openarena: Game) -> None:
    readiness = {"text": [NEVER], "probe": {"kind": "query", "protocol": "quake3"}, "timeout": 20}
    server_id = installation.create(
        **specification(openarena, free_port(socket.SOCK_DGRAM)), readiness=readiness, crash={"restart": False}
    )
    assert installation.do("POST", f"/api/servers/{server_id}/start")["result"] == {"ready": True}


@pytest.mark.parametrize(
    ("rule", "is_ready"),
    [
        ({"text": [DONE], "strip_ansi": True}, True),
        ({"text": [DONE]}, False),
        ({"text": ["Done (3.14s)"], "strip_ansi": True}, True),
        ({"text": [DONE.removeprefix("regex:")], "strip_ansi": True}, False),
    ],
    ids=["expression", "expression over colours", "text", "expression taken for a text"],
)
def test_a_ready_line_is_found_by_an_expression_and_beneath_its_colours(
    puppet: MakePuppet, rule: dict[str, Any], is_ready: bool
) -> None:
    game = puppet(at_start=COLOURED, readiness={"timeout": 1, **rule})
    assert game.does("start")["result"] == {"ready": is_ready}


def test_an_expression_that_cannot_be_searched_for_is_refused_with_a_reason(
    installation: Installation, puppet_image: str
) -> None:
    new = {"name": "x", "node_id": installation.node_id, "image": puppet_image, "readiness": {"text": ["regex:(?=x)"]}}
    answer = installation.api.post("/api/servers", json=new)
    assert answer.status_code == 422
    assert "no regular expression that can be used here" in answer.text
