"""What a game is to the rest of the project: how its server is built, run, asked and joined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ctrl_alt_play.games.image import Recipe, build


@dataclass(frozen=True)
class Answer:
    """What a running server says of itself to anyone who asks over the network."""

    version: str
    map: str | None
    """None where the game's protocol does not tell it."""
    motd: str
    players: tuple[str, ...]
    players_online: int
    """May exceed the number of names: some servers name only a sample."""
    players_max: int


class NoAnswer(Exception):
    """No usable answer came from the server in time; it may still be starting."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"no answer from {host} port {port}: {reason}")
        self.host = host
        self.port = port
        self.reason = reason


@dataclass(frozen=True)
class Game:
    """One game server. Its image runs under any non-root uid, on a read-only root with a writable /tmp, without
    capabilities, with the server's data folder at /home/container. There is no shell inside it."""

    name: str
    key: str
    image: str
    """The tag the image is built under."""
    recipe: Recipe
    startup: str
    """Command line, to be split as by shlex; no shell takes part in it."""
    memory_bytes: int
    cpu_percent: int
    """Of one core."""
    disk_bytes: int
    port: int
    """Inside the container."""
    protocol: Literal["tcp", "udp"]
    stop_command: str
    """A console line, after which the server ends with exit code 0."""
    ready_line: str
    """Part of the console line that says that players may join."""
    query_protocol: str
    """The name of the protocol that it is asked in, as a server's specification calls it."""
    query: Callable[[str, int, float], Answer]
    """Host, port, timeout in seconds. Blocks; raises NoAnswer."""
    join: Callable[[str, int], str]
    """Host, port. One sentence that tells a person how to get into the game."""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Contents by path below the data folder: settings a person may want to edit. The server also starts without."""

    def build(self, cache: Path, say: Callable[[str], None]) -> None:
        """Make the image, unless it is there and current. What was downloaded stays in `cache` for the next build.

        Tells its progress in short lines by `say`. Raises BuildFailed; then no image has been left or replaced."""
        build(self.image, self.recipe, cache, say)
