"""Consoles as they travel."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from pydantic import BaseModel, Field

from ctrl_alt_play.protocol.live import ConsolePage, Lines, Loss, SearchPage, Stream


class ConsoleLine(BaseModel):
    """A line; or, where `lost` says so, a gap of `count` lines that are not there."""

    number: int = Field(
        description="of the line, or of the first that is not there; counted as long as there is the server"
    )
    stream: Stream = Field(description="`node` for what the node itself says, as while it installs")
    text: str = Field(description="as the server wrote it, with its colours")
    time: datetime | None
    lost: Loss | None = Field(default=None, description="why lines are not there; null for a line")
    count: int = Field(default=1, description="of lines; of a gap 0 where nobody can know it")


class ConsoleView(BaseModel):
    lines: list[ConsoleLine]
    cursor: str = Field(description="give it as `after` for what follows")
    earlier: str | None = Field(
        description="give it as `before` for what came before; null where nothing older is kept"
    )
    missed: int = Field(description="lines among these that are not there")


class SearchView(BaseModel):
    matches: list[ConsoleLine] = Field(description="the newest first")
    before: str | None = Field(description="give it as `before` for older ones; null when all was searched")


def view(page: ConsolePage) -> ConsoleView:
    start = page.parts[0].offset if page.parts else page.next
    return ConsoleView(
        lines=list(entries(page.parts)),
        cursor=str(page.parts[-1].next if page.parts else page.next),
        earlier=str(start) if start > page.first else None,
        missed=sum(part.lines for part in page.parts if part.lost is not None),
    )


def search_view(page: SearchPage) -> SearchView:
    return SearchView(matches=list(entries(page.matches)), before=None if page.before is None else str(page.before))


def entries(parts: Sequence[Lines]) -> Iterator[ConsoleLine]:
    for part in parts:
        make = partial(ConsoleLine.model_construct, stream=part.stream, time=part.at)
        if part.text is None:
            yield make(number=part.offset, text="", lost=part.lost or Loss.FLOOD, count=part.lines)
        else:
            yield from (
                make(number=number, text=text) for number, text in enumerate(part.text.split("\n"), part.offset)
            )


_WHY = {
    Loss.FLOOD: "they came faster than they could be kept",
    Loss.AWAY: "they were written while the agent was away",
    Loss.ROTATED: "they are too old",
    Loss.SKIPPED: "they were skipped",
}


def plain(page: ConsolePage) -> str:
    """As a text file has it. What is merely too old is not missed."""
    return "".join(
        f"{_missing(part)}\n" if part.text is None else f"{part.text}\n"
        for part in page.parts
        if part.lost is not Loss.ROTATED
    )


def _missing(part: Lines) -> str:
    lines = "Some lines are" if part.lines == 0 else f"{part.lines} line{' is' if part.lines == 1 else 's are'}"
    return f"[{lines} not here: {_WHY[part.lost or Loss.FLOOD]}.]"
