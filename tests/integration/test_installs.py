"""Installers with a real panel, agent and engine: whatever is killed or cut off in whichever phase, the outcome is told truly."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.agent.test_sudden_ends import OwnEngine
from tests.integration.defects import puppet
from tests.integration.installation import Installation, docker
from tests.integration.loops import own_loop
from tests.integration.page.way import proxied
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

SCRIPT = """
cd /mnt/server
echo one
while [ ! -e go ]; do busybox sleep 0.05; done
echo two
read -r code <go
busybox rm go
echo game >game.jar
echo three
exit "$code"
"""
WORDS = ["one", "two", "three"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with puppet.image(tmp_path_factory.mktemp("puppet")) as name:
        yield name


class Install:
    """A server whose installer waits until it is let go."""

    def __init__(self, installation: Installation, image: str, script: str = SCRIPT, **more: Any) -> None:
        self.installation = installation
        self.image = image
        recipe = {"image": image, "startup": "/bin/sh /puppet", "installer": {"image": image, "script": script, **more}}
        body = {"name": f"server {secrets.token_hex(3)}", "node_id": installation.node_id, **recipe}
        self.operation = installation.order("POST", "/api/servers", body)
        self.id = self.operation["server_id"]
        self.path = f"/api/servers/{self.id}"
        self.container = f"ctrl-alt-play.installer-{self.id}"

    @property
    def folder(self) -> Path:
        return self.installation.folder / "agent" / "servers" / self.id

    def is_at_work(self) -> "Install":
        until(lambda: "one" in self.said(), f"the installer of {self.id} is at work", 60)
        return self

    def goes_on(self, code: int = 0) -> None:
        beside = self.folder / "beside"
        beside.write_text(f"{code}\n")
        beside.rename(self.folder / "go")

    def again(self, *, wipe: bool = False) -> "Install":
        self.operation = self.installation.order("POST", f"{self.path}/reinstall", {"wipe": wipe})
        return self

    def ended(self, state: str = "succeeded") -> dict[str, Any]:
        operation = self.installation.ended(self.operation, 60)
        assert operation["state"] == state, f"{operation}\n{self.installation.log('agent')}"
        return operation

    def status(self) -> str:
        return self.installation.status(self.id)

    def becomes(self, status: str) -> None:
        until(lambda: self.status() == status, f"{self.id} is {status}; it is {self.status()}", 20)

    def said(self) -> list[str]:
        """What the installer wrote, in order; gaps with what is missing. Nothing while the node is away."""
        answer = self.installation.api.get(f"{self.path}/console", params={"lines": 1000})
        lines = answer.json()["lines"] if answer.is_success else []
        return [line["lost"] or line["text"] for line in lines if line["stream"] != "node"]

    def leaves_nothing(self, *arguments: str) -> None:
        def is_gone() -> bool:
            return not docker(*arguments, "ps", "-aq", "--filter", f"name={self.container}")

        until(is_gone, f"no container is left of {self.id}'s installer", 20)

    def is_whole(self) -> None:
        """It is installed, and each line was heard once."""
        assert self.status() == "OFFLINE"
        assert self.said() == WORDS
        made = self.folder / "game.jar"
        assert made.stat().st_uid == self.folder.stat().st_uid != 0
        self.leaves_nothing()


# How it goes


def test_an_installer_fills_a_server_which_is_reinstalled_with_and_without_its_files(
    installation: Installation, image: str
) -> None:
    install = Install(installation, image).is_at_work()
    assert install.status() == "INSTALLING"
    assert install.folder.stat().st_uid != 0
    install.goes_on()
    install.ended()
    install.is_whole()
    installation.do("POST", f"{install.path}/start")
    assert install.status() == "RUNNING"
    (install.folder / "world").write_text("precious")
    install.again()
    until(lambda: install.said()[3:4] == ["one"] or "one" in install.said()[3:], "the installer is at work", 30)
    assert install.status() == "INSTALLING"
    install.goes_on()
    install.ended()
    assert (install.folder / "world").read_text() == "precious"
    install.again(wipe=True)
    until(lambda: not (install.folder / "world").exists() and install.status() == "INSTALLING", "it is emptied", 30)
    until(lambda: install.said().count("one") == 3, "the installer is at work", 30)
    install.goes_on()
    install.ended()
    assert sorted(each.name for each in install.folder.iterdir()) == ["game.jar"]


def test_a_failed_installer_is_told_with_its_last_words_and_can_be_deleted(
    installation: Installation, image: str
) -> None:
    install = Install(installation, image).is_at_work()
    install.goes_on(7)
    failed = install.ended("failed")
    assert failed["code"] == "INSTALL_FAILED"
    assert failed["message"].splitlines()[1:] == WORDS
    assert "exit code 7" in failed["message"]
    assert install.status() == "INSTALL_FAILED"
    install.leaves_nothing()
    assert installation.api.post(f"{install.path}/start").status_code == 409
    assert install.status() == "INSTALL_FAILED"
    installation.do("DELETE", install.path)
    assert not install.folder.exists()


def test_an_installer_that_leaves_nothing_is_said(installation: Installation, image: str) -> None:
    install = Install(installation, image, "exit 0")
    assert "left no file" in install.ended()["message"]
    assert install.status() == "OFFLINE"


def test_an_installer_that_outgrows_its_disk_or_its_time_is_ended(installation: Installation, image: str) -> None:
    grows = "cd /mnt/server; while :; do busybox dd if=/dev/zero bs=1M count=1 >>big; busybox sleep 0.1; done"
    install = Install(installation, image, "busybox sleep 1000", timeout=10)
    assert install.ended("failed")["code"] == "TIMEOUT"
    install.leaves_nothing()
    installation.api.patch(install.path, json={"limits": {"disk": 5 * 2**20}, "installer": None}).raise_for_status()
    recipe = {"installer": {"image": image, "script": grows}}
    installation.api.patch(install.path, json=recipe).raise_for_status()
    assert install.again().ended("failed")["code"] == "INSUFFICIENT_RESOURCES"
    install.leaves_nothing()


def test_an_installation_is_cancelled_within_seconds(installation: Installation, image: str) -> None:
    install = Install(installation, image).is_at_work()
    installation.order("POST", f"/api/operations/{install.operation['id']}/cancel")
    assert installation.ended(install.operation, 10)["code"] == "CANCELLED"
    install.leaves_nothing()
    assert install.status() == "INSTALL_FAILED"


def test_a_deletion_does_not_wait_for_an_installer(installation: Installation, image: str) -> None:
    install = Install(installation, image).is_at_work()
    installation.do("DELETE", install.path, timeout_s=15)
    install.leaves_nothing()
    assert not install.folder.exists()


# What is killed

Strike = Callable[[Install], None]


def kill_agent(install: Install) -> None:
    install.installation.kill(install.installation.agent)


def agent_comes(install: Install) -> None:
    install.installation.start_agent()
    node_comes(install)


def node_comes(install: Install) -> None:
    """However long its pauses have become before it tries again."""
    path = f"/api/nodes/{install.installation.node_id}"
    until(lambda: install.installation.get(path)["online"], "the node is online", 90)


def kill_panel(install: Install) -> None:
    install.installation.kill(install.installation.panel)


def panel_comes(install: Install) -> None:
    install.installation.start_panel()
    install.installation.wait_for_panel()
    node_comes(install)


PROGRAMS = pytest.mark.parametrize(
    ("kill", "come"), [(kill_agent, agent_comes), (kill_panel, panel_comes)], ids=["agent", "panel"]
)


@PROGRAMS
def test_killed_at_any_moment_of_a_creation(installation: Installation, image: str, kill: Strike, come: Strike) -> None:
    for pause_s in (0.0, 0.05, 0.2):
        install = Install(installation, image)
        time.sleep(pause_s)  # the point in time is what is tested
        kill(install)
        come(install)
        install.is_at_work().goes_on()
        install.ended()
        install.is_whole()


@PROGRAMS
def test_killed_while_the_installer_works(installation: Installation, image: str, kill: Strike, come: Strike) -> None:
    install = Install(installation, image).is_at_work()
    kill(install)
    come(install)
    assert install.status() == "INSTALLING"
    install.goes_on()
    install.ended()
    install.is_whole()


@PROGRAMS
@pytest.mark.parametrize("code", [0, 3])
def test_dead_while_the_installer_ends(
    installation: Installation, image: str, kill: Strike, come: Strike, code: int
) -> None:
    install = Install(installation, image).is_at_work()
    kill(install)
    install.goes_on(code)
    until((install.folder / "game.jar").exists, "the installer is done", 20)
    until(lambda: "running" not in state_of(install), "the installer has ended", 20)
    come(install)
    if code == 0:
        install.ended()
        install.is_whole()
    else:
        assert f"exit code {code}" in install.ended("failed")["message"]
        assert install.status() == "INSTALL_FAILED"
        assert install.said() == WORDS


def state_of(install: Install) -> str:
    return docker("ps", "-a", "--filter", f"name={install.container}", "--format", "{{.State}}")


@PROGRAMS
def test_killed_at_the_moment_of_the_end(installation: Installation, image: str, kill: Strike, come: Strike) -> None:
    for pause_s in (0.05, 0.2):
        install = Install(installation, image).is_at_work()
        install.goes_on()
        time.sleep(pause_s)  # the point in time is what is tested
        kill(install)
        come(install)
        install.ended()
        install.is_whole()


def test_an_installer_that_is_killed_has_failed(installation: Installation, image: str) -> None:
    install = Install(installation, image).is_at_work()
    docker("kill", install.container)
    assert "exit code 137" in install.ended("failed")["message"]
    assert install.status() == "INSTALL_FAILED"


@pytest.mark.parametrize("is_dead", [True, False])
def test_an_installer_whose_container_is_removed_has_failed(
    installation: Installation, image: str, *, is_dead: bool
) -> None:
    install = Install(installation, image).is_at_work()
    if is_dead:
        kill_agent(install)
    docker("rm", "--force", install.container)
    if is_dead:
        agent_comes(install)
    message = install.ended("failed")["message"]
    assert "was removed while it was at work" in message or (not is_dead and "137" in message)
    assert install.status() == "INSTALL_FAILED"


def test_the_network_is_cut_while_the_installer_works(tmp_path: Path, image: str) -> None:
    installation = Installation(tmp_path)
    try:
        installation.start_panel()
        installation.wait_for_panel()
        with proxied(installation.agents_port) as (port, cut):
            installation.start_agent(PANEL_URL=f"ws://127.0.0.1:{port}")
            installation.wait_for_node()
            install = Install(installation, image).is_at_work()
            cut()
            install.goes_on()
            cut()
            install.ended()
            install.is_whole()
    finally:
        installation.close()


@pytest.mark.parametrize("ends", ["with it", "while it is away", "after it is back"])
def test_the_engine_dies_while_the_installer_works(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, image: str, ends: str
) -> None:
    """With `live-restore` the installer goes on without it. What it writes then Docker keeps, unless it also ends then."""
    installation = Installation(tmp_path)
    with own_loop() as run:
        engine = OwnEngine(tmp_path_factory.mktemp("own"))  # the path of a socket is short
        try:
            run(engine.open())
            docker("save", "--output", str(tmp_path / "image.tar"), image)
            docker("--host", engine.host, "load", "--input", str(tmp_path / "image.tar"))
            installation.start_panel()
            installation.wait_for_panel()
            installation.start_agent(DOCKER_HOST=engine.host)
            installation.wait_for_node()
            install = Install(installation, image).is_at_work()
            pid = docker("--host", engine.host, "inspect", "--format", "{{.State.Pid}}", install.container)
            run(engine.kill())
            install.becomes("UNKNOWN")
            if ends == "with it":
                run(engine.end(int(pid)))
            elif ends == "while it is away":
                install.goes_on()
                until((install.folder / "game.jar").exists, "the installer is done", 20)
            assert installation.get(f"/api/operations/{install.operation['id']}")["state"] == "running"
            run(engine.start())
            if ends == "with it":
                assert install.ended("failed")["code"] == "INSTALL_FAILED"
                install.becomes("INSTALL_FAILED")
            else:
                if ends == "after it is back":
                    install.becomes("INSTALLING")
                    install.goes_on()
                install.ended()
                install.becomes("OFFLINE")
                said = install.said()
                assert said == WORDS if ends == "after it is back" else (said[0], said[-1]) == ("one", "away")
            install.leaves_nothing("--host", engine.host)
        finally:
            installation.close()
            run(engine.close())
