"""Brings up panel and agent on this machine, keeps them, and ends them again."""

import asyncio
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrl_alt_play.addresses import own_address
from ctrl_alt_play.agent.config import is_loopback
from ctrl_alt_play.client import Api, ApiError, Login
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel.bootstrap import bootstrap
from ctrl_alt_play.panel.config import Config, load
from ctrl_alt_play.paths import data_folder
from ctrl_alt_play.up import checks, engine
from ctrl_alt_play.up.programs import Program
from ctrl_alt_play.up.say import Trouble, say, step

READY_TIMEOUT_S = 60.0
WATCH_EVERY_S = 0.5


@dataclass(frozen=True)
class Options:
    """`demo` is the key of a game; `check` ends all again once the demo has answered."""

    demo: str | None = None
    check: bool = False


class Ended(Exception):
    """The person has had enough (SIGINT or SIGTERM)."""


def up(options: Options) -> int:
    """Runs until told to end; gives the exit code. Games are left running, and found again by the next `up`."""
    line = ""
    try:
        with ExitStack() as ends, _signals():
            try:
                line = _run(options, ends)
            except Ended:
                say("\nEnding the programs. Games go on; the next `up` finds them.")
                return 0 if not options.check else 1
    except (Trouble, StartupError) as trouble:
        say(f"\n{trouble}")
        return 1
    except ApiError as error:
        say(f"\nThe panel says: {error.message}")
        return 1
    except OSError as error:
        say(f"\n{error.strerror or error}: {error.filename or 'check the disk and your rights'}.")
        return 1
    except subprocess.TimeoutExpired as error:
        say(f"\n{error.cmd[0]} took longer than {error.timeout:.0f} s: run it by hand to see why, then run this again.")
        return 1
    if line:
        sys.stdout.write(f"{line}\n")
    return 0


def _run(options: Options, ends: ExitStack) -> str:
    """All of it, in order; what was started is ended by `ends` in reverse. Gives the line that reports the demo's check."""
    say("Ctrl-Alt-Play")
    folder = data_folder()
    ends.callback(os.close, checks.own_data(folder))
    config = load(data=folder)
    checks.check_port(config.port, "PORT", "the web page and API")
    checks.check_port(config.websocket_port, "WEBSOCKET_PORT", "the agents' gateway")
    own_engine = engine.ensure(folder / "logs")
    if options.check:
        ends.callback(own_engine.stop)
    with step("Preparing the database"):
        node_id, known = _node(folder)
        made = asyncio.run(bootstrap(config, node_id, node_id, known_secret=known))
        _keep_secret(folder, node_id, made.node_secret)
    if made.owner_password:
        say(f"  Your account: {made.owner_username}, password {made.owner_password} (shown this once; keep it).")
    url = f"http://localhost:{config.port}"
    programs = _start_programs(config, folder, node_id, made.node_secret, ends)

    def check() -> None:
        for program in programs:
            program.check()

    api = ends.enter_context(Api(Login(url, made.access_token)))
    with step("Waiting for panel and agent"):
        _wait_until_ready(api, node_id, check)
    say(f"\nCtrl-Alt-Play is up: {url}  ({from_elsewhere(config)})")
    if not options.check:
        Login(url, made.access_token).keep()
        say(f"The command line is logged in already: try `ctrl-alt-play server list`. Data and logs: {folder}")
    if options.demo:
        line = _demo(options, api, node_id, check)
        if options.check:
            return line
    say("\nCtrl-C ends Ctrl-Alt-Play and leaves the games running.")
    while True:
        for program in programs:
            program.keep()
        time.sleep(WATCH_EVERY_S)


def _start_programs(config: Config, folder: Path, node_id: str, secret: str, ends: ExitStack) -> list[Program]:
    shared = {"CTRL_ALT_PLAY_DATA": str(folder)}
    panel = Program.start("panel", shared, folder / "logs")
    ends.callback(panel.stop)
    settings = {
        **shared,
        "PANEL_URL": f"ws://127.0.0.1:{config.websocket_port}",
        "NODE_ID": node_id,
        "AGENT_SECRET": secret,
        "HEALTH_PORT": os.environ.get("HEALTH_PORT") or str(checks.free_port(8081)),
    }
    _wait_for_socket(config.websocket_port, panel)
    agent = Program.start("agent", settings, folder / "logs")
    ends.callback(agent.stop)
    return [panel, agent]


def _wait_for_socket(port: int, program: Program) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        program.check()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise Trouble(f"The {program.name} does not open port {port}; {program.log} may say why.")
        time.sleep(0.05)


def _wait_until_ready(api: Api, node_id: str, check: Any) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        check()
        try:
            if api.call("GET", f"/api/nodes/{node_id}")["online"]:
                return
        except ApiError as error:
            if error.code != "UNREACHABLE":
                raise
        if time.monotonic() > deadline:
            raise Trouble("The agent does not reach the panel; the logs in the data folder may say why.")
        time.sleep(0.05)


def _demo(options: Options, api: Api, node_id: str, check: Any) -> str:
    from ctrl_alt_play.up.demo import Demo, game_named  # noqa: PLC0415 - its packages are there only when a demo is wanted

    game = game_named(options.demo or "")
    name = f"{game.name} demo"
    demo = Demo(api, game, node_id, f"{name} {secrets.token_hex(4)}" if options.check else name, check)
    try:
        took_s = demo.run(data_folder() / "cache")
    finally:
        if options.check:
            demo.remove()
    line = f"demo: {game.name} answered in {took_s:.1f} s"
    if not options.check:
        say(f"\n{line}\n{game.join(own_address(), demo.port)}")
    return line


def _node(folder: Path) -> tuple[str, str | None]:
    """This machine's node id and secret, as an earlier run has kept them."""
    file = folder / "node"
    node_id, _, secret = (file.read_text() if file.exists() else "").strip().partition(" ")
    if node_id:
        return node_id, secret or None
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()).strip("-_.")[:64]
    return name or "this-machine", None


def _keep_secret(folder: Path, node_id: str, secret: str) -> None:
    """Writes beside and renames: cut off in the middle, the node would be enrolled anew and its servers lost from sight."""
    beside = folder / "node.writing"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{node_id} {secret}\n")
    beside.rename(folder / "node")


def from_elsewhere(config: Config) -> str:
    """How other machines reach the panel."""
    if is_loopback(config.host):
        return f"from this machine alone, for HOST is {config.host}"
    return f"from other machines: http://{own_address()}:{config.port}"


@contextmanager
def _signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise `Ended` once; while things are being ended, more of them change nothing."""

    def end(*_: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise Ended

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
