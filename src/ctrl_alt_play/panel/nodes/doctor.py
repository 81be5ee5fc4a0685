"""What the panel can say of a node's health without asking it: facts in, findings out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ctrl_alt_play import __version__, doctor
from ctrl_alt_play.doctor import ok, problem, span, unknown, warning
from ctrl_alt_play.panel.gateway.refusals import Reason, Refusal
from ctrl_alt_play.panel.models import Node, Openness
from ctrl_alt_play.panel.nodes.schemas import System
from ctrl_alt_play.protocol.doctor import Finding
from ctrl_alt_play.protocol.messages import OLDEST_VERSION

FRESH_S = 60.0
"""What was measured longer ago says nothing of now."""


class Disk(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def used_bytes(self) -> int: ...
    @property
    def total_bytes(self) -> int: ...


class Measured(Protocol):
    """What a node was last measured to use."""

    @property
    def measured_at(self) -> datetime: ...
    @property
    def memory_used_bytes(self) -> int | None: ...
    @property
    def memory_total_bytes(self) -> int | None: ...
    @property
    def disks(self) -> Sequence[Disk]: ...
    @property
    def clock_ahead_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the panel knows of a node at one moment."""

    node: Node
    now: datetime
    last_heard_at: datetime | None
    rivalry: str | None = None
    """That several agents use its id, as a sentence."""
    refusal: Refusal | None = None
    measured: Measured | None = None
    behind: int = 0
    """Servers whose node holds an older specification than the panel."""

    @property
    def system(self) -> System | None:
        return None if self.node.system is None else System.model_validate(self.node.system)

    @property
    def is_measured(self) -> bool:
        return self.measured is not None and (self.now - self.measured.measured_at).total_seconds() < FRESH_S


def examine(facts: Facts) -> list[Finding]:
    """In the order in which people would look."""
    return [finding for check in CHECKS if (finding := check(facts)) is not None]


def _connection(facts: Facts) -> Finding:
    node, id_ = facts.node, "connection"
    if not node.enabled:
        return warning(id_, "The node is disabled: its agent is refused.", "Enable it when it is to be used again.")
    if node.online:
        return ok(id_, f"Its agent has been connected for {_since(facts, node.since)}.")
    if facts.refusal is not None:
        seen, todo = _REFUSED[facts.refusal.reason]
        return problem(
            id_, f"{seen} It came from {facts.refusal.address}, {_since(facts, facts.refusal.at)} ago.", todo
        )
    if facts.last_heard_at is None:
        todo = "Connect it: make a command here, and run it on the machine."
        return unknown(id_, "Its agent has never connected.", todo)
    return problem(
        id_,
        f"Its agent has been away for {_since(facts, node.since)}.",
        "Look whether the machine is on, and whether its agent runs: `ctrl-alt-play doctor` on the machine says more.",
    )


_NEW_COMMAND = "Make a new command here (Connect), and run it on the machine: it brings the right secret along."
_REFUSED = {
    Reason.NONE_SHOWN: ("Its agent comes without a secret, and is refused.", _NEW_COMMAND),
    Reason.WRONG: ("Its agent comes with a wrong secret, and is refused.", _NEW_COMMAND),
    Reason.OF_ANOTHER: ("Its agent comes with another node's secret, and is refused.", _NEW_COMMAND),
    Reason.DISABLED: ("Its agent was refused, for the node was disabled.", "Wait: it tries again within a minute."),
}


def _openness(facts: Facts) -> Finding | None:
    if facts.node.openness != Openness.MAINTENANCE:
        return None
    lasting = "" if facts.node.openness_since is None else f" for {_since(facts, facts.node.openness_since)}"
    seen = f"The node has been in maintenance{lasting}: its servers are held down."
    return warning("openness", seen, "End it when the work is done: open the node here, or `ctrl-alt-play node open`.")


def _strangers(facts: Facts) -> Finding | None:
    """Two agents of one id; or someone at the door while the right one is inside."""
    if facts.rivalry is not None:
        return problem("rivals", facts.rivalry, "Stop one of the two agents, or enrol a node of its own for it.")
    if facts.node.online and facts.refusal is not None:
        seen = f"Somebody at {facts.refusal.address} says that they are this node, and is refused."
        todo = "Look there for a second agent with this node's id, and stop it or enrol a node of its own for it."
        return warning("rivals", seen, todo)
    return None


def _version(facts: Facts) -> Finding | None:
    return None if facts.system is None else doctor.agent_version(facts.system.agent_version, __version__)


def _protocol(facts: Facts) -> Finding | None:
    if facts.system is None or facts.node.protocol_version > OLDEST_VERSION:
        return None
    seen = "Its agent speaks only part 1 of the protocol: what happens while it is away is not told afterwards."
    return warning("protocol", seen, "Upgrade the agent, or use the one of this panel.")


def _docker(facts: Facts) -> Finding | None:
    if facts.system is None:
        return None
    if facts.system.docker_version:
        return doctor.docker_version(facts.system.docker_version)
    seen = "Docker did not answer when the agent connected."
    return warning("docker", seen, "Start it on the machine: systemctl start docker. The agent goes on by itself.")


def _disk(facts: Facts) -> Finding | None:
    if facts.measured is None or not facts.is_measured:
        return None
    return doctor.disks((disk.path, disk.used_bytes, disk.total_bytes) for disk in facts.measured.disks)


def _memory(facts: Facts) -> Finding | None:
    if facts.measured is None or not facts.is_measured:
        return None
    return doctor.memory(facts.measured.memory_used_bytes, facts.measured.memory_total_bytes)


def _clock(facts: Facts) -> Finding | None:
    if facts.measured is None or not facts.is_measured:
        return None
    return doctor.clock(facts.measured.clock_ahead_s)


def _orphans(facts: Facts) -> Finding | None:
    count = len(facts.node.orphans)
    if not count:
        return None
    what = "1 container runs there that belongs" if count == 1 else f"{count} containers run there that belong"
    return warning("orphans", f"{what} to no server.", "Adopt what is to be kept, and remove the rest on the machine.")


def _revisions(facts: Facts) -> Finding | None:
    if not facts.behind:
        return None
    what = "1 server was" if facts.behind == 1 else f"{facts.behind} servers were"
    todo = (
        "Wait until the node is back."
        if not facts.node.online
        else "It is told anew by itself; should this stay, the agent's log says why."
    )
    return warning("revisions", f"{what} changed, and the node has not taken that in yet.", todo)


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    _connection,
    _openness,
    _strangers,
    _docker,
    _disk,
    _memory,
    _clock,
    _version,
    _protocol,
    _orphans,
    _revisions,
)


def _since(facts: Facts, at: datetime) -> str:
    return span(max(0.0, (facts.now - at).total_seconds()))
