"""Both programs as processes: what their logs say and never say, what a supervisor hears, and what changes without a new start."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.installation import free_port
from tests.waiting import until

from ctrl_alt_play.panel.bootstrap import bootstrap
from ctrl_alt_play.panel.config import load

NODE_ID = "attic"
SHARED = "one-secret-for-every-node-of-this-house"


class Program:
    """One of the two. Its settings are in a file; its log goes to a file of its own, or to standard error."""

    def __init__(self, name: str, folder: Path, log_in_file: bool, **settings: Any) -> None:
        self.name = name
        self.settings_file = folder / f"{name}.toml"
        self.screen = folder / f"{name}.screen"
        self.log = folder / f"{name}.log" if log_in_file else self.screen
        self.settings = {"log_level": "debug", "log_format": "json", "data_folder": str(folder / "data"), **settings}
        if log_in_file:
            self.settings["log_file"] = str(self.log)
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / f"{name}.notify"))
        self.heard: list[str] = []
        """What the service manager was told so far."""
        self._socket = str(folder / f"{name}.notify")
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.write()
        names = {name.upper() for name in self.settings} | {"CTRL_ALT_PLAY_DATA"}
        environment = {name: value for name, value in os.environ.items() if name not in names}
        environment |= {"NOTIFY_SOCKET": self._socket, "WATCHDOG_USEC": "100000"}
        with self.screen.open("ab") as screen:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ctrl_alt_play", self.name, "--config", str(self.settings_file)],
                env=environment,
                stdout=screen,
                stderr=screen,
            )

    def write(self, **settings: Any) -> None:
        self.settings |= settings
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in self.settings.items())
        self.settings_file.write_text("".join(lines))

    def hang_up(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def _listen(self) -> None:
        while told := self._manager.recv(4096).decode():
            self.heard += told.split("\n")

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def said(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event and fields.items() <= each.items()]

    def says(self, event: str, count: int = 1, **fields: Any) -> None:
        self.until(lambda: len(self.said(event, **fields)) >= count, f"says {event} {fields}")

    def hears(self, condition: Callable[[list[str]], bool], what: str) -> None:
        """Waits for what the service manager is told."""
        self.until(lambda: condition(self.heard), what)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        def is_so() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.screen.read_text()
            return condition()

        until(is_so, f"{self.name} {what}", 20)

    def end(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket)
        self._listener.join()
        self._manager.close()


class House:
    """A panel and one node without an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        made = asyncio.run(bootstrap(load(data=folder / "data"), NODE_ID, NODE_ID))
        self.made = made
        port, agents_port = free_port(), free_port()
        self.panel = Program("panel", folder, True, host="127.0.0.1", port=port, websocket_port=agents_port)
        self.agent = Program(
            "agent",
            folder,
            False,
            panel_url=f"ws://127.0.0.1:{agents_port}",
            node_id=NODE_ID,
            agent_secret=made.node_secret,
            health_port=0,
            docker_host=f"unix://{folder}/no-engine.sock",
        )
        headers = {"Authorization": f"Bearer {made.access_token}"}
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20)

    def start(self) -> "House":
        self.panel.start()
        self.panel.hears(lambda heard: "READY=1" in heard, "is ready")
        self.agent.start()
        self.agent.hears(lambda heard: "READY=1" in heard, "is ready")
        self.panel.says("agent_connected")
        return self

    def post(self, path: str, body: Any, status: int = 201) -> httpx.Response:
        answer = self.api.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer

    def order_server(self, environment: dict[str, str]) -> httpx.Response:
        """Which the node refuses, for it has no engine."""
        specification = {
            "image": "example.org/games/quake:1",
            "startup": "./quake",
            "environment": environment,
            "limits": {"memory": 536870912, "cpu": 100},
        }
        return self.post("/api/servers", {"name": "Quake", "node_id": NODE_ID, **specification}, 503)

    def close(self) -> None:
        self.api.close()
        self.agent.close()
        self.panel.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    try:
        yield made.start()
    finally:
        made.close()


def test_one_id_leads_through_both_logs(house: House) -> None:
    refused = house.order_server({})
    operation_id, request_id = refused.json()["operation_id"], refused.headers["x-request-id"]
    house.agent.says("request_refused", command_id=operation_id, code="DOCKER_UNAVAILABLE")
    assert house.panel.said("operation_sent", operation_id=operation_id, request_id=request_id)
    assert house.panel.said("operation_refused", operation_id=operation_id, request_id=request_id)
    assert house.panel.said("request_answered", request_id=request_id, status=503)


def test_no_secret_is_in_any_log_at_the_level_that_tells_most(house: House) -> None:
    passwords = ["correct horse battery", "wrong horse battery", "rcon-pa55word"]
    house.post("/api/users", {"username": "olga", "password": passwords[0]})
    token = house.post("/api/auth/login", {"username": "olga", "password": passwords[0]}, 200).json()["access_token"]
    house.post("/api/auth/login", {"username": "olga", "password": passwords[1]}, 401)
    node_secret = house.post("/api/nodes", {"id": "cellar", "name": "Cellar"}).json()["secret"]
    house.order_server({"RCON_PASSWORD": passwords[2], "OPTIONS": "+set rconPassword rcon-pa55word"})
    for program in (house.panel, house.agent):
        program.write(agent_secret=SHARED)
        program.hang_up()
        program.says("settings_reloaded", changed=["AGENT_SECRET"])
    house.panel.says("agent_connected", 2)
    house.agent.write(agent_secret="not-the-secret-of-any-node")
    house.agent.hang_up()
    house.agent.says("panel_refuses_us", status=401)
    assert house.agent.end() == 0
    assert house.panel.end() == 0
    assert house.panel.said("agent_refused", status=401)
    assert not house.panel.said("library_message")

    signing_key = (house.folder / "data" / "jwt-secret").read_text().strip()
    secrets = [
        *passwords, token, node_secret, signing_key, SHARED, "not-the-secret-of-any-node",
        house.made.access_token, house.made.node_secret, str(house.made.owner_password),
    ]  # fmt: skip
    for program in (house.panel, house.agent):
        text = program.log.read_text() + program.screen.read_text()
        assert len(program.events) > 5
        assert [secret for secret in secrets if secret in text] == []
    assert house.panel.log.stat().st_mode & 0o777 == 0o600
    assert house.panel.screen.read_text() == ""


def test_a_supervisor_hears_all_from_being_ready_to_the_end(house: House) -> None:
    connected = "STATUS=panel connected, engine does not answer, 0 servers"
    house.agent.hears(lambda heard: connected in heard, "tells of its panel")
    house.panel.hears(lambda heard: any("1 node connected" in each for each in heard), "tells of its node")
    for program in (house.panel, house.agent):
        program.hang_up()
        program.hears(lambda heard: heard.count("READY=1") == 2, "is ready again")
        enough = program.heard.count("WATCHDOG=1") + 3
        program.hears(lambda heard, enough=enough: heard.count("WATCHDOG=1") >= enough, "lives")  # type: ignore[misc]
    for program in (house.agent, house.panel):
        assert program.end() == 0
        until(lambda heard=program.heard: "STOPPING=1" in heard, f"{program.name} tells that it ends")  # type: ignore[misc]
        heard = program.heard
        order = ["READY=1", "RELOADING=1", "STOPPING=1"]
        assert sorted(order, key=heard.index) == order
        assert heard[heard.index("RELOADING=1") + 1].startswith("MONOTONIC_USEC=")
        assert heard.index("STOPPING=1") > len(heard) - 1 - heard[::-1].index("READY=1")


def test_what_is_safe_changes_at_a_hangup_and_what_is_broken_changes_nothing(house: House) -> None:
    for program in (house.panel, house.agent):
        program.settings_file.write_text("log_level = ")
        program.hang_up()
        program.says("settings_not_reloaded")
    house.panel.write(port=1, log_level="info")
    house.panel.hang_up()
    house.panel.says("settings_need_restart", settings=["PORT"])
    before = len(house.panel.said("request_answered"))
    assert house.api.get("/api/health").is_success
    house.panel.log.rename(house.folder / "moved.log")
    house.panel.hang_up()
    house.panel.says("settings_reloaded", changed=[])
    assert house.panel.said("request_answered") == []
    moved = [json.loads(line) for line in (house.folder / "moved.log").read_text().splitlines()]
    assert len([event for event in moved if event["event"] == "request_answered"]) == before
    house.agent.write(health_port=1, node_id="elsewhere")
    house.agent.hang_up()
    house.agent.says("settings_need_restart", settings=["HEALTH_PORT", "NODE_ID"])
    assert len(house.agent.said("connected")) == 1
