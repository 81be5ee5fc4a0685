"""A console as server-sent events. What a viewer is told are bytes that were made once for all of them, and take one step of one task."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress

from fastapi.responses import Response
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.types import Message, Receive, Scope, Send

from ctrl_alt_play.panel.consoles.viewer import Viewer

LOOKED_AT_EVERY_S = 15.0
"""So often rights are looked at anew, for they end, and whoever was told nothing meanwhile gets a sign of life."""
UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class Stream(Response):
    """No iterator that is asked for each piece, and no timer for each: with a thousand viewers these cost more than sending."""

    media_type = "text/event-stream"

    def __init__(self, watched: AbstractAsyncContextManager[Viewer], is_allowed: Callable[[], Awaitable[bool]]) -> None:
        self.status_code, self.background = 200, None
        self.init_headers(UNBUFFERED)
        self._watched = watched
        self._is_allowed = is_allowed
        self._is_idle = False
        """Nothing was sent since this was set."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with self._watched as viewer, asyncio.TaskGroup() as group:
            both = (
                group.create_task(self._tell(viewer, send), name="tell viewer"),
                group.create_task(self._look_after(receive, send), name="look after viewer"),
            )
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, viewer: Viewer, send: Send) -> None:
        async for batch in viewer:
            await send(_piece(batch.event))
            self._is_idle = False

    async def _look_after(self, receive: Receive, send: Send) -> None:
        """Until the viewer has left, or may look no more."""
        is_allowed = True
        while is_allowed:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKED_AT_EVERY_S):
                    if self._is_idle:
                        await send(_piece(KEEPALIVE_COMMENT))
                    self._is_idle = True
                    await _leaving(receive)
                    return
            is_allowed = await self._is_allowed()


async def _leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}
