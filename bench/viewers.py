"""Many who look at consoles, in a process of their own, and one `docker logs -f` beside them: how many lines each saw, and how late.

Takes what to look at as JSON on the command line, prints `ready` once all of them are told, and the figures as JSON once all have seen the end, or
nothing came for a while. Lines carry the time of their writing: `@` and nanoseconds.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import uvloop

STAMP = re.compile(rb"@(\d{19})")
LENGTH = 20
ACCEPTED = b"HTTP/1.1 200 "
END = b"end of the run"
SILENCE_S = 8.0
CONNECTING_AT_ONCE = 50


@dataclass
class Seen:
    """By all viewers of one console."""

    lines: int = 0
    late_us: Counter[int] = field(default_factory=Counter)
    """Lines by their delay, in steps of 100 µs."""
    first_ns: int = 0
    last_ns: int = 0
    ended: int = 0
    heard_at: float = 0.0

    def add(self, piece: "Piece", now_ns: int) -> None:
        if piece.lines:
            self.first_ns = self.first_ns or now_ns
            self.last_ns = now_ns
            self.lines += piece.lines
            for written_ns, count in piece.written_ns:
                self.late_us[(now_ns - written_ns) // 100_000 * 100] += count
        self.ended += piece.is_end

    def centile_ms(self, centile: float) -> float:
        left = self.lines * centile / 100
        for late_us, count in sorted(self.late_us.items()):
            left -= count
            if left <= 0:
                return late_us / 1000
        return 0.0

    def told(self) -> dict[str, float]:
        seconds = max((self.last_ns - self.first_ns) / 1e9, 1e-9)
        centiles = {f"p{centile}_ms": self.centile_ms(centile) for centile in (50, 99, 100)}
        return {"lines": self.lines, "lines_s": self.lines / seconds, "ended": self.ended, **centiles}


class Piece(NamedTuple):
    """What was received at once. `rest` is the beginning of a line whose time is not whole yet."""

    lines: int
    written_ns: tuple[tuple[int, int], ...]
    """Times of writing, with how many lines have each."""
    is_end: bool
    rest: bytes


@lru_cache(maxsize=256)
def read(data: bytes) -> Piece:
    """Most viewers get the same bytes; to read them for each anew would take the cores from what is measured."""
    cut = data.rfind(b"@")
    stamps = STAMP.findall(data)
    written_ns = tuple((int(stamp), count) for stamp, count in Counter(stamps).items())
    rest = data[cut:] if cut >= 0 and len(data) - cut < LENGTH else b""
    return Piece(len(stamps), written_ns, END in data, rest)


class Viewer(asyncio.Protocol):
    """One viewer."""

    def __init__(self, seen: Seen) -> None:
        self.is_told = asyncio.get_running_loop().create_future()
        self._seen = seen
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        if not self.is_told.done():
            assert data.startswith(ACCEPTED), data
            self.is_told.set_result(None)
        now_ns = time.time_ns()
        self._seen.heard_at = time.monotonic()
        piece = read(self._rest + data)
        self._rest = piece.rest
        self._seen.add(piece, now_ns)


async def look(url: str, token: str, path: str, seen: Seen, room: asyncio.Semaphore) -> None:
    address = urlsplit(url)
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
    async with room:
        loop = asyncio.get_running_loop()
        transport, viewer = await loop.create_connection(lambda: Viewer(seen), address.hostname, address.port)
        transport.write(request.encode())
        await viewer.is_told


async def docker_logs(container: str, seen: Seen) -> None:
    await asyncio.get_running_loop().subprocess_exec(
        lambda: _Output(seen), *("docker", "logs", "-f", "--tail", "0", container), stdin=None, stderr=None
    )


class _Output(asyncio.SubprocessProtocol):
    def __init__(self, seen: Seen) -> None:
        self._viewer = Viewer(seen)
        self._viewer.is_told.set_result(None)

    def pipe_data_received(self, _: int, data: bytes) -> None:
        self._viewer.data_received(data)


async def main(asked: dict[str, Any]) -> None:
    room = asyncio.Semaphore(CONNECTING_AT_ONCE)
    seen = {name: Seen() for name in asked["consoles"]}
    counts = {name: console["viewers"] for name, console in asked["consoles"].items()}
    looking = [
        look(asked["url"], asked["token"], console["path"], seen[name], room)
        for name, console in asked["consoles"].items()
        for _ in range(console["viewers"])
    ]
    await asyncio.gather(*looking)
    if asked.get("container"):
        seen["docker"], counts["docker"] = Seen(), 1
        await docker_logs(asked["container"], seen["docker"])
        await asyncio.sleep(1)
    print("ready", flush=True)
    began = time.monotonic()
    while any(each.ended < counts[name] for name, each in seen.items()):
        await asyncio.sleep(0.2)
        if time.monotonic() - max(began, *(each.heard_at for each in seen.values())) > SILENCE_S:
            break
    print(json.dumps({name: each.told() for name, each in seen.items()}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
