"""How long a request takes that goes to the agent and back, beside a bare route; one of each in turn."""

import http.client
import json
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from tests.waiting import until

from bench.place import Place, remark, show
from ctrl_alt_play.games import GAMES
from ctrl_alt_play.up.engine import SOCKET

ROUNDS, WARM_UP = 400, 50
QUESTIONS = 8
ALONE_S = 1.2
"""Docker reads a container's counters once a second while someone asks for them; a question that comes sooner waits for the next reading."""
LINE = {"command": "set bench 1"}
"""A console line that the game takes in and says nothing to."""

Call = Callable[[], Any]


@dataclass(frozen=True)
class Times:
    """Milliseconds."""

    p50: float
    p99: float


def measure(place: Place) -> None:
    api, bare = place.installation.api, place.bare.api
    game = GAMES["openarena"]
    game.build(place.folder / "cache", lambda _: None)
    server_id = place.installation.create(image=game.image, startup=game.startup)
    place.installation.do("POST", f"/api/servers/{server_id}/start")
    until(lambda: game.ready_line in place.installation.console(server_id), "the game is ready", 60)
    path = f"/api/servers/{server_id}"
    _show("REST → agent → response", lambda: api.post(f"{path}/command", json=LINE), lambda: bare.get("/bare"))
    _show("the same, beside a bare POST", lambda: api.post(f"{path}/command", json=LINE), lambda: _post(bare))
    _show("REST read of a server", lambda: api.get(path), lambda: bare.get("/bare"))
    _show_question(place, server_id)
    place.installation.do("DELETE", path)


def compare(ours: Call, bare: Call, rounds: int = ROUNDS, warm_up: int = WARM_UP) -> tuple[Times, Times]:
    """The times of both, measured in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(warm_up + rounds):
        for times, call in zip(taken, (ours, bare), strict=True):
            began = time.perf_counter()
            answer = call()
            times.append((time.perf_counter() - began) * 1000)
            if isinstance(answer, httpx.Response):
                answer.raise_for_status()
    return _times(taken[0][warm_up:]), _times(taken[1][warm_up:])


def _times(milliseconds: list[float]) -> Times:
    cuts = statistics.quantiles(milliseconds, n=100)
    return Times(cuts[49], cuts[98])


def _show(name: str, ours: Call, bare: Call) -> None:
    one, other = compare(ours, bare)
    for quantile, first, second in (("p50", one.p50, other.p50), ("p99", one.p99, other.p99)):
        show(f"{name}, {quantile}", first, second, "ms")
    remark(f"over the bare route at p50: {one.p50 - other.p50:.2f} ms")


def _post(bare: httpx.Client) -> httpx.Response:
    return bare.post("/bare", json=LINE)


def _show_question(place: Place, server_id: str) -> None:
    """The question for a server's status is one of the node to Docker; so Docker's own answer is what it stands beside."""
    path = f"/api/servers/{server_id}/status"
    question = f"/containers/ctrl-alt-play-{server_id}/stats?stream=false&one-shot=true"

    calls: tuple[Call, Call] = (lambda: place.installation.api.post(path), lambda: _ask_docker(question))
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(QUESTIONS):
        for times, call in zip(taken, calls, strict=True):
            time.sleep(ALONE_S)
            began = time.perf_counter()
            call()
            times.append((time.perf_counter() - began) * 1000)
    show("status question, Docker's stats beside it", *map(statistics.median, taken), "ms")


class _Docker(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(SOCKET)


def _ask_docker(path: str) -> Any:
    connection = _Docker("docker")
    try:
        connection.request("GET", path)
        return json.load(connection.getresponse())
    finally:
        connection.close()
