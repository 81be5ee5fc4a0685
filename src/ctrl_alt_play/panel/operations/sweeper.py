"""Fails operations whose time is up, and forgets what is long past: one task for all of it."""

import asyncio
from datetime import datetime, timedelta

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.operations import service
from ctrl_alt_play.panel.operations.progress import Progress

log: structlog.stdlib.BoundLogger = structlog.get_logger()


FORGET_EVERY_S = 3600.0
MOST_AT_ONCE = 1000
ALIVE = timedelta(minutes=2)
"""An operation that its node told progress of within this time is not given up, though the node may be away now."""


async def sweep_for_ever(
    database: Database, gateway: Gateway, progress: Progress, clock: Clock, every_s: float
) -> None:
    forgot_at = float("-inf")
    while True:
        try:
            await sweep(database, gateway, progress, clock)
            if clock.monotonic() - forgot_at >= FORGET_EVERY_S:
                forgot_at = clock.monotonic()
                await _forget(database, clock)
        except Exception:  # a database that is away comes back, and sweeping goes on
            log.exception("sweep_failed")
        await asyncio.sleep(every_s)


async def _forget(database: Database, clock: Clock) -> None:
    """In pieces, between which others have their turn."""
    for forget in (service.forget_old, service.forget_old_events):
        forgotten = service.MOST_FORGOTTEN
        while forgotten >= service.MOST_FORGOTTEN:
            async with database.writing() as session:
                forgotten = await forget(session, clock.utc())
            await asyncio.sleep(0)


async def sweep(database: Database, gateway: Gateway, progress: Progress, clock: Clock) -> None:
    """Looks before it locks: nearly always there is nothing to do."""
    now = clock.utc()
    async with database.reading() as session:
        overdue = await service.overdue(session, now)
    given_up = [late.id for late in overdue if not _is_under_way(late, gateway, progress, now)]
    if not given_up:
        return
    async with database.writing() as session:
        failed = await service.fail_overdue(session, given_up[:MOST_AT_ONCE], now)
    for operation in failed:
        progress.forget(operation, now)
        log.warning("operation_timed_out", operation_id=operation.id, kind=operation.kind)


def _is_under_way(late: service.Late, gateway: Gateway, progress: Progress, now: datetime) -> bool:
    """While a node is there, what it last said of an operation holds: that it is at it, or at something that comes before."""
    if now - late.deadline_at >= service.MOST_OVER_TIME:
        return False
    step = progress.heard(late.node_id, late.id)
    if step is not None and now - step.at < ALIVE:
        return True
    if gateway.last_heard_at(late.node_id) is None:
        return False
    return step is not None or (late.may_wait and progress.is_busy(late.node_id, late.server_id, now - ALIVE))
