"""`scripts/bench`: all of it, with real panel, agent and Docker on loopback. Ends by itself within a few minutes."""

import secrets
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
from tests.integration.installation import Installation, free_port
from tests.waiting import until

from bench.agents import AGENTS, EVENTS, Cost, cost_of
from bench.rest import Times, compare
from ctrl_alt_play.games import GAMES
from ctrl_alt_play.up import engine


def main() -> None:
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="ctrl-alt-play-bench-")))
        ends.callback(engine.ensure(folder).stop)
        secret = secrets.token_hex(16)
        installation = Installation(folder)
        ends.callback(installation.close)
        installation.start(AGENT_SECRET=secret)
        bare_port = free_port()
        bare = subprocess.Popen([sys.executable, "-m", "bench.bare", str(bare_port)])
        ends.callback(bare.wait)
        ends.callback(bare.terminate)
        bare_api = ends.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{bare_port}"))
        until(lambda: _answers(bare_api), "the bare server answers")
        print(f"{'measured':34} {'ours':>12} {'bare':>12}   ratio")
        _rest(installation, bare_api, folder)
        _agents(installation, bare.pid, bare_port, secret)


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/bare").is_success
    except httpx.TransportError:
        return False


def _rest(installation: Installation, bare_api: httpx.Client, folder: Path) -> None:
    game = GAMES["openarena"]
    game.build(folder / "cache", lambda _: None)
    server_id = installation.create(image=game.image, startup=game.startup)
    ours, bare = compare(
        lambda: installation.api.post(f"/api/servers/{server_id}/status"), lambda: bare_api.get("/bare")
    )
    _show_times("REST → agent → response", ours, bare)
    ours, bare = compare(lambda: installation.api.get(f"/api/servers/{server_id}"), lambda: bare_api.get("/bare"))
    _show_times("REST read of a server", ours, bare)
    installation.do("DELETE", f"/api/servers/{server_id}")


def _show_times(name: str, ours: Times, bare: Times) -> None:
    for quantile, one, other in (("p50", ours.p50, bare.p50), ("p99", ours.p99, bare.p99)):
        _show(f"{name}, {quantile}", one, other, "ms")
    print(f"{'  over the bare route, p50':34} {ours.p50 - bare.p50:9.2f} ms")


def _agents(installation: Installation, bare_pid: int, bare_port: int, secret: str) -> None:
    for number in range(AGENTS):
        node = {"id": f"bench-{number}", "name": f"bench {number}"}
        installation.api.post("/api/nodes", json=node).raise_for_status()
    assert installation.panel is not None
    panel, bare = psutil.Process(installation.panel.pid), psutil.Process(bare_pid)
    for kind in ("heartbeat", "output", "status"):
        ours = cost_of(panel, f"ws://127.0.0.1:{installation.agents_port}/", kind, secret)
        reference = cost_of(bare, f"ws://127.0.0.1:{bare_port}/", kind, secret)
        _show_cost(kind, ours, reference)
    print(f"({AGENTS} agents, {EVENTS} events each)")


def _show_cost(kind: str, ours: Cost, reference: Cost) -> None:
    if kind == "heartbeat":
        _show("memory an agent, idle", ours.memory_kib_an_agent, reference.memory_kib_an_agent, "KiB")
    _show(f"CPU an event: {kind}", ours.cpu_us_an_event, reference.cpu_us_an_event, "µs")


def _show(name: str, ours: float, bare: float, unit: str) -> None:
    ratio = f"{ours / bare:6.1f} x" if bare > 0 else "     -"
    print(f"{name:34} {ours:8.2f} {unit:3} {bare:8.2f} {unit:3} {ratio}", flush=True)


if __name__ == "__main__":
    main()
