"""Fails operations whose time is up, and forgets those that ended long ago: one task for all of them."""

import asyncio

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.operations import service

log: structlog.stdlib.BoundLogger = structlog.get_logger()


FORGET_EVERY_S = 3600.0


async def sweep_for_ever(database: Database, clock: Clock, every_s: float) -> None:
    forgot_at = float("-inf")
    while True:
        try:
            await _sweep(database, clock)
            if clock.monotonic() - forgot_at >= FORGET_EVERY_S:
                forgot_at = clock.monotonic()
                async with database.writing() as session:
                    await service.forget_old(session, clock.utc())
        except Exception:  # a database that is away comes back, and sweeping goes on
            log.exception("sweep_failed")
        await asyncio.sleep(every_s)


async def _sweep(database: Database, clock: Clock) -> None:
    """Looks before it locks: nearly always there is nothing to do."""
    async with database.reading() as session:
        if not await service.is_any_overdue(session, clock.utc()):
            return
    async with database.writing() as session:
        overdue = await service.fail_overdue(session, clock.utc())
    for operation in overdue:
        log.warning("operation_timed_out", operation_id=operation.id, kind=operation.kind)
