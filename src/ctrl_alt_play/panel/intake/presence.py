"""What the panel knows of a node's connection for as long as it lasts."""

from dataclasses import dataclass, field
from datetime import datetime

from ctrl_alt_play.protocol.messages import OLDEST_VERSION
from ctrl_alt_play.protocol.part2 import Orphan


@dataclass(slots=True)
class Presence:
    node_id: str
    version: int
    connected_at: datetime
    spool_id: str = ""
    acked_seq: int = 0
    """Of the agent's durable events, the last that is kept: committed, or told by the database at the node's coming."""
    snapshot_seq: int = 0
    """Events up to here are older than what the snapshot told."""
    listed: set[str] = field(default_factory=set)
    """The panel's servers in the snapshot's parts so far."""
    orphans: dict[str, Orphan] = field(default_factory=dict)
    """In the snapshot's parts so far."""
    seen_at: float = float("-inf")
    """When the database was last told that the node is there, by the clock that never jumps."""
    tells_events: bool = False
    """Part 1: it told a change by an event. It tells it a second time by a legacy message, which is no news then."""
    asked: dict[str, str] = field(default_factory=dict)
    """Part 1: servers whose state was asked for at its coming, by the command's id."""

    @property
    def speaks_part_2(self) -> bool:
        return self.version > OLDEST_VERSION
