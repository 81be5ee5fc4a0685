"""`server attach`, `logs` and `top` with a real panel, agent and game: typed at a terminal, over a restart of the panel."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import Terminal
from tests.integration.defects import puppet as puppets
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
UP, LEFT, CTRL_C, CTRL_D = "\x1b[A", "\x1b[D", "\x03", "\x04"
COUNTING = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); busybox usleep 10000; done; echo all told"


@pytest.fixture
def puppet(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    with puppets.image(tmp_path) as image:
        made = Puppet(installation, image)
        made.does("start")
        yield made
        installation.api.delete(made.path)
        until(lambda: installation.container(made.id) is None, "the container is gone", 20)


@pytest.fixture
def login(installation: Installation) -> dict[str, str]:
    token = installation.api.headers["Authorization"].removeprefix("Bearer ")
    return {"CTRL_ALT_PLAY_URL": str(installation.api.base_url), "CTRL_ALT_PLAY_TOKEN": token}


def run(login: dict[str, str], *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ctrl_alt_play", "server", *arguments]
    return subprocess.run(
        command, env={**os.environ, **login}, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


def restart_panel(installation: Installation) -> None:
    installation.end(installation.panel)
    installation.start_panel()
    installation.wait_for_panel()


def test_a_console_is_typed_into_over_a_restart_of_the_panel_and_left_with_the_game_running(
    installation: Installation, puppet: Puppet, login: dict[str, str]
) -> None:
    before = puppet.pid
    with Terminal(["server", "attach", puppet.id], **login) as terminal:
        terminal.shows("ready", ">")
        terminal.types("echo fort\r")
        terminal.shows("fort\r\n")
        terminal.types(f"echo twenty{LEFT * 6}one-and-\r")
        terminal.shows("one-and-twenty\r\n")
        terminal.types(f"{UP}{UP}-night\r")
        terminal.shows("fort-night\r\n")
        restart_panel(installation)
        terminal.shows("there again")
        installation.wait_for_node()
        terminal.types("echo still; echo here\r")
        terminal.shows("still\r\n", "here\r\n")
        terminal.types(CTRL_D)
        terminal.shows("Detached")
        assert terminal.ends() == 0
    with Terminal(["server", "attach", puppet.id], **login) as terminal:
        terminal.shows("here", ">")
        terminal.types(CTRL_C)
        assert terminal.ends() == 0
    assert puppet.pid == before != 0


def test_a_console_is_followed_over_a_restart_of_the_panel_line_by_line(
    installation: Installation, puppet: Puppet, login: dict[str, str]
) -> None:
    with Terminal(["server", "logs", puppet.id, "-f"], columns=1000, **login) as terminal:
        terminal.shows("ready")
        puppet.types(COUNTING)
        terminal.shows("line 20\r\n")
        restart_panel(installation)
        terminal.shows("all told\r\n", timeout_s=30)
        terminal.types(CTRL_C)
        assert terminal.ends() == 0
    told = [line for line in terminal.text.split("\r\n") if line.startswith("line ")]
    assert told == [f"line {number}" for number in range(400)]
    found = run(login, "logs", puppet.id, "--search", "line 39[0-2]$", "--regex").stdout.split()
    assert found[1::2] == ["390", "391", "392"]


def test_a_program_types_and_a_console_ends_with_its_server(
    installation: Installation, puppet: Puppet, login: dict[str, str], tmp_path: Path
) -> None:
    done = run(login, "attach", puppet.id, typed="echo one\necho two\n")
    assert (done.returncode, "one\ntwo\n" in done.stdout) == (0, True), done
    file = tmp_path / "console.txt"
    assert run(login, "logs", puppet.id, "--download", str(file)).returncode == 0
    assert file.read_text().startswith("ready\n")
    assert "RUNNING" in run(login, "top", "--once").stdout
    puppet.does("stop")
    refused = run(login, "attach", puppet.id, typed="echo three\n")
    assert (refused.returncode, "Not sent: echo three" in refused.stderr) == (1, True), refused
    with Terminal(["server", "attach", puppet.id], **login) as terminal:
        terminal.shows("two", ">")
        installation.do("DELETE", puppet.path)
        assert terminal.ends() == 3


@pytest.mark.usefixtures("puppet")
def test_top_is_told_figures_every_second_for_as_long_as_it_looks(login: dict[str, str]) -> None:
    """Else they are measured every 15 s."""
    command = [sys.executable, "-m", "ctrl_alt_play", "server", "top", "--json"]
    measured: set[str] = set()
    began = time.monotonic()
    with subprocess.Popen(command, env={**os.environ, **login}, stdout=subprocess.PIPE, text=True) as top:
        assert top.stdout is not None
        while len(measured) < 6:
            (server,) = json.loads(top.stdout.readline())
            measured |= {at for at in [(server["figures"] or {}).get("measured_at")] if at}
        top.send_signal(signal.SIGINT)
        assert top.wait(20) == 0
    assert time.monotonic() - began < 60
