"""Servers under whatever may happen, in whatever order."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.engine import FakeEngine, Game
from tests.fakes.household import Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent.servers.life import state_of
from ctrl_alt_play.protocol.contents import Action, DeletePayload, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.specification import Model, Specification, StopRule

Happening = Literal["engine lost", "engine back", "game ends", "game crashes", "agent killed", "events lost", "a while"]
HAPPENINGS: tuple[Happening, ...] = (
    "engine lost", "engine back", "game ends", "game crashes", "agent killed", "events lost", "a while", "a while",
)  # fmt: skip
ACTIONS = [
    Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER,
]  # fmt: skip
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
            endings = [home.teller.ending(command_id) for command_id in accepted]
            assert "agent killed" in walk or None not in endings
            await home.kill()
            await home.begin()
            await settle(home)
            check_truth(home)
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


def payload_of(action: Action) -> Model | None:
    match action:
        case Action.STOP_SERVER | Action.RESTART_SERVER:
            return StopPayload(timeout=0.03)
        case Action.DELETE_SERVER:
            return DeletePayload(keep_data=True)
        case Action.CREATE_SERVER:
            return Specification(image="game", stop=StopRule(timeout=0.03))
        case _:
            return None


async def settle(home: Household) -> None:
    async def is_idle() -> bool:
        return not await home.journal.operations() and all(
            server._current is None and not server._waiting for server in home.fleet.servers.values()
        )

    await until(is_idle, 10)
    for server in home.fleet.servers.values():
        await server.look()


def check_truth(home: Household) -> None:
    """What each server is said to be is what its container is; and what was told last is what it is."""
    for server in home.fleet.servers.values():
        box = home.engine.boxes.get(server.id)
        truth = state_of(None if box is None else box.container(), is_meant_to_stop=server._is_meant_to_stop)
        assert server.state is truth
        states = [word for word in home.teller.words(server.id) if word in set(ServerState)]
        assert states[-1:] == [truth]
    assert set(home.engine.boxes) <= set(home.fleet.servers) | set(home.fleet.strangers)
