"""Holds every round against all promises."""

import asyncio
from collections import Counter
from contextlib import suppress

from tests.fakes.until import until
from tests.faults import chronicle, records
from tests.faults.calm import Calm, Settling, is_running, process
from tests.faults.ledger import ENDS_AGENT, Ledger
from tests.faults.plan import Fault, Kind
from tests.faults.programs import Program
from tests.faults.violations import Violation
from tests.faults.walk import Course, Walk
from tests.faults.world import World

QUIET_WITHIN_S = 5.0
AGAIN_WITHIN_S = 20.0
_UNWRITABLE = {Fault.AGENT_DISK_FULL, Fault.AGENT_LOCKED}
_MAY_END_IT = {Fault.AGENT_DISK_FULL, Fault.PANEL_DISK_FULL, Fault.AGENT_LOCKED, Fault.PANEL_LOCKED}


class Witness:
    def __init__(self, world: World, walk: Walk) -> None:
        self.calm = Calm()
        self._world = world
        self._walk = walk
        self._turn = 0
        self._endless: set[str] = set()
        self._killed: Counter[str] = Counter()
        self._known: set[Violation] = set()

    async def judge(self, course: Course) -> list[Violation]:
        """What was wrong in a round whose faults are over; and then in the calm, in which a game is killed."""
        violations = await self._judge(course)
        server_id = self._victim()
        if violations or server_id is None or not await self._walk.faults.kill_game(server_id):
            return violations
        with self._walk.awaited.waiting_for(f"another run of {server_id}, which was killed"), suppress(AssertionError):
            await until(lambda: self._runs_anew(server_id), AGAIN_WITHIN_S)
        return await self._judge(Course([], [], []))

    def _victim(self) -> str | None:
        """A game that runs; each has its turn."""
        running = sorted(id_ for id_ in self.calm.servers if self.calm.is_running(id_))
        self._turn += 1
        return running[self._turn % len(running)] if running else None

    async def _runs_anew(self, server_id: str) -> bool:
        container = (await self._world.engine.containers()).get(server_id)
        return container is not None and is_running(container) and process(container) != self.calm.process(server_id)

    async def _judge(self, course: Course) -> list[Violation]:
        self._endless |= _unwritten(course)
        settling = Settling(self._world, self._endless)
        with self._walk.awaited.waiting_for("the calm"):
            calm = await settling.wait()
        violations = [*settling.violations, *self._programs(course)]
        with self._walk.awaited.waiting_for("the last events"):
            violations += await self._told(calm)
        events = await asyncio.to_thread(records.events, self._world.panel.database, self.calm.last_row)
        killed = Counter(self._walk.faults.killed_games)
        ledger = Ledger(
            before=self.calm,
            after=calm,
            asked=course.asked,
            events=events,
            killed_games=killed - self._killed,
            bystanders=self._walk.bystanders,
            struck=course.faults,
        )
        violations += ledger.check()
        violations = [each for each in violations if each not in self._known]
        self._known.update(violations)
        self.calm, self._killed = calm, killed
        self._walk.forget_failed(calm.unmade)
        return violations

    async def _told(self, calm: Calm) -> list[Violation]:
        """The whole chronicle, once what is on its way has arrived."""
        deadline = asyncio.get_running_loop().time() + QUIET_WITHIN_S
        while True:
            violations = await asyncio.to_thread(self._chronicle, calm)
            if not violations or asyncio.get_running_loop().time() > deadline:
                return violations
            await asyncio.sleep(0.2)

    def _chronicle(self, calm: Calm) -> list[Violation]:
        events = records.events(self._world.panel.database)
        spool = records.spool(self._world.agent.database)
        violations = chronicle.check_sequence(events, records.acknowledged(self._world.panel.database), spool)
        violations += chronicle.check_completions(records.operations(self._world.panel.database).values(), events)
        violations += chronicle.check_changes(events)
        if spool.open_commands:
            found = ", ".join(spool.open_commands)
            violations.append(Violation("a command ends", "the agent's journal", "no open command", found))
        violations += [
            Violation("a change reaches the node", id_, f"revision {ours}", f"revision {theirs}")
            for id_, (ours, theirs) in records.revisions(self._world.panel.database).items()
            if ours != theirs and id_ not in calm.unmade
        ]
        return violations

    def _programs(self, course: Course) -> list[Violation]:
        """That a program ends by itself is excused where it cannot read or write its data."""
        violations: list[Violation] = []
        for program in (self._world.panel, self._world.agent):
            ends, program.unasked_ends = program.unasked_ends, []
            if not any(blow.fault in _MAY_END_IT and _concerns(blow.fault, program) for blow in course.struck):
                violations += [Violation("a program goes on", program.name, "no end unasked", end) for end in ends]
        return violations


def _unwritten(course: Course) -> set[str]:
    """What ends a game is done also where it cannot be written down. An agent that dies before it can forgets how it ended: its time runs out."""
    if not (course.faults.keys() & _UNWRITABLE and course.faults.keys() & ENDS_AGENT):
        return set()
    return {each.operation_id for each in course.asked if each.operation_id and each.kind in {Kind.STOP, Kind.KILL}}


def _concerns(fault: Fault, program: Program) -> bool:
    return fault.startswith(program.name)
