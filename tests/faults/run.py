"""A run from its beginning to its end."""

import asyncio
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import TypeVar

from tests.faults.awaited import Awaited
from tests.faults.plan import FAULTS_A_ROUND, Fault, Planner, Round
from tests.faults.report import Report
from tests.faults.violations import Violation
from tests.faults.walk import Course, Walk
from tests.faults.witness import Witness
from tests.faults.world import World

ROUND_TIMEOUT_S = 300.0
UNDO_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 120.0
MOST_ROUNDS_MORE = 8
"""For faults that struck nothing."""
Result = TypeVar("Result")


class Hung(Exception):
    """A round did not come to its end; this is what it was waiting for."""


async def run(
    folder: Path, seed: int, operations: int, faults: int, left_out: Collection[Fault], report: Report
) -> None:
    """Carries out a plan round by round. Violations go to the report, whatever they are; the walk goes on where it can."""
    world = World(folder)
    try:
        await world.open()
        await _take(Walk(world), world, Planner(seed, left_out=left_out), operations, faults, report)
    except Hung as hung:
        expected = f"within {ROUND_TIMEOUT_S:g} s"
        report.add_violation(Violation("a round comes to its end", "the last", expected, f"it still waits for {hung}"))
    except Exception as error:  # noqa: BLE001 - whatever it was, the report tells it
        report.break_off(error)
    finally:
        await _close(world, report)


async def within(timeout_s: float, work: Coroutine[None, None, Result], awaited: Awaited) -> Result:
    """Raises: Hung, with what was awaited then; what the work had begun is undone, so far as that goes."""
    task = asyncio.create_task(work, name="round")
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            raise Hung(str(awaited))
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=UNDO_TIMEOUT_S)


async def _close(world: World, report: Report) -> None:
    """What cannot be closed ends with this process."""
    try:
        if report.violations:
            world.keep_databases()
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await world.close()
    except Exception as error:  # noqa: BLE001 - as above
        report.break_off(error)
    world.forget(keep_logs=bool(report.violations))


async def _take(walk: Walk, world: World, planner: Planner, operations: int, faults: int, report: Report) -> None:
    """What struck nothing is tried again in the end, so that as many faults strike as were asked for."""
    witness = Witness(world, walk)
    missed: list[Fault] = []
    for part in planner.rounds(operations, faults):
        missed += await _carry_through(walk, witness, part, report)
    for _ in range(MOST_ROUNDS_MORE):
        if not missed:
            return
        part = planner.again(missed[:FAULTS_A_ROUND])
        missed = missed[FAULTS_A_ROUND:] + await _carry_through(walk, witness, part, report)


async def _carry_through(walk: Walk, witness: Witness, part: Round, report: Report) -> list[Fault]:
    """The faults that struck nothing."""

    async def carry_out() -> tuple[Course, list[Violation]]:
        course = await walk.carry_out(part)
        return course, await witness.judge(course)

    course, violations = await within(ROUND_TIMEOUT_S, carry_out(), walk.awaited)
    report.add(part.number, course, violations, witness.calm.took_s)
    return [blow.fault for blow in course.missed]
