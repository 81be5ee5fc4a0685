"""The one connection to the panel: dialled from here, kept up, and dialled again for ever."""

import asyncio
import random
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.desk import Desk
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.outbox import Outbox
from ctrl_alt_play.agent.servers.fleet import Fleet
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.system import system_info
from ctrl_alt_play.protocol.agent_session import AgentSession, Answers, Request
from ctrl_alt_play.protocol.contents import ServerStatus
from ctrl_alt_play.protocol.messages import MAX_FRAME_BYTES

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
STABLE_AFTER_S = 30.0
REFUSED_DELAY_S = 60.0
CONNECT_TIMEOUT_S = 15.0
SEND_TIMEOUT_S = 30.0
PING_EVERY_S = 20.0
MOST_REQUESTS = 1024
log = structlog.get_logger(__name__)


class Backoff:
    """Full jitter, growing by twos, and small again only after a session that lasted: a panel that accepts and closes is not healthy."""

    def __init__(self) -> None:
        self._ceiling_s = FIRST_DELAY_S

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a session, or an attempt, that lived so long."""
        if lived_s >= STABLE_AFTER_S:
            self._ceiling_s = FIRST_DELAY_S
        delay_s = random.uniform(0, self._ceiling_s)  # noqa: S311 - spreads a herd, guards nothing
        self._ceiling_s = min(LONGEST_DELAY_S, self._ceiling_s * 2)
        return delay_s


@dataclass
class Connection:
    """What others may know of the link."""

    is_up: bool = False


class Link:
    """Keeps the connection. Games do not depend on it."""

    def __init__(self, config: AgentConfig, node: Node, fleet: Fleet, outbox: Outbox, metrics: Metrics) -> None:
        self.connection = Connection()
        self._config = config
        self._node = node
        self._fleet = fleet
        self._outbox = outbox
        self._metrics = metrics
        self._desk = Desk(node, fleet, outbox, metrics)
        self._answers = Answers()

    async def run(self) -> None:
        """Connects, serves, and connects again, until cancelled."""
        backoff = Backoff()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as client:
            while True:
                began = self._node.clock.monotonic()
                refused_s = await self._connect(client)
                delay_s = backoff.after(self._node.clock.monotonic() - began)
                await asyncio.sleep(refused_s or delay_s)

    async def _connect(self, client: aiohttp.ClientSession) -> float:
        """One connection from beginning to end; gives the seconds to wait when the panel asked for them, else 0."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await client.ws_connect(self._config.url, **self._options())
        except aiohttp.WSServerHandshakeError as error:
            return self._refused(error)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("panel_not_reached", url=self._config.panel_url, reason=str(error) or type(error).__name__)
            return 0
        try:
            await self._serve(socket)
        except* (aiohttp.ClientError, OSError, TimeoutError) as errors:
            log.warning("connection_broke", reasons=[str(error) or type(error).__name__ for error in errors.exceptions])
        finally:
            self._closed()
            await socket.close()
        log.warning("disconnected", code=socket.close_code)
        return 0

    def _options(self) -> dict[str, Any]:
        secret = self._config.agent_secret.get_secret_value()
        options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {secret}", "X-Node-Id": self._config.node_id},
            "max_msg_size": MAX_FRAME_BYTES,
            "heartbeat": PING_EVERY_S,
            "timeout": aiohttp.ClientWSTimeout(ws_close=2.0),
        }
        if self._config.panel_ca_file is not None:
            options["ssl"] = ssl.create_default_context(cafile=str(self._config.panel_ca_file))
        return options

    def _refused(self, error: aiohttp.WSServerHandshakeError) -> float:
        if error.status in {401, 403}:
            advice = "check NODE_ID and AGENT_SECRET against the panel's node page; the node may be disabled or its secret renewed"
            log.error("panel_refuses_us", status=error.status, node_id=self._config.node_id, advice=advice)
            return REFUSED_DELAY_S
        log.warning("panel_refuses_for_now", status=error.status)
        asked = error.headers.get("Retry-After", "") if error.headers else ""
        return min(float(asked), LONGEST_DELAY_S) * random.uniform(0.5, 1.5) if asked.isdigit() else 0  # noqa: S311 - as above

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        session = AgentSession(self._node.id, self._node.clock, self._answers)
        first = session.legacy("system_info", await system_info(self._node.id, self._node.engine))
        self._outbox.open(first)
        self.connection.is_up = True
        self._metrics.sessions.inc()
        log.info("connected", url=self._config.panel_url)
        for server in self._fleet.servers.values():
            self._outbox.answer(session.legacy("server_status", ServerStatus(server_id=server.id, status=server.state)))
        requests: asyncio.Queue[Request] = asyncio.Queue(MOST_REQUESTS)
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(self._write(socket, session), name="link write"),
                tasks.create_task(self._beat(session), name="link heartbeat"),
                tasks.create_task(self._take(requests, session), name="link requests"),
            ]
            await self._read(socket, session, requests)
            for task in beside:
                task.cancel()

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, session: AgentSession, requests: asyncio.Queue[Request]
    ) -> None:
        """Parses and hands on. When requests come faster than they are taken, the socket waits."""
        async for message in socket:
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                break
            before = session.counts.copy()
            received = session.receive(message.data)
            for kind, count in (session.counts - before).items():
                self._metrics.frames.labels(kind).inc(count)
            for reply in received.replies:
                self._outbox.answer(reply)
            if received.request is not None:
                await requests.put(received.request)

    async def _take(self, requests: asyncio.Queue[Request], session: AgentSession) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._desk.serve(await requests.get(), session, tasks)

    async def _write(self, socket: aiohttp.ClientWebSocketResponse, session: AgentSession) -> None:
        while True:
            message = await self._outbox.next()
            frame = message if isinstance(message, str) else session.encode(message)
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await socket.send_str(frame)
            self._metrics.frames.labels("sent").inc()

    async def _beat(self, session: AgentSession) -> None:
        while True:
            await asyncio.sleep(session.heartbeat_in_s())
            self._outbox.answer(session.heartbeat())

    def _closed(self) -> None:
        self.connection.is_up = False
        self._outbox.close()
