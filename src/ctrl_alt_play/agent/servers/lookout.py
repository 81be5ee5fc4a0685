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
        """A container as the state machine sees it. Excuses are for the first look only: what ends before our eyes has no excuse.

        What ended out of sight may have done so while Docker was dead and its shim lived: Docker then reads the next run's standard input into
        the old run's pipe, and the game finds it at its end (seen with 20.10 and live restore). So such a container is not started again.
        """
        lost_at, self._lost_at = self._lost_at, None
        if container is None:
            return Sight(Process.NONE)
        ended_at = container.finished_at.timestamp() if container.finished_at else 0.0
        process = _PROCESSES[container.state]
        if lost_at is None:
            return Sight(process, container.exit_code, ended_at, is_paused=container.is_paused)
        was_booted = bool(memory.boot_id) and memory.boot_id != self._node.boot_id
        is_dockers = was_booted or container.exit_code == LOST_TO_DOCKER
        went_with_engine = lost_at > 0 and ended_at >= lost_at - ENGINE_GAP_S
        return Sight(
            process,
            container.exit_code,
            ended_at,
            is_excused=is_dockers or went_with_engine,
            is_paused=container.is_paused,
            is_spent=not is_dockers,
        )
