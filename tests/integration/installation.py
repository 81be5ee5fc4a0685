"""A whole Ctrl-Alt-Play for a test: a real panel and a real agent, as processes, with data and ports of their own."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from tests.waiting import until

from ctrl_alt_play.panel.bootstrap import bootstrap
from ctrl_alt_play.panel.config import load


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=30).stdout.strip()


class Installation:
    """`api` is logged in as the administrator. All that is started is ended by `close`, and the containers are removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node_id = f"node-{secrets.token_hex(4)}"
        self.port, self.agents_port, self.health_port = free_port(), free_port(), free_port()
        self.panel: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        self._first = (self.panel, self.agent)
        with ThreadPoolExecutor(1) as elsewhere:  # a browser that is open has this thread's loop
            first = bootstrap(load(data=folder), self.node_id, self.node_id, known_secret=None)
            made = elsewhere.submit(asyncio.run, first).result()
        self.owner_password = made.owner_password
        self._secret = made.node_secret
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {made.access_token}"},
            timeout=20,
        )

    def start_panel(self, **settings: str) -> None:
        ports = {"PORT": str(self.port), "WEBSOCKET_PORT": str(self.agents_port), "HOST": "127.0.0.1"}
        self.panel = self._start("panel", {**ports, **settings})

    def start_agent(self, **settings: str) -> None:
        self.agent = self._start(
            "agent",
            {
                "PANEL_URL": f"ws://127.0.0.1:{self.agents_port}",
                "NODE_ID": self.node_id,
                "AGENT_SECRET": self._secret,
                "HEALTH_PORT": str(self.health_port),
                **settings,
            },
        )

    def _start(self, name: str, settings: dict[str, str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **settings, "CTRL_ALT_PLAY_DATA": str(self.folder)}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ctrl_alt_play", name], env=environment, stdout=log, stderr=log
            )

    def start(self, **panel_settings: str) -> "Installation":
        self.start_panel(**panel_settings)
        self.wait_for_panel()
        self.start_agent()
        self.wait_for_node()
        self._first, self._offered = (self.panel, self.agent), self._offers()
        return self

    def _offers(self) -> list[Any]:
        """What a node has for servers, as far as somebody decided that."""
        path = f"/api/nodes/{self.node_id}"
        node, decided = self.get(path), ("name", "enabled", "address", "tags", "openness", "extra_memory", "extra_cpu")
        return [*(node[field] for field in decided), self.get(f"{path}/ports")["items"], self.get("/api/registries")]

    def is_as_it_was(self) -> bool:
        """Whether the same programs run, and there are no other accounts, nodes and offers of these than in the beginning."""
        is_running = all(program is not None and program.poll() is None for program in self._first)
        others = [self.get(path)["items"][1:] for path in ("/api/users", "/api/nodes")]
        is_same = (self.panel, self.agent) == self._first and self._offers() == self._offered
        return is_running and is_same and others == [[], []]

    def empty(self) -> None:
        """No servers any more, and no templates."""
        for server in self.get("/api/servers")["items"]:
            self.do("DELETE", f"/api/servers/{server['id']}")
        for template in self.get("/api/templates")["items"]:
            self.api.delete(f"/api/templates/{template['id']}").raise_for_status()

    def wait_for_panel(self) -> None:
        def answers() -> bool:
            try:
                return self.api.get("/api/health").is_success
            except httpx.TransportError:
                return False

        until(answers, f"the panel answers; its log: {self.log('panel')}", 20)

    def wait_for_node(self) -> None:
        until(
            lambda: self.get(f"/api/nodes/{self.node_id}")["online"],
            f"the node is online; its log: {self.log('agent')}",
            20,
        )

    def log(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text()[-3000:] if file.exists() else ""

    # The API

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def order(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Asks for an operation; it is accepted."""
        answer = self.api.request(method, path, json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def ended(self, operation: dict[str, Any], timeout_s: float = 30) -> dict[str, Any]:
        """Follows an operation to its end."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"/api/operations/{operation['id']}")
            return found if found["state"] in {"succeeded", "failed"} else None

        return until(look, f"{operation['kind']} ends", timeout_s) or {}

    def do(self, method: str, path: str, body: Any = None, timeout_s: float = 30) -> dict[str, Any]:
        """Asks for an operation, which succeeds."""
        operation = self.ended(self.order(method, path, body), timeout_s)
        assert operation["state"] == "succeeded", f"{operation}\n{self.log('agent')}"
        return operation

    def create(self, **body: Any) -> str:
        defaults = {"name": f"server {secrets.token_hex(3)}", "node_id": self.node_id}
        return str(self.do("POST", "/api/servers", {**defaults, **body})["server_id"])

    def status(self, server_id: str) -> str:
        return str(self.get(f"/api/servers/{server_id}/status")["status"])

    def measured(self, server_id: str) -> dict[str, Any]:
        return dict(self.do("POST", f"/api/servers/{server_id}/status")["result"])

    def console(self, server_id: str) -> str:
        return "\n".join(line["text"] for line in self.get(f"/api/servers/{server_id}/console", lines=1000)["lines"])

    def says(self, server_id: str, text: str, timeout_s: float = 10) -> None:
        until(lambda: text in self.console(server_id), f"{text!r} on the console", timeout_s)

    # Docker's own word

    def container(self, server_id: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(docker("inspect", f"ctrl-alt-play-{server_id}"))[0])
        except subprocess.CalledProcessError:
            return None

    def pid(self, server_id: str) -> int:
        container = self.container(server_id)
        return int(container["State"]["Pid"]) if container else 0

    # The end

    def kill(self, program: subprocess.Popen[bytes] | None) -> None:
        assert program is not None
        program.send_signal(signal.SIGKILL)
        program.wait()

    def end(self, program: subprocess.Popen[bytes] | None) -> float:
        """Asks a program to end; gives the seconds that it took."""
        if program is None or program.poll() is not None:
            return 0
        began = time.monotonic()
        program.terminate()
        try:
            program.wait(15)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
        return time.monotonic() - began

    def close(self) -> None:
        self.api.close()
        self.end(self.agent)
        self.end(self.panel)
        found = docker("ps", "-aq", "--filter", f"label=ctrl-alt-play.node-id={self.node_id}").split()
        if found:
            with contextlib.suppress(subprocess.CalledProcessError):
                docker("rm", "-fv", *found)


def run_until(condition: Callable[[], bool], what: str, timeout_s: float) -> float:
    """Waits for a condition; gives the seconds that it took."""
    began = time.monotonic()
    until(condition, what, timeout_s)
    return time.monotonic() - began
