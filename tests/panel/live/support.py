"""A viewer of the live channel, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self

import httpx
from tests.panel.support import PanelUnderTest, Person, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]


def token_of(person: Person) -> str:
    return person.api.headers["Authorization"].removeprefix("Bearer ")


async def sent_events(stream: httpx.Response) -> AsyncIterator[tuple[str, Frame]]:
    """Of a stream of server-sent events: id and frame."""
    fields: dict[str, str] = {}
    async for line in stream.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield fields.get("id", ""), json.loads(fields["data"])
            fields = {}


class Viewer:
    """Someone who looks: all frames that came, in order. Use it as a context."""

    def __init__(
        self,
        panel: PanelUnderTest,
        person: Person,
        *,
        by_header: bool = True,
        says_token: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        """`headers` in place of a token."""
        self._url = f"ws://127.0.0.1:{panel.people_port}/api/live"
        self._token = "" if headers else token_of(person)
        self._headers = headers or ({"Authorization": f"Bearer {self._token}"} if by_header else {})
        self._says_token = says_token and not by_header
        self.frames: list[Frame] = []
        self.closed_with: int | None = None

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await connect(self._url, additional_headers=self._headers, max_size=None)
        if self._says_token:
            await self.say(token=self._token)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self.socket:
                self.frames.append(json.loads(text))
        self.closed_with = self.socket.close_code

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def subscribe(self, topic: str, **more: Any) -> None:
        """Returns when there is an answer."""
        known = len(self.of(topic))
        await self.say(subscribe=topic, **more)
        await until(lambda: len(self.of(topic)) > known)

    def of(self, topic: str, kind: str | None = None) -> list[Frame]:
        return [one for one in self.frames if one.get("topic") == topic and kind in (None, one["kind"])]

    async def sees(self, topic: str, kind: str, count: int = 1) -> list[Frame]:
        await until(lambda: len(self.of(topic, kind)) >= count)
        return self.of(topic, kind)

    def listed(self, topic: str) -> dict[str, Frame]:
        """What whoever follows the rules has before them."""
        shown: dict[str, Frame] = {}
        for one in self.of(topic):
            match one["kind"]:
                case "page":
                    shown = {} if one["first"] else shown
                    shown |= {each["id"]: each for each in one["data"]}
                case "changed":
                    shown[one["data"]["id"]] = one["data"]
                case "removed":
                    shown.pop(one["data"]["id"], None)
        return shown
