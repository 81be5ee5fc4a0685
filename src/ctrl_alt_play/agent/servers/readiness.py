"""Stand-in until the real one is here."""

from ctrl_alt_play.protocol.specification import Probe, Readiness, Specification


class Signs:
    def __init__(self, rule: Readiness) -> None:
        self._texts = rule.text
        self.is_empty = not rule.text

    def sees(self, line: str) -> bool:
        return any(text in line for text in self._texts)


async def answers(probe: Probe, address: str, port: int, timeout_s: float) -> bool:
    return False


def check(specification: Specification) -> None: ...
