"""What a run tells of itself, as it goes and at its end."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.plan import Round
from tests.faults.violations import Violation
from tests.faults.walk import Asked


class Report:
    def __init__(self, seed: int, folder: Path) -> None:
        self.operations = self.faults = 0
        self.violations: list[Violation] = []
        self._seed = seed
        self._folder = folder
        self._say(f"seed {seed}; logs in {folder}")

    @property
    def summary(self) -> str:
        return f"operations={self.operations} faults={self.faults} violations={len(self.violations)}"

    def add(self, part: Round, asked: Sequence[Asked], violations: list[Violation], calm_s: float) -> None:
        self.operations += len(asked)
        self.faults += len(part.blows)
        self.violations += violations
        answers = Counter(str(each.answer.body.get("code") or each.answer.status) for each in asked)
        told = ", ".join(f"{count} {answer}" for answer, count in answers.most_common())
        self._say(f"round {part.number}: {told}; calm after {calm_s:.1f} s; {self.summary}")
        if violations:
            for blow in part.blows:
                self._say(f"    fault: {blow}")
            for violation in violations:
                self._say(f"    violation (seed {self._seed}, round {part.number}): {violation}")

    def _say(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201 - it is a program
