"""Games that a distribution has: each a program, the libraries it needs, and its data, as an image."""

import platform
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath

from ctrl_alt_play.games import packages
from ctrl_alt_play.games.image import Recipe, Root, Say

_LOADER = {"aarch64": "/lib/ld-linux-aarch64.so.1"}.get(platform.machine(), "/lib64/ld-linux-x86-64.so.2")
_CHANGES = ("ENV HOME=/home/container PATH=/usr/games:/usr/sbin:/usr/bin:/bin",)


@dataclass(frozen=True)
class Parts:
    """What of which packages goes into an image. Paths are patterns below `/`."""

    packages: tuple[str, ...]
    programs: tuple[str, ...] = ()
    """And what they load while they run."""
    folders: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    """What needs no library: its path in the image, and where it is in the packages."""

    @property
    def recipe(self) -> Recipe:
        """Its check is that the loader finds all libraries of the first program."""
        check = (_LOADER, "--list", f"/{self.programs[0]}") if self.programs else (self.files[0][0], "true")
        return Recipe(assemble=self._assemble, ingredients=self._ingredients, changes=_CHANGES, check=check)

    def _assemble(self, cache: Path, scratch: Path, say: Say) -> Root:
        packages.unpack(packages.needed(self.packages, cache, say), scratch, cache, say)
        root = Root()
        for pattern in self.programs:
            for program in sorted(scratch.glob(pattern)):
                root.add_program(f"/{program.relative_to(scratch)}", program, scratch)
        for folder in self.folders:
            root.add_folder(f"/{folder}", scratch / folder, wanted=_is_no_text)
        root.contents |= {path: scratch / file for path, file in self.files}
        return root

    def _ingredients(self) -> Iterator[bytes]:
        yield Path(__file__).read_bytes()
        yield Path(packages.__file__).read_bytes()
        yield repr(astuple(self)).encode()


def _is_no_text(file: PurePosixPath) -> bool:
    return file.suffix not in (".md", ".gz")


GAMES = {
    "openttd": Parts(
        ("openttd", "openttd-data", "openttd-opengfx"),
        ("usr/games/openttd",),
        ("usr/share/games/openttd",),
    ),
    "luanti": Parts(
        ("minetest-server", "minetest-data"),
        ("usr/lib/minetest/minetestserver",),
        ("usr/share/games/minetest/builtin", "usr/share/games/minetest/games/minetest_game"),
    ),
    "sauerbraten": Parts(("cube2-server",), ("usr/lib/cube2/cube2_server",)),
    "teeworlds": Parts(
        ("teeworlds-server", "teeworlds-data"),
        ("usr/games/teeworlds-server",),
        ("usr/share/games/teeworlds/data/maps", "usr/share/games/teeworlds/data/mapres"),
    ),
    "ddnet": Parts(
        ("ddnet-server", "ddnet-data"),
        ("usr/games/DDNet-Server",),
        ("usr/share/games/ddnet/data/maps", "usr/share/games/ddnet/data/maps7", "usr/share/games/ddnet/data/mapres"),
    ),
    "mumble": Parts(
        ("mumble-server", "libqt5sql5-sqlite"),
        ("usr/sbin/murmurd", "usr/lib/*/qt5/plugins/sqldrivers/libqsqlite.so"),
    ),
}
BUSYBOX = Parts(("busybox-static",), files=(("/bin/busybox", "bin/busybox"), ("/bin/sh", "bin/busybox")))
"""What install scripts run in."""
