"""A fault has struck only where there was something to strike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.until import until
from tests.faults.disk import Disk
from tests.faults.faults import Faults
from tests.faults.plan import Blow, Fault, Kind, Order
from tests.faults.programs import Program
from tests.faults.proxy import Link, Way
from tests.faults.world import World


class Sleeper(Program):
    """A program that does nothing at all."""

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec("sleep", "60")


def blow(fault: Fault) -> Blow:
    return Blow(fault, Order(1, 3, Kind.START, 0, is_patient=True), 0, 0, 0.5)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One in which nothing runs yet."""
    world = World(tmp_path)
    disk = Disk(tmp_path / "panel", 1)
    disk.folder.mkdir()
    world.panel = Sleeper("panel", disk.folder / "panel.db", disk, {})
    return world


@pytest_asyncio.fixture
async def link() -> AsyncIterator[Link]:
    """A way to something that says again whatever it is told."""

    async def say_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.transport.abort()

    server = await asyncio.start_server(say_again, "127.0.0.1", 0)
    link = Link(server.sockets[0].getsockname()[1])
    await link.open()
    yield link
    await link.close()
    server.close()


@asynccontextmanager
async def connected(link: Link) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_cut_strikes_where_there_is_a_connection(link: Link) -> None:
    link.cut()
    assert link.hits == 0
    async with connected(link) as (reader, writer):
        writer.write(b"hello")
        assert await reader.read(5) == b"hello"
        link.cut()
        assert link.hits == 1
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)


async def test_a_link_that_refuses_strikes_who_comes(link: Link) -> None:
    with link.refusing():
        assert link.hits == 0
        async with connected(link):
            await until(lambda: link.hits == 1)


@pytest.mark.parametrize("way", Way)
async def test_a_one_way_link_strikes_what_it_holds_up(link: Link, way: Way) -> None:
    async with connected(link) as (reader, writer):
        with link.one_way(way):
            assert link.hits == 0
            writer.write(b"hello")
            await until(lambda: link.hits == 1)
        assert await reader.read(5) == b"hello"


async def test_a_slow_link_strikes_what_comes_through(link: Link) -> None:
    async with connected(link) as (reader, writer):
        with link.slow(0.01, 1_000_000):
            assert link.hits == 0
            writer.write(b"hello")
            assert await reader.read(5) == b"hello"
        assert link.hits == 2


@pytest.mark.parametrize("fault", [Fault.PANEL_KILLED, Fault.PANEL_ENDED])
async def test_an_end_strikes_what_lives(world: World, fault: Fault) -> None:
    faults = Faults(world, lambda _: None)
    assert not await faults.strike(blow(fault))
    assert await faults.strike(blow(fault))
    await world.panel.kill()


async def test_a_jump_strikes_a_program_that_sees_it(world: World) -> None:
    """This one was begun without the library that has it see another time."""
    await world.panel.start()
    assert not await Faults(world, lambda _: None).strike(blow(Fault.PANEL_CLOCK))
    await world.panel.kill()


async def test_a_lock_strikes_where_it_is_held(world: World) -> None:
    assert await Faults(world, lambda _: None).strike(blow(Fault.PANEL_LOCKED))


async def test_no_game_is_killed_where_there_is_none(world: World) -> None:
    faults = Faults(world, lambda slot: None if slot % 2 else f"server-{slot}")
    assert not await faults.strike(blow(Fault.GAME_KILLED))
    assert faults.killed_games == []
