"""Viewers of the live channel: what an idle one costs beside a bare socket, and what a change costs that all of them are told."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from tests.fakes.part2_agent import Part2Agent

from bench.crowd import Crowd
from bench.place import Place, remark, show
from bench.swarm import settled

VIEWERS = 1000
VIEWERS_A_USER = 50
SERVERS = 20
CHANGES = 40
WATCHED_S = 30.0
PASSWORD = "correct horse battery"  # noqa: S105 - of people who live as long as the bench


@dataclass(frozen=True)
class Changed:
    """Of one change, on average: milliseconds of the panel's CPU, and until the last viewer saw it."""

    cpu_ms: float
    seen_ms: float


def measure(place: Place) -> None:
    place.add_nodes(1)
    tokens = _people(place, VIEWERS // VIEWERS_A_USER)
    with _agent(place):
        servers = [_server(place, number) for number in range(SERVERS)]
        topics = ["servers", f"server:{servers[0]}"]
        alone = _change(place, servers[0], None)
        one = _told(place, tokens[:1], 1, topics, servers[0])
        _idle(place, tokens, topics)
        many = _told(place, tokens, VIEWERS, topics, servers[0])
    show("CPU a change, nobody looks", alone.cpu_ms, 0, "ms")
    show("CPU a change, 1 viewer", one.cpu_ms, 0, "ms")
    show(f"CPU a change, {VIEWERS} viewers", many.cpu_ms, 0, "ms")
    show("until 1 viewer has seen it", one.seen_ms, 0, "ms")
    show(f"until {VIEWERS} viewers have seen it", many.seen_ms, 0, "ms")
    remark("a viewer has two topics; a change is a frame on each, and a third for its operation")
    remark(f"of each frame: {(many.cpu_ms - one.cpu_ms) * 1000 / (3 * VIEWERS):.1f} µs")


def _idle(place: Place, tokens: Sequence[str], topics: Sequence[str]) -> None:
    ours = _cost(place.panel.pid, _url(place), tokens, topics)
    bare = _cost(place.bare.pid, place.bare_url, [], [])
    show("memory an idle viewer", ours[0], bare[0], "KiB")
    show(f"CPU of {VIEWERS} idle viewers", ours[1], bare[1], "%")


def _cost(pid: int, url: str, tokens: Sequence[str], topics: Sequence[str]) -> tuple[float, float]:
    """KiB a viewer, and percent of a core."""
    before = settled(pid)
    with Crowd(url, tokens, VIEWERS, topics):
        idle = settled(pid)
        time.sleep(WATCHED_S)
        after = settled(pid, at_once=True)
    memory_kib = (idle.memory_bytes - before.memory_bytes) / 1024 / VIEWERS
    return memory_kib, (after.cpu_s - idle.cpu_s) * 100 / (after.at_s - idle.at_s)


def _told(place: Place, tokens: Sequence[str], viewers: int, topics: Sequence[str], server_id: str) -> Changed:
    with Crowd(_url(place), tokens, viewers, topics) as crowd:
        return _change(place, server_id, crowd)


def _change(place: Place, server_id: str, crowd: Crowd | None) -> Changed:
    seen_s = 0.0
    before = settled(place.panel.pid)
    for number in range(CHANGES):
        name = f"change {number} of {0 if crowd is None else id(crowd)}"
        if crowd is not None:
            crowd.begin_to_look_for(name)
        began = time.perf_counter()
        place.installation.api.patch(f"/api/servers/{server_id}", json={"name": name}).raise_for_status()
        if crowd is not None:
            crowd.has_seen_it()
        seen_s += time.perf_counter() - began
        time.sleep(0.2)  # what is told together would count as one
    after = settled(place.panel.pid)
    return Changed((after.cpu_s - before.cpu_s) * 1000 / CHANGES, seen_s * 1000 / CHANGES)


def _url(place: Place) -> str:
    return f"{str(place.installation.api.base_url).replace('http', 'ws', 1).rstrip('/')}/api/live"


def _people(place: Place, count: int) -> list[str]:
    """Administrators, by their tokens: one user has a bounded number of connections."""
    api = place.installation.api
    tokens = []
    for number in range(count):
        credentials = {"username": f"viewer-{number}", "password": PASSWORD}
        api.post("/api/users", json={**credentials, "is_admin": True}).raise_for_status()
        tokens.append(str(api.post("/api/auth/login", json=credentials).raise_for_status().json()["access_token"]))
    return tokens


def _server(place: Place, number: int) -> str:
    new = {"name": f"bench {number}", "node_id": "bench-0", "image": "example.org/bench:1", "startup": "./bench"}
    operation: httpx.Response = place.installation.api.post("/api/servers", json=new).raise_for_status()
    return str(operation.json()["server_id"])


@contextmanager
def _agent(place: Place) -> Iterator[None]:
    """Of `bench-0`, which says that it does what it is told."""
    loop = asyncio.new_event_loop()
    agent = Part2Agent(place.agents_url, "bench-0", place.secret)
    thread = threading.Thread(target=loop.run_forever, name="agent")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(agent.come(), loop).result(10)
        yield
        asyncio.run_coroutine_threadsafe(agent.go(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
