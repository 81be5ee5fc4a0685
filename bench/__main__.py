"""`scripts/bench`: with real panel, agent and Docker on loopback, each figure beside a reference of the same run. Ends by itself.

What is to be measured may be named: `scripts/bench orders boot`; without a name it is all of them.
"""

import contextlib
import resource
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
from tests.integration.installation import Installation, free_port
from tests.waiting import until

from bench import agent, boot, events, figures, idle, live, live_channel, orders, page, page_console
from bench.place import Bare, Place
from ctrl_alt_play.up import engine

PARTS: dict[str, Callable[[Place], None]] = {
    "orders": orders.measure,
    "events": events.measure,
    "figures": figures.measure,
    "boot": boot.measure,
    "live": live.measure,
    "agent": agent.measure,
    "idle": idle.measure,
    "idle-part-1": partial(idle.measure, part=1),
    "live-channel": live_channel.measure,
    "page": page.measure,
    "page-console": page_console.measure,
}


def main(wanted: list[str]) -> None:
    if unknown := set(wanted) - set(PARTS):
        sys.exit(f"bench knows {', '.join(PARTS)}; not {', '.join(sorted(unknown))}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"{'measured':44} {'ours':>12} {'bare':>12}   ratio")
    for name in wanted or PARTS:
        with place() as here:
            PARTS[name](here)


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """A new installation for each part, so that none stands in what another left."""
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="ctrl-alt-play-bench-")))
        ends.callback(engine.ensure(folder).stop)
        secret = secrets.token_hex(16)
        installation = Installation(folder)
        ends.callback(installation.close)
        installation.start(AGENT_SECRET=secret)
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", "bench.bare", str(port)])
        ends.callback(process.wait)
        ends.callback(process.terminate)
        api = ends.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}"))
        until(lambda: _answers(api), "the bare server answers")
        yield Place(folder, installation, secret, Bare(process.pid, port, api))


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/bare").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
