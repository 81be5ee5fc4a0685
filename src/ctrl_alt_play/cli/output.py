"""How commands answer: tables for people, JSON for programs, and exit codes that mean something.

0 done · 1 failed · 2 wrong usage · 3 not found · 4 not allowed, or not logged in · 5 panel or node not reachable, or no answer in time
"""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ctrl_alt_play.characters import shown
from ctrl_alt_play.client import ApiError

JsonOption = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
_BY_STATUS = {401: 4, 403: 4, 404: 3, 422: 2}
_UNREACHABLE = {"UNREACHABLE", "AGENT_OFFLINE", "DOCKER_UNAVAILABLE", "TIMEOUT"}


class Commands(TyperGroup):
    """Says what the panel refuses, in its own words, and ends with the code for it."""

    def invoke(self, ctx: Any) -> Any:  # a context of Typer's inside
        try:
            return super().invoke(ctx)
        except ApiError as error:
            say(f"{error.message} [{error.code}]", err=True)
            code = 5 if error.code in _UNREACHABLE else _BY_STATUS.get(error.status or 0, 1)
            raise typer.Exit(code) from error


def say(text: str, *, err: bool = False) -> None:
    """Text may come from anybody: a terminal obeys nothing of it but the ends of its lines."""
    typer.echo("\n".join(map(shown, text.split("\n"))), err=err)


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def show_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    typer.echo("\n".join(table(head, rows)))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Columns as wide as they need to be; a dash where there is nothing. A terminal obeys nothing of it."""
    lines = [list(head), *([("-" if cell is None else shown(str(cell))) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def size(size_bytes: int | None) -> str | None:
    """`512M`, `1.5G`."""
    if not size_bytes:
        return None
    return f"{size_bytes / 2**20:.0f}M" if size_bytes < 2**30 else f"{size_bytes / 2**30:.1f}G"
