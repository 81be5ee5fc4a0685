"""Holds every round against all promises."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from tests.faults import chronicle, records
from tests.faults.calm import Calm, Settling
from tests.faults.ledger import Ledger
from tests.faults.plan import Fault, Round
from tests.faults.programs import Program
from tests.faults.violations import Violation
from tests.faults.walk import Asked, Walk
from tests.faults.world import World

QUIET_WITHIN_S = 5.0
_MAY_END_IT = {Fault.AGENT_DISK_FULL, Fault.PANEL_DISK_FULL, Fault.AGENT_LOCKED, Fault.PANEL_LOCKED}
_DISTURBS_ENGINE = (Fault.ENGINE_KILLED, Fault.NODE_POWER_LOST, Fault.AGENT_CLOCK)


class Witness:
    def __init__(self, world: World, walk: Walk) -> None:
        self.calm = Calm()
        self._world = world
        self._walk = walk
        self._killed: Counter[str] = Counter()
        self._known: set[Violation] = set()

    async def judge(self, part: Round, asked: Sequence[Asked]) -> list[Violation]:
        """What was wrong in a round whose faults are over."""
        settling = Settling(self._world)
        calm = await settling.wait()
        violations = [*settling.violations, *self._programs(part)]
        violations += await self._told(calm)
        events = await asyncio.to_thread(records.events, self._world.panel.database, self.calm.last_row)
        killed = Counter(self._walk.faults.killed_games)
        struck = Counter(blow.fault for blow in part.blows)
        ledger = Ledger(
            before=self.calm,
            after=calm,
            asked=asked,
            events=events,
            killed_games=killed - self._killed,
            bystanders=self._walk.bystanders,
            is_engine_disturbed=any(struck[fault] for fault in _DISTURBS_ENGINE),
            power_losses=struck[Fault.NODE_POWER_LOST],
        )
        violations += ledger.check()
        violations = [each for each in violations if each not in self._known]
        self._known.update(violations)
        self.calm, self._killed = calm, killed
        self._walk.forget_failed({id_ for id_, view in calm.servers.items() if view["status"] == "INSTALL_FAILED"})
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
            if ours != theirs and calm.servers.get(id_, {}).get("status") != "INSTALL_FAILED"
        ]
        return violations

    def _programs(self, part: Round) -> list[Violation]:
        """That a program ends by itself is excused where it cannot read or write its data."""
        violations: list[Violation] = []
        for program in (self._world.panel, self._world.agent):
            ends, program.unasked_ends = program.unasked_ends, []
            if not any(blow.fault in _MAY_END_IT and _concerns(blow.fault, program) for blow in part.blows):
                violations += [Violation("a program goes on", program.name, "no end unasked", end) for end in ends]
        return violations


def _concerns(fault: Fault, program: Program) -> bool:
    return fault.startswith(program.name)
