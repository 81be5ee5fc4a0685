"""Servers under whatever may happen, in whatever order."""

import asyncio
import itertools
import random
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.household import Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.agent.servers.life import Duty
from ctrl_alt_play.protocol.contents import Action, DeletePayload, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.specification import CrashPolicy, Hold, Model, Specification, StopRule

Happening = Literal["engine lost", "engine back", "game ends", "game crashes", "agent killed", "events lost", "a while"]
HAPPENINGS: tuple[Happening, ...] = (
    "engine lost", "engine back", "game ends", "game crashes", "agent killed", "events lost", "a while", "a while",
)  # fmt: skip
ACTIONS = [
    Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER,
    Action.UPDATE_SERVER,
]  # fmt: skip
STATES = {
    None: {ServerState.ABSENT},
    ContainerState.CREATED: {ServerState.CREATED},
    ContainerState.RUNNING: {ServerState.RUNNING},
    ContainerState.EXITED: {ServerState.STOPPED, ServerState.CRASHED},
}
revisions = itertools.count(2)
SERVERS = ["one", "two"]
GAMES = {
    "quick": Game(),
    "slow": Game(time_to_stop_s=0.02),
    "stubborn": Game(exit_codes={}),
    "broken": Game(ends_at_once_with=1),
}
Step = tuple[Action, str] | Happening
steps = st.lists(
    st.one_of(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(SERVERS)), st.sampled_from(HAPPENINGS)), max_size=30
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=steps, game=st.sampled_from(sorted(GAMES)))
async def test_no_walk_makes_operations_overlap_or_leaves_an_untruth(walk: list[Step], game: str) -> None:
    engine = FakeEngine(GAMES[game])
    with tempfile.TemporaryDirectory() as folder:
        async with household(Path(folder), engine) as home:
            accepted: list[str] = []
            for step in walk:
                await take(step, home, accepted)
            engine.come_back()
            engine.loses_events = False
            await settle(home)
            check_truth(home)
            await home.kill()
            await home.begin()
            await settle(home)
            check_truth(home)
            await check_story(home, accepted)
            assert engine.overlaps() == []


async def take(step: Step, home: Household, accepted: list[str]) -> None:
    engine = home.engine
    match step:
        case (Action() as action, str() as server_id):
            with suppress(Fault):
                accepted.append(await home.ask(action, server_id, payload_of(action)))
        case "engine lost":
            engine.go_away()
        case "engine back":
            engine.come_back()
        case "events lost":
            engine.loses_events = not engine.loses_events
        case "game ends" | "game crashes":
            for server_id in engine.boxes:
                engine.end_game(server_id, 0 if step == "game ends" else 1)
        case "agent killed":
            await home.kill()
            await home.begin()
        case _:
            await asyncio.sleep(0.01)


def specification(revision: int, hold: Hold = Hold.NONE) -> Specification:
    policy = CrashPolicy(backoff=(0.01, 0.02), limit=3)
    return Specification(image="game", stop=StopRule(timeout=0.03), crash=policy, revision=revision, hold=hold)


def payload_of(action: Action) -> Model | None:
    match action:
        case Action.STOP_SERVER | Action.RESTART_SERVER:
            return StopPayload(timeout=0.03)
        case Action.DELETE_SERVER:
            return DeletePayload(keep_data=True)
        case Action.CREATE_SERVER:
            return specification(1)
        case Action.UPDATE_SERVER:
            return specification(next(revisions), random.choice(list(Hold)))  # noqa: S311 - a walk, not a secret
        case _:
            return None


async def settle(home: Household) -> None:
    async def is_idle() -> bool:
        return not await home.journal.operations() and all(
            server.inbox.current is None
            and server.inbox.is_empty
            and server.life.doing is None
            and server.state is not ServerState.UNKNOWN
            and server.life.restart_at is None
            and not server.book.memory.is_unreported
            and server.life.duty(is_due=True) is Duty.NOTHING
            for server in home.fleet.servers.values()
        )

    await until(is_idle, 10)
    for server in home.fleet.servers.values():
        await server.look()  # its end may be among the events that were lost
    await until(is_idle, 10)
    await until(lambda: set(home.engine.boxes) <= set(home.fleet.servers) | set(home.fleet.orphans), 10)


def check_truth(home: Household) -> None:
    """What each server is said to be is what its container is; and what was told last is what it is."""
    for server in home.fleet.servers.values():
        box = home.engine.boxes.get(server.id)
        assert server.state in STATES[None if box is None else box.state]
        assert (server.state is ServerState.RUNNING) == server.life.is_wanted
        states = [word for word in home.teller.words(server.id) if word in set(ServerState)]
        assert states[-1:] == [server.state]


async def check_story(home: Household, accepted: list[str]) -> None:
    """Every accepted command ended once, and the story has no gap in it."""
    events = await home.journal.events_after(0, 10_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    completed = [event.data["commandId"] for event in events if event.kind == "command_completed"]
    assert sorted(completed) == sorted(accepted)
