"""What an image is made of, without Docker."""

import tarfile
from pathlib import Path, PurePosixPath

import pytest

from ctrl_alt_play.games.commands import BuildFailed, run
from ctrl_alt_play.games.image import Root, libraries
from ctrl_alt_play.games.packages import Archive, parse_uris


def test_a_root_keeps_nothing_of_this_machine_but_the_executable_bit(tmp_path: Path) -> None:
    program = a_file(tmp_path / "program", mode=0o700)
    entries = entries_of(Root({"/bin/program": program, "/etc/note": b"text"}), tmp_path)
    assert {entry.uid for entry in entries.values()} == {entry.mtime for entry in entries.values()} == {0}
    assert entries["bin/program"].mode == 0o755
    assert entries["etc/note"].mode == 0o644


def test_a_root_has_the_folders_that_any_uid_needs(tmp_path: Path) -> None:
    entries = entries_of(Root(), tmp_path)
    assert entries["tmp"].mode == entries["home/container"].mode == 0o1777
    assert {"proc", "sys", "dev", "home"} <= set(entries)


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    for name, order in {"once": ("/a", "/b"), "twice": ("/b", "/a")}.items():
        Root(dict.fromkeys(order, b"x")).write(tmp_path / name)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()


def test_a_folder_is_added_without_what_is_unwanted_and_without_links(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("inner/code.js", "readme.md"):
        a_file(tmp_path / name)
    (tmp_path / "link.js").symlink_to(tmp_path / "inner/code.js")
    root = Root({})
    root.add_folder("/opt/app", tmp_path, wanted=lambda file: file.suffix == ".js")
    assert set(root.contents) == {"/opt/app/inner/code.js"}


def test_a_program_comes_with_its_loader_and_libraries() -> None:
    names = [PurePosixPath(path).name for path in libraries(Path("/bin/ls"))]
    assert any(name.startswith("libc.so") for name in names)
    assert any(name.startswith("ld-") for name in names)


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("echo first >&2; echo it broke. >&2; exit 4", "sh failed (it broke)"),
        ("printf 'W: old\\nE: no package\\nadvice\\n' >&2; exit 4", "sh failed (E: no package)"),
        ("exit 4", "sh failed (exit code 4)"),
    ],
)
def test_a_failed_program_is_one_sentence_with_the_fix(script: str, cause: str) -> None:
    with pytest.raises(BuildFailed) as raised:
        run(["sh", "-c", script], fix="do this", timeout_s=30)
    assert str(raised.value) == f"{cause}; do this."
    assert raised.value.fix == "do this"


def test_a_program_that_is_missing_is_told() -> None:
    with pytest.raises(BuildFailed, match="no-such-program is not installed; do this"):
        run(["no-such-program"], fix="do this", timeout_s=30)


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(BuildFailed, match=r"sleep did not end within 0\.05 s; do this"):
        run(["sleep", "60"], fix="do this", timeout_s=0.05)


def test_package_files_are_read_from_what_apt_prints() -> None:
    listing = (
        "'http://mirror.test/pool/m/map%2bs_1.0-1_all.deb' map+s_1.0-1_all.deb 40249856 SHA256:11aa\n"
        "W: a warning that is no file\n"
        "'http://mirror.test/pool/u/utils_2.38_arm64.deb' utils_1%3a2.38_arm64.deb 94412 SHA256:22bb\n"
    )
    assert parse_uris(listing) == [Archive("map+s_1.0-1_all.deb", 40249856), Archive("utils_1%3a2.38_arm64.deb", 94412)]


def a_file(path: Path, *, mode: int = 0o644) -> Path:
    path.write_text("x")
    path.chmod(mode)
    return path


def entries_of(root: Root, folder: Path) -> dict[str, tarfile.TarInfo]:
    root.write(folder / "root.tar")
    with tarfile.open(folder / "root.tar") as archive:
        return {entry.name: entry for entry in archive}
