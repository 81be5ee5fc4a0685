"""What the rest of the panel sees of agents: a way to ask them things, and what must take in what they say.

Everything else in this package is one way of doing it, within one process; another may route commands to the replica that holds a node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ctrl_alt_play.protocol.contents import Action, SystemInfo
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Response
from ctrl_alt_play.protocol.panel_session import Answered, Told
from ctrl_alt_play.protocol.part2 import Welcome
from ctrl_alt_play.protocol.specification import Model

COMMAND_TIMEOUT_S = 10.0

Fact = Told | Answered
"""One thing an agent said. Facts of a node are handed on strictly in the order in which they came."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A node that showed its secret; `secret_hash` is None where it came with the secret that all nodes share."""

    node_id: str
    secret_hash: str | None
    speaks_part_2: bool = False
    """It did when it was here before, so it is given the time to say so again, however slow its line is."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A node that has come, with the version that was agreed and what it said of itself, if it said anything."""

    admission: Admission
    version: int
    system: SystemInfo | None = None

    @property
    def node_id(self) -> str:
        return self.admission.node_id


@dataclass(frozen=True, slots=True)
class Reception:
    """How an arrival is met. `welcome` is for who speaks part 2."""

    is_allowed: bool
    welcome: Welcome | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of facts that were handed on."""

    failed: int = 0
    """How many were of no use for an error of their own."""
    acked_seq: int | None = None
    """The last durable event that is kept, to be told to the agent; None where nothing durable was among them."""
    is_truth: bool = False
    """The whole truth about the node is known from here on, so it is time to `synchronise`."""


class Unanswered(Fault):
    """A command was written to an agent that does each command once and tells its end for good, but did not answer yet.

    So it is not known to have failed, and it may be sent again by the same id. Agents of part 1 give no such promise: what they leave
    unanswered is a plain `Fault`.
    """


class Undelivered(Fault):
    """Nothing of a command was written, so nothing of it can have been done."""


class OutOfStep(Exception):
    """What an agent tells does not follow on what is kept of it: the connection has to end, so that it begins again where the panel stands."""


class Sink(Protocol):
    """Takes in what agents say. Given to the gateway by `main`."""

    async def connected(self, arrival: Arrival) -> Reception:
        """A node is there; nothing is sent to it before this returns."""
        ...

    async def synchronise(self, node_id: str) -> None:
        """Brings panel and node in step: runs beside all else, one at a time, and ends with the connection at the latest.

        An agent of part 1 is asked for the truth at its coming; one of part 2 told it, and is sent what it missed.
        """
        ...

    async def apply(self, node_id: str, facts: Sequence[Fact]) -> Taken:
        """Takes in facts; what is acknowledged is committed.

        Whoever waits for an answer among them goes on only after this. Raises only where nothing of them could be kept; `OutOfStep` where
        it is of no use to try again.
        """
        ...

    async def disconnected(self, node_id: str) -> None: ...


class Gateway(Protocol):
    """The way to agents. Never called within a transaction. Each of the ways to speak raises `Fault`:
    `AGENT_OFFLINE`, `TIMEOUT`, `INSUFFICIENT_RESOURCES`, or whatever the agent refused with; `Unanswered` is one whose outcome is open.
    """

    async def command(
        self,
        node_id: str,
        action: Action,
        server_id: str,
        payload: Model | None,
        command_id: str,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> Response:
        """The agent's response, once all that it said before has been taken in.

        An action that this connection's agent cannot know, or once called unknown, is refused as `UNKNOWN_ACTION` without asking.
        """
        ...

    async def ask(
        self, node_id: str, action: Action, server_id: str, payload: Model | None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> dict[str, Any]:
        """What a node answers to one of `QUESTIONS`. The answer is no fact: it goes past the sink, and past what was said before."""
        ...

    async def tell(self, node_id: str, kind: str, content: Model) -> None:
        """A legacy message that nothing answers; returns when it was written."""
        ...

    def disconnect(self, node_id: str, reason: str) -> None:
        """Closes a node's connection, if there is one, because it lost the right to it."""
        ...

    def last_heard_at(self, node_id: str) -> datetime | None:
        """When the node last said anything; None while it is not connected."""
        ...

    def warning(self, node_id: str) -> str | None:
        """What is wrong with a node's connection, as a sentence for people; None where nothing is."""
        ...

    @property
    def connected_nodes(self) -> int: ...


def fault_of(response: Response) -> Fault:
    """A refusal as the error that it is."""
    if response.error is None:
        return Fault(ErrorCode.INTERNAL, response.message or "The node refused and did not say why.")
    return Fault(
        response.error.code, response.error.message or response.message or "The node refused and did not say why."
    )
