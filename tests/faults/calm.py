"""The calm after a round: waits until everything has settled, judges how long that took, and notes what there is then."""

import asyncio
import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.fakes.until import until
from tests.faults import records
from tests.faults.game import Diary, read_diary
from tests.faults.violations import Violation
from tests.faults.world import World

CONNECTED_WITHIN_S = 75.0
"""The longest pause between two attempts, and the attempt."""
ENDED_WITHIN_S = 25.0
TRUE_WITHIN_S = 5.0
GIVE_UP_S = 120.0
LOOK_EVERY_S = 0.2
FOUND = float("inf")
"""In place of since when something is wrong: it was found to be a violation."""
DOWN = {"OFFLINE", "CRASHED", "INSTALL_FAILED"}


@dataclass(frozen=True, slots=True)
class Calm:
    """The panel's word on each server, Docker's, and the games' own; and how much the panel had written down by then."""

    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    diaries: dict[str, Diary] = field(default_factory=dict)
    operations: dict[str, records.Operation] = field(default_factory=dict)
    last_row: int = 0
    took_s: float = 0.0

    def process(self, server_id: str) -> tuple[int, str]:
        return process(self.containers[server_id])

    def is_running(self, server_id: str) -> bool:
        return is_running(self.containers.get(server_id))

    @property
    def unmade(self) -> set[str]:
        """Servers that never came to be: all that was to create them has failed."""
        made = records.made(self.operations.values())
        return {each.server_id for each in self.operations.values() if each.kind == "create"} - made


class Settling:
    """Looks again and again. What was wrong for too long is a violation, once."""

    def __init__(self, world: World, endless: Set[str]) -> None:
        """`endless`: operations of whose end nothing can be heard any more."""
        self.violations: list[Violation] = []
        self._world = world
        self._endless = endless
        self._wrong_since: dict[tuple[str, str], float] = {}
        self._servers: dict[str, dict[str, Any]] = {}
        self._containers: dict[str, dict[str, Any]] = {}

    async def wait(self) -> Calm:
        """Until nothing is wrong that was not found to be a violation."""
        began = time.monotonic()
        with suppress(AssertionError):
            await until(self._is_settled, GIVE_UP_S, pause_s=LOOK_EVERY_S)
        operations = await asyncio.to_thread(records.operations, self._world.panel.database)
        events = await asyncio.to_thread(records.events, self._world.panel.database)
        diaries = {folder.name: read_diary(folder) for folder in self._world.games.iterdir()}
        last_row = events[-1].row if events else 0
        took_s = time.monotonic() - began
        return Calm(self._servers, self._containers, diaries, operations, last_row, took_s)

    async def _is_settled(self) -> bool:
        """While the node is away, which it may be until its next attempt, nothing else is judged. What had ended is asked for before what there is,
        so that nothing ends between the two.
        """
        away = {} if await self._world.is_connected() else {"node": ("online", "away")}
        if not self._judge("the node comes back", away, CONNECTED_WITHIN_S):
            self._judge("an operation ends", {}, ENDED_WITHIN_S)
            self._judge("a state is true", {}, TRUE_WITHIN_S)
            return False
        operations = await asyncio.to_thread(records.operations, self._world.panel.database)
        servers, containers = await self._list_servers(), await self._list_containers()
        silent = {} if servers is not None and containers is not None else {"panel and engine": ("an answer", "none")}
        if not self._judge("everything answers", silent, TRUE_WITHIN_S):
            return False
        if servers is None or containers is None:
            return True
        self._servers, self._containers = servers, containers
        going_on = [each for each in operations.values() if not each.has_ended and each.id not in self._endless]
        revisions = await asyncio.to_thread(records.revisions, self._world.panel.database)
        made = records.made(operations.values())
        behind = {
            id_: (f"revision {ours}", f"revision {theirs}")
            for id_, (ours, theirs) in revisions.items()
            if ours != theirs and id_ in made
        }
        open_ = {f"{each.kind} {each.id} of {each.server_id}": ("its end", each.state) for each in going_on}
        untrue = {
            id_: (_state(containers.get(id_)), _described(view))
            for id_, view in servers.items()
            if not is_true(view, containers.get(id_)) and id_ not in {*behind, *(each.server_id for each in going_on)}
        }
        have_ended = self._judge("an operation ends", open_, ENDED_WITHIN_S)
        have_ended &= self._judge("a change reaches the node", behind, ENDED_WITHIN_S)
        return self._judge("a state is true", untrue, TRUE_WITHIN_S) and have_ended

    def _judge(self, rule: str, wrong: dict[str, tuple[str, str]], allowed_s: float) -> bool:
        """Whether there is nothing more to wait for."""
        now = time.monotonic()
        for key in [key for key in self._wrong_since if key[0] == rule and key[1] not in wrong]:
            del self._wrong_since[key]
        for subject, (expected, found) in wrong.items():
            if now - self._wrong_since.setdefault((rule, subject), now) > allowed_s:
                self._wrong_since[rule, subject] = FOUND
                self.violations.append(Violation(f"{rule} within {allowed_s:g} s", subject, expected, found))
        return all(self._wrong_since[rule, subject] == FOUND for subject in wrong)

    async def _list_containers(self) -> dict[str, dict[str, Any]] | None:
        try:
            return await self._world.engine.containers()
        except httpx.HTTPError:
            return None

    async def _list_servers(self) -> dict[str, dict[str, Any]] | None:
        servers: dict[str, dict[str, Any]] = {}
        cursor: str | None = None
        while True:
            page = await self._world.api.get("/api/servers", limit=100, **({"cursor": cursor} if cursor else {}))
            if page is None:
                return None
            servers |= {each["id"]: each for each in page["items"]}
            cursor = page["next_cursor"]
            if cursor is None:
                return servers


def is_true(view: dict[str, Any], container: dict[str, Any] | None) -> bool:
    """Whether what the panel says is what Docker says, and what is wanted is so, but for a hold."""
    if is_running(container):
        return (view["status"], view["desired"], view["hold"]) == ("RUNNING", "on", "none")
    if view["hold"] == "suspended":
        return bool(view["status"] == "SUSPENDED")
    return view["status"] in DOWN and (view["desired"] == "off" or view["hold"] != "none")


def process(container: dict[str, Any]) -> tuple[int, str]:
    """What tells one life of a game from another."""
    return container["State"]["Pid"], container["State"]["StartedAt"]


def is_running(container: dict[str, Any] | None) -> bool:
    return container is not None and bool(container["State"]["Running"])


def _described(view: dict[str, Any]) -> str:
    return (
        f"{view['status']}, observed {view['observed']}, desired {view['desired']}, hold {view['hold']}, "
        f"{view['last_error'] or 'no error'}"
    )


def _state(container: dict[str, Any] | None) -> str:
    return "no container" if container is None else f"{container['State']['Status']} ({container['State']['ExitCode']})"
