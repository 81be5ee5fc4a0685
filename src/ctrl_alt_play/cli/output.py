"""How commands answer: tables for people, JSON for programs, and exit codes that mean something.

0 done · 1 failed · 2 wrong usage · 3 not found · 4 not allowed, or not logged in · 5 panel or node not reachable, or no answer in time
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from ctrl_alt_play.client import ApiError

JsonOption = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
_BY_STATUS = {401: 4, 403: 4, 404: 3, 422: 2}
_UNREACHABLE = {"UNREACHABLE", "AGENT_OFFLINE", "DOCKER_UNAVAILABLE", "TIMEOUT"}


@contextmanager
def api_errors() -> Iterator[None]:
    """Says what the panel refuses, in its own words, and ends with the code for it."""
    try:
        yield
    except ApiError as error:
        typer.echo(f"{error.message} [{error.code}]", err=True)
        code = 5 if error.code in _UNREACHABLE else _BY_STATUS.get(error.status or 0, 1)
        raise typer.Exit(code) from error


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def show_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as they need to be; a dash where there is nothing."""
    lines = [list(head), *([("-" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
