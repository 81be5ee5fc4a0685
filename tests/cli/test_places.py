"""What nodes offer, on the command line: capacity, ports, and whether they take servers."""

from typing import Any

import pytest
from tests.cli.panel import FakePanel
from tests.cli.test_commands import run

GIB = 2**30
ROOM = {"total": 16 * GIB, "allowed": 24 * GIB, "promised": 25 * GIB, "used": 3 * GIB, "free": -GIB}
CPU = {"total": 800, "allowed": 400, "promised": 150, "used": None, "free": 250}
NODE = {
    "id": "first",
    "name": "Attic",
    "address": "play.example.org",
    "tags": ["eu", "ssd"],
    "openness": "draining",
    "servers": 3,
    "extra_memory": 50,
    "extra_cpu": -50,
    "extra_disk": 0,
    "capacity": {"memory": ROOM, "cpu": CPU, "disk": dict.fromkeys(ROOM) | {"promised": 0}},
}
RANGE = {"id": "r1", "first": 2000, "last": 2009, "protocol": "both", "address": "0.0.0.0", "alias": None, "free": 8}
HELD = {"port": 2000, "protocol": "udp", "address": "0.0.0.0", "name": "game", "server_id": "s", "server_name": "arena"}


def sent(panel: FakePanel, *arguments: str) -> Any:
    panel.answers["GET", "/api/nodes/first"] = NODE
    panel.answers["PATCH", "/api/nodes/first"] = NODE
    done = run("node", *arguments)
    assert done.exit_code == 0, done.output
    ((_, _, body),) = panel.changes
    return body


def test_a_node_shows_what_it_has_has_promised_and_uses(panel: FakePanel) -> None:
    panel.answers["GET", "/api/nodes/first"] = NODE
    lines = [line.split("  ") for line in run("node", "show", "first").stdout.splitlines()]
    told = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert told[1] == ["first", "Attic", "draining", "play.example.org", "eu, ssd", "3"]
    assert told[4] == ["memory", "+50 %", "16 GiB", "24 GiB", "25 GiB", "-1 GiB", "3 GiB"]
    assert told[5] == ["cpu", "-50 %", "800 %", "400 %", "150 %", "250 %", "-"]
    assert told[6] == ["disk", "+0 %", "-", "-", "0 B", "-", "-"]


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("--address", "a.example.org", "--extra-cpu", "100"), {"address": "a.example.org", "extra_cpu": 100}),
        (("--address", ""), {"address": None}),
        (("--tag", "NVMe", "--untag", "eu"), {"tags": ["ssd", "nvme"]}),
        (("--extra-memory=-20", "--extra-disk", "0"), {"extra_memory": -20, "extra_disk": 0}),
    ],
)
def test_a_change_of_a_node_sends_only_what_is_to_change(
    panel: FakePanel, arguments: tuple[str, ...], body: Any
) -> None:
    assert sent(panel, "update", "first", *arguments) == body


@pytest.mark.parametrize(("order", "openness"), [("drain", "draining"), ("maintain", "maintenance"), ("open", "open")])
def test_a_node_is_drained_held_and_opened(panel: FakePanel, order: str, openness: str) -> None:
    assert sent(panel, order, "first") == {"openness": openness}


def test_ports_are_listed_with_who_holds_them(panel: FakePanel) -> None:
    panel.answers["GET", "/api/nodes/first/ports"] = {"items": [RANGE], "next_cursor": None}
    panel.answers["GET", "/api/nodes/first/allocations"] = {"items": [HELD], "next_cursor": None}
    assert "2000-2009" in run("node", "ports", "list", "first").stdout
    line = run("node", "ports", "held", "first", "--range", "r1").stdout.splitlines()[1]
    assert line.split() == ["2000/udp", "0.0.0.0", "game", "arena"]
    assert panel.asked[-1][2] == {"range_id": "r1"}


def test_ports_are_added_changed_and_removed(panel: FakePanel) -> None:
    panel.answers["POST", "/api/nodes/first/ports"] = (201, RANGE)
    panel.answers["PATCH", "/api/nodes/first/ports/r1"] = RANGE
    panel.answers["DELETE", "/api/nodes/first/ports/r1"] = (204, None)
    for arguments in (
        ("add", "first", "2000-2009", "--protocol", "udp", "--alias", "play.example.org"),
        ("add", "first", "2000"),
        ("change", "first", "r1", "--ports", "2000-2019", "--alias", ""),
        ("remove", "first", "r1"),
    ):
        done = run("node", "ports", *arguments)
        assert done.exit_code == 0, done.output
    assert panel.changes == [
        (
            "POST",
            "/api/nodes/first/ports",
            {"first": 2000, "last": 2009, "protocol": "udp", "alias": "play.example.org"},
        ),
        ("POST", "/api/nodes/first/ports", {"first": 2000, "last": 2000}),
        ("PATCH", "/api/nodes/first/ports/r1", {"first": 2000, "last": 2019, "alias": None}),
        ("DELETE", "/api/nodes/first/ports/r1", None),
    ]
    assert run("node", "ports", "add", "first", "many").exit_code == 2
