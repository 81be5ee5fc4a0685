"""What the agent relies on from an engine, held against the fake and against Docker with a real game."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.until import until
from tests.integration.agent.processes import Docker
from tests.integration.engine.bench import NODE, OPENARENA, UID, Bench, changes_of, code_of, ready

from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.agent.engine.container import fingerprint
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.specification import Hold, Readiness, StopRule

# A container's life


async def test_a_container_is_created_started_and_ends_by_its_signal(bench: Bench) -> None:
    plan = await bench.created()
    made = await bench.look(plan)
    assert (made.state, made.pid, made.exit_code, made.started_at) == (ContainerState.CREATED, None, None, None)
    assert (made.server_id, made.node_id) == (plan.server_id, NODE)
    await bench.engine.start(plan.server_id)
    running = await bench.look(plan)
    assert running.is_running
    assert running.pid
    assert running.started_at is not None
    assert running.started_at.tzinfo is not None
    await ready(bench, plan)
    await bench.engine.signal(plan.server_id, "SIGTERM")
    ended = await bench.has_exited(plan)
    assert (ended.exit_code, ended.pid, ended.oom_killed, ended.id) == (1, None, False, made.id)


async def test_a_container_runs_again_after_its_end(bench: Bench) -> None:
    plan = await bench.running()
    before = await bench.look(plan)
    await bench.engine.signal(plan.server_id, "SIGKILL")
    assert (await bench.has_exited(plan)).exit_code == 137
    await bench.engine.start(plan.server_id)
    again = await bench.look(plan)
    assert (again.id, again.is_running, again.exit_code) == (before.id, True, None)
    assert again.pid != before.pid


async def test_what_was_done_already_does_nothing(bench: Bench) -> None:
    plan = await bench.created()
    made = await bench.look(plan)
    await bench.engine.create(plan)
    assert (await bench.look(plan)).id == made.id
    await bench.engine.start(plan.server_id)
    pid = (await bench.look(plan)).pid
    await bench.engine.start(plan.server_id)
    assert (await bench.look(plan)).pid == pid
    await bench.engine.signal(plan.server_id, "SIGKILL")
    await bench.has_exited(plan)
    await bench.engine.signal(plan.server_id, "SIGTERM")
    await bench.engine.remove(plan.server_id)
    await bench.engine.remove(plan.server_id)
    assert await bench.engine.inspect(plan.server_id) is None


async def test_a_running_container_is_removed_with_its_game(bench: Bench) -> None:
    plan = await bench.running()
    await bench.engine.remove(plan.server_id)
    assert await bench.engine.inspect(plan.server_id) is None


async def test_a_container_tells_what_it_was_made_from_and_where_it_is_reached(bench: Bench) -> None:
    plan = await bench.created(revision=7, readiness=Readiness(text=("AAS initialized.",)))
    made = await bench.look(plan)
    assert made.specification == plan.specification
    assert (made.fingerprint, made.uid, made.image) == (fingerprint(plan), UID, OPENARENA.image)
    assert made.image_id
    assert (made.address, made.finished_at) == (None, None)
    await bench.engine.start(plan.server_id)
    running = await bench.look(plan)
    assert running.address
    assert running.finished_at is None
    assert replace(running, address=None, state=made.state, pid=None, started_at=None) == made
    before = running.started_at
    await bench.engine.signal(plan.server_id, "SIGKILL")
    ended = await bench.has_exited(plan)
    assert ended.finished_at is not None
    assert before is not None
    assert ended.finished_at >= before
    assert (ended.address, ended.started_at) == (None, None)


async def test_a_container_stays_where_only_what_the_agent_goes_by_has_changed(bench: Bench) -> None:
    plan = await bench.created()
    made = await bench.look(plan)
    changes = {"revision": 9, "stop": StopRule(timeout=1), "hold": Hold.MAINTENANCE, "readiness": Readiness(timeout=1)}
    other = replace(plan, specification=plan.specification.model_copy(update=changes))
    assert fingerprint(other) == made.fingerprint
    await bench.engine.create(other)
    assert await bench.look(plan) == made


# Looking


async def test_all_of_ours_are_listed(bench: Bench) -> None:
    plans = [await bench.created(), await bench.created()]
    listed = {container.server_id: container for container in await bench.engine.list()}
    for plan in plans:
        assert listed[plan.server_id] == await bench.look(plan)


async def test_changes_are_told_from_the_subscription_on(bench: Bench) -> None:
    async with changes_of(bench) as seen:
        assert seen[0].what == "subscribed"
        plan = await bench.running()
        await bench.engine.signal(plan.server_id, "SIGKILL")
        await bench.has_exited(plan)
        await bench.engine.remove(plan.server_id)
        told = ["create", "start", "die", "destroy"]
        await until(lambda: [c.what for c in seen if c.server_id == plan.server_id] == told)


async def test_a_running_container_is_measured_and_no_other(bench: Bench) -> None:
    plan = await bench.created()
    assert await bench.engine.sample(plan.server_id) is None
    await bench.engine.start(plan.server_id)
    sample = await bench.engine.sample(plan.server_id)
    assert sample is not None
    assert 0 < sample.memory_bytes < sample.memory_limit_bytes == OPENARENA.memory_bytes
    assert sample.cpu_ns > 0
    assert sample.pids >= 1
    assert await bench.engine.sample("nobody") is None


async def test_the_engine_says_what_it_is(bench: Bench) -> None:
    info = await bench.engine.info()
    assert info.version
    assert "bridge" in info.networks


# Errors


async def test_an_image_that_is_nowhere_is_not_found(bench: Bench) -> None:
    missing = "localhost:1/ctrl-alt-play/missing:1"
    assert await code_of(bench.engine.ensure_image(missing)) is ErrorCode.IMAGE_NOT_FOUND
    assert await code_of(bench.engine.create(bench.plan(image=missing))) is ErrorCode.IMAGE_NOT_FOUND


async def test_a_name_that_is_taken_by_another_plan_is_refused(bench: Bench) -> None:
    plan = await bench.created()
    made = await bench.look(plan)
    other = replace(plan, specification=plan.specification.model_copy(update={"environment": {"MODE": "other"}}))
    assert await code_of(bench.engine.create(other)) is ErrorCode.SERVER_EXISTS
    assert await code_of(bench.engine.create(replace(plan, node_id="another"))) is ErrorCode.SERVER_EXISTS
    assert await bench.look(plan) == made


@pytest.mark.parametrize("what", ["start", "unpause", "signal", "attach", "logs"])
async def test_a_container_that_is_not_there_is_not_found(bench: Bench, what: str) -> None:
    works = {
        "start": lambda: bench.engine.start("nobody"),
        "unpause": lambda: bench.engine.unpause("nobody"),
        "signal": lambda: bench.engine.signal("nobody", "SIGTERM"),
        "attach": lambda: bench.engine.attach("nobody"),
        "logs": lambda: anext(aiter(bench.engine.logs("nobody"))),
    }
    assert await code_of(works[what]()) is ErrorCode.CONTAINER_NOT_FOUND
    assert await bench.engine.inspect("nobody") is None


# Images


async def test_an_image_is_listed_with_who_uses_it_and_removed_once_nobody_does(bench: Bench) -> None:
    names = bench.image(), bench.image()
    plan = await bench.created(image=names[0])
    used, free = [await bench.listed(name) for name in names]
    assert (used.names, used.servers, used.others) == ((names[0],), (plan.server_id,), ())
    assert (free.servers, free.others) == ((), ())
    assert used.size_bytes > 0
    assert used.created_at is not None
    assert used.created_at.tzinfo is not None
    assert used.id == await bench.engine.image_id(names[0]) == await bench.engine.image_id(used.id)
    assert await code_of(bench.engine.remove_image(used)) is ErrorCode.INVALID_STATE
    await bench.engine.remove(plan.server_id)
    for image in (used, free, free):
        await bench.engine.remove_image(image)
    assert [await bench.engine.image_id(name) for name in names] == [None, None]
    assert await bench.engine.image_bytes() > 0


async def test_an_image_that_cannot_be_pulled_stays_as_it_is(bench: Bench) -> None:
    name = bench.image()
    before = await bench.engine.image_id(name)
    assert before is not None
    assert await code_of(bench.engine.pull_image(name)) is ErrorCode.IMAGE_NOT_FOUND
    assert await bench.engine.image_id(name) == before
    await bench.engine.ensure_image(name)
    await bench.engine.remove_image(await bench.listed(name))


# Docker alone


async def test_fifty_containers_are_known_in_well_under_half_a_second(bench: Bench, real: Docker) -> None:
    plans = [bench.plan() for _ in range(50)]
    await bench.engine.ensure_image(OPENARENA.image)
    await asyncio.gather(*(bench.engine.create(plan) for plan in plans))
    began = asyncio.get_running_loop().time()
    listed = {container.server_id for container in await bench.engine.list()}
    assert asyncio.get_running_loop().time() - began < 0.5
    assert {plan.server_id for plan in plans} <= listed


async def test_a_container_with_much_in_its_labels_is_still_heard_of(bench: Bench, real: Docker) -> None:
    """Each event repeats the labels, with every special character written out."""
    small = {f"MODE_{n}": "<" * 1000 for n in range(60)}
    large = {f"MODE_{n}": "<" * 1000 for n in range(70)}
    async with changes_of(bench) as seen:
        told, untold = await bench.created(environment=small), await bench.created(environment=large)
        await until(lambda: {told.server_id, untold.server_id} <= {change.server_id for change in seen})
    assert (await bench.look(told)).specification == told.specification
    assert (await bench.look(untold)).specification is None


@pytest.mark.docker
async def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = DockerEngine(f"unix://{tmp_path}/nobody.sock")
    for work in (
        engine.info(),
        engine.list(),
        engine.inspect("x"),
        engine.start("x"),
        engine.attach("x"),
        anext(aiter(engine.logs("x"))),
        anext(aiter(engine.changes())),
    ):
        assert await code_of(work) is ErrorCode.DOCKER_UNAVAILABLE
    await engine.close()
