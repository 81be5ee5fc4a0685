"""`node images` and what can be done with them, and `registry`."""

from typing import Any

import pytest
from tests.cli.panel import FakePanel, Turns
from typer.testing import CliRunner, Result

from ctrl_alt_play.cli import images
from ctrl_alt_play.cli.main import app

NODE = "/api/nodes/first"
REGISTRY = {"id": "1", "host": "registry.example.org", "username": "games", "is_usable": True, "created_at": ""}
SECRET = "a-very-secret-word"


def run(*arguments: str, typed: str = "", **environment: str) -> Result:
    return CliRunner().invoke(app, list(arguments), input=typed, env=environment)


def test_images_are_shown_with_who_uses_them(panel: FakePanel) -> None:
    image = {
        "id": "sha256:0123456789abcdef",
        "names": ["quake:1"],
        "size_bytes": 80 * 2**20,
        "created_at": "2026-01-01",
    }
    used = {**image, "servers": [{"id": "1", "name": "Castle"}, {"id": "2", "name": None}], "others": ["website"]}
    unused = {**image, "names": [], "servers": [], "others": []}
    panel.answers["GET", f"{NODE}/images"] = {"items": [used, unused], "more": 2}
    done = run("node", "images", "first")
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[1] == ["quake:1", "0123456789ab", "80M", "2026-01-01", "Castle,", "2,", "website"]
    assert lines[2] == ["-", "0123456789ab", "80M", "2026-01-01", "-"]
    assert "2 more" in done.output


@pytest.mark.parametrize(("state", "exit_code"), [("done", 0), ("failed", 1)])
def test_a_pull_is_followed_to_its_end(
    panel: FakePanel, monkeypatch: pytest.MonkeyPatch, state: str, exit_code: int
) -> None:
    monkeypatch.setattr(images, "LOOK_EVERY_S", 0.0)
    pull: dict[str, Any] = {"image": "quake:1", "state": "pulling", "percent": None, "message": "Asking."}
    ended = {**pull, "state": state, "message": "That was it."}
    panel.answers["POST", f"{NODE}/images/pull"] = (202, pull)
    panel.answers["GET", NODE] = Turns({"id": "first", "online": True, "pulls": [each]} for each in (pull, ended))
    done = run("node", "image-pull", "first", "quake:1")
    assert (done.exit_code, done.stdout) == (exit_code, "quake:1: That was it.\n")


def test_a_pull_on_a_node_that_goes_is_not_waited_for(panel: FakePanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LOOK_EVERY_S", 0.0)
    panel.answers["POST", f"{NODE}/images/pull"] = (202, {"image": "quake:1", "state": "pulling", "message": ""})
    panel.answers["GET", NODE] = Turns([{"id": "first", "online": False, "pulls": []}])
    done = run("node", "image-pull", "first", "quake:1")
    assert done.exit_code == 5
    assert "has gone" in done.output


def test_an_image_is_removed_by_its_name_as_it_is(panel: FakePanel) -> None:
    path = f"{NODE}/images/registry:5000/games/quake@sha256:0"
    panel.answers["DELETE", path] = (204, None)
    assert run("node", "image-remove", "first", "registry:5000/games/quake@sha256:0").exit_code == 0
    refusal = {"code": "IMAGE_IN_USE", "detail": "The image is used by the server Castle."}
    panel.answers["DELETE", path] = (409, refusal)
    done = run("node", "image-remove", "first", "registry:5000/games/quake@sha256:0")
    assert done.exit_code == 1
    assert "Castle" in done.output


def test_pruning_tells_what_it_freed(panel: FakePanel) -> None:
    pruned = {"removed": 2, "freed_bytes": 300 * 2**20, "more": True}
    panel.answers["POST", f"{NODE}/images/prune"] = pruned
    done = run("node", "image-prune", "first", "--all")
    assert done.stdout == "Removed 2 images; 300M are free again. There is more to remove: run this again.\n"
    assert panel.changes[-1][2] == {"everything": True}


def test_registries_are_listed_added_changed_and_removed_and_no_password_is_printed(panel: FakePanel) -> None:
    panel.answers |= {
        ("GET", "/api/registries"): {"items": [REGISTRY, {**REGISTRY, "host": "docker.io", "is_usable": False}]},
        ("POST", "/api/registries"): (201, REGISTRY),
        ("PATCH", "/api/registries/1"): REGISTRY,
        ("DELETE", "/api/registries/1"): (204, None),
    }
    printed = [run("registry", "list").output]
    assert "give it again" in printed[0]
    printed.append(run("registry", "add", "registry.example.org", "--username", "games", typed=f"{SECRET}\n").output)
    assert panel.changes[-1][2] == {"host": "registry.example.org", "username": "games", "password": SECRET}
    hidden = {"CTRL_ALT_PLAY_REGISTRY_PASSWORD": SECRET}
    printed.append(run("registry", "change", "Registry.example.org", **hidden).output)
    assert panel.changes[-1][2] == {"password": SECRET}
    asked = run("registry", "change", "registry.example.org", "--new-password", typed=f"{SECRET}\n")
    printed.append(asked.output)
    assert panel.changes[-1][2] == {"password": SECRET}
    printed.append(run("registry", "change", "registry.example.org", "--username", "others").output)
    assert panel.changes[-1][2] == {"username": "others"}
    assert run("registry", "change", "registry.example.org").exit_code == 2
    assert run("registry", "remove", "registry.example.org").exit_code == 0
    assert run("registry", "remove", "elsewhere.example.org").exit_code == 3
    assert SECRET not in "".join(printed)
