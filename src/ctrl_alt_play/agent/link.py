"""The one connection to the panel: dialled from here, kept up, and dialled again for ever."""

import asyncio
import random
import sqlite3
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from ctrl_alt_play import logs
from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.desk import Desk
from ctrl_alt_play.agent.figures.sampler import Sampler
from ctrl_alt_play.agent.images import Images
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.outbox import Outbox, Speech
from ctrl_alt_play.agent.servers.fleet import Fleet
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.system import system_info
from ctrl_alt_play.protocol.agent_session import AgentSession, Answers, Received, Request
from ctrl_alt_play.protocol.contents import ServerStatus
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.messages import INCOMPATIBLE, MAX_FRAME_BYTES, REPLACED
from ctrl_alt_play.protocol.part2 import Ack, Welcome

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
STABLE_AFTER_S = 30.0
REFUSED_DELAY_S = 60.0
CONNECT_TIMEOUT_S = 15.0
SEND_TIMEOUT_S = 30.0
PING_EVERY_S = 20.0
MOST_REQUESTS = 1024
WELCOME_WAIT_S = 1.0
FIRM_AFTER_S = 30.0
ARRIVED = b"arrived"
"""What the panel's WebSocket says back once it has read all that was sent before."""
UNWRITTEN_AFTER_S = 1.0
"""How long what happened may be on its way to the disk before the panel is told without it."""
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


@dataclass(frozen=True)
class _Ended:
    """How a connection, or the attempt at one, ended."""

    wait_s: float = 0.0
    """What the panel asked for, if it did."""
    is_replaced: bool = False
    """Another agent has this one's place: however long it was held, the next attempt is not the first."""


@dataclass
class Connection:
    """What others may know of the link."""

    is_up: bool = False


class Link:
    """Keeps the connection. Games do not depend on it."""

    def __init__(
        self,
        config: AgentConfig,
        node: Node,
        fleet: Fleet,
        images: Images,
        outbox: Outbox,
        metrics: Metrics,
        sampler: Sampler,
    ) -> None:
        self.connection = Connection()
        self._config = config
        self._node = node
        self._fleet = fleet
        self._outbox = outbox
        self._metrics = metrics
        self._images = images
        self._desk = Desk(node, fleet, images, outbox, metrics, sampler)
        self._answers = Answers()
        self._reconfigured = asyncio.Event()
        self._hurried = asyncio.Event()

    def reconfigure(self, config: AgentConfig) -> None:
        """Ends the connection, or the wait for one; the next is made at once, and with these settings."""
        self._config = config
        self._reconfigured.set()
        self.hurry()

    def hurry(self) -> None:
        """Ends the wait for the next connection; one that stands stays."""
        self._hurried.set()

    async def run(self) -> None:
        """Connects, serves, and connects again, until cancelled."""
        backoff = Backoff()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as client:
            while True:
                self._reconfigured.clear()
                began = self._node.clock.monotonic()
                ended = await self._connect(client)
                if not self._reconfigured.is_set():
                    self._hurried.clear()
                delay_s = backoff.after(0 if ended.is_replaced else self._node.clock.monotonic() - began)
                with suppress(TimeoutError):
                    async with asyncio.timeout(ended.wait_s or delay_s):
                        await self._hurried.wait()

    async def _connect(self, client: aiohttp.ClientSession) -> _Ended:
        """One connection from beginning to end."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await client.ws_connect(self._config.url, **self._options())
        except aiohttp.WSServerHandshakeError as error:
            return _Ended(self._refused(error))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("panel_not_reached", url=self._config.panel_url, reason=str(error) or type(error).__name__)
            return _Ended()
        refused_s = 0.0
        try:
            refused_s = await self._serve(socket)
        except* (aiohttp.ClientError, OSError, TimeoutError) as errors:
            log.warning("connection_broke", reasons=[str(error) or type(error).__name__ for error in errors.exceptions])
        finally:
            self._closed()
            await socket.close()
        log.warning("disconnected", code=socket.close_code)
        is_replaced = socket.close_code == REPLACED
        if is_replaced:
            advice = "another agent uses this NODE_ID at the same panel: stop it, or enrol a node of its own for it"
            log.error("replaced_by_another_agent", node_id=self._config.node_id, advice=advice)
        return _Ended(refused_s, is_replaced)

    def _options(self) -> dict[str, Any]:
        secret = self._config.agent_secret.get_secret_value()
        options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {secret}", "X-Node-Id": self._config.node_id, **self._instance()},
            "max_msg_size": MAX_FRAME_BYTES,
            "heartbeat": PING_EVERY_S,
            "autoping": False,
            "timeout": aiohttp.ClientWSTimeout(ws_close=2.0),
        }
        if self._config.panel_ca_file is not None:
            options["ssl"] = ssl.create_default_context(cafile=str(self._config.panel_ca_file))
        return options

    def _instance(self) -> dict[str, str]:
        """Which of all agents this one is: panels of part 2 tell two of one node apart by it, others are dialled as ever."""
        journal = self._node.journal
        return {"X-Agent-Instance": f"{journal.spool_id}.{self._node.boot_id}"} if journal.is_acknowledged else {}

    def _refused(self, error: aiohttp.WSServerHandshakeError) -> float:
        if error.status in {401, 403}:
            advice = "check NODE_ID and AGENT_SECRET against the panel's node page; the node may be disabled or its secret renewed"
            log.error("panel_refuses_us", status=error.status, node_id=self._config.node_id, advice=advice)
            return REFUSED_DELAY_S
        log.warning("panel_refuses_for_now", status=error.status)
        asked = error.headers.get("Retry-After", "") if error.headers else ""
        return min(float(asked), LONGEST_DELAY_S) * random.uniform(0.5, 1.5) if asked.isdigit() else 0  # noqa: S311 - as above

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> float:
        """One connection; gives the seconds to wait where the panel and we cannot speak with each other, else 0."""
        session = AgentSession(self._node.id, self._node.clock, self._answers)
        self._outbox.open(session.legacy("system_info", await system_info(self._node)))
        self.connection.is_up = True
        self._metrics.sessions.inc()
        log.info("connected", url=self._config.panel_url)
        requests: asyncio.Queue[Request] = asyncio.Queue(MOST_REQUESTS)
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(self._write(socket, session), name="link write"),
                tasks.create_task(self._beat(session), name="link heartbeat"),
                tasks.create_task(self._take(requests, session), name="link requests"),
                tasks.create_task(self._close_when_reconfigured(socket), name="link settings"),
                tasks.create_task(self._fall_back(session), name="link part 1"),
                tasks.create_task(self._tell_unwritten(session), name="link unwritten"),
            ]
            await self._read(socket, session, requests)
            for task in beside:
                task.cancel()
        return REFUSED_DELAY_S if session.refusal else 0

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, session: AgentSession, requests: asyncio.Queue[Request]
    ) -> None:
        """Parses and hands on. When requests come faster than they are taken, the socket waits."""
        while (frame := await self._next(socket)) is not None:
            before = session.counts.copy()
            received = session.receive(frame)
            for kind, count in (session.counts - before).items():
                self._metrics.frames.labels(kind).inc(count)
            if isinstance(received.told, Welcome):
                await self._node.journal.meet_part2()
                try:
                    await self._node.journal.take_over(received.told.acked_seq)
                except (Fault, sqlite3.Error) as error:
                    raise ConnectionError("the journal cannot be brought in step with the panel") from error
            self._hear(received, session)
            for reply in received.replies:
                self._outbox.answer(reply)
            if session.refusal is not None:
                log.error("panel_incompatible", reason=session.refusal.message)
                await socket.close(code=INCOMPATIBLE, message=b"no version of the protocol in common")
                break
            if received.request is not None:
                await requests.put(received.request)

    async def _next(self, socket: aiohttp.ClientWebSocketResponse) -> str | bytes | None:
        """What the panel says next; None when it has gone."""
        while True:
            message = await socket.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                    said: str | bytes = message.data
                    return said
                case aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                case aiohttp.WSMsgType.PONG if message.data == ARRIVED:
                    self._outbox.arrived()
                case aiohttp.WSMsgType.PONG:
                    pass  # an answer to a heartbeat
                case _:
                    return None

    def _hear(self, received: Received, session: AgentSession) -> None:
        """What a frame says of the connection itself. A panel of part 2 says so before all else; but on a slow line it may not have
        understood what we are."""
        match received.told:
            case Welcome() as welcome:
                self._fleet.meet(server.server_id for server in welcome.servers)
                self._outbox.speak_part2(welcome.acked_seq, *self._snapshots(session))
                for pull in self._images.pulls.values():
                    self._outbox.image_pull(pull)
                self._fleet.on_orphans = lambda: self._tell_anew(session)
                log.info("welcomed", panel_version=welcome.panel_version, acked_seq=welcome.acked_seq)
            case Ack(seq=seq):
                self._outbox.ack(seq)
            case _ if self._outbox.speech is not Speech.PART2:
                self._speak_part1(session, is_firm=False)

    def _snapshots(self, session: AgentSession) -> list[str]:
        return [session.legacy("state_snapshot", part) for part in self._fleet.snapshots()]

    def _tell_anew(self, session: AgentSession) -> None:
        """What the panel cannot learn from events."""
        if self._outbox.speech is Speech.PART2:
            for part in self._snapshots(session):
                self._outbox.answer(part)

    async def _tell_unwritten(self, session: AgentSession) -> None:
        """What cannot be written down just now, as on a full disk, the panel sees all the same. The events themselves come once they are
        written, and are history by then.
        """
        journal, known, told = self._node.journal, 0, 0
        while True:
            await asyncio.sleep(UNWRITTEN_AFTER_S)
            if known > journal.written_seq and journal.newest_seq > told:
                self._tell_anew(session)
                told = journal.newest_seq
            known = journal.newest_seq

    def _speak_part1(self, session: AgentSession, *, is_firm: bool) -> None:
        is_news = self._outbox.speech is Speech.UNDECIDED
        self._outbox.speak_part1(is_firm=is_firm)
        for server in self._fleet.servers.values() if is_news else ():
            self._outbox.answer(session.legacy("server_status", ServerStatus(server_id=server.id, status=server.state)))

    async def _fall_back(self, session: AgentSession) -> None:
        """A panel that says nothing may be one of part 1; that is not certain, so for a good while it does not cost a fact."""
        await asyncio.sleep(WELCOME_WAIT_S)
        if self._outbox.speech is Speech.UNDECIDED:
            self._speak_part1(session, is_firm=False)
        await asyncio.sleep(FIRM_AFTER_S)
        if self._outbox.speech is Speech.PART1:
            self._speak_part1(session, is_firm=True)

    async def _take(self, requests: asyncio.Queue[Request], session: AgentSession) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                request = await requests.get()
                with logs.carrying(command_id=request.id, server_id=request.server_id or None):
                    await self._desk.serve(request, session, tasks)

    async def _write(self, socket: aiohttp.ClientWebSocketResponse, session: AgentSession) -> None:
        while True:
            message = await self._outbox.next()
            frame = message if isinstance(message, str) else session.encode(message)
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await socket.send_str(frame)
                if self._outbox.sent(len(frame)):
                    await socket.ping(ARRIVED)
                    await asyncio.sleep(0)  # sending waits for nothing while there is room
            self._metrics.frames.labels("sent").inc()

    async def _beat(self, session: AgentSession) -> None:
        while True:
            await asyncio.sleep(session.heartbeat_in_s())
            self._outbox.answer(session.heartbeat())

    async def _close_when_reconfigured(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._reconfigured.wait()
        await socket.close()

    def _closed(self) -> None:
        self.connection.is_up = False
        self._outbox.close()
