"""How `up` finds out whether a Docker Engine answers, and what it says when none does."""

import http.server
import multiprocessing
import os
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctrl_alt_play.up import engine
from ctrl_alt_play.up.engine import Answer, ask
from ctrl_alt_play.up.say import Trouble

NOBODY = 65534


class _Pong(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"OK")

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def answering() -> Iterator[Path]:
    with (
        tempfile.TemporaryDirectory() as folder,
        socketserver.UnixStreamServer(f"{folder}/docker.sock", _Pong) as server,
    ):
        path = Path(folder) / "docker.sock"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_an_engine_that_answers_is_used(answering: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{answering}")
    assert engine.ensure(tmp_path).process is None


def test_a_missing_engine_that_was_named_is_not_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(Trouble, match="unset DOCKER_HOST"):
        engine.ensure(tmp_path)


def test_nothing_at_a_tcp_address_is_no_engine() -> None:
    assert ask("tcp://127.0.0.1:9") is Answer.NOTHING


def _ask_as_nobody(path: str, answers: "multiprocessing.Queue[str]") -> None:
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    os.environ["DOCKER_HOST"] = f"unix://{path}"
    os.environ["USER"] = "alex"
    try:
        engine.ensure(Path("/nowhere"))
    except Trouble as trouble:
        answers.put(str(trouble))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_socket_that_one_may_not_use_gets_the_command_that_changes_it(answering: Path) -> None:
    answering.chmod(0o600)
    answering.parent.chmod(0o755)
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=_ask_as_nobody, args=(str(answering), answers))
    child.start()
    child.join(20)
    assert "sudo usermod -aG docker alex" in answers.get(timeout=1)
