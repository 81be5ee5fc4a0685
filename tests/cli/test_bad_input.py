"""Silly values, and panels that are none: each command ends with a sentence and the code for it, never with a traceback."""

import json
import socketserver
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.panel import OPERATION, SERVER, SERVER_ID, FakePanel
from typer.testing import CliRunner, Result

from ctrl_alt_play.cli.main import app

SERVER_PATH = f"/api/servers/{SERVER_ID}"
RAW = "a\x1b]0;b\x07\u202ec\u200b\x9b31m\x00\ud800"
"""What terminals obey, and what nobody sees."""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "server.json"
    path.write_text("{}")
    return str(path)


@pytest.fixture(autouse=True)
def _logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CTRL_ALT_PLAY_TOKEN", "token")


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), (arguments, done.exc_info)
    return done


def commands(file: str, thing: str = "thing") -> list[list[str]]:
    on_servers = [
        ["start"], ["stop", "--timeout", "5"], ["restart"], ["kill"], ["delete", "--yes"], ["status"], ["send"], ["logs"], ["hold"],
        ["release"], ["update", "--name", "new"], ["update", "--env", "A=B"], ["events"], ["crashes"], ["crashes", "--last"], ["reinstall"],
    ]  # fmt: skip
    rest = [
        ["server", "list"], ["server", "create", file], ["node", "list"], ["node", "enrol", thing], ["node", "orphans", thing],
        ["node", "adopt", thing, thing, "--name", "new"], ["operation", "show", thing], ["operation", "cancel", thing],
        ["login", "--username", thing, "--password", "wrong"],
    ]  # fmt: skip
    lines = {"send": ["say hi"]}
    return [["server", *command, thing, *lines.get(command[0], [])] for command in on_servers] + rest


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of something that answers all that is asked with these bytes, and hangs up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def http(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length or len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        (b"", {5}),
        (b"SSH-2.0-OpenSSH\r\n", {5}),
        (http(b'{"items": [', length=1000), {5}),
        (http(b"<html>Welcome to nginx!</html>"), {5}),
        (http(b"\xff\xfe"), {5}),
        (http(b"[" * 100_000), {5}),
        (http(b"[]"), {5}),
        (http(b"null"), {5}),
        (http(b"{}"), {0, 1}),
        (http(b"<html>Bad Gateway</html>", "502 Bad Gateway"), {5}),
        (http(b"[]", "404 Not Found"), {1, 3}),
        (http(b'{"code": "WRONG_CREDENTIALS", "detail": "Wrong."}', "401 Unauthorized"), {4}),
        (http(b"", "307 Temporary Redirect"), {1}),
    ],
)
def test_what_answers_and_is_no_panel_is_told(
    monkeypatch: pytest.MonkeyPatch, file: str, answer: bytes, codes: set[int]
) -> None:
    with answering(answer) as url:
        monkeypatch.setenv("CTRL_ALT_PLAY_URL", url)
        for command in commands(file):
            done = run(*command)
            assert done.exit_code in codes, (command, done.output)
            assert done.exit_code == 0 or done.stderr.endswith("]\n")


def test_a_panel_that_is_not_there_is_told_by_every_command(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setenv("CTRL_ALT_PLAY_URL", "http://127.0.0.1:9")
    assert {run(*command).exit_code for command in commands(file)} == {5}


@pytest.mark.parametrize("url", ["", "localhost:3000", "http://", "ftp://a", "http://\x00"])
def test_an_address_that_is_none_is_wrong_usage(url: str) -> None:
    done = run("login", "--username", "a", "--password", "b", "--url", url)
    assert (done.exit_code, "http://localhost:3000" in done.stderr) == (2, True)


@pytest.mark.parametrize("url", ["http://[", "http://a:99999"])
def test_an_address_that_leads_nowhere_is_told(url: str) -> None:
    assert run("login", "--username", "a", "--password", "b", "--url", url).exit_code == 5


@pytest.mark.parametrize("token", ["a\nb", "ä", "a\udcff"])
def test_a_token_that_is_none_is_no_login_and_is_not_told(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("CTRL_ALT_PLAY_TOKEN", token)
    done = run("server", "list")
    assert (done.exit_code, "login" in done.stderr, token in done.stderr) == (4, True, False)


@pytest.mark.parametrize("kept", ["", "[]", "3", "{", '{"url": 1}', "\xff"])
def test_a_login_that_cannot_be_read_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: str) -> None:
    monkeypatch.delenv("CTRL_ALT_PLAY_TOKEN")
    monkeypatch.delenv("CTRL_ALT_PLAY_URL", raising=False)
    (tmp_path / "ctrl-alt-play").mkdir()
    (tmp_path / "ctrl-alt-play" / "login.json").write_bytes(kept.encode("latin-1"))
    assert run("server", "list").exit_code == 4


def test_a_login_that_cannot_be_kept_is_told(panel: FakePanel, tmp_path: Path) -> None:
    (tmp_path / "ctrl-alt-play").write_text("in the way")
    panel.answers["POST", "/api/auth/login"] = {"access_token": "new"}
    done = run("login", "--username", "a", "--password", "b")
    assert (done.exit_code, "cannot be kept" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "thing",
    ["", " ", ".", "..", "a b", "../servers", "a/b", "a?b#c", "%2e", "ä", "\udcff", RAW, "x" * 300, "x" * 70000],
)
def test_what_can_be_no_id_is_not_found_and_leads_to_no_other_address(panel: FakePanel, file: str, thing: str) -> None:
    panel.answers["GET", "/api/servers"] = {"items": [SERVER], "next_cursor": None}
    refused = (422, {"code": "INVALID_REQUEST", "detail": "No."})
    panel.answers |= {
        ("POST", "/api/nodes"): refused,
        ("POST", "/api/servers"): refused,
        ("POST", "/api/auth/login"): refused,
    }
    named = [command for command in commands(file, thing) if thing in command]
    for command in named:
        assert run(*command).exit_code in {2, 3}, command
    assert {path for _, path, _, _ in panel.asked} <= {"/api/servers", "/api/nodes", "/api/auth/login"}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "", " ", "x", "0x10", "1,5", "9" * 5000])
@pytest.mark.parametrize(
    "command",
    [
        ["update", "--cpu"], ["update", "--memory"], ["update", "--ready-timeout"], ["update", "--crash-limit"], ["stop", "--timeout"],
        ["restart", "--timeout"], ["logs", "--lines"], ["events", "--count"], ["crashes", "--count"],
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_wrong_usage(panel: FakePanel, command: list[str], value: str) -> None:
    if value == "9" * 5000 and command[1] in {"--cpu", "--ready-timeout", "--timeout"}:
        value = "9" * 400  # a float takes so many and is endless
    assert run("server", command[0], SERVER_ID, *command[1:], value).exit_code == 2
    assert panel.asked == []


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", '{"a": Infinity}', '{"a": 1e400}', '"\\ud800"', "[" * 100_000, "\xff", None]
)
def test_a_description_that_is_none_is_wrong_usage(panel: FakePanel, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "given.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    assert run("server", "create", str(path)).exit_code == 2
    assert run("server", "create", str(tmp_path)).exit_code == 2
    assert panel.changes == []


def test_what_cannot_be_sent_is_wrong_usage(panel: FakePanel) -> None:
    assert run("server", "update", SERVER_ID, "--name", "\udcff").exit_code == 2
    assert panel.changes == []


def test_a_field_at_fault_is_told_once(panel: FakePanel) -> None:
    problem = {"field": "limits.cpu", "message": "Input should be less than or equal to 102400"}
    detail = f"Invalid: {problem['field']}: {problem['message']}"
    panel.answers["PATCH", SERVER_PATH] = (422, {"code": "INVALID_REQUEST", "detail": detail, "fields": [problem]})
    done = run("server", "update", SERVER_ID, "--cpu", "999999")
    assert (done.exit_code, done.stderr) == (2, f"{detail} [INVALID_REQUEST]\n")


def raw(value: Any) -> Any:
    """With what a terminal would obey in every text."""
    match value:
        case str():
            return f"{value}{RAW}"
        case dict():
            return {name: raw(part) for name, part in value.items()}
        case list():
            return [raw(part) for part in value]
        case _:
            return value


CRASH = {
    "crashed_at": "", "cause": "", "exit_code": 1, "uptime_s": 1, "restart_at": "", "summary": "", "changes": [""], "last_lines": [""],
}  # fmt: skip
EVENTS = [
    {"happened_at": "", "kind": "server_crashed", "data": {"summary": RAW}},
    {
        "happened_at": "",
        "kind": "command_completed",
        "data": {"action": RAW, "success": False, "error": {"message": RAW}},
    },
    {"happened_at": "", "kind": "server_status_changed", "data": {"status": RAW, "error": RAW}},
]
NODE = {
    "id": "",
    "name": "",
    "online": True,
    "enabled": True,
    "since": "",
    "system": {"docker_version": ""},
    "servers": 0,
    "secret": "",
}
ORPHAN = {"server_id": "", "state": "", "image": "", "is_adoptable": True}


@pytest.mark.parametrize("is_refusing", [False, True])
def test_a_terminal_obeys_nothing_that_comes_from_elsewhere(panel: FakePanel, file: str, *, is_refusing: bool) -> None:
    def page(*items: Any) -> Any:
        return {"items": [raw(item) for item in items], "next_cursor": None}

    operation = raw(OPERATION | {"message": "", "progress": {"phase": "", "percent": None, "message": ""}}) | {
        "id": "cmd_1", "state": "succeeded", "result": raw({"status": "", "resources": {"memory": {"used": ""}}}),
    }  # fmt: skip
    refusal = (500, {"code": RAW, "detail": RAW})
    panel.answers |= {
        ("GET", "/api/servers"): page(SERVER),
        ("GET", f"{SERVER_PATH}/events"): {"items": EVENTS, "next_cursor": None},
        ("GET", f"{SERVER_PATH}/crashes"): page(CRASH),
        ("GET", "/api/nodes"): page(NODE),
        ("POST", "/api/nodes"): raw(NODE),
        ("GET", f"/api/nodes/{SERVER_ID}"): {"orphans": [raw(ORPHAN)]},
        ("POST", f"/api/nodes/{SERVER_ID}/orphans/{SERVER_ID}/adopt"): operation,
        ("GET", f"/api/operations/{SERVER_ID}"): operation,
        ("GET", "/api/operations/cmd_1"): operation,
        ("POST", "/api/servers"): operation,
    }
    for action in ("start", "stop", "restart", "kill", "status", "reinstall"):
        panel.answers["POST", f"{SERVER_PATH}/{action}"] = operation
    panel.answers["DELETE", SERVER_PATH] = panel.answers["PATCH", SERVER_PATH] = operation
    panel.answers["PUT", f"{SERVER_PATH}/hold"] = operation
    if is_refusing:
        panel.answers = dict.fromkeys(panel.answers, refusal)
    printed = ""
    for command in commands(file, SERVER_ID):
        if command[1] not in {"logs", "send"}:  # a console is shown as it is
            printed += run(*command).output
    assert printed.count("\\x1b") >= (20 if not is_refusing else 1)
    assert {each for each in printed if unicodedata.category(each) in {"Cc", "Cf", "Cs"}} == {"\n"}


def test_json_is_printed_in_ascii(panel: FakePanel) -> None:
    panel.answers["GET", "/api/servers"] = {"items": [SERVER | {"name": RAW}], "next_cursor": None}
    done = run("server", "list", "--json")
    assert json.loads(done.stdout)[0]["name"] == RAW
    assert done.stdout.strip().isprintable()
