"""News of agents that speak part 1: their events name no operation, and the truth is what they answer when asked."""

import asyncio
from datetime import datetime

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.intake import observation, record, responses
from ctrl_alt_play.panel.intake.presence import Presence
from ctrl_alt_play.panel.intake.taking import Taking
from ctrl_alt_play.panel.operations.service import make_id
from ctrl_alt_play.panel.servers import service
from ctrl_alt_play.protocol.contents import Action, Nothing, ServerStatus, StatusChanged, StatusReport
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.panel_session import Told

QUESTIONS_AT_ONCE = 16
SYNCHRONISE_TIMEOUT_S = 30.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def ask_states(database: Database, gateway: Gateway, clock: Clock, presence: Presence) -> None:
    """Asks for the state of each server that the node holds."""
    async with database.reading() as session:
        server_ids = await service.ids_of_node(session, presence.node_id)
    turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for server_id in server_ids:
            asking = _ask_state(gateway, presence, server_id, make_id(clock.utc()), turns)
            group.create_task(asking, name=f"ask state of {server_id}")


async def _ask_state(
    gateway: Gateway, presence: Presence, server_id: str, command_id: str, turns: asyncio.Semaphore
) -> None:
    async with turns:
        presence.asked[command_id] = server_id
        try:
            await gateway.command(
                presence.node_id, Action.GET_STATUS, server_id, Nothing(), command_id, SYNCHRONISE_TIMEOUT_S
            )
        except Fault as fault:
            if fault.code is not ErrorCode.CONTAINER_NOT_FOUND:
                log.warning("state_not_told", node_id=presence.node_id, server_id=server_id, code=fault.code)
        finally:
            del presence.asked[command_id]


async def apply_news(taking: Taking, told: Told) -> None:
    presence, now = taking.presence, taking.now
    match told.content:
        case StatusChanged() as change:
            presence.tells_events = True
            if (seen := observation.of_change(change)) is not None:
                await _record(taking, seen)
        case StatusReport() as report:
            await _record(taking, observation.of_report(report, now))
        case ServerStatus(stats=None) if presence.tells_events:
            return
        case ServerStatus() as status:
            await _record(taking, observation.of_legacy(status, now))
        case _:
            log.debug("news_of_no_use", node_id=presence.node_id, kind=told.kind)


async def apply_state(taking: Taking, server_id: str, response: Response, connected_at: datetime) -> None:
    """The answer to what `ask_states` asked."""
    server = await service.on_node(taking.session, server_id, taking.presence.node_id)
    if server is not None:
        await responses.apply_state(taking.session, server, response, connected_at, taking.now)


async def _record(taking: Taking, seen: observation.Observation) -> None:
    server = await service.on_node(taking.session, seen.server_id, taking.presence.node_id)
    if server is None:
        log.info("news_of_unknown_server", node_id=taking.presence.node_id, server_id=seen.server_id)
    elif await record.record(taking.session, server, seen, taking.now):
        taking.gone.add(seen.server_id)
