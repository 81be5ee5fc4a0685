"""What the commands ask of a panel, what they print, and how they end."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.panel import OPERATION, SERVER, SERVER_ID, FakePanel
from typer.testing import CliRunner, Result

from ctrl_alt_play.cli.main import app

SERVER_PATH = f"/api/servers/{SERVER_ID}"
OPERATION_PATH = "/api/operations/cmd_1"
MIB = 1024 * 1024


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def changed(panel: FakePanel, *arguments: str) -> Any:
    """What `server update` sends."""
    panel.answers["PATCH", SERVER_PATH] = (202, OPERATION)
    done = run("server", "update", SERVER_ID, *arguments)
    assert done.exit_code == 0, done.output
    ((_, _, body),) = panel.changes
    return body


def test_an_update_sends_only_what_is_to_change(panel: FakePanel) -> None:
    given = ("--memory", "512M", "--ready-text", "Done", "--ready-text", "regex:up$", "--no-crash-restart")
    assert changed(panel, *given) == {
        "limits": {"memory": 512 * MIB},
        "readiness": {"text": ["Done", "regex:up$"]},
        "crash": {"restart": False},
    }


def test_how_much_of_a_console_is_kept_can_be_changed(panel: FakePanel) -> None:
    given = ("--console-size", "50M", "--console-days", "7", "--tty")
    assert changed(panel, *given) == {"console": {"tty": True, "keep_bytes": 50 * MIB, "keep_days": 7.0}}


def test_a_limit_can_be_taken_away(panel: FakePanel) -> None:
    assert changed(panel, "--memory", "0", "--cpu", "0", "--startup", "") == {
        "startup": "",
        "limits": {"memory": 0, "cpu": 0.0},
    }


def test_one_variable_is_set_or_removed_and_the_others_stay(panel: FakePanel) -> None:
    body = changed(panel, "--env", "MODE=ffa", "--env", "MOTD=a=b", "--unset", "MAP")
    assert body == {"environment": {"MODE": "ffa", "MOTD": "a=b"}}


def test_a_tag_is_given_or_taken_and_the_others_stay(panel: FakePanel) -> None:
    body = changed(panel, "--tag", "EU", "--tag", "Weekend", "--untag", " Duel")
    assert body == {"tags": ["eu", "weekend"]}


def test_a_server_is_created_with_tags(panel: FakePanel, tmp_path: Path) -> None:
    panel.answers["POST", "/api/servers"] = (202, OPERATION)
    file = tmp_path / "server.json"
    file.write_text('{"name": "arena", "tags": ["old"]}')
    assert run("server", "create", str(file), "--tag", "eu", "--tag", "duel", "--no-wait").exit_code == 0
    assert panel.changes == [("POST", "/api/servers", {"name": "arena", "tags": ["eu", "duel"]})]


@pytest.mark.parametrize("wrong", [[], ["--memory", "lots"], ["--env", "MODE"], ["--env", "=1"], ["--cpu", "fast"]])
def test_an_update_of_nothing_or_nonsense_is_wrong_usage(panel: FakePanel, wrong: list[str]) -> None:
    assert run("server", "update", SERVER_ID, *wrong).exit_code == 2
    assert panel.asked == []


@pytest.mark.parametrize(
    ("arguments", "hold"),
    [(["hold"], "suspended"), (["hold", "--maintenance"], "maintenance"), (["release"], "none")],
)
def test_a_server_is_held_and_released(panel: FakePanel, arguments: list[str], hold: str) -> None:
    panel.answers["PUT", f"{SERVER_PATH}/hold"] = (202, OPERATION)
    assert run("server", *arguments, SERVER_ID).exit_code == 0
    assert panel.changes == [("PUT", f"{SERVER_PATH}/hold", {"hold": hold})]


def test_a_server_is_reinstalled(panel: FakePanel) -> None:
    panel.answers["POST", f"{SERVER_PATH}/reinstall"] = (202, OPERATION)
    assert run("server", "reinstall", SERVER_ID, "--no-wait").exit_code == 0
    assert panel.changes == [("POST", f"{SERVER_PATH}/reinstall", None)]


def test_a_name_is_enough_to_find_a_server(panel: FakePanel) -> None:
    panel.answers["GET", "/api/servers"] = {
        "items": [SERVER, SERVER | {"id": "4", "name": "arena 2"}],
        "next_cursor": None,
    }
    panel.answers["PUT", f"{SERVER_PATH}/hold"] = (202, OPERATION)
    assert run("server", "hold", "arena").exit_code == 0
    assert run("server", "hold", "nobody").exit_code == 3


def test_the_list_tells_what_the_status_alone_does_not(panel: FakePanel) -> None:
    panel.answers["GET", "/api/servers"] = {"items": [SERVER], "next_cursor": None}
    listed = run("server", "list", "--tag", "eu")
    assert "starts again at" in listed.stdout
    assert "duel, eu" in listed.stdout
    assert panel.asked[-1][2] == {"tag": "eu"}


CRASH = {
    "crashed_at": "2026-01-01T12:00:00Z",
    "cause": "out_of_memory",
    "exit_code": 137,
    "uptime_s": 12.5,
    "restart_at": None,
    "summary": "It ran out of memory.",
    "changes": ["The image was replaced."],
    "last_lines": ["loading", "killed"],
}


def test_crashes_are_listed_and_the_last_is_told_in_full(panel: FakePanel) -> None:
    panel.answers["GET", f"{SERVER_PATH}/crashes"] = {"items": [CRASH], "next_cursor": "more"}
    assert "out_of_memory" in run("server", "crashes", SERVER_ID, "-n", "1").stdout
    told = run("server", "crashes", SERVER_ID, "--last").stdout
    assert "  loading\n  killed\n" in told
    assert "The image was replaced." in told
    assert json.loads(run("server", "crashes", SERVER_ID, "-n", "1", "--json").stdout) == [CRASH]


def test_events_are_told_in_sentences_and_filtered_by_kind(panel: FakePanel) -> None:
    told = [
        ("server_status_changed", {"status": "start_failed", "error": "no such image"}),
        ("command_completed", {"action": "start_server", "success": False, "error": {"message": "no such image"}}),
        ("server_crashed", {"cause": "exit_code", "summary": ""}),
        ("from_the_future", {}),
    ]
    items = [{"happened_at": "2026-01-01T12:00:00Z", "kind": kind, "data": data} for kind, data in told]
    panel.answers["GET", f"{SERVER_PATH}/events"] = {"items": items, "next_cursor": None}
    done = run("server", "events", SERVER_ID, "--kind", "server_crashed")
    assert done.exit_code == 0
    assert "start_failed: no such image" in done.stdout
    assert "start_server failed: no such image" in done.stdout
    assert panel.asked[-1][2] == {"limit": "20", "kind": "server_crashed"}


def test_an_operation_is_shown_with_how_far_it_is(panel: FakePanel) -> None:
    progress = {"phase": "pull", "percent": 45.0, "message": "3 of 7 layers"}
    panel.answers["GET", OPERATION_PATH] = OPERATION | {"state": "running", "progress": progress}
    assert "pull 40 % 3 of 7 layers" in run("operation", "show", "cmd_1").stdout
    waits = "It waits for node first, which is away since yesterday."
    panel.answers["GET", OPERATION_PATH] = OPERATION | {"state": "queued", "message": waits}
    assert waits in run("operation", "show", "cmd_1").stdout
    assert run("operation", "show", "cmd_2").exit_code == 3


def test_a_cancelled_operation_is_what_was_asked_for(panel: FakePanel) -> None:
    panel.answers["POST", f"{OPERATION_PATH}/cancel"] = (202, OPERATION | {"state": "running"})
    panel.answers["GET", OPERATION_PATH] = OPERATION | {"state": "failed", "code": "CANCELLED", "message": "cancelled"}
    done = run("operation", "cancel", "cmd_1")
    assert (done.exit_code, "cancelled" in done.stdout) == (0, True)


def test_a_cancellation_that_came_too_late_fails(panel: FakePanel) -> None:
    panel.answers["POST", f"{OPERATION_PATH}/cancel"] = (202, OPERATION | {"state": "running"})
    panel.answers["GET", OPERATION_PATH] = OPERATION
    done = run("operation", "cancel", "cmd_1")
    assert (done.exit_code, "ended before" in done.stderr) == (1, True)


def test_what_is_wrong_with_a_node_is_said_beside_the_list(panel: FakePanel) -> None:
    node = {
        "id": "first",
        "name": "First",
        "online": True,
        "enabled": True,
        "since": "now",
        "system": None,
        "servers": 0,
        "openness": "open",
        "tags": [],
    }
    warning = "Two agents use this node's id, from 192.0.2.1 and 192.0.2.2."
    panel.answers["GET", "/api/nodes"] = {
        "items": [node | {"warning": None}, node | {"id": "second", "warning": warning}],
        "next_cursor": None,
    }
    listed = run("node", "list")
    assert f"second: {warning}" in listed.stderr
    assert "first:" not in listed.stderr
    assert warning not in listed.stdout


def test_a_nodes_orphans_are_listed_and_adopted(panel: FakePanel) -> None:
    orphan = {"server_id": "lost", "container_id": "4cd1", "state": "running", "image": "q3", "is_adoptable": True}
    panel.answers["GET", "/api/nodes/first"] = {"orphans": [orphan]}
    panel.answers["POST", "/api/nodes/first/orphans/lost/adopt"] = (202, OPERATION | {"kind": "adopt"})
    assert "lost" in run("node", "orphans", "first").stdout
    assert run("node", "adopt", "first", "lost", "--name", "Found").exit_code == 0
    assert panel.changes == [("POST", "/api/nodes/first/orphans/lost/adopt", {"name": "Found", "owner_id": None})]
    assert run("node", "adopt", "first", "lost").exit_code == 2


def test_the_panels_refusal_is_told_in_its_own_words(panel: FakePanel) -> None:
    problem = {"code": "PORT_CONFLICT", "detail": "Port 27960/udp is held by server arena.", "fields": []}
    panel.answers["PATCH", SERVER_PATH] = (409, problem)
    done = run("server", "update", SERVER_ID, "--name", "new")
    assert (done.exit_code, "held by server arena" in done.stderr) == (1, True)
