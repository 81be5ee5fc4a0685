"""The full status of a server, as `get_status` answers it."""

from collections.abc import Iterable, Iterator

from ctrl_alt_play.agent.figures.meter import resources_of
from ctrl_alt_play.agent.figures.subject import Subject
from ctrl_alt_play.agent.servers.server import Server
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import Players, ServerState, StatusReport
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import PlayersSeen


async def report(server: Server, clock: Clock, players: PlayersSeen | None = None) -> StatusReport:
    """What the server is now, with fresh figures when it runs. Answers within 0.8 s.

    Raises:
        Fault: `CONTAINER_NOT_FOUND`; `DOCKER_UNAVAILABLE` while nobody knows.
    """
    container = server.container
    if container is None and server.state is ServerState.UNKNOWN:
        raise Fault(ErrorCode.DOCKER_UNAVAILABLE, f"Docker has not told yet what server {server.id} is.")
    if container is None:
        raise Fault(ErrorCode.CONTAINER_NOT_FOUND, f"Server {server.id} has no container on this node.")
    started_at_s = container.started_at.timestamp() if container.started_at else None
    figures = await server.game.meter.measure(container) if container.is_running else None
    return StatusReport(
        server_id=server.id,
        status=server.state,
        container_id=container.id,
        uptime=None if started_at_s is None else round(max(0.0, clock.utc().timestamp() - started_at_s), 3),
        resources=resources_of(figures, server.record.specification.limits),
        players=None if players is None else Players(online=players.online, max=players.max, list=players.list),
    )


def running(servers: Iterable[Server]) -> Iterator[Subject]:
    """Those of the servers whose games run now, to be measured."""
    for server in servers:
        if server.container is not None and server.container.is_running:
            yield Subject(server.container, server.record.specification, server.game.meter)
