"""A run from its beginning to its end."""

import asyncio
from pathlib import Path

from tests.faults.clock import can_be_set
from tests.faults.plan import Planner
from tests.faults.report import Report
from tests.faults.walk import Walk
from tests.faults.witness import Witness
from tests.faults.world import World

ROUND_TIMEOUT_S = 300.0


async def run(folder: Path, seed: int, operations: int, faults: int, report: Report) -> None:
    """Carries out a plan round by round. Violations go to the report; the walk goes on."""
    world = World(folder)
    is_clean = False
    try:
        await world.open()
        walk = Walk(world)
        witness = Witness(world, walk)
        for part in Planner(seed, is_clock_settable=can_be_set()).rounds(operations, faults):
            async with asyncio.timeout(ROUND_TIMEOUT_S):
                asked = await walk.carry_out(part)
                violations = await witness.judge(part, asked)
            report.add(part, asked, violations, witness.calm.took_s)
        is_clean = not report.violations
        if not is_clean:
            world.keep_databases()
    finally:
        await world.close()
        world.forget(keep_logs=not is_clean)
