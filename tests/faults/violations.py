"""What a check found to be wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """`rule` is the promise that was not kept; the rest says of what, and how."""

    rule: str
    subject: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: expected {self.expected}; found {self.found}"
