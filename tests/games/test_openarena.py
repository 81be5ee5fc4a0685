"""Which of OpenArena's data goes into the image."""

import shlex
import zipfile
from pathlib import Path

from ctrl_alt_play.games.openarena import OPENARENA, cut


def test_only_what_a_server_needs_of_two_maps_is_kept(tmp_path: Path) -> None:
    kept = {
        "maps/oa_dm1.bsp",
        "maps/oa_bases3.aas",
        "default.cfg",
        "COPYING",
        "botfiles/bots/sarge_c.c",
        "scripts/bots.txt",
    }
    left = {"maps/oa_dm2.bsp", "maps/oa_dm1x.bsp", "maps/oa_dm1.map", "vm/cgame.qvm", "scripts/a.shader"}
    pak(tmp_path / "pak0.pk3", dict.fromkeys(kept | left, "x"))
    assert set(contents_of_cut(tmp_path)) == kept


def test_folders_are_no_files(tmp_path: Path) -> None:
    pak(tmp_path / "pak0.pk3", {"botfiles/": "", "botfiles/bots/": "", "botfiles/chars.h": "x"})
    assert set(contents_of_cut(tmp_path)) == {"botfiles/chars.h"}


def test_the_last_pak_by_name_wins(tmp_path: Path) -> None:
    pak(tmp_path / "pak6-patch088.pk3", {"scripts/bots.txt": "newest"})
    pak(tmp_path / "pak0.pk3", {"scripts/bots.txt": "oldest"})
    pak(tmp_path / "pak6-misc.pk3", {"scripts/bots.txt": "old"})
    assert contents_of_cut(tmp_path) == {"scripts/bots.txt": b"newest"}


def test_the_same_paks_give_the_same_bytes(tmp_path: Path) -> None:
    pak(tmp_path / "pak0.pk3", {"default.cfg": "x"})
    for name in ("once", "twice"):
        cut(tmp_path.glob("*.pk3"), tmp_path / name)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()


def test_its_startup_needs_no_shell() -> None:
    program, *arguments = shlex.split(OPENARENA.startup)
    assert program.startswith("/")
    assert arguments[-2:] == ["+exec", "server.cfg"]


def pak(path: Path, contents: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def contents_of_cut(folder: Path) -> dict[str, bytes]:
    cut(folder.glob("*.pk3"), folder / "result")
    with zipfile.ZipFile(folder / "result") as archive:
        return {name: archive.read(name) for name in archive.namelist()}
