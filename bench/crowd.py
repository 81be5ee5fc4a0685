"""Many viewers of the live channel on one machine, in a process of their own: they connect, subscribe, and say when all have seen a text.

Tokens come on standard input, one a line, and end with an empty line; then the process prints `connected`, and `seen` for each further line once
every viewer got a frame with that text. It ends with its input. Nothing is sent to any address but the one given, which must be on loopback.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import websockets

CONNECTING_AT_ONCE = 50


class Crowd:
    """The process, as those who measure see it."""

    def __init__(self, url: str, tokens: Sequence[str], viewers: int, topics: Sequence[str]) -> None:
        named = [part for topic in topics for part in ("--topic", topic)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.crowd", url, "--viewers", str(viewers), *named],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say("\n".join([*tokens, ""]))
        self._expect("connected")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def begin_to_look_for(self, text: str) -> None:
        self._say(text)
        self._expect("looking")

    def has_seen_it(self) -> None:
        self._expect("seen")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"the crowd said {said!r} instead of {word!r}")


class _Viewers:
    def __init__(self) -> None:
        self.wanted = "\x00"
        self.missing = 0
        self.all_saw = asyncio.Event()

    def look_for(self, text: str, viewers: int) -> None:
        self.wanted, self.missing = text, viewers
        self.all_saw.clear()

    async def look(self, url: str, token: str | None, topics: Sequence[str], entered: asyncio.Semaphore) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with entered:
            socket = await websockets.connect(
                url, additional_headers=headers, compression=None, ping_interval=None, max_size=None
            )
            for topic in topics:
                await socket.send(json.dumps({"subscribe": topic}))
                while f'"topic":"{topic}"' not in str(await socket.recv()):
                    pass
        self.missing -= 1
        if not self.missing:
            self.all_saw.set()
        saw = ""
        async for frame in socket:
            if self.wanted != saw and self.wanted in str(frame):
                saw = self.wanted
                self.missing -= 1
                if not self.missing:
                    self.all_saw.set()


async def _run(url: str, viewers: int, topics: Sequence[str]) -> None:
    loop = asyncio.get_running_loop()
    tokens = list(iter(lambda: sys.stdin.readline().strip(), ""))
    crowd, entered = _Viewers(), asyncio.Semaphore(CONNECTING_AT_ONCE)
    crowd.missing = viewers
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(crowd.look(url, tokens[number % len(tokens)] if tokens else None, topics, entered))
            for number in range(viewers)
        ]
        await crowd.all_saw.wait()
        print("connected", flush=True)
        while text := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            crowd.look_for(text, viewers)
            print("looking", flush=True)
            await crowd.all_saw.wait()
            print("seen", flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--viewers", type=int, required=True)
    parser.add_argument("--topic", action="append", default=[])
    options = parser.parse_args()
    if urlsplit(options.url).hostname not in ("127.0.0.1", "localhost"):
        sys.exit("only to loopback")
    asyncio.run(_run(options.url, options.viewers, options.topic))
