"""`ctrl-alt-play server top`"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.lines import is_passing
from ctrl_alt_play.cli.output import show_json, show_table, size, table
from ctrl_alt_play.client import Api, ApiError, Login

app = typer.Typer()
LIVE = "/api/live/events"
MOST_WATCHED = 49
"""A stream has fifty topics."""
LOOK_EVERY_S = 1.0
OTHER_SCREEN, FIRST_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
HEAD = ("NAME", "NODE", "STATUS", "CPU %", "MEMORY", "PLAYERS", "UPTIME")


@app.command()
def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line of the API's JSON for each look.")] = False,
) -> None:
    """What all servers that you may see do and use now, anew every second until Ctrl-C."""
    with Api(Login.load()) as api:
        servers = api.every("/api/servers")
        if once:
            show_json(servers) if as_json else show_table(HEAD, rows(servers))
            return
        is_screen = not as_json and sys.stdout.isatty()
        with _screen(is_screen):
            for seen, note in _looks(api, servers):
                if is_screen:
                    _draw(seen, note)
                elif as_json:
                    typer.echo(json.dumps(seen))
                else:
                    show_table(HEAD, rows(seen))


def _looks(api: Api, servers: list[Any]) -> Iterator[tuple[list[Any], str]]:
    """The servers, and what there is to say of the panel; while that is away it is what was seen last. Raises: ApiError, it refuses."""
    shown = {server["id"]: server for server in servers}
    watched, note = _running(shown), ""
    while True:
        yield list(shown.values()), note
        try:
            for _ in _followed(api, shown, watched):
                yield list(shown.values()), ""
            watched, note = _running(shown), ""
        except ApiError as error:
            if error.code == "NOT_FOUND":
                watched = []  # one of them is no more; the list tells which
            elif is_passing(error):
                note = "The panel does not answer; this is what was seen last."
            else:
                raise
        time.sleep(LOOK_EVERY_S)


def _followed(api: Api, shown: dict[str, Any], watched: list[str]) -> Iterator[None]:
    """Keeps `shown` as the panel tells it, with figures of those watched for each second. Ends when others should be."""
    look_at = 0.0
    with api.stream(LIVE, topic=["servers", *(f"figures:{id_}" for id_ in watched)]) as frames:
        for frame in frames:
            _take(frame, shown)
            if frame.get("more"):
                continue
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY_S
                yield
            if frame["kind"] in {"page", "changed", "removed"} and _running(shown) != watched:
                return


def _take(frame: dict[str, Any], shown: dict[str, Any]) -> None:
    data: Any = frame.get("data")
    match frame["kind"]:
        case "page":
            if frame["first"]:
                shown.clear()
            shown.update((server["id"], server) for server in data)
        case "changed":
            shown[data["id"]] = data
        case "removed":
            shown.pop(data["id"], None)
        case "recent" | "sample" if data and (server := shown.get(frame["topic"].partition(":")[2])):
            server["figures"] = data[-1] if isinstance(data, list) else data


def _running(shown: dict[str, Any]) -> list[str]:
    """As many as a stream tells figures of; the same ones each time."""
    return sorted(id_ for id_, server in shown.items() if server["status"] == "RUNNING")[:MOST_WATCHED]


@contextmanager
def _screen(is_wanted: bool) -> Iterator[None]:  # noqa: FBT001 - the one thing there is to say
    """Of its own, so that what stood in the terminal is there again afterwards. Ctrl-C ends it."""
    try:
        if is_wanted:
            typer.echo(OTHER_SCREEN, nl=False)
        yield
    except KeyboardInterrupt:
        pass
    finally:
        if is_wanted:
            typer.echo(FIRST_SCREEN, nl=False)


def _draw(servers: list[Any], note: str) -> None:
    """As much as fits."""
    window = get_terminal_size()
    running = sum(server["status"] == "RUNNING" for server in servers)
    title = f"{len(servers)} servers, {running} running  {note}"
    lines = [title, "", *table(HEAD, rows(servers))][: window.lines]
    shown = (line[: window.columns] + CLEAR_LINE for line in lines)
    typer.echo(HOME + "\n".join(shown) + CLEAR_BELOW, nl=False)


def rows(servers: list[Any]) -> list[tuple[Any, ...]]:
    """Those that run first, and of these the busiest."""
    found = sorted(servers, key=lambda server: (server["status"] != "RUNNING", -_cpu(server), server["name"]))
    return [_row(server) for server in found]


def _cpu(server: dict[str, Any]) -> float:
    return float((server.get("figures") or {}).get("cpu_percent") or 0)


def _row(server: dict[str, Any]) -> tuple[Any, ...]:
    """Figures are of what runs: else they were measured before it ended."""
    runs = server["status"] == "RUNNING"
    figures: dict[str, Any] = (server.get("figures") or {}) if runs else {}
    cpu = figures.get("cpu_percent")
    return (
        server["name"],
        server["node_id"],
        server["status"],
        None if cpu is None else f"{cpu:.1f}",
        _of(size(figures.get("memory_used_bytes")), size(figures.get("memory_limit_bytes"))),
        _of(figures.get("players"), figures.get("players_max")),
        _duration(server["status_since"]) if runs else None,
    )


def _of(part: object, whole: object) -> str | None:
    if part is None:
        return None
    return f"{part} / {whole}" if whole else str(part)


def _duration(since: str) -> str | None:
    """Until now, in its two largest units."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    except (TypeError, ValueError):
        return None
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}h"
    return f"{hour}h {minute}m" if hour else f"{minute}m {second}s"
