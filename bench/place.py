"""Where things are measured, and how a figure is told."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from tests.integration.installation import Installation

RECIPE = json.dumps(
    {
        "image": "example.org/bench:1",
        "limits": {"memory": 2**31, "cpu": 200},
        "ports": [{"internal": 1, "external": 27960, "address": "192.0.2.7"}],
    }
)


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

    def add_servers(self, nodes: int, each: int) -> None:
        """`swarm-0-0` and so on, as they are in the database: no agent of the swarm makes any."""
        owner = self.installation.get("/api/auth/me")["id"]
        now = datetime.now(UTC).isoformat(" ")
        names = "id, name, node_id, owner_id, specification, desired, observed, observed_at, observed_since, hold, created_at"
        rows = [
            (
                f"swarm-{node}-{number}",
                f"server {node}-{number}",
                f"bench-{node}",
                owner,
                RECIPE,
                "on",
                "running",
                now,
                now,
                "none",
                now,
            )
            for node in range(nodes)
            for number in range(each)
        ]
        with self.database() as database:
            database.executemany(f"INSERT INTO servers ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 - of our own words

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.folder / "panel.db", timeout=20)) as connection, connection:
            yield connection


def show(name: str, ours: float, bare: float, unit: str) -> None:
    ratio = f"{ours / bare:6.1f} x" if bare > 0 else "     -"
    print(f"{name:44} {ours:8.2f} {unit:3} {bare:8.2f} {unit:3} {ratio}", flush=True)


def remark(sentence: str) -> None:
    print(f"  {sentence}", flush=True)
