"""A dead node: nobody who asks the panel waits for it, and what is known is told with its age."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
AT_ONCE_S = 0.5


@contextmanager
def frozen(installation: Installation) -> Iterator[None]:
    """The agent holds its connection, and says and hears nothing."""
    assert installation.agent is not None
    installation.agent.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        installation.agent.send_signal(signal.SIGCONT)


NO_PAGES = (
    "/api/servers/{server_id}/console",
    "/api/nodes/{node_id}/doctor/own",
    "/api/nodes/{node_id}/images",
    "/api/templates/{template_id}",
    "/api/live",
    "/api/enrolment/{file}",
)
"""A console, what a node finds on itself and its images are the node's own: they are waited for by whoever asks, and by nobody else. What goes
on for ever is no page, and neither is the program. A template knows of no node.
"""


def queued(game: Puppet) -> list[dict[str, Any]]:
    """The operations that its node has not answered."""
    found = game.installation.get(f"{game.path}/operations")["items"]
    return [operation for operation in found if operation["state"] == "queued"]


def test_every_read_route_answers_at_once_while_a_node_says_nothing(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet()
    operation = game.does("start")
    known = {"server_id": game.id, "node_id": installation.node_id, "operation_id": operation["id"]}
    known["user_id"] = installation.get("/api/users")["items"][0]["id"]
    paths = installation.get("/openapi.json")["paths"].items()
    routes = [path for path, methods in paths if "get" in methods and not path.startswith(NO_PAGES)]
    assert len(routes) > 10
    with ThreadPoolExecutor(3) as people, frozen(installation):
        waiting = [people.submit(game.order, action) for action in ("status", "restart")]
        people.submit(installation.api.get, f"{game.path}/console")
        until(lambda: len(queued(game)) == 2, "both are asked of the node")
        for path in [route.format(**known) for route in routes] * 2:
            began = time.monotonic()
            answer = installation.api.get(path)
            assert time.monotonic() - began < AT_ONCE_S, path
            assert answer.is_success, path
    assert [game.ended(order.result())["state"] for order in waiting] == ["succeeded"] * 2


def test_what_is_asked_of_a_node_that_says_nothing_is_done_once_when_it_speaks_again(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet()
    with ThreadPoolExecutor(1) as person, frozen(installation):
        started = person.submit(game.order, "start")
        until(lambda: queued(game), "it is asked of the node")
        assert (game.status(), game.pid) == ("OFFLINE", 0)
    assert game.ended(started.result())["state"] == "succeeded"
    assert game.lives() == ["start"]


def test_what_is_shown_of_a_dead_node_is_what_was_known_and_has_its_age(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet()
    game.does("start")
    pid = game.pid
    installation.kill(installation.agent)
    game.becomes("UNKNOWN")
    shown = installation.get(f"{game.path}/status")
    assert shown["detail"].startswith("the node is away since ")
    assert (shown["observed"], shown["desired"], shown["node_online"]) == ("running", "on", False)
    until(lambda: installation.get(f"{game.path}/status")["age_s"] > shown["age_s"], "it grows older")
    assert installation.get(f"/api/nodes/{installation.node_id}")["online"] is False
    installation.start_agent()
    game.becomes("RUNNING")
    assert game.pid == pid
