"""What the agent relies on from a game's console, held against the fake and against Docker with a real game."""

import asyncio
from typing import Any

from tests.fakes.until import until
from tests.integration.agent.processes import Docker
from tests.integration.engine.bench import Bench, Reading, code_of, ready

from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.protocol.errors import ErrorCode


async def test_what_a_game_wrote_is_kept(bench: Bench) -> None:
    plan = await bench.created()
    assert await kept(bench, plan) == ""
    first = await started_and_up(bench, plan, times=1)
    await bench.engine.signal(plan.server_id, "SIGKILL")
    await bench.has_exited(plan)
    every = await kept(bench, plan)
    assert (await kept(bench, plan, tail=1)).splitlines() == every.splitlines()[-1:]
    assert await kept(bench, plan, tail=0) == ""
    again = await started_and_up(bench, plan, times=2)
    assert (await kept(bench, plan, since_s=first)).count("AAS initialized.") == 2
    assert (await kept(bench, plan, since_s=again)).count("AAS initialized.") == 1
    assert await kept(bench, plan, since_s=again + 3600) == ""


async def started_and_up(bench: Bench, plan: Plan, times: int) -> float:
    """Starts the game, waits for its word, which it then has said so many times, and tells when it was started."""
    await bench.engine.start(plan.server_id)
    started_at = (await bench.look(plan)).started_at
    assert started_at is not None

    async def is_up() -> bool:
        return (await kept(bench, plan)).count("AAS initialized.") == times

    await until(is_up)
    return started_at.timestamp()


async def kept(bench: Bench, plan: Plan, **part: Any) -> str:
    chunks = [chunk async for chunk in bench.engine.logs(plan.server_id, **part)]
    assert {chunk.stream for chunk in chunks} <= {"stdout", "stderr"}
    return b"".join(chunk.data for chunk in chunks).decode()


async def test_a_console_attached_before_the_start_misses_nothing_and_ends_with_the_game(bench: Bench) -> None:
    plan = await bench.created()
    reading = Reading(await bench.engine.attach(plan.server_id))
    await bench.engine.start(plan.server_id)
    await until(lambda: reading.has("AAS initialized."))
    await reading.attachment.write(b"status\n")
    await until(lambda: reading.has("map: oa_dm1"))
    await reading.attachment.write(b"quit\n")
    assert (await bench.has_exited(plan)).exit_code == 0
    async with asyncio.timeout(2):
        await reading.task
    assert await code_of(reading.attachment.write(b"status\n")) is ErrorCode.INVALID_STATE
    await reading.close()


async def test_closing_a_console_leaves_the_game_and_its_input_open(bench: Bench) -> None:
    plan = await bench.running()
    await ready(bench, plan)
    await ready(bench, plan)
    assert (await bench.look(plan)).is_running


async def test_a_write_to_a_game_that_does_not_read_ends_in_time_and_holds_no_memory(
    bench: Bench, real: Docker
) -> None:
    plan = await bench.running()
    reading = Reading(await bench.engine.attach(plan.server_id))
    await ready(bench, plan)
    await bench.engine.signal(plan.server_id, "SIGSTOP")
    real.run("pause", f"ctrl-alt-play-{plan.server_id}")

    async def write_until_full() -> ErrorCode:
        for _ in range(1000):
            await reading.attachment.write(b"x" * 65536)
        raise AssertionError("it took 64 MiB")

    assert await code_of(write_until_full()) is ErrorCode.TIMEOUT
    began = asyncio.get_running_loop().time()
    assert await code_of(reading.attachment.write(b"status\n")) is ErrorCode.TIMEOUT
    assert asyncio.get_running_loop().time() - began < 1
    real.run("unpause", f"ctrl-alt-play-{plan.server_id}")
    await reading.close()
