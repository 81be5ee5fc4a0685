"""Each fault of a plan, done to the world and undone again. Two of the same target wait for each other."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import assert_never

import httpx
from tests.faults.plan import BYSTANDERS, SLOTS, Blow, Fault
from tests.faults.programs import Program
from tests.faults.proxy import Way
from tests.faults.world import World

Find = Callable[[int], str | None]
"""The server in a slot."""
HasStruck = Callable[[], bool]
"""Whether a fault that is about to end met anything: a process that lived, a connection, a disk that was full."""
Doing = AbstractAsyncContextManager[HasStruck]
FARTHEST_JUMP_S = 3 * 3600.0
LONGEST_DELAY_S, LEAST_BYTES_PER_S = 0.8, 4_000.0
CUT_AFTER = 0.3
"""A one-way link that is as strong as this also breaks in the end; a weaker one comes back whole."""


class Faults:
    def __init__(self, world: World, find: Find) -> None:
        self.killed_games: list[str] = []
        """Servers whose games were killed so far, or may have been."""
        self._world = world
        self._find = find
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def strike(self, blow: Blow) -> bool:
        """From the beginning of a fault to its end. Whether it struck anything."""
        async with AsyncExitStack() as stack:
            for target in _targets(blow.fault):
                await stack.enter_async_context(self._locks[target])
            has_struck = await stack.enter_async_context(self._fault(blow))
            await asyncio.sleep(blow.lasts_s)
            return has_struck()

    def _fault(self, blow: Blow) -> Doing:
        fault = blow.fault
        program = self._world.agent if fault.startswith("agent") else self._world.panel
        match fault:
            case Fault.AGENT_KILLED | Fault.PANEL_KILLED:
                return _stopped(program, program.kill)
            case Fault.AGENT_ENDED | Fault.PANEL_ENDED:
                return _stopped(program, program.terminate)
            case Fault.AGENT_DISK_FULL | Fault.PANEL_DISK_FULL:
                return _full(program)
            case Fault.AGENT_CLOCK | Fault.PANEL_CLOCK:
                return _jumped(program, blow.strength)
            case Fault.AGENT_LOCKED | Fault.PANEL_LOCKED:
                return _locked(program.database)
            case Fault.ENGINE_KILLED:
                return self._engine_killed()
            case Fault.NODE_POWER_LOST:
                return self._power_lost()
            case Fault.GAME_KILLED:
                return self._game_killed(blow)
            case Fault.LINK_CUT | Fault.LINK_REFUSED | Fault.LINK_SLOW | Fault.UP_LOST | Fault.DOWN_LOST:
                return self._broken_link(blow)
            case _:
                assert_never(fault)

    @asynccontextmanager
    async def _broken_link(self, blow: Blow) -> AsyncIterator[HasStruck]:
        link = self._world.link
        hits = link.hits

        def has_struck() -> bool:
            return link.hits > hits

        match blow.fault:
            case Fault.LINK_CUT:
                link.cut()
                yield has_struck
            case Fault.LINK_REFUSED:
                with link.refusing():
                    yield has_struck
            case Fault.LINK_SLOW:
                with link.slow(blow.strength * LONGEST_DELAY_S, LEAST_BYTES_PER_S / max(blow.strength, 0.1)):
                    yield has_struck
            case _:
                with link.one_way(Way.UP if blow.fault is Fault.UP_LOST else Way.DOWN):
                    yield has_struck
                    if blow.strength > CUT_AFTER:
                        link.cut()

    @asynccontextmanager
    async def _engine_killed(self) -> AsyncIterator[HasStruck]:
        was_alive = self._world.engine.is_alive
        await self._world.engine.kill()
        try:
            yield lambda: was_alive
        finally:
            await self._world.engine.start()

    @asynccontextmanager
    async def _power_lost(self) -> AsyncIterator[HasStruck]:
        was_on = self._world.engine.is_alive
        await self._world.lose_power()
        try:
            yield lambda: was_on
        finally:
            await self._world.boot()

    @asynccontextmanager
    async def _game_killed(self, blow: Blow) -> AsyncIterator[HasStruck]:
        """The first that runs, from some slot on; a bystander's where no other does."""
        others = list(range(BYSTANDERS, SLOTS))
        first = int(blow.strength * len(others))
        for slot in (*others[first:], *others[:first], *range(BYSTANDERS)):
            server_id = self._find(slot)
            if server_id is not None and await self.kill_game(server_id):
                yield lambda: True
                return
        yield lambda: False

    async def kill_game(self, server_id: str) -> bool:
        """Whether it ran. A dead engine kills nobody; of one that dies meanwhile nobody knows."""
        try:
            is_killed = await self._world.engine.kill_game(server_id)
        except httpx.ConnectError:
            return False
        except httpx.TransportError:
            self.killed_games.append(server_id)
            return False
        if is_killed:
            self.killed_games.append(server_id)
        return is_killed


def _targets(fault: Fault) -> list[str]:
    if fault is Fault.NODE_POWER_LOST:
        return ["agent", "engine"]
    return [fault.split()[0]]


@asynccontextmanager
async def _stopped(program: Program, stop: Callable[[], Awaitable[bool]]) -> AsyncIterator[HasStruck]:
    was_alive = await stop()
    try:
        yield lambda: was_alive
    finally:
        await program.start()


@asynccontextmanager
async def _full(program: Program) -> AsyncIterator[HasStruck]:
    disk = program.disk
    with disk.full():
        yield lambda: disk.is_full


@asynccontextmanager
async def _jumped(program: Program, strength: float) -> AsyncIterator[HasStruck]:
    """Ahead or back by hours, and at the end back to the truth."""
    program.clock.set((2 * strength - 1) * FARTHEST_JUMP_S)
    had_jumped = program.has_loaded(program.clock.library)
    try:
        yield lambda: had_jumped or program.has_loaded(program.clock.library)
    finally:
        program.clock.set(0)


@asynccontextmanager
async def _locked(file: Path) -> AsyncIterator[HasStruck]:
    """As when somebody looks into the database by hand, and leaves a transaction open. It does not come to that where the disk is full as well."""
    holder = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        with suppress(sqlite3.OperationalError):
            await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        yield lambda: holder.in_transaction
    finally:
        holder.close()
