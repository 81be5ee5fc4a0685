"""What a service manager hears, over a real socket of its kind."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctrl_alt_play.supervision import Supervisor


class Manager:
    """The end of systemd."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(5)

    def hears(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def hears_no_more(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(
        str(tmp_path / "notify") if request.param == "path" else f"@ctrl-alt-play-{secrets.token_hex(4)}",
    )
    yield made
    made.close()


def test_it_hears_when_a_program_is_ready_and_when_it_ends(manager: Manager) -> None:
    supervisor = Supervisor.of_environment({"NOTIFY_SOCKET": manager.address})
    supervisor.ready()
    supervisor.stopping()
    assert manager.hears() == ["READY=1"]
    assert manager.hears() == ["STOPPING=1", "STATUS=ending"]


def test_a_reload_is_told_with_its_moment_and_ends_in_being_ready(manager: Manager) -> None:
    supervisor = Supervisor(manager.address)
    supervisor.ready()
    before = time.monotonic_ns() // 1000
    with pytest.raises(ZeroDivisionError), supervisor.reloading():
        raise ZeroDivisionError
    assert manager.hears() == ["READY=1"]
    reloading, moment = manager.hears()
    assert reloading == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert manager.hears() == ["READY=1"]


def test_a_reload_does_not_make_ready_what_is_not(manager: Manager) -> None:
    with Supervisor(manager.address).reloading():
        pass
    assert manager.hears_no_more()


async def test_the_status_is_told_when_it_changes_and_the_watchdog_is_fed_all_the_time(manager: Manager) -> None:
    sentences = iter(["panel away", "panel away", "panel\nconnected"])
    supervisor = Supervisor.of_environment({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000"})
    task = asyncio.create_task(supervisor.keep_informed(lambda: next(sentences, "over")))
    heard = [await asyncio.to_thread(manager.hears) for _ in range(4)]
    task.cancel()
    assert heard == [
        ["STATUS=panel away", "WATCHDOG=1"],
        ["WATCHDOG=1"],
        ["STATUS=panel connected", "WATCHDOG=1"],
        ["STATUS=over", "WATCHDOG=1"],
    ]


@pytest.mark.parametrize(
    "environment", [{"WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid() + 1)}, {"WATCHDOG_USEC": "many"}, {}]
)
async def test_a_watchdog_that_is_not_for_this_process_is_not_fed(
    manager: Manager, environment: dict[str, str]
) -> None:
    supervisor = Supervisor.of_environment({"NOTIFY_SOCKET": manager.address, **environment})
    task = asyncio.create_task(supervisor.keep_informed(lambda: "well"))
    assert await asyncio.to_thread(manager.hears) == ["STATUS=well"]
    task.cancel()


async def test_a_manager_that_does_not_read_holds_nothing_up_and_hears_the_status_later(manager: Manager) -> None:
    supervisor = Supervisor(manager.address, watchdog_s=0.01)
    said, enough = 0, asyncio.Event()

    def status() -> str:
        nonlocal said
        said += 1
        if said > 200:
            enough.set()
        return "full" if said > 100 else f"number {said}"

    task = asyncio.create_task(supervisor.keep_informed(status))
    began = time.monotonic()
    await enough.wait()
    assert time.monotonic() - began < 200 * 0.1
    heard: list[str] = []
    while "STATUS=full" not in heard:
        heard += await asyncio.to_thread(manager.hears)
    task.cancel()


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all", "@", "x" * 200, "vsock:2:1234", "a\0b"])
async def test_where_nobody_listens_nothing_happens(address: str | None) -> None:
    supervisor = Supervisor.of_environment({"NOTIFY_SOCKET": address} if address is not None else {})
    task = asyncio.create_task(supervisor.keep_informed(lambda: "well"))
    supervisor.ready()
    with supervisor.reloading():
        pass
    supervisor.stopping()
    await asyncio.wait([task], timeout=0.01)
    assert task.cancel() or task.exception() is None
