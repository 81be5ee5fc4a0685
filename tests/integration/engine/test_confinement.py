"""What a game's container really gets from Docker, and what it is kept from."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.until import until
from tests.integration.agent.processes import Docker
from tests.integration.engine.bench import NODE, OPENARENA, UID, Bench

from ctrl_alt_play.agent.engine import container as container_body
from ctrl_alt_play.agent.engine import docker as docker_engine
from ctrl_alt_play.agent.servers import readiness
from ctrl_alt_play.protocol.specification import Limits, Probe


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
