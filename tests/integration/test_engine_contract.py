"""What the agent relies on from an engine, held against the fake and against Docker with a real game."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.until import until
from tests.integration.agent.processes import Docker

from ctrl_alt_play.agent.engine import container as container_body
from ctrl_alt_play.agent.engine import docker as docker_engine
from ctrl_alt_play.agent.engine.base import Attachment, Change, Container, ContainerState, Engine, Plan
from ctrl_alt_play.agent.engine.container import fingerprint
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.agent.servers import readiness
from ctrl_alt_play.games import GAMES
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Hold, Limits, Port, Probe, Readiness, Specification, StopRule

OPENARENA = GAMES["openarena"]
UID = 20777 if os.geteuid() == 0 else os.getuid()
NODE = f"contract-{secrets.token_hex(4)}"


@dataclass
class Bench:
    """An engine, and plans for containers on it. `docker` is set where the engine is real."""

    engine: Engine
    folder: Path
    docker: Docker | None = None

    def plan(self, server_id: str | None = None, **changes: Any) -> Plan:
        server_id = server_id or f"contract-{secrets.token_hex(4)}"
        folder = self.folder / server_id
        folder.mkdir()
        os.chown(folder, UID, UID)
        specification = Specification(
            image=OPENARENA.image,
            startup=OPENARENA.startup,
            environment={"MODE": "test", "EMPTY": ""},
            limits=Limits(memory=OPENARENA.memory_bytes, cpu=50),
            ports=(Port(internal=OPENARENA.port, external=free_port(), protocol="udp"),),
        )
        return Plan(server_id, NODE, specification.model_copy(update=changes), folder, UID, UID)

    async def created(self, **changes: Any) -> Plan:
        plan = self.plan(**changes)
        await self.engine.ensure_image(plan.specification.image)
        await self.engine.create(plan)
        return plan

    async def running(self, **changes: Any) -> Plan:
        plan = await self.created(**changes)
        await self.engine.start(plan.server_id)
        return plan

    async def look(self, plan: Plan) -> Container:
        found = await self.engine.inspect(plan.server_id)
        assert found is not None
        return found

    async def has_exited(self, plan: Plan) -> Container:
        async def exited() -> Container | None:
            found = await self.look(plan)
            return found if found.state is ContainerState.EXITED else None

        found = await until(exited)
        assert found is not None
        return found


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    OPENARENA.build(tmp_path_factory.mktemp("games"), print)


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "fake":
        fake = FakeEngine()
        fake.images.add(OPENARENA.image)
        yield Bench(fake, tmp_path)
        await fake.close()
        return
    request.getfixturevalue("image")
    engine = DockerEngine()
    docker = Docker()
    try:
        yield Bench(engine, tmp_path, docker)
    finally:
        await engine.close()
        docker.remove_all(NODE)


class Reading:
    """All that comes from a console."""

    def __init__(self, attachment: Attachment) -> None:
        self.data: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self.attachment = attachment
        self.task = asyncio.create_task(self._read())

    def has(self, text: str) -> bool:
        return any(text.encode() in data for data in self.data.values())

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.attachment.close()

    async def _read(self) -> None:
        while (chunk := await self.attachment.read()) is not None:
            self.data[chunk.stream] += chunk.data


async def code_of(work: Any) -> ErrorCode:
    with pytest.raises(Fault) as raised:
        await work
    assert raised.value.message
    return raised.value.code


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


async def ready(bench: Bench, plan: Plan) -> None:
    """Waits until the game answers on its console: a signal before that ends it otherwise."""
    reading = Reading(await bench.engine.attach(plan.server_id))
    try:
        await reading.attachment.write(b"status\n")
        await until(lambda: reading.has("oa_dm1"))
    finally:
        await reading.close()


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


# The console


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


# Looking


async def test_all_of_ours_are_listed(bench: Bench) -> None:
    plans = [await bench.created(), await bench.created()]
    listed = {container.server_id: container for container in await bench.engine.list()}
    for plan in plans:
        assert listed[plan.server_id] == await bench.look(plan)


async def test_changes_are_told_from_the_subscription_on(bench: Bench) -> None:
    seen: list[Change] = []
    subscribed = asyncio.Event()

    async def watch() -> None:
        async with aclosing(bench.engine.changes()) as changes:  # type: ignore[type-var]  # it is a generator
            async for change in changes:
                seen.append(change)
                subscribed.set()

    watching = asyncio.create_task(watch())
    await subscribed.wait()
    assert seen[0].what == "subscribed"
    plan = await bench.running()
    await bench.engine.signal(plan.server_id, "SIGKILL")
    await bench.has_exited(plan)
    await bench.engine.remove(plan.server_id)
    await until(
        lambda: [c.what for c in seen if c.server_id == plan.server_id] == ["create", "start", "die", "destroy"]
    )
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


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


async def test_a_port_that_is_taken_is_a_conflict_and_free_again_later(bench: Bench) -> None:
    first = await bench.running()
    second = await bench.created(ports=first.specification.ports)
    assert await code_of(bench.engine.start(second.server_id)) is ErrorCode.PORT_CONFLICT
    failed = await bench.look(second)
    assert failed.state is ContainerState.CREATED
    assert "port is already allocated" in failed.error
    await bench.engine.remove(first.server_id)
    await bench.engine.start(second.server_id)
    assert (await bench.look(second)).is_running


@pytest.mark.parametrize("what", ["start", "signal", "attach", "logs"])
async def test_a_container_that_is_not_there_is_not_found(bench: Bench, what: str) -> None:
    works = {
        "start": lambda: bench.engine.start("nobody"),
        "signal": lambda: bench.engine.signal("nobody", "SIGTERM"),
        "attach": lambda: bench.engine.attach("nobody"),
        "logs": lambda: anext(aiter(bench.engine.logs("nobody"))),
    }
    assert await code_of(works[what]()) is ErrorCode.CONTAINER_NOT_FOUND
    assert await bench.engine.inspect("nobody") is None


# Docker alone: what the container really got


@pytest.fixture
def real(bench: Bench) -> Docker:
    if bench.docker is None:
        pytest.skip("a fake has no kernel")
    return bench.docker


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
    heard: set[str] = set()
    subscribed = asyncio.Event()

    async def watch() -> None:
        async with aclosing(bench.engine.changes()) as changes:  # type: ignore[type-var]  # it is a generator
            async for change in changes:
                heard.add(change.server_id)
                subscribed.set()

    watching = asyncio.create_task(watch())
    await subscribed.wait()
    told, untold = await bench.created(environment=small), await bench.created(environment=large)
    await until(lambda: {told.server_id, untold.server_id} <= heard)
    assert (await bench.look(told)).specification == told.specification
    assert (await bench.look(untold)).specification is None
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_game_is_reached_at_its_address(bench: Bench, real: Docker) -> None:
    plan = await bench.running()
    address = (await bench.look(plan)).address
    assert address is not None
    answers = Probe(kind="query", protocol="quake3")
    await until(lambda: readiness.answers(answers, address, OPENARENA.port, 1.0))


async def test_a_game_is_locked_up(bench: Bench, real: Docker) -> None:
    plan = await bench.running()
    found = await real.inspect(plan.server_id)
    assert found is not None
    host, config = found["HostConfig"], found["Config"]
    assert config["User"] == f"{UID}:{UID}"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["Init"] is True
    assert host["PidsLimit"] == 512
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108
    assert host["RestartPolicy"]["Name"] == "no"
    assert (config["OpenStdin"], config["StdinOnce"], config["Tty"]) == (True, False, False)
    status = await asyncio.to_thread(Path(f"/proc/{found['State']['Pid']}/status").read_text)
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", f"Uid:\t{UID}"):
        assert line in status


async def test_a_game_has_the_limits_that_were_asked_for(bench: Bench, real: Docker) -> None:
    plan = await bench.created(limits=Limits(memory=64 * 2**20, swap=32 * 2**20, cpu=150))
    bare = await bench.created(limits=Limits())
    unlimited_swap = await bench.created(limits=Limits(memory=64 * 2**20, swap=-1))
    hosts = []
    for each in (plan, bare, unlimited_swap):
        found = await real.inspect(each.server_id)
        assert found is not None
        hosts.append([found["HostConfig"][name] for name in ("Memory", "MemorySwap", "CpuPeriod", "CpuQuota")])
    assert hosts == [[2**26, 2**26 + 2**25, 100_000, 150_000], [0, 0, 0, 0], [2**26, -1, 0, 0]]


async def test_a_game_has_its_folder_ports_environment_and_labels(bench: Bench, real: Docker) -> None:
    plan = await bench.running()
    found = await real.inspect(plan.server_id)
    assert found is not None
    assert found["Name"] == f"/ctrl-alt-play-{plan.server_id}"
    (mount,) = found["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Destination"], mount["RW"]) == (
        "bind",
        str(plan.folder),
        "/home/container",
        True,
    )
    external = plan.specification.ports[0].external
    assert found["NetworkSettings"]["Ports"] == {"27960/udp": [{"HostIp": "0.0.0.0", "HostPort": str(external)}]}
    assert {"MODE=test", "EMPTY=", "HOME=/home/container", f"STARTUP={OPENARENA.startup}"} <= set(
        found["Config"]["Env"]
    )
    labels = found["Config"]["Labels"]
    assert labels["ctrl-alt-play.managed"] == "true"
    assert labels["ctrl-alt-play.server-id"] == plan.server_id
    assert labels["ctrl-alt-play.node-id"] == NODE
    assert (plan.folder / "baseoa").stat().st_uid == UID
    answer = await asyncio.to_thread(until_answers, external)
    assert answer.map == "oa_dm1"


def until_answers(port: int) -> Any:
    for _ in range(50):
        try:
            return OPENARENA.query("127.0.0.1", port, 0.2)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from answering
            last = error
    raise AssertionError(last)


async def test_servers_cannot_reach_each_other(bench: Bench, real: Docker) -> None:
    plan = await bench.running()
    found = await real.inspect(plan.server_id)
    assert found is not None
    assert list(found["NetworkSettings"]["Networks"]) == ["ctrl-alt-play"]
    option = '{{index .Options "com.docker.network.bridge.enable_icc"}}'
    assert real.run("network", "inspect", "--format", option, "ctrl-alt-play") == "false"


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


async def test_a_stopped_game_starts_again_when_its_network_was_pruned_meanwhile(
    bench: Bench, real: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = f"ctrl-alt-play-test-{secrets.token_hex(4)}"
    for module in (docker_engine, container_body):
        monkeypatch.setattr(module, "NETWORK", network)
    try:
        plan = await bench.running()
        await bench.engine.signal(plan.server_id, "SIGKILL")
        await bench.has_exited(plan)
        real.run("network", "rm", network)
        await bench.engine.start(plan.server_id)
        found = await real.inspect(plan.server_id)
        assert found is not None
        assert found["State"]["Running"]
        assert list(found["NetworkSettings"]["Networks"]) == [network]
        external = plan.specification.ports[0].external
        assert found["NetworkSettings"]["Ports"]["27960/udp"][0]["HostPort"] == str(external)
        await bench.engine.remove(plan.server_id)
    finally:
        real.run("network", "rm", network)


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


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port
