"""A command is done once, however often it is sent, and gets the same answer each time."""

import asyncio

import pytest
from tests.fakes.household import Household
from tests.fakes.until import until

from ctrl_alt_play.agent.records import OperationRecord
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, LinePayload, Nothing
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Model

START, STOP, SAY = Action.START_SERVER, Action.STOP_SERVER, Action.SEND_COMMAND
LINE = LinePayload(line="status")


def command(action: Action, command_id: str = "the id", payload: Model | None = None) -> OperationRecord:
    return operation_of(action, "one", payload or Nothing(), command_id, None)


async def say(home: Household) -> object:
    return await home.fleet.send_line(command(SAY, payload=LINE), LINE)


def completions(home: Household) -> list[bool]:
    return [each.success for each in home.teller.completed if each.command_id == "the id"]


async def test_a_command_sent_again_is_not_done_again(home: Household) -> None:
    await home.running()
    assert await home.fleet.accept(command(Action.RESTART_SERVER)) is None
    known = await home.fleet.accept(command(Action.RESTART_SERVER))
    assert known is not None
    assert not known.has_ended
    await home.done("the id")
    again = await home.fleet.accept(command(Action.RESTART_SERVER))
    assert again is not None
    assert (again.has_ended, again.fault, again.accepted_at) == (True, None, known.accepted_at)
    assert home.engine.made("one", "start") == ["start", "start"]
    assert completions(home) == [True]


async def test_commands_of_one_id_at_once_are_one(home: Household) -> None:
    await home.running()
    taken = await asyncio.gather(*(home.fleet.accept(command(Action.RESTART_SERVER)) for _ in range(5)))
    assert taken.count(None) == 1
    await home.done("the id")
    assert home.engine.made("one", "start") == ["start", "start"]


async def test_a_command_sent_again_after_a_restart_of_the_agent_gets_the_first_answer(home: Household) -> None:
    await home.running()
    assert await home.fleet.accept(command(STOP)) is None
    await home.done("the id")
    accepted_at = (await home.journal.outcome("the id") or pytest.fail("it is forgotten")).accepted_at
    await home.kill()
    await home.begin()
    await home.do(START)
    known = await home.fleet.accept(command(STOP))
    assert known is not None
    assert known.accepted_at == accepted_at
    assert home.engine.boxes["one"].running is not None
    assert completions(home) == [True]


async def test_a_refused_command_may_be_sent_again_and_is_then_looked_at_anew(home: Household) -> None:
    await home.running()
    with pytest.raises(Fault, match="running already"):
        await home.fleet.accept(command(START))
    await home.do(STOP)
    assert await home.fleet.accept(command(START)) is None
    assert (await home.done("the id")).fault is None


async def test_a_line_of_one_id_is_written_once(home: Household) -> None:
    await home.running()
    assert await say(home) is None
    first = await say(home)
    assert first is not None
    assert await say(home) == first
    await until(lambda: "map: oa_dm1" in home.teller.texts("one"))
    assert home.teller.texts("one").count("map: oa_dm1") == 1
    assert completions(home) == [True]


async def test_a_line_of_one_id_is_not_written_again_after_a_restart_of_the_agent(home: Household) -> None:
    await home.running()
    await say(home)
    await home.kill()
    await home.begin()
    assert await say(home) is not None
    assert home.teller.texts("one").count("map: oa_dm1") <= 1
    assert completions(home) == [True]


async def test_a_line_that_could_not_be_written_is_refused_the_same_way_again(home: Household) -> None:
    server = await home.running()
    async with server.line_turns():
        for _ in range(2):
            with pytest.raises(Fault, match="does not read its console") as refusal:
                await say(home)
            assert refusal.value.code is ErrorCode.TIMEOUT
    assert completions(home) == [False]


async def test_a_line_cut_off_by_the_agents_death_ends_as_interrupted(home: Household) -> None:
    await home.running()
    await home.journal.accept(command(SAY, payload=LINE))
    await home.kill()
    await home.begin()
    known = await until(lambda: home.journal.outcome("the id"))
    await until(lambda: completions(home) == [False])
    known = await home.journal.outcome("the id")
    assert known is not None
    assert known.fault is not None
    assert known.fault.code is ErrorCode.INTERRUPTED
    with pytest.raises(Fault, match="whether the game got the line is not known"):
        await say(home)
