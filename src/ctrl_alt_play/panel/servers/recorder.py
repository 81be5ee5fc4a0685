"""What agents say, applied to what the panel keeps: the gateway's sink."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.gateway.base import Admission, Fact, Gateway
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.operations.service import make_id
from ctrl_alt_play.panel.servers import observation, record, responses, service
from ctrl_alt_play.panel.servers.console import Consoles
from ctrl_alt_play.protocol.contents import (
    Action,
    ErrorReport,
    Heartbeat,
    Nothing,
    ServerOutput,
    ServerStatus,
    StatusChanged,
    StatusReport,
    SystemInfo,
)
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.panel_session import Answered, Told

QUESTIONS_AT_ONCE = 16
SEEN_EVERY_S = 60.0
"""How exactly the database knows when a node was last heard of, while it is connected."""
SYNCHRONISE_TIMEOUT_S = 30.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Recorder:
    def __init__(self, database: Database, gateway: Gateway, consoles: Consoles, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._consoles = consoles
        self._clock = clock
        self._connected_at: dict[str, datetime] = {}
        self._asked: dict[str, str] = {}
        """Servers whose state was asked for at their node's coming, by the command's id."""
        self._seen_at: dict[str, float] = {}
        self._tell_events: set[str] = set()
        """Nodes that told a change by an event in this connection. They tell it a second time by a legacy message, which is no news then."""

    async def connected(self, admission: Admission) -> bool:
        now = self._clock.utc()
        async with self._database.writing() as session:
            is_allowed = await nodes.mark_connected(session, admission, now)
        self._connected_at[admission.node_id] = now
        self._tell_events.discard(admission.node_id)
        return is_allowed

    async def disconnected(self, node_id: str) -> None:
        async with self._database.writing() as session:
            await nodes.mark_away(session, node_id, self._clock.utc())

    async def synchronise(self, node_id: str) -> None:
        async with self._database.reading() as session:
            server_ids = await service.ids_of_node(session, node_id)
        turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for server_id in server_ids:
                group.create_task(self._ask_state(node_id, server_id, turns), name=f"ask state of {server_id}")

    async def _ask_state(self, node_id: str, server_id: str, turns: asyncio.Semaphore) -> None:
        async with turns:
            command_id = make_id(self._clock.utc())
            self._asked[command_id] = server_id
            try:
                await self._gateway.command(
                    node_id, Action.GET_STATUS, server_id, Nothing(), command_id, SYNCHRONISE_TIMEOUT_S
                )
            except Fault as fault:
                if fault.code is not ErrorCode.CONTAINER_NOT_FOUND:
                    log.warning("state_not_told", node_id=node_id, server_id=server_id, code=fault.code)
            finally:
                del self._asked[command_id]

    async def apply(self, node_id: str, facts: Sequence[Fact]) -> int:
        durable: list[Fact] = []
        for fact in facts:
            if self._is_perishable(node_id, fact):
                await asyncio.sleep(0)  # one node's flood is not to keep the others waiting
            else:
                durable.append(fact)
        if not durable:
            return 0
        try:
            async with self._database.writing() as session:
                for fact in durable:
                    await self._apply_fact(session, node_id, fact)
        except Exception as error:  # noqa: BLE001 - done again one by one, which tells what is wrong
            log.debug("batch_not_taken_in", node_id=node_id, error=repr(error))
            return await self._apply_each(node_id, durable)
        return 0

    def _is_perishable(self, node_id: str, fact: Fact) -> bool:
        """What the database is not for: consoles, and what says nothing new."""
        match fact:
            case Told(content=ServerOutput() as output):
                time = output.timestamp or self._clock.utc()
                self._consoles.write(node_id, output.server_id, output.output, output.stream, time)
                return True
            case Told(content=ErrorReport() as report):
                log.warning("agent_error", node_id=node_id, code=report.code, message=report.message[:500])
                return True
            case Told(content=Heartbeat()):
                return not self._is_due(node_id)
            case Answered(answer=answer):
                return not isinstance(answer, Response)
            case Told():
                return False
            case _:
                assert_never(fact)

    def _is_due(self, node_id: str) -> bool:
        """Whether a heartbeat is worth a write: with thousands of nodes they would be most of what the database does."""
        now = self._clock.monotonic()
        if now - self._seen_at.get(node_id, float("-inf")) < SEEN_EVERY_S:
            return False
        self._seen_at[node_id] = now
        return True

    async def _apply_each(self, node_id: str, facts: Sequence[Fact]) -> int:
        """Each within a savepoint of its own: one that cannot be taken in does not stop the next."""
        failed = 0
        async with self._database.writing() as session:
            for fact in facts:
                try:
                    async with session.begin_nested():
                        await self._apply_fact(session, node_id, fact)
                except Exception:
                    log.exception("fact_not_taken_in", node_id=node_id, fact=type(fact).__name__)
                    failed += 1
        return failed

    async def _apply_fact(self, session: AsyncSession, node_id: str, fact: Fact) -> None:
        match fact:
            case Told():
                await self._apply_news(session, node_id, fact)
            case Answered(id=command_id, answer=Response() as response):
                await self._apply_response(session, node_id, command_id, response)

    async def _apply_news(self, session: AsyncSession, node_id: str, told: Told) -> None:
        now = self._clock.utc()
        match told.content:
            case Heartbeat():
                await nodes.mark_seen(session, node_id, now)
            case SystemInfo() as info:
                await nodes.keep_system(session, node_id, info)
            case StatusChanged() as change:
                self._tell_events.add(node_id)
                if (seen := observation.of_change(change)) is not None:
                    await self._record(session, node_id, seen, now)
            case StatusReport() as report:
                await self._record(session, node_id, observation.of_report(report, now), now)
            case ServerStatus(stats=None) if node_id in self._tell_events:
                return
            case ServerStatus() as status:
                await self._record(session, node_id, observation.of_legacy(status, now), now)
            case _:
                log.debug("news_of_no_use", node_id=node_id, kind=told.kind)

    async def _record(self, session: AsyncSession, node_id: str, seen: observation.Observation, now: datetime) -> None:
        server = await service.on_node(session, seen.server_id, node_id)
        if server is None:
            log.info("news_of_unknown_server", node_id=node_id, server_id=seen.server_id)
            return
        if await record.record(session, server, seen, now):
            self._consoles.forget(node_id, seen.server_id)

    async def _apply_response(self, session: AsyncSession, node_id: str, command_id: str, response: Response) -> None:
        now = self._clock.utc()
        server_id = self._asked.get(command_id)
        if server_id is None:
            if gone := await responses.apply(session, node_id, command_id, response, now):
                self._consoles.forget(node_id, gone)
            return
        server = await service.on_node(session, server_id, node_id)
        if server is not None:
            await responses.apply_state(session, server, response, self._connected_at[node_id], now)
