"""A console's lines: followed over lost connections, and shown."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import typer

from ctrl_alt_play.cli.output import say
from ctrl_alt_play.client import Api, ApiError

PAUSES_S = (0.5, 1.0, 2.0, 5.0)
"""Before each new try; the last one again and again."""
WHY = {
    "flood": "they came faster than they could be kept",
    "away": "they were written while the agent was away",
    "rotated": "they are too old",
    "skipped": "they were skipped, for they came faster than they could be shown; `server logs --since` has them",
}
Line = dict[str, Any]
"""As `GET /api/servers/{id}/console` has it."""


def followed(
    api: Api, path: str, after: str | int, tell: Callable[[str], None], pause: Callable[[float], None] = time.sleep
) -> Iterator[list[Line]]:
    """What the console at this path writes, without end: each line once and in order, also where the connection is lost, which is told.

    Raises:
        ApiError: the panel refuses, as it does when the server was deleted, or the login or the right has ended.
    """
    tries = 0
    while True:
        try:
            with api.stream(f"{path}/stream", after=after) as batches:
                if tries:
                    tell("The panel is there again.")
                for batch in batches:
                    tries, after = 0, batch["next"]
                    yield [line for part in batch["parts"] for line in lines_of(part)]
        except ApiError as error:
            if not is_passing(error):
                raise
        if tries == 0:
            tell("The connection to the panel is lost; trying again until it is there.")
        pause(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
        tries += 1


def is_passing(error: ApiError) -> bool:
    """Nobody refused: the panel, or what stands before it, was not able to answer."""
    return error.code == "UNREACHABLE" or (error.status or 0) >= 500


def lines_of(part: dict[str, Any]) -> list[Line]:
    """Of a part of a stream."""
    same = {"stream": part["stream"], "time": part["at"], "lost": part["lost"]}
    if part["text"] is None:
        return [{"number": part["offset"], "text": "", "count": part["lines"], **same}]
    texts = enumerate(part["text"].split("\n"), part["offset"])
    return [{"number": number, "text": text, "count": 1, **same} for number, text in texts]


def show_lines(lines: Iterable[Line], *, as_json: bool = False) -> None:
    """As the game wrote them; what is not there is told in words, on standard error."""
    for is_gap, group in groupby(lines, lambda line: line.get("lost") is not None):
        if as_json:
            typer.echo("\n".join(map(json.dumps, group)))
        elif is_gap:
            say("\n".join(map(missing, group)), err=True)
        else:
            typer.echo("\n".join(line["text"] for line in group))


def missing(gap: Line) -> str:
    count = gap["count"]
    lines = "Some lines are" if count == 0 else f"{count:,} line{' is' if count == 1 else 's are'}"
    return f"[{lines} not here: {WHY.get(gap['lost'], gap['lost'])}.]"
