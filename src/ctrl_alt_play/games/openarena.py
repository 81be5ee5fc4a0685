"""OpenArena: a quick first-person shooter, cut down to its server and two maps."""

import re
import shlex
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ctrl_alt_play.games import packages, quake3
from ctrl_alt_play.games.commands import BuildFailed
from ctrl_alt_play.games.game import Game
from ctrl_alt_play.games.image import Recipe, Root, Say

_PACKAGES = (
    "ioquake3-server",
    "openarena-server",
    "openarena-data",
    "openarena-081-maps",
    "openarena-081-misc",
    "openarena-088-data",
)
_WANTED = re.compile(
    r"maps/(oa_dm1|oa_bases3)\.(bsp|aas)|default\.cfg|productid\.txt|COPYING"
    r"|botfiles/.+[^/]|scripts/[^/]+\.(txt|arena|bot|cfg)"
)
_HOME = "/opt/openarena"
_PORT = 27960
_SETTINGS = """\
// Read at every start. Maps in this image: oa_dm1 (free for all), oa_bases3 (capture the flag: g_gametype 4).
set sv_hostname "Ctrl-Alt-Play demo"
set sv_maxclients 12
set g_gametype 0
set fraglimit 20
set g_log ""
map oa_dm1
"""
_STARTUP = (
    f"{_HOME}/ioq3ded +set com_basegame baseoa +set fs_basepath {_HOME} +set fs_homepath /home/container "
    "+set com_protocol 71 +set com_legacyprotocol 71 "  # what OpenArena's clients speak
    "+set dedicated 1 "  # 2 would announce the server to the world
    "+set sv_pure 0 "  # players bring the full game's files, of which this image holds a few
    f"+set vm_game 0 +set net_port {_PORT} +exec server.cfg"
)


def cut(paks: Iterable[Path], target: Path) -> None:
    """Write one pak with what a server needs of these. As in the engine the last pak by name wins."""
    contents: dict[str, bytes] = {}
    for pak in sorted(paks):
        with zipfile.ZipFile(pak) as archive:
            contents |= {name: archive.read(name) for name in archive.namelist() if _WANTED.fullmatch(name)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(contents.items()):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def join(host: str, port: int) -> str:
    """How a person gets into the game."""
    return f"Install OpenArena 0.8.8, start it, press Shift+Esc for its console and type `/connect {host}:{port}`."


def _assemble(cache: Path, scratch: Path, say: Say) -> Root:
    packages.unpack(_PACKAGES, scratch, cache, say)
    say("cutting the game's data down to two maps")
    pak = scratch / "pak0.pk3"
    cut(scratch.glob("usr/share/games/openarena/baseoa/*.pk3"), pak)
    root = Root()
    root.add_program(f"{_HOME}/ioq3ded", scratch / "usr/lib/ioquake3/ioq3ded")
    rules = _only(scratch.glob("usr/lib/openarena-server/baseoa/qagame*.so"))
    root.add_program(f"{_HOME}/baseoa/{rules.name}", rules)
    root.contents[f"{_HOME}/baseoa/pak0.pk3"] = pak
    root.contents[f"{_HOME}/baseoa/server.cfg"] = _SETTINGS.encode()
    return root


def _only(files: Iterable[Path]) -> Path:
    """The one file whose name holds this machine's architecture."""
    match list(files):
        case [file]:
            return file
        case _:
            raise BuildFailed("openarena-server holds no game rules for this machine", "use amd64 or arm64")


def _ingredients() -> Iterator[bytes]:
    yield Path(__file__).read_bytes()
    yield Path(packages.__file__).read_bytes()


OPENARENA = Game(
    name="OpenArena",
    key="openarena",
    image="ctrl-alt-play/openarena:demo",
    recipe=Recipe(
        assemble=_assemble,
        ingredients=_ingredients,
        changes=("ENV HOME=/home/container", f"EXPOSE {_PORT}/udp"),
        check=(*shlex.split(_STARTUP), "+quit"),
    ),
    startup=_STARTUP,
    memory_bytes=128 * 1024**2,
    cpu_percent=100,
    disk_bytes=64 * 1024**2,
    port=_PORT,
    protocol="udp",
    stop_command="quit",
    ready_line="AAS initialized.",
    query_protocol="quake3",
    query=quake3.query,
    join=join,
    files={"baseoa/server.cfg": _SETTINGS},
)
