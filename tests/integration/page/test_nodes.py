"""Nodes in the page: enrolled by the very command that it shows, away and back, refused, diagnosed, and deleted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation, free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


class Machine:
    """Another machine, as far as an agent can tell: with data, settings and a health port of its own."""

    def __init__(self, folder: Path) -> None:
        self.settings = folder / "agent.toml"
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = {
            **os.environ,
            "PATH": programs,
            "CTRL_ALT_PLAY_DATA": str(folder),
            "CTRL_ALT_PLAY_AGENT_CONFIG": str(self.settings),
            "HEALTH_PORT": str(free_port()),
        }
        self._log = folder / "log"
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> subprocess.Popen[bytes]:
        """As somebody would at its shell."""
        with self._log.open("ab") as log:
            program = subprocess.Popen(["sh", "-c", f"exec {command}"], env=self._environment, stdout=log, stderr=log)
        self._running.append(program)
        return program

    def says(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        for program in self._running:
            program.kill()
            program.wait()


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_machine_becomes_a_node_by_the_command_shown_goes_comes_back_and_is_deleted(
    page: Page, machine: Machine
) -> None:
    page.goto("/nodes")
    page.get_by_role("button", name="Add a node").click()
    page.get_by_label("Name").fill("Über the Attic")
    expect(page.get_by_label("Id", exact=True)).to_have_value("uber-the-attic")
    page.get_by_role("button", name="Make the command").click()
    expect(page.get_by_text("python3 -m venv")).to_contain_text("/api/enrolment/ctrl_alt_play-")
    page.get_by_text("is installed there already").click()
    command = page.get_by_text("ctrl-alt-play agent --enrol").last.inner_text()
    expect(page.get_by_text("Waiting for the node")).to_be_visible()
    agent = machine.run(command)
    expect(page.get_by_text("Über the Attic is connected.")).to_be_visible()
    assert machine.settings.stat().st_mode & 0o777 == 0o600
    token = command.partition("#")[2]
    assert token.encode() not in Path(f"/proc/{agent.pid}/cmdline").read_bytes()
    page.get_by_role("button", name="Done").click()
    attic = card(page, "Über the Attic")
    expect(attic.get_by_text("Connected")).to_be_visible()

    agent.kill()
    expect(attic.get_by_text("Away", exact=True)).to_be_visible()
    again = machine.run(command)
    assert again.wait(20) == 1
    assert "used already" in machine.says()
    machine.run("ctrl-alt-play agent")
    expect(attic.get_by_text("Connected")).to_be_visible()

    attic.get_by_role("link").click()
    expect(page.get_by_role("region", name="System").get_by_text("Docker", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_label("Type Über the Attic to confirm").fill("Über the Attic")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Nodes", level=1)).to_be_visible()
    expect(attic).to_have_count(0)


def test_a_wrong_secret_is_found_out_and_told_with_what_to_do(installation: Installation, page: Page) -> None:
    page.goto("/nodes")
    card(page, installation.node_id).get_by_role("link").click()
    expect(page.get_by_role("heading", name="What the node finds on itself")).to_be_visible()
    expect(page.get_by_text("checks are well").last).to_be_visible()
    installation.kill(installation.agent)
    expect(page.get_by_text("Its agent has been away")).to_be_visible()
    installation.start_agent(AGENT_SECRET="not the secret of any node".replace(" ", "-"))
    expect(page.get_by_text("comes with a wrong secret")).to_be_visible()
    expect(page.get_by_text("Make a new command here (Connect)")).to_be_visible()
    installation.kill(installation.agent)
    installation.start_agent()
    expect(page.get_by_text("comes with a wrong secret")).to_be_hidden()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()


def test_a_node_that_holds_servers_stays_and_what_nobody_knows_is_adopted(
    installation: Installation, page: Page, tmp_path: Path
) -> None:
    with puppet.image(tmp_path) as image:
        server = Puppet(installation, image, name="Castle")
        page.goto(f"/nodes/{installation.node_id}")
        expect(page.get_by_role("link", name="Castle").first).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog").get_by_text("1 server is on it")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        installation.kill(installation.agent)
        expect(page.get_by_text("Its agent has been away")).to_be_visible()
        installation.do("DELETE", f"{server.path}?force=true")
        expect(page.get_by_text("No server runs on this node.")).to_be_visible()
        installation.start_agent()
        page.get_by_role("button", name="Adopt").click()
        page.get_by_label("Name of the server").fill("Castle again")
        page.get_by_role("dialog").get_by_role("button", name="Adopt").click()
        expect(page.get_by_role("link", name="Castle again").first).to_be_visible()
        expect(page.get_by_role("heading", name="Orphans")).to_be_hidden()
        installation.do("DELETE", server.path)
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog").get_by_label("Type")).to_be_visible()
