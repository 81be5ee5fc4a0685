"""A panel that answers as a test tells it to, and remembers what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

SERVER_ID = "3f0c"
SERVER = {
    "id": SERVER_ID,
    "name": "arena",
    "tags": ["duel", "eu"],
    "node_id": "first",
    "status": "CRASHED",
    "status_since": "2026-01-01T12:00:00Z",
    "detail": "crashed: out of memory; starts again at 2026-01-01 12:00:10 UTC",
    "environment": {"MODE": "duel", "MAP": "q3dm17"},
    "ports": [],
    "addresses": [],
}
OPERATION = {
    "id": "cmd_1",
    "kind": "update",
    "state": "succeeded",
    "server_id": SERVER_ID,
    "created_at": "2026-01-01T12:00:00Z",
    "code": None,
    "message": None,
    "progress": None,
}


NOT_FOUND = (404, {"code": "NOT_FOUND", "detail": "There is no such thing."})


class Turns(list[Any]):
    """Answers, one for each request; after them there is nothing."""


class Raw(list[bytes]):
    """An answer sent as it is, piece by piece; then the connection ends."""


class FakePanel:
    """`answers` by method and path: a document with status 200, or a status and a document; `Turns` gives one after the other. All else is 404."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {("GET", f"/api/servers/{SERVER_ID}"): SERVER}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.keys: list[str | None] = []
        """Which orders are one, as they were asked for."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def changes(self) -> list[tuple[str, str, Any]]:
        """What was asked for that is no mere reading."""
        return [(method, path, body) for method, path, _, body in self.asked if method != "GET"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(target)
        self.asked.append((method, parts.path, dict(parse_qsl(parts.query)), body))
        found = self.answers.get((method, parts.path), NOT_FOUND)
        if isinstance(found, Turns):
            found = found.pop(0) if found else NOT_FOUND
        return found if isinstance(found, tuple) else (200, found)


def _handler(panel: FakePanel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            panel.keys.append(self.headers.get("Idempotency-Key"))
            taken = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = panel.answer(self.command, self.path, json.loads(taken) if taken else None)
            self.send_response(status)
            if isinstance(document, Raw):
                self.end_headers()
                for piece in document:
                    self.wfile.write(piece)
                return
            sent = json.dumps(document).encode()
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _reply  # noqa: N815 - the base class looks for these names

        def log_message(self, *_: object) -> None:
            pass

    return Handler
