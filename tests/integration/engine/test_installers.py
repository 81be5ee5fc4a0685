"""What the agent relies on from an engine where it runs installers, held against the fake and against Docker."""

from collections.abc import Iterator

import pytest
from tests.fakes.boxes import Game
from tests.fakes.engine import FakeEngine
from tests.fakes.until import until
from tests.integration.agent.processes import Docker
from tests.integration.defects import puppet
from tests.integration.engine.bench import NODE, UID, Bench, Reading, changes_of, code_of

from ctrl_alt_play.agent.engine.base import Container, ContainerState, Plan, installer_of
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.specification import Installer, Limits

SCRIPT = "echo hello >&2\r\nexit 3\r\n"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with a shell in it, as real as Docker."""
    with puppet.image(tmp_path_factory.mktemp("shell")) as name:
        yield name


@pytest.fixture
def installer(bench: Bench, request: pytest.FixtureRequest) -> str:
    """The image of an installer that says hello, and ends with 3."""
    if isinstance(bench.engine, FakeEngine):
        bench.engine.images.add("installer")
        bench.engine.games["installer"] = Game(says=("hello",), says_last=(), ends_at_once_with=3)
        return "installer"
    return str(request.getfixturevalue("shell"))


def plan_of(bench: Bench, image: str, script: str = SCRIPT, **changes: object) -> Plan:
    return bench.plan(installer=Installer(image=image, script=script), **changes)


async def ended(bench: Bench, plan: Plan) -> Container:
    name = installer_of(plan.server_id)

    async def exited() -> Container | None:
        found = await bench.engine.inspect(name)
        return found if found is not None and found.state is ContainerState.EXITED else None

    found = await until(exited)
    assert found is not None
    return found


async def test_an_installer_is_made_read_and_ends_with_its_code(bench: Bench, installer: str) -> None:
    plan = plan_of(bench, installer)
    name = installer_of(plan.server_id)
    assert await bench.engine.inspect(name) is None
    await bench.engine.create_installer(plan)
    made = await bench.engine.inspect(name)
    assert made is not None
    assert made.state is ContainerState.CREATED
    reading = Reading(await bench.engine.attach(name))
    await bench.engine.start(name)
    await until(lambda: reading.has("hello"))
    found = await ended(bench, plan)
    assert (found.id, found.exit_code) == (made.id, 3)
    assert found.finished_at is not None
    await until(reading.task.done)
    await reading.close()
    assert reading.data == {"stdout": b"", "stderr": b"hello\n"}
    assert [chunk.data async for chunk in bench.engine.logs(name, tail=10)] == [b"hello\n"]


async def test_the_image_of_an_installer_is_used_by_its_server(bench: Bench, installer: str) -> None:
    plan = plan_of(bench, installer)
    await bench.engine.create_installer(plan)
    id_ = await bench.engine.image_id(installer)
    (image,) = [each for each in await bench.engine.list_images() if each.id == id_]
    assert plan.server_id in image.servers
    assert not [name for name in image.others if plan.server_id in name]


async def test_an_installer_is_no_servers_container(bench: Bench, installer: str) -> None:
    plan = plan_of(bench, installer)
    async with changes_of(bench) as seen:
        await bench.engine.create_installer(plan)
        await bench.engine.start(installer_of(plan.server_id))
        await ended(bench, plan)
        assert plan.server_id not in {each.server_id for each in await bench.engine.list()}
        assert await bench.engine.inspect(plan.server_id) is None
        other = await bench.created()
        await until(lambda: [change.server_id for change in seen] == ["", other.server_id])
    await bench.engine.create(plan)
    assert await bench.engine.inspect(plan.server_id) is not None
    await bench.engine.remove(plan.server_id)
    assert (await ended(bench, plan)).exit_code == 3


async def test_an_installer_is_made_once_and_removed_at_any_time(bench: Bench, installer: str) -> None:
    plan = plan_of(bench, installer)
    name = installer_of(plan.server_id)
    await bench.engine.create_installer(plan)
    assert await code_of(bench.engine.create_installer(plan)) is ErrorCode.SERVER_EXISTS
    await bench.engine.remove(name)
    await bench.engine.remove(name)
    assert await bench.engine.inspect(name) is None
    await bench.engine.create_installer(plan)


async def test_what_an_installer_has_written_is_known(bench: Bench, installer: str) -> None:
    plan = plan_of(bench, installer)
    name = installer_of(plan.server_id)
    assert await bench.engine.written_bytes(name) is None
    await bench.engine.create_installer(plan)
    assert (await bench.engine.written_bytes(name) or 0) < 64 * 1024


async def test_an_installers_image_that_is_nowhere_is_not_found(bench: Bench) -> None:
    plan = plan_of(bench, "localhost:1/ctrl-alt-play/missing:1")
    assert await code_of(bench.engine.create_installer(plan)) is ErrorCode.IMAGE_NOT_FOUND


# Docker alone


async def test_an_installer_is_root_with_no_more_of_its_powers_than_packages_need(
    bench: Bench, real: Docker, installer: str
) -> None:
    script = "busybox grep -E 'Cap|NoNew|^Uid' /proc/self/status; echo $MODE $HOME; busybox pwd; busybox dd if=/dev/zero of=/big bs=1M count=3"
    plan = plan_of(bench, installer, f"{script}\necho made >/mnt/server/made", limits=Limits(memory=64 * 2**20, cpu=50))
    name = installer_of(plan.server_id)
    await bench.engine.create_installer(plan)
    await bench.engine.start(name)
    assert (await ended(bench, plan)).exit_code == 0
    said = b"".join([chunk.data async for chunk in bench.engine.logs(name)]).decode()
    # chown, dac_override, fowner, fsetid, setgid, setuid
    for line in ("CapEff:\t00000000000000db", "CapBnd:\t00000000000000db", "NoNewPrivs:\t1", "Uid:\t0", "test /root"):
        assert line in said
    assert (await bench.engine.written_bytes(name) or 0) >= 3 * 2**20
    assert (plan.folder / "made").stat().st_uid == 0
    assert plan.folder.stat().st_uid == UID
    identifier = (await ended(bench, plan)).id
    host, config = (real.inspected(identifier)[key] for key in ("HostConfig", "Config"))
    assert (host["Memory"], host["CpuQuota"], host["PidsLimit"]) == (2**30, 100_000, 512)
    assert (host["SecurityOpt"], host["CapDrop"], host["Privileged"]) == (["no-new-privileges"], ["ALL"], False)
    assert (host["Binds"], host["PortBindings"] or None, host["NetworkMode"]) == (None, None, "ctrl-alt-play")
    assert (config["OpenStdin"], config["Tty"], config["Labels"]["ctrl-alt-play.node-id"]) == (False, False, NODE)
