"""Requests, by the template of their route: ids are no labels."""

import time
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ctrl_alt_play.panel.metrics.counted import OTHER, Counted

FAILED = 500
"""What is told of a request that nobody answered."""


class CountRequests:
    def __init__(self, app: ASGIApp, counted: Counted) -> None:
        self._app = app
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, answered_s, status = time.perf_counter(), None, FAILED

        def send_noted(message: Message) -> Awaitable[None]:
            """Until the answer begins: what is streamed goes on for as long as someone reads it."""
            nonlocal answered_s, status
            if message["type"] == "http.response.start":
                answered_s, status = time.perf_counter(), message["status"]
            return send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            took_s = (answered_s or time.perf_counter()) - began_s
            self._counted.request(_route(scope), scope["method"], status, took_s)


def _route(scope: Scope) -> str:
    """Files have no route, but a folder that they are mounted at."""
    route: str | None = getattr(scope.get("route"), "path", None)
    return route or scope.get("root_path") or OTHER
