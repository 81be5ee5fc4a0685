"""A running server, as far as its figures go."""

from dataclasses import dataclass

from ctrl_alt_play.agent.engine.base import Container
from ctrl_alt_play.agent.figures.meter import Meter
from ctrl_alt_play.protocol.specification import Specification


@dataclass(frozen=True, slots=True)
class Subject:
    """One server that runs now."""

    container: Container
    specification: Specification
    meter: Meter

    @property
    def id(self) -> str:
        return self.container.server_id

    @property
    def started_at_s(self) -> float:
        """What names this run of the game, in seconds of the wall clock."""
        started_at = self.container.started_at
        return started_at.timestamp() if started_at else 0.0
