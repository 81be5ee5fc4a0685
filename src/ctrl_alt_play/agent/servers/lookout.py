"""Whether a server is in sight, and what is to be made of a container that was seen."""

import asyncio
from contextlib import suppress

from ctrl_alt_play.agent.engine.base import Container, ContainerState
from ctrl_alt_play.agent.records import Memory
from ctrl_alt_play.agent.servers.life import Process, Sight
from ctrl_alt_play.agent.servers.node import Node

ENGINE_GAP_S = 5.0
"""How long before the engine was seen to be gone a game may have gone with it."""
LOST_TO_DOCKER = 255
"""The exit code that Docker gives a container that died while Docker did not run."""
_PROCESSES = {
    ContainerState.CREATED: Process.CREATED,
    ContainerState.RUNNING: Process.RUNNING,
    ContainerState.EXITED: Process.EXITED,
}


class Lookout:
    """`in_sight` is set while the engine answers for the server. Out of sight, a game may end for reasons that are not its own."""

    def __init__(self, node: Node) -> None:
        self.in_sight = asyncio.Event()
        self._node = node
        self._lost_at: float | None = 0.0

    def lose(self) -> None:
        self.in_sight.clear()
        self._lost_at = self._node.clock.utc().timestamp()

    async def come_in_sight(self, first_look_s: float, patience_s: float) -> None:
        """Waits until the server is in sight, at least for a first look, and no longer than there is patience."""
        await asyncio.sleep(first_look_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self.in_sight.wait()

    def sight_of(self, container: Container | None, memory: Memory) -> Sight:
        """A container as the state machine sees it. Excuses are for the first look only: what ends before our eyes has no excuse."""
        is_excused = container is not None and self._is_excused(container, memory)
        self._lost_at = None
        if container is None:
            return Sight(Process.NONE)
        ended_at = container.finished_at.timestamp() if container.finished_at else 0.0
        return Sight(_PROCESSES[container.state], container.exit_code, ended_at, is_excused, container.is_paused)

    def _is_excused(self, container: Container, memory: Memory) -> bool:
        """Whether a game's end may be Docker's or the machine's own, so that it counts as no crash."""
        if self._lost_at is None:
            return False
        was_booted = bool(memory.boot_id) and memory.boot_id != self._node.boot_id
        went_with_engine = (
            self._lost_at > 0
            and container.finished_at is not None
            and container.finished_at.timestamp() >= self._lost_at - ENGINE_GAP_S
        )
        return was_booted or went_with_engine or container.exit_code == LOST_TO_DOCKER
