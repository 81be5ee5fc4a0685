"""A server's specification changes while it lives, and a hold keeps it down without forgetting what is wanted."""

import pytest
from tests.fakes.engine import Game
from tests.fakes.household import SPECIFICATION, Household
from tests.fakes.until import until

from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import (
    CrashPolicy,
    Desired,
    Hold,
    Limits,
    Probe,
    Readiness,
    Specification,
    StopRule,
)

CREATE, START, STOP, UPDATE = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER, Action.UPDATE_SERVER


def changed(revision: int = 2, **fields: object) -> Specification:
    return SPECIFICATION.model_copy(update={**fields, "revision": revision})


async def test_a_change_while_the_game_runs_takes_effect_at_its_next_start(home: Household) -> None:
    await home.running()
    pid = home.engine.boxes["one"].container().pid
    ended = await home.do(UPDATE, payload=changed(startup="another"))
    assert ended.fault is None
    assert home.engine.boxes["one"].container().pid == pid
    await home.do(STOP)
    await home.do(START)
    assert home.engine.boxes["one"].plan.specification.startup == "another"
    assert home.engine.made("one", "create") == ["create", "create"]
    assert home.server().snapshot().revision == 2


@pytest.mark.parametrize(
    "field",
    [{"stop": StopRule(timeout=5)}, {"crash": CrashPolicy(limit=9)}, {"readiness": Readiness(timeout=9)}],
)
async def test_a_container_that_is_as_it_should_be_is_kept(home: Household, field: dict[str, object]) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(**field))
    await home.do(STOP)
    await home.do(START)
    assert home.engine.made("one", "create") == ["create"]


@pytest.mark.parametrize("field", [{"limits": Limits(memory=2**29)}, {"environment": {"A": "1"}}])
async def test_a_container_that_is_not_as_it_should_be_is_made_anew(home: Household, field: dict[str, object]) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(**field))
    await home.do(STOP)
    await home.do(START)
    assert home.engine.made("one", "create") == ["create", "create"]


async def test_a_start_after_a_crash_follows_the_change_too(home: Household) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(startup="another", crash=CrashPolicy(backoff=(0,))))
    home.engine.end_game("one", 3)
    await until(lambda: home.engine.made("one", "start") == ["start", "start"])
    assert home.engine.boxes["one"].plan.specification.startup == "another"


async def test_an_older_specification_changes_nothing(home: Household) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(3, startup="newest"))
    for revision in (2, 3):
        update = await home.ask(UPDATE, payload=changed(revision, startup="older"))
        assert (await home.done(update)).fault is None
        (told,) = [each for each in home.teller.completed if each.command_id == update]
        assert told.result == {"revision": 3}
    assert home.server().record.specification.startup == "newest"


async def test_a_change_outlives_the_agent(home: Household) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(startup="another", hold=Hold.SUSPENDED))
    await home.kill()
    await home.begin()
    assert home.server().record.specification == changed(startup="another", hold=Hold.SUSPENDED)
    assert home.server().snapshot().hold == "suspended"


async def test_a_change_that_the_node_cannot_do_is_refused(home: Household) -> None:
    await home.running()
    probe = Probe(kind="query", protocol="unheard-of")
    with pytest.raises(Fault, match="No game query is called") as refusal:
        await home.ask(UPDATE, payload=changed(readiness=Readiness(probe=probe)))
    assert refusal.value.code is ErrorCode.CONFIG_INVALID
    assert home.server().snapshot().revision == 1


async def test_a_hold_stops_what_runs_and_its_end_starts_it_again(home: Household) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(hold=Hold.MAINTENANCE))
    await until(lambda: home.server().state is ServerState.STOPPED)
    assert home.engine.made("one")[-1] == "signal SIGTERM"
    assert home.server().life.desired is Desired.ON
    assert home.teller.crashes == []
    with pytest.raises(Fault, match="on hold"):
        await home.ask(START)
    await home.do(UPDATE, payload=changed(3))
    await until(lambda: home.server().state is ServerState.RUNNING)


async def test_what_was_off_before_a_hold_is_off_after_it(home: Household) -> None:
    await home.running()
    await home.do(STOP)
    await home.do(UPDATE, payload=changed(hold=Hold.SUSPENDED))
    await home.do(UPDATE, payload=changed(3))
    assert home.server().life.desired is Desired.OFF
    assert home.engine.made("one", "start") == ["start"]


async def test_a_held_server_may_be_told_to_stay_off(home: Household) -> None:
    home.engine.games["game"] = Game(time_to_stop_s=60)
    await home.running()
    await home.do(UPDATE, payload=changed(hold=Hold.SUSPENDED))
    await until(lambda: "signal SIGTERM" in home.engine.made("one"))
    stop = await home.ask(STOP)
    home.engine.end_game("one", 0)
    await home.done(stop)
    await home.do(UPDATE, payload=changed(3))
    assert home.server().life.desired is Desired.OFF
    assert home.engine.boxes["one"].running is None


async def test_a_held_server_is_not_started_by_an_agent_that_begins(home: Household) -> None:
    await home.running()
    await home.do(UPDATE, payload=changed(hold=Hold.SUSPENDED))
    await until(lambda: home.server().state is ServerState.STOPPED)
    await home.kill()
    home.boot_id = "second boot"
    await home.begin()
    await home.do(UPDATE, payload=changed(3, hold=Hold.MAINTENANCE))
    assert home.engine.made("one", "start") == ["start"]
    assert home.server().life.desired is Desired.ON


async def test_a_hold_does_not_wait_for_a_game_to_be_ready(home: Household) -> None:
    never = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("never said",))})
    await home.do(CREATE, payload=never)
    start = await home.ask(START)
    await until(lambda: home.server().watch is not None)
    await home.do(UPDATE, payload=changed(hold=Hold.SUSPENDED))
    await until(lambda: home.server().state is ServerState.STOPPED)
    assert (await home.done(start)).fault is None
    assert home.server().life.desired is Desired.ON


async def test_another_change_waits_until_the_game_is_ready(home: Household) -> None:
    slow = SPECIFICATION.model_copy(update={"readiness": Readiness(text=("at last",))})
    await home.do(CREATE, payload=slow)
    start = await home.ask(START)
    await until(lambda: home.server().watch is not None)
    update = await home.ask(UPDATE, payload=changed(startup="another"))
    home.engine.output("one", b"at last\n")
    await home.done(update)
    (told,) = [each for each in home.teller.completed if each.command_id == start]
    assert told.result == {"ready": True}
