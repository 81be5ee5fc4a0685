"""`ctrl-alt-play up` as a person runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.installation import docker, free_port
from tests.waiting import until

from ctrl_alt_play.client import Api, Login
from ctrl_alt_play.games.game import Game

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


class Up:
    """Runs of `up` on one data folder, with ports of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.environment = {
            **os.environ,
            "CTRL_ALT_PLAY_DATA": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PORT": str(self.port),
            "WEBSOCKET_PORT": str(free_port()),
            "HEALTH_PORT": str(free_port()),
        }

    @contextmanager
    def start(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """A run that ends with the block, whatever happens in it."""
        command = [sys.executable, "-m", "ctrl_alt_play", "up", *arguments]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=150)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "ctrl_alt_play", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    node = (made.folder / "data" / "node").read_text().split()[0]
    for container in docker("ps", "-aq", "--filter", f"label=ctrl-alt-play.node-id={node}").split():
        mounts = docker("inspect", "-f", "{{range .Mounts}}{{.Source}}{{end}}", container)
        if mounts.startswith(str(made.folder)):
            docker("rm", "-f", container)


@pytest.mark.usefixtures("built_games")
@pytest.mark.parametrize("game", ["minecraft", "openarena"])
def test_the_demo_checks_itself_and_leaves_nothing_behind(up: Up, game: str, built_games: dict[str, Game]) -> None:
    done = up.run("--demo", "--check", "--game", game)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"demo: {built_games[game].name} answered in ")
    assert last.endswith(" s")
    assert float(last.split()[-2]) > 0
    assert not list((up.folder / "data" / "agent" / "servers").iterdir())
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", up.port)) != 0
    assert not (up.folder / "config").exists()


@pytest.mark.usefixtures("built_games")
def test_ctrl_c_leaves_the_game_running_and_the_next_up_finds_it(up: Up) -> None:
    with up.start("--demo", "--game", "openarena") as first:
        assert first.stderr is not None
        said = _read_until(first, "Ctrl-C ends")
        assert "Your account: admin, password" in said
        assert "demo: OpenArena answered in" in said
        (server,) = _servers(up)
        assert server["status"] == "RUNNING"
        pid = docker("inspect", "-f", "{{.State.Pid}}", f"ctrl-alt-play-{server['id']}")
        began = time.monotonic()
        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 0
        assert time.monotonic() - began < 8
    assert Path(f"/proc/{pid}").exists()
    with up.start() as second:
        said = _read_until(second, "Ctrl-C ends")
        assert "password" not in said
        until(lambda: _servers(up)[0]["status"] == "RUNNING", "the game is found again")
        assert docker("inspect", "-f", "{{.State.Pid}}", f"ctrl-alt-play-{server['id']}") == pid
        _use_the_command_line(up, str(server["name"]))
        refused = up.run()
        assert refused.returncode == 1
        assert "runs already" in refused.stderr
        assert "Traceback" not in refused.stderr
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0


def _use_the_command_line(up: Up, name: str) -> None:
    listed = up.command("server", "list")
    assert name in listed.stdout
    assert "RUNNING" in listed.stdout
    sent = up.command("server", "send", name, "status")
    assert "map: oa_dm1" in sent.stdout
    assert '"status":"running"' in up.command("server", "status", name, "--json").stdout.replace(" ", "")
    assert up.command("server", "start", name).returncode == 1
    assert up.command("server", "start", "nobody").returncode == 3
    assert up.command("node", "list").stdout.count("online") == 1
    assert up.command("server", "stop", name).returncode == 0
    assert up.command("server", "delete", name, "--yes").returncode == 0
    assert _servers(up) == []


def test_a_taken_port_is_a_sentence(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", up.port))
        taken.listen()
        refused = up.run()
    assert refused.returncode == 1
    assert f"Port {up.port}" in refused.stderr
    assert "Traceback" not in refused.stderr
    (up.folder / "data" / "node").write_text("none")


def _servers(up: Up) -> list[dict[str, object]]:
    login = Login(**json.loads((up.folder / "config" / "ctrl-alt-play" / "login.json").read_text()))
    with Api(login) as api:
        return api.every("/api/servers")


def _read_until(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without saying {words!r}:\n{said}")
