"""The full status of a server, as `get_status` answers it."""

from ctrl_alt_play.agent.servers.figures import resources_of
from ctrl_alt_play.agent.servers.server import Server
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import ServerState, StatusReport
from ctrl_alt_play.protocol.errors import ErrorCode, Fault


async def report(server: Server, clock: Clock) -> StatusReport:
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
    figures = await server.game.meter.measure(started_at_s) if container.is_running else None
    return StatusReport(
        server_id=server.id,
        status=server.state,
        container_id=container.id,
        uptime=None if started_at_s is None else round(max(0.0, clock.utc().timestamp() - started_at_s), 3),
        resources=resources_of(figures, server.record.specification.limits),
    )
