"""What an agent's events cost the panel, in CPU, beside a bare uvicorn echo."""

from bench.place import Place, remark, show
from bench.swarm import Swarm, settled

AGENTS, EVENTS = 200, 100
KINDS = ("heartbeat", "output", "status")


def measure(place: Place) -> None:
    place.add_nodes(AGENTS)
    for kind in KINDS:
        ours = _cpu_us(place, place.panel.pid, place.agents_url, kind)
        bare = _cpu_us(place, place.bare.pid, place.bare_url, kind)
        show(f"CPU an event: {kind}", ours, bare, "µs")
    remark(f"{AGENTS} agents, {EVENTS} events each")


def _cpu_us(place: Place, pid: int, url: str, kind: str) -> float:
    """Connects a swarm to a server that is there, lets it speak, and counts what the server used."""
    with Swarm(url, place.secret, agents=AGENTS, events=EVENTS, kind=kind) as swarm:
        swarm.expect("connected")
        before = settled(pid)
        swarm.go_on()
        swarm.expect("sent")
        after = settled(pid)
        swarm.go_on()
    return (after.cpu_s - before.cpu_s) * 1e6 / (AGENTS * EVENTS)
