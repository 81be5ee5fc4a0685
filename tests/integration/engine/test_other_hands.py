"""What others do on the node behind the agent's back, held against the fake and against Docker with a real game."""

import json
import secrets
import socket
from dataclasses import replace

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.until import until
from tests.integration.agent.processes import Docker
from tests.integration.engine.bench import OPENARENA, Bench, Reading, changes_of, code_of, fault_of, ready

from ctrl_alt_play.agent.engine.base import ContainerState
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.specification import Port

# Pausing


async def test_a_paused_container_runs_and_says_that_it_is_frozen(bench: Bench) -> None:
    plan = await bench.running()
    before = await bench.look(plan)
    async with changes_of(bench) as seen:
        await bench.pause(plan)
        assert await bench.look(plan) == replace(before, is_paused=True)
        await bench.engine.unpause(plan.server_id)
        await bench.engine.unpause(plan.server_id)
        assert await bench.look(plan) == before
        await until(lambda: [c.what for c in seen if c.server_id == plan.server_id] == ["pause", "unpause"])


async def test_what_is_typed_to_a_paused_game_is_read_when_it_goes_on(bench: Bench) -> None:
    plan = await bench.running()
    await ready(bench, plan)
    reading = Reading(await bench.engine.attach(plan.server_id))
    await bench.pause(plan)
    assert await code_of(bench.engine.attach(plan.server_id)) is ErrorCode.DOCKER_ERROR
    await reading.attachment.write(b"quit\n")
    assert (await bench.look(plan)).is_running
    await bench.engine.unpause(plan.server_id)
    assert (await bench.has_exited(plan)).exit_code == 0
    await reading.close()


@pytest.mark.parametrize(("signal", "exit_code"), [("SIGTERM", 1), ("SIGKILL", 137)])
async def test_a_paused_game_takes_its_signals(bench: Bench, signal: str, exit_code: int) -> None:
    plan = await bench.running()
    await ready(bench, plan)
    await bench.pause(plan)
    await bench.engine.signal(plan.server_id, signal)
    ended = await bench.has_exited(plan)
    assert (ended.exit_code, ended.is_paused) == (exit_code, False)


async def test_a_paused_container_is_removed_with_its_game(bench: Bench) -> None:
    plan = await bench.running()
    await bench.pause(plan)
    await bench.engine.remove(plan.server_id)
    assert await bench.engine.inspect(plan.server_id) is None


# Renaming


async def test_a_renamed_container_is_still_its_servers(bench: Bench, real: Docker) -> None:
    plan = await bench.created()
    made = await bench.look(plan)
    real.run("rename", made.id, f"renamed-{secrets.token_hex(4)}")
    assert await bench.look(plan) == made
    await bench.engine.create(plan)
    await bench.engine.start(plan.server_id)
    assert (await bench.look(plan)).id == made.id
    await ready(bench, plan)
    assert await bench.engine.sample(plan.server_id) is not None
    assert [chunk async for chunk in bench.engine.logs(plan.server_id)]
    await bench.engine.signal(plan.server_id, "SIGTERM")
    assert (await bench.has_exited(plan)).exit_code == 1
    other = replace(plan, specification=plan.specification.model_copy(update={"environment": {}}))
    assert await code_of(bench.engine.create(other)) is ErrorCode.SERVER_EXISTS
    await bench.engine.remove(plan.server_id)
    assert await bench.engine.inspect(plan.server_id) is None


async def test_a_strange_container_of_our_name_is_not_ours(bench: Bench, real: Docker) -> None:
    plan = bench.plan()
    name = f"ctrl-alt-play-{plan.server_id}"
    real.run("create", "--name", name, OPENARENA.image, "/none")
    try:
        assert await bench.engine.inspect(plan.server_id) is None
        await bench.engine.remove(plan.server_id)
        assert await code_of(bench.engine.create(plan)) is ErrorCode.SERVER_EXISTS
    finally:
        real.run("rm", name)


async def test_a_container_that_was_replaced_by_hand_is_found(bench: Bench, real: Docker) -> None:
    plan = await bench.created()
    made = await bench.look(plan)
    labels = [f"--label={name}={value}" for name, value in labels_of(real, made.id).items()]
    real.run("rm", made.id)
    id_ = real.run("create", *labels, OPENARENA.image, "/none")
    assert (await bench.look(plan)).id == id_
    await bench.engine.remove(plan.server_id)
    assert await bench.engine.inspect(plan.server_id) is None


def labels_of(real: Docker, id_: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(real.run("inspect", "--format", "{{json .Config.Labels}}", id_))
    return found


# Images


async def test_an_images_name_may_mean_another_image_later(bench: Bench) -> None:
    assert await bench.engine.image_id("localhost:1/ctrl-alt-play/missing:1") is None
    tag = f"ctrl-alt-play/test:{secrets.token_hex(6)}"
    name_image(bench, tag)
    plan = await bench.created(image=tag)
    made = await bench.look(plan)
    assert made.image_id == await bench.engine.image_id(tag)
    name_another_image(bench, tag)
    try:
        assert await bench.engine.image_id(tag) not in {None, made.image_id}
        assert await bench.look(plan) == made
    finally:
        await bench.engine.remove(plan.server_id)
        if bench.docker is not None:
            bench.docker.run("image", "rm", "--force", tag)


def name_image(bench: Bench, tag: str) -> None:
    if isinstance(bench.engine, FakeEngine):
        bench.engine.images.add(tag)
    elif bench.docker is not None:
        bench.docker.run("tag", OPENARENA.image, tag)


def name_another_image(bench: Bench, tag: str) -> None:
    if isinstance(bench.engine, FakeEngine):
        bench.engine.image_ids[tag] = "another"
    elif bench.docker is not None:
        bench.docker.run("import", "-", tag, data=bytes(1024))


# Ports


async def test_a_port_that_is_taken_is_a_conflict_and_free_again_later(bench: Bench) -> None:
    first = await bench.running()
    second = await bench.created(ports=first.specification.ports)
    fault = await fault_of(bench.engine.start(second.server_id))
    assert fault.code is ErrorCode.PORT_CONFLICT
    external = first.specification.ports[0].external
    assert fault.message.startswith(f"Port {external}/udp is taken on this node by server {first.server_id}. ")
    failed = await bench.look(second)
    assert failed.state is ContainerState.CREATED
    assert "port is already allocated" in failed.error
    await bench.engine.remove(first.server_id)
    await bench.engine.start(second.server_id)
    assert (await bench.look(second)).is_running


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_port_that_another_program_has_is_a_conflict_with_it(bench: Bench, protocol: str) -> None:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("0.0.0.0", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        external = taken.getsockname()[1]
        if isinstance(bench.engine, FakeEngine):
            bench.engine.taken_ports.add((external, protocol))
        port = Port.model_validate({"internal": OPENARENA.port, "external": external, "protocol": protocol})
        plan = await bench.created(ports=(port,))
        fault = await fault_of(bench.engine.start(plan.server_id))
    assert fault.code is ErrorCode.PORT_CONFLICT
    assert fault.message.startswith(f"Port {external}/{protocol} is taken on this node by another program. ")


async def test_a_port_that_a_strange_container_has_is_a_conflict_with_it(bench: Bench, real: Docker) -> None:
    first = await bench.running()
    (port,) = first.specification.ports
    name = f"strange-{secrets.token_hex(4)}"
    await bench.engine.remove(first.server_id)
    publish = f"127.0.0.1:{port.external}:{port.internal}/udp"
    real.run("run", "--detach", "--name", name, "--publish", publish, OPENARENA.image, *OPENARENA.startup.split())
    try:
        second = await bench.created(ports=(port,))
        fault = await fault_of(bench.engine.start(second.server_id))
    finally:
        real.run("rm", "--force", name)
    assert (
        f"Port {port.external}/udp is taken on this node by the container {name}, which is no server" in fault.message
    )
