"""Where things are measured, and how a figure is told."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from tests.integration.installation import Installation


@dataclass(frozen=True)
class Bare:
    """The reference: `bench.bare` in a process of its own."""

    pid: int
    port: int
    api: httpx.Client


@dataclass(frozen=True)
class Place:
    """A panel and an agent that run, and the bare server beside them. `secret` opens the panel's door to every node that it knows."""

    folder: Path
    installation: Installation
    secret: str
    bare: Bare

    @property
    def panel(self) -> psutil.Process:
        assert self.installation.panel is not None
        return psutil.Process(self.installation.panel.pid)

    @property
    def agents_url(self) -> str:
        return f"ws://127.0.0.1:{self.installation.agents_port}/"

    @property
    def bare_url(self) -> str:
        return f"ws://127.0.0.1:{self.bare.port}/"

    def add_nodes(self, count: int) -> None:
        """`bench-0` and so on, which the swarm calls itself."""
        for number in range(count):
            node = {"id": f"bench-{number}", "name": f"bench {number}"}
            self.installation.api.post("/api/nodes", json=node).raise_for_status()


def show(name: str, ours: float, bare: float, unit: str) -> None:
    ratio = f"{ours / bare:6.1f} x" if bare > 0 else "     -"
    print(f"{name:44} {ours:8.2f} {unit:3} {bare:8.2f} {unit:3} {ratio}", flush=True)


def remark(sentence: str) -> None:
    print(f"  {sentence}", flush=True)
