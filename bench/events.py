"""What an agent's events cost the panel, in CPU, beside a bare uvicorn echo."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from bench.crowd import Crowd
from bench.place import Place, remark, show
from bench.swarm import Swarm, settled

AGENTS, EVENTS = 200, 100
PACE_S = 0.2
"""Long enough for the panel to have taken in an agent's event before its next."""


@dataclass(frozen=True)
class Row:
    """`viewers` look at the consoles of all agents. What the panel keeps is held against an echo that commits a row for each."""

    kind: str
    part: int = 1
    viewers: int = 0
    is_kept: bool = False
    pace_s: float = 0


ROWS = {
    "heartbeat": Row("heartbeat"),
    "output": Row("output"),
    "status": Row("status", is_kept=True),
    "heartbeat, part 2": Row("heartbeat", 2),
    "figures of a server": Row("samples", 2),
    "console, nobody looks": Row("console", 2),
    "console, 1 looks": Row("console", 2, viewers=1),
    "console, 10 look": Row("console", 2, viewers=10),
    "durable status": Row("status", 2, is_kept=True),
    "durable status, one by one": Row("status", 2, is_kept=True, pace_s=PACE_S),
}


def measure(place: Place) -> None:
    place.add_nodes(AGENTS)
    place.add_servers(AGENTS, 1)
    for name, row in ROWS.items():
        ours = _cpu_us(place, place.panel.pid, place.agents_url, row)
        bare_url = f"{place.bare_url}kept" if row.is_kept else place.bare_url
        bare = _cpu_us(place, place.bare.pid, bare_url, replace(row, viewers=0))
        show(f"CPU an event: {name}", ours, bare, "µs")
    remark(f"{AGENTS} agents, {EVENTS} events each, as fast as they can; whoever looks sees the consoles of all")
    remark("a status is kept: beside it an echo that commits a row to SQLite for each; of those that come together the")
    remark("panel keeps many at once")


def _cpu_us(place: Place, pid: int, url: str, row: Row) -> float:
    """Connects a swarm to a server that is there, lets it speak, and counts what the server used."""
    how = {"agents": AGENTS, "events": EVENTS, "kind": row.kind, "part": row.part, "servers": 1, "pace_s": row.pace_s}
    with Swarm(url, place.secret, **how) as swarm, ExitStack() as looking:
        swarm.expect("connected")
        if row.viewers:
            looking.enter_context(_crowd(place, row.viewers))
        before = settled(pid)
        swarm.go_on()
        swarm.expect("sent")
        after = settled(pid)
        swarm.go_on()
    return (after.cpu_s - before.cpu_s) * 1e6 / (AGENTS * EVENTS)


def _crowd(place: Place, viewers: int) -> Crowd:
    api = place.installation.api
    token = str(api.headers["Authorization"]).removeprefix("Bearer ")
    url = f"{str(api.base_url).replace('http', 'ws', 1).rstrip('/')}/api/live"
    return Crowd(url, [token], viewers, [f"console:swarm-{number}-0" for number in range(AGENTS)])
