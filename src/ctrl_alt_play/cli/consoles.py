"""`ctrl-alt-play server logs`, `attach` and `send`"""

import json
import sys
import time
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.asking import ServerArgument, find
from ctrl_alt_play.cli.lines import Line, followed, show_lines
from ctrl_alt_play.cli.output import JsonOption, say
from ctrl_alt_play.client import Api, ApiError, Login

app = typer.Typer()
ANSWER_S = 0.5
"""A game answers a command within it."""
DEFAULT_LINES, MOST_LINES = 100, 1000
MOST_MATCHES = 200
"""In one answer."""
tell = partial(say, err=True)


@app.command()
def send(
    server: ServerArgument,
    line: Annotated[list[str], typer.Argument(help="The command for the game's console.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Write a line to a server's console, and print what it answers within a moment."""
    with Api(Login.load()) as api:
        path = f"/api/servers/{find(api, server)['id']}"
        before = api.call("GET", f"{path}/console", lines=1)
        api.follow(api.call("POST", f"{path}/command", {"command": " ".join(line)}))
        time.sleep(ANSWER_S)
        show_lines(api.call("GET", f"{path}/console", after=before["cursor"])["lines"], as_json=as_json)


@app.command()
def attach(server: ServerArgument) -> None:
    """Sit at a server's console: see what it writes, and type commands. Ctrl-D or Ctrl-C leaves; the server goes on."""
    from ctrl_alt_play.cli.attachment import Attachment  # noqa: PLC0415 - its editor is needed here alone

    with Api(Login.load()) as api:
        Attachment(api, find(api, server)).stay()


@app.command()
def logs(
    server: ServerArgument,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", min=1, max=MOST_LINES, help="At most; 100, and all that follows with --since."),
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[
        int | None, typer.Option(min=0, metavar="OFFSET", help="Begin with the line of this number.")
    ] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only lines that have this text.")] = None,
    regex: Annotated[bool, typer.Option("--regex", help="TEXT is a regular expression, in RE2's syntax.")] = False,
    download: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all that is kept into a file; - for standard output.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What a server wrote; with --json a line of JSON for each line."""
    _check_options(follow=follow, since=since, search=search, regex=regex, download=download, lines=lines)
    with Api(Login.load()) as api:
        path = f"/api/servers/{find(api, server)['id']}/console"
        if download is not None:
            _download(api, path, download)
        elif search is not None:
            _show_matches(_found(api, path, search, lines or DEFAULT_LINES, is_regex=regex), as_json=as_json)
        else:
            after = _show_kept(api, path, lines, since, is_followed=follow, as_json=as_json)
            if follow:
                _follow(api, path, after, as_json=as_json)


def _check_options(*, regex: bool, **others: Any) -> None:
    chosen = {name for name, value in others.items() if value is not None and value is not False}
    apart = {"download": {"lines", "follow", "since", "search"}, "search": {"follow", "since"}}
    for name, never in apart.items():
        if name in chosen and (both := sorted(chosen & never)):
            raise typer.BadParameter(f"--{name} does not go with --{both[0]}")
    if {"lines", "follow", "since"} <= chosen:
        raise typer.BadParameter("--since goes with --follow or with --lines, not with both")
    if regex and "search" not in chosen:
        raise typer.BadParameter("--regex goes with --search")


def _show_kept(
    api: Api, path: str, lines: int | None, since: int | None, *, is_followed: bool, as_json: bool
) -> str | int:
    """Gives where to go on. From a line on it is what there is by now; whoever follows is told all of that by the stream."""
    if since is None:
        page = api.call("GET", path, lines=lines or DEFAULT_LINES)
        show_lines(page["lines"], as_json=as_json)
        return str(page["cursor"])
    cursor: str | int = since
    while not is_followed:
        page = api.call("GET", path, lines=lines or MOST_LINES, after=cursor)
        show_lines(page["lines"], as_json=as_json)
        if lines or str(page["cursor"]) == str(cursor):
            break
        cursor = page["cursor"]
    return cursor


def _follow(api: Api, path: str, after: str | int, *, as_json: bool) -> None:
    with suppress(KeyboardInterrupt):
        for batch in followed(api, path, after, tell):
            show_lines(batch, as_json=as_json)


def _found(api: Api, path: str, text: str, count: int, *, is_regex: bool) -> list[Line]:
    """The newest matches, in the order in which they were written."""
    matches: list[Line] = []
    before = None
    while True:
        limit = min(count - len(matches), MOST_MATCHES)
        page = api.call("GET", f"{path}/search", text=text, regex=is_regex, limit=limit, before=before)
        matches += page["matches"]
        before = page["before"]
        if before is None or len(matches) >= count:
            return matches[::-1]


def _show_matches(matches: list[Line], *, as_json: bool) -> None:
    """Each with its number, which `--since` takes."""
    for match in matches:
        typer.echo(json.dumps(match) if as_json else f"{match['number']}:{match['text']}")


def _download(api: Api, path: str, file: Path) -> None:
    try:
        with (
            api.download(f"{path}/download") as chunks,
            nullcontext(sys.stdout.buffer) if str(file) == "-" else file.open("wb") as opened,
        ):
            for chunk in chunks:
                opened.write(chunk)
    except OSError as error:
        raise ApiError("NOT_WRITTEN", f"{file} cannot be written: {error.strerror}.") from error
