"""What a connection wants of a WebSocket."""

from typing import Protocol


class Gone(Exception):
    """The other end is not there any more."""


class Socket(Protocol):
    async def receive(self) -> str | bytes | None:
        """The next frame; None when the connection has ended."""
        ...

    async def send(self, frame: str) -> None:
        """Raises: Gone."""
        ...

    async def close(self, code: int, reason: str) -> None: ...
