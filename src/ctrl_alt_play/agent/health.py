"""`/health`, `/ready` and `/metrics`, for supervisors and Prometheus. Bound to loopback unless told otherwise."""

from collections import Counter

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ctrl_alt_play import __version__
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.link import Connection
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.servers.fleet import Fleet
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.protocol.contents import ServerState


class Health:
    """The agent's small HTTP server."""

    def __init__(self, config: AgentConfig, node: Node, fleet: Fleet, connection: Connection, metrics: Metrics) -> None:
        self._config = config
        self._fleet = fleet
        self._connection = connection
        self._metrics = metrics
        self._clock = node.clock
        self._journal = node.journal
        self._began_at = node.clock.monotonic()
        application = web.Application()
        application.add_routes(
            [web.get("/health", self._health), web.get("/ready", self._ready), web.get("/metrics", self._show_metrics)]
        )
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> int:
        """Begins to serve; gives the port.

        Raises:
            StartupError: the port is taken, or may not be used.
        """
        host, port = self._config.health_host, self._config.health_port
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise StartupError(
                f"Health port {host}:{port} cannot be opened ({error.strerror}). Set HEALTH_PORT to a free one."
            ) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        """200 while the panel is connected, 503 while it is not; games run either way."""
        is_up = self._connection.is_up
        body = {
            "status": "healthy" if is_up else "unhealthy",
            "version": __version__,
            "nodeId": self._config.node_id,
            "uptime": round(self._clock.monotonic() - self._began_at, 3),
            "connected": is_up,
            "docker": self._fleet.is_engine_up,
            "journal": "lost" if self._journal.is_lost else not self._journal.is_stuck,
        }
        return web.json_response(body, status=200 if is_up else 503)

    async def _ready(self, _: web.Request) -> web.Response:
        """200 while work can be done: the engine answers."""
        is_ready = self._fleet.is_engine_up
        return web.json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        self._metrics.connected.set(self._connection.is_up)
        self._metrics.engine_up.set(self._fleet.is_engine_up)
        self._metrics.unacknowledged.set(self._journal.unacknowledged)
        self._metrics.journal_writable.set(not (self._journal.is_stuck or self._journal.is_lost))
        self._metrics.orphans.set(len(self._fleet.orphans))
        states = Counter(server.state for server in self._fleet.servers.values())
        for state in ServerState:
            self._metrics.servers.labels(state).set(states[state])
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
