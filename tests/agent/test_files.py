"""A server's files: nothing leads out of its folder, nothing blocks, nothing is half written."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctrl_alt_play.agent.servers import files
from ctrl_alt_play.agent.servers.files import MOST_BYTES, read_text, write_text
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

ME = os.getuid()
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(params=["openat2", "walk"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs with the kernel's help, and without."""
    if request.param == "walk":

        def missing(*_: object) -> int:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(files, "_openat2", missing)
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "outside").mkdir()
    return folder


@pytest.fixture(autouse=True)
def _no_descriptor_is_left_open() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def write(folder: Path, path: str, content: str = "content") -> int:
    return write_text(folder, path, content, ME, os.getgid())


def refusal(work: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as refused:
        work()
    assert refused.value.message.endswith(".")
    return refused.value


@pytest.mark.parametrize(
    "path", ["a.txt", "/a.txt", "//a.txt", "./a.txt", "deep/er/a.txt", "ümläut 世界.txt", "x" * 255, "世" * 85]
)
def test_what_was_written_is_read(folder: Path, path: str) -> None:
    assert write(folder, path, "motd=hi\n") == 8
    assert read_text(folder, path) == "motd=hi\n"
    assert not [path for path in folder.iterdir() if "writing" in path.name]


@pytest.mark.parametrize(
    "path", ["../secret", "/../secret", "a/../../secret", "..", "a/../..", "./../secret", "a/b/../../../secret"]
)
def test_no_path_leads_outside(folder: Path, tmp_path: Path, path: str) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    for work in (lambda: read_text(folder, path), lambda: write(folder, path)):
        assert refusal(work).code is ErrorCode.INVALID_PAYLOAD
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "../outside", "/proc/self/root/etc/passwd", "loop"])
def test_no_link_leads_outside(folder: Path, tmp_path: Path, target: str) -> None:
    (folder / "loop").symlink_to(target)
    fault = refusal(lambda: read_text(folder, "loop"))
    assert "leads outside" in fault.message
    refusal(lambda: read_text(folder, "loop/file"))


@pytest.mark.parametrize("target", ["../outside", "/tmp", "/proc/self/cwd"])  # noqa: S108 - never written
def test_no_file_is_written_through_a_link_to_a_folder(folder: Path, tmp_path: Path, target: str) -> None:
    (folder / "link").symlink_to(target)
    for path in ("link/file", "link/new/file"):
        refusal(lambda path=path: write(folder, path))  # type: ignore[misc]
    assert list((tmp_path / "outside").iterdir()) == []


def test_writing_to_a_link_replaces_the_link_and_not_what_it_points_to(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to("../secret")
    write(folder, "link", "mine")
    assert (tmp_path / "secret").read_text() == "secret"
    assert not (folder / "link").is_symlink()
    assert read_text(folder, "link") == "mine"


@pytest.mark.parametrize("path", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_refused_and_does_not_block(folder: Path, path: str) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    os.mknod(folder / "socket", 0o140644)
    fault = refusal(lambda: read_text(folder, path))
    assert fault.code is ErrorCode.INVALID_PAYLOAD


def test_writing_to_a_pipe_replaces_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    write(folder, "pipe", "content")
    assert read_text(folder, "pipe") == "content"


@pytest.mark.parametrize("kind", ["pipe", "link", "hard link", "file"])
def test_what_the_game_puts_beside_neither_blocks_nor_is_written(folder: Path, tmp_path: Path, kind: str) -> None:
    (folder / "other").write_text("other")
    for name in (".config.writing", files._BESIDE):
        match kind:
            case "pipe":
                os.mkfifo(folder / name)
            case "link":
                (folder / name).symlink_to("../secret")
            case "hard link":
                os.link(folder / "other", folder / name)
            case _:
                (folder / name).write_text("left over")
    write(folder, "config", "content")
    assert read_text(folder, "config") == "content"
    assert (folder / "other").read_text() == "other"
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("path", ["", "/", ".", "..", "nul\x00byte", "folder"])
def test_what_names_no_file_cannot_be_written(folder: Path, path: str) -> None:
    (folder / "folder").mkdir()
    assert refusal(lambda: write(folder, path)).code is ErrorCode.INVALID_PAYLOAD


def test_refusals_say_why(folder: Path) -> None:
    (folder / "file").write_text("x")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "huge").write_bytes(b"x" * (MOST_BYTES + 1))
    assert "is not there" in refusal(lambda: read_text(folder, "missing")).message
    assert "passes through a file" in refusal(lambda: read_text(folder, "file/x")).message
    assert "passes through a file" in refusal(lambda: write(folder, "file/x")).message
    assert "not a text file" in refusal(lambda: read_text(folder, "binary")).message
    assert "larger than 512 KiB" in refusal(lambda: read_text(folder, "huge")).message
    assert "NUL" in refusal(lambda: read_text(folder, "nul\x00")).message
    assert "too long" in refusal(lambda: write(folder, "x" * 256)).message.lower()
    assert refusal(lambda: read_text(folder / "gone", "x")).code is ErrorCode.INVALID_STATE


def test_the_largest_file_is_read_whole(folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * MOST_BYTES)
    assert len(read_text(folder, "large")) == MOST_BYTES


def test_a_file_that_cannot_be_replaced_stays_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "config", "before")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refusal(lambda: write(folder, "config", "after")).code is ErrorCode.INSUFFICIENT_RESOURCES
    assert read_text(folder, "config") == "before"
    assert [path.name for path in folder.iterdir()] == ["config"]


def test_readers_see_the_old_file_or_the_new_one_and_nothing_between(folder: Path) -> None:
    versions = ["a" * 100_000, "b" * 100_000]
    write(folder, "config", versions[0])
    done = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not done.is_set():
            seen.add((folder / "config").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(50):
        write(folder, "config", versions[index % 2])
    done.set()
    reader.join()
    assert seen <= set(versions)


def test_the_mode_is_kept_and_setuid_is_not(folder: Path) -> None:
    (folder / "run.sh").write_text("x")
    (folder / "run.sh").chmod(0o4750)
    write(folder, "run.sh")
    assert (folder / "run.sh").stat().st_mode & 0o7777 == 0o750
    write(folder, "new")
    assert (folder / "new").stat().st_mode & 0o7777 == 0o644


@is_root
def test_files_and_new_folders_belong_to_the_games_user(folder: Path) -> None:
    (folder / "old").mkdir()
    write_text(folder, "old/new/file", "x", 20001, 20001)
    owners = {
        path: ((folder / path).stat().st_uid, (folder / path).stat().st_gid)
        for path in ("old", "old/new", "old/new/file")
    }
    assert owners == {"old": (0, 0), "old/new": (20001, 20001), "old/new/file": (20001, 20001)}


def test_a_link_swapped_in_meanwhile_is_never_followed(folder: Path, tmp_path: Path) -> None:
    """The game exchanges a folder for a link to the outside, as fast as it can, while we read and write in it."""
    (tmp_path / "outside" / "file").write_text("secret")
    (folder / "real").mkdir()
    (folder / "real" / "file").write_text("mine")
    (folder / "trap").symlink_to("../outside")
    done = threading.Event()

    (folder / "place").symlink_to("real")

    def swap() -> None:
        while not done.is_set():
            for target in ("../outside", "real"):
                (folder / "next").symlink_to(target)
                (folder / "next").replace(folder / "place")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            for work in (lambda: read_text(folder, "place/file"), lambda: write(folder, "place/file", "mine")):
                try:
                    result = work()
                except Fault:
                    continue
                assert result in {"mine", 4}
    finally:
        done.set()
        swapper.join()
    assert (tmp_path / "outside" / "file").read_text() == "secret"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]


def test_a_link_that_stays_inside_is_followed_where_the_kernel_watches(folder: Path, way: str) -> None:
    (folder / "real").mkdir()
    (folder / "real" / "file").write_text("mine")
    (folder / "link").symlink_to("real")
    if way == "openat2":
        assert read_text(folder, "link/file") == "mine"
    else:
        refusal(lambda: read_text(folder, "link/file"))
