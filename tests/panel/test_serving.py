"""The panel as a process: what keeps it from starting, and how it ends."""

import asyncio
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest
from tests.foreign.agent import ForeignAgent
from tests.panel.support import make_config, until

from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel.bootstrap import bootstrap
from ctrl_alt_play.panel.serving import listen

PROGRAM = """
import sys
from pathlib import Path
from ctrl_alt_play.panel.config import load
from ctrl_alt_play.panel.main import run
run(load(data=Path(sys.argv[1]), host=sys.argv[2], port=int(sys.argv[3]), websocket_port=int(sys.argv[4])))
"""


async def start(
    folder: Path, people_port: int, agents_port: int, host: str = "127.0.0.1"
) -> asyncio.subprocess.Process:
    arguments = (sys.executable, "-c", PROGRAM, str(folder), host, str(people_port), str(agents_port))
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*arguments, stdout=pipe, stderr=pipe)


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_panel_promptly_with_agents_connected(tmp_path: Path, number: signal.Signals) -> None:
    made = await bootstrap(make_config(tmp_path), "local", "This machine")
    people_port, agents_port = free_ports()
    process = await start(tmp_path, people_port, agents_port)
    agent = ForeignAgent(f"ws://127.0.0.1:{agents_port}/", "local", made.node_secret)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{people_port}") as api:

        async def answers() -> bool:
            try:
                return (await api.get("/api/health")).status_code == 200
            except httpx.TransportError:
                return False

        await until(answers, 20)
        async with agent:
            began = time.monotonic()
            process.send_signal(number)
            output, errors = await asyncio.wait_for(process.communicate(), 10)
            assert time.monotonic() - began < 3
            assert await until(lambda: agent.closed_with) in (1001, 1012)
    assert process.returncode == 0
    assert b"Traceback" not in output + errors


@pytest.mark.parametrize("which", [0, 1])
async def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path, which: int) -> None:
    ports = free_ports()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", ports[which]))
        holder.listen()
        process = await start(tmp_path, *ports)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert errors.decode().count("\n") == 1
    assert str(ports[which]) in errors.decode()


def test_an_address_of_another_machine_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"192\.0\.2\.1"):
        listen(make_config(tmp_path, host="192.0.2.1"))


def test_a_port_that_may_not_be_bound_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.bind", forbidden)
    with pytest.raises(StartupError, match="may not be used"):
        listen(make_config(tmp_path, port=80))


def test_one_port_may_serve_both(tmp_path: Path) -> None:
    port, _ = free_ports()
    sockets = listen(make_config(tmp_path, port=port, websocket_port=port))
    assert len(sockets) == 1
    sockets[0].close()


async def test_a_database_that_cannot_be_used_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "panel.db").write_text("this is no database at all, only text, and enough of it to be read" * 20)
    process = await start(tmp_path, *free_ports())
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert errors.decode().count("\n") == 1
