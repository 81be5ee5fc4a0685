"""What a run tells of itself, as it goes and at its end."""

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.plan import Blow, Fault
from tests.faults.violations import Violation
from tests.faults.walk import Course


class Report:
    """`close` says the last words, whatever happened."""

    def __init__(self, seed: int, folder: Path, left_out: Mapping[Fault, str]) -> None:
        self.operations = 0
        self.violations: list[Violation] = []
        self.struck: Counter[Fault] = Counter()
        self._missed: Counter[Fault] = Counter()
        self._seed = seed
        self._left_out = left_out
        self._say(f"seed {seed}; logs in {folder}")
        self._tell_left_out()

    @property
    def summary(self) -> str:
        """A fault that struck nothing is none."""
        return f"operations={self.operations} faults={self.struck.total()} violations={len(self.violations)}"

    def add(self, number: int, course: Course, violations: list[Violation], calm_s: float) -> None:
        self.operations += len(course.asked)
        self.struck += course.faults
        self._missed += Counter(blow.fault for blow in course.missed)
        answers = Counter(str(each.answer.body.get("code") or each.answer.status) for each in course.asked)
        told = ", ".join(f"{count} {answer}" for answer, count in answers.most_common())
        self._say(f"round {number}: {told}; calm after {calm_s:.1f} s; {self._added(violations)}")
        self._list("struck nothing", course.missed)
        if violations:
            self._list("fault", course.struck)
            self._list(f"violation (seed {self._seed}, round {number})", violations)

    def add_violation(self, violation: Violation) -> None:
        """Of what is no round's that came to its end."""
        self._added([violation])
        self._list(f"violation (seed {self._seed})", [violation])

    def break_off(self, error: Exception) -> None:
        """Nothing is known any more: the walk did not come to its end."""
        self._say("".join(traceback.format_exception(error)).rstrip())
        self.add_violation(Violation("a walk comes to its end", "this one", "its end", repr(error)))

    def close(self) -> None:
        if self._missed:
            told = ", ".join(f"{fault} ({count})" for fault, count in self._missed.most_common())
            self._say(f"struck nothing: {told}")
        self._tell_left_out()
        self._say(self.summary)

    def _added(self, violations: list[Violation]) -> str:
        self.violations += violations
        return self.summary

    def _tell_left_out(self) -> None:
        for reason in sorted(set(self._left_out.values())):
            faults = [fault for fault, why in self._left_out.items() if why == reason]
            what = "all faults" if len(faults) == len(Fault) else ", ".join(faults)
            self._say(f"left out: {what}, for {reason}")

    def _list(self, what: str, items: Sequence[Blow] | Sequence[Violation]) -> None:
        for each in items:
            self._say(f"    {what}: {each}")

    def _say(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201 - it is a program
