"""What our own panel and agent say of running servers while someone looks: consoles, figures, players. All of it is part 2.

A console is a row of numbered lines, from 0, for as long as the server exists. `offset` is a line's number. What is not there any more, or
never was kept, has its numbers too: a gap says which, and why.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from ctrl_alt_play.protocol.messages import Instant, News
from ctrl_alt_play.protocol.specification import Model, ServerId

HIGHEST_OFFSET = 2**53
MOST_BATCH_BYTES = 64 * 1024
"""Of text in one batch, or one page of history."""
MOST_MATCHES = 200
MOST_QUERY_CHARS = 256
MOST_WATCHED = 1000
LONGEST_WATCH_S = 60.0

Stream = Literal["stdout", "stderr", "node"]
"""Who wrote lines: a program on one of its two outputs, or the node itself."""
NODE: Stream = "node"
Offset = int
"""A line's number, from 0."""


class Loss(StrEnum):
    """Why lines are not there."""

    FLOOD = "flood"
    """They came faster than they could be kept."""
    AWAY = "away"
    """They were written while the agent was away, and the engine does not have them any more. `lines` is 0 where nobody can know how many."""
    ROTATED = "rotated"
    """They were kept, and had to go for the log's size or age."""
    SKIPPED = "skipped"
    """They are kept, and were left out here because the reader was too slow: the history has them."""


class Lines(News):
    """Whole lines of one stream that were taken in at one time, joined by newlines; or a gap of so many lines."""

    offset: int = Field(ge=0, le=HIGHEST_OFFSET, description="the number of the first line")
    lines: int = Field(ge=0, le=HIGHEST_OFFSET, description="how many")
    at: Instant = None
    stream: Stream = "stdout"
    text: str | None = Field(default=None, description="the lines, joined by newlines; unset for a gap")
    lost: Loss | None = Field(default=None, description="set for a gap: why")

    @property
    def next(self) -> Offset:
        """The number of the line after these."""
        return self.offset + self.lines


class ConsoleBatch(News):
    """What a console wrote, told to whoever attached. Perishable: after a lost connection attach again, from where it ended."""

    server_id: ServerId
    parts: tuple[Lines, ...]


class ConsolePage(News):
    """A piece of a console's history, in order and without holes but for gaps: what is not there is a part with `lost`."""

    parts: tuple[Lines, ...] = ()
    first: Offset = Field(default=0, description="the oldest line that is kept")
    next: Offset = Field(default=0, description="where the next page begins; with `end`: what the console writes next")
    end: Offset = Field(default=0, description="how many lines there ever were")


class AttachPayload(Model):
    """From where on the console is to be told; left out: from now on."""

    since: int | None = Field(default=None, ge=0, le=HIGHEST_OFFSET)


class HistoryPayload(Model):
    """A page from `since` on, or one that ends before `before`; the newest page without both."""

    since: int | None = Field(default=None, ge=0, le=HIGHEST_OFFSET)
    before: int | None = Field(default=None, ge=0, le=HIGHEST_OFFSET)
    lines: int = Field(default=1000, ge=1, le=10_000, description="at most; a page ends earlier at 64 KiB of text")

    @model_validator(mode="after")
    def _one_end(self) -> "HistoryPayload":
        if self.since is not None and self.before is not None:
            raise ValueError("give `since` or `before`, not both")
        return self


class SearchPayload(Model):
    """Lines that hold a text, or match a regular expression in RE2's syntax; the newest first."""

    text: str = Field(min_length=1, max_length=MOST_QUERY_CHARS, pattern=r"^[^\r\n\x00]*$")
    is_regex: bool = False
    ignore_case: bool = True
    after: Instant = Field(default=None, description="only lines taken in at or after this time")
    until: Instant = Field(default=None, description="only lines taken in before this time")
    before: int | None = Field(
        default=None, ge=0, le=HIGHEST_OFFSET, description="only lines with lower numbers: the next page"
    )
    limit: int = Field(default=100, ge=1, le=MOST_MATCHES)


class SearchPage(News):
    """Matches, the newest first, each a part of one line. `before` gives the next page; unset when all was searched."""

    matches: tuple[Lines, ...] = ()
    before: Offset | None = None


class WatchPayload(Model):
    """Figures of these servers, and of the node, are wanted every second for so long. It is said again while someone looks."""

    servers: tuple[ServerId, ...] = Field(default=(), max_length=MOST_WATCHED)
    node: bool = False
    seconds: float = Field(default=30, gt=0, le=LONGEST_WATCH_S)


class PlayersSeen(News):
    """Who plays, as the game itself says."""

    online: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    list: tuple[str, ...] = Field(default=(), max_length=1000, description="names, where the game tells them")


class ServerFigures(News):
    """What a running server uses. Counters count since its container started; what could not be measured is unset."""

    server_id: ServerId
    cpu: float | None = Field(default=None, description="percent of one core, since the sample before")
    memory: int | None = Field(default=None, description="bytes, without page cache")
    memory_limit: int | None = Field(default=None, description="bytes")
    disk: int | None = Field(default=None, description="bytes that its files take")
    rx: int | None = Field(default=None, description="bytes received")
    tx: int | None = Field(default=None, description="bytes sent")
    read: int | None = Field(default=None, description="bytes read from block devices")
    written: int | None = Field(default=None, description="bytes written to block devices")
    pids: int | None = None
    uptime: float | None = Field(default=None, description="seconds")
    players: PlayersSeen | None = None


class DiskFigures(News):
    path: str
    used: int
    total: int


class NodeFigures(News):
    """What the node itself uses."""

    cpu: float | None = Field(default=None, description="percent of one core: 400 is four cores busy")
    cores: int | None = None
    memory: int | None = Field(default=None, description="bytes in use, without page cache")
    memory_total: int | None = None
    load: tuple[float, float, float] | None = None
    disks: tuple[DiskFigures, ...] = Field(default=(), max_length=64)
    docker_disk: int | None = Field(default=None, description="bytes that images, containers and volumes take")
    rx: int | None = Field(default=None, description="bytes received since the node booted")
    tx: int | None = None
    servers_running: int | None = None
    clock: Instant = None


class Samples(News):
    """Figures of all that were measured at one time. Perishable."""

    at: Instant = None
    servers: tuple[ServerFigures, ...] = ()
    node: NodeFigures | None = None


class PlayersChanged(News):
    """Who came and who went, by the game's own words. Durable."""

    server_id: ServerId
    online: int = Field(ge=0)
    max: int | None = None
    joined: tuple[str, ...] = Field(default=(), max_length=1000)
    left: tuple[str, ...] = Field(default=(), max_length=1000)
