"""Files of a server, opened beneath its folder's descriptor and never outside of it, whatever links the game has made.

`openat2` with `RESOLVE_BENEATH` (Linux 5.6, man openat2(2)) lets the kernel itself refuse to leave. Where it is missing, the path is walked one
part at a time without following links.
"""

import ctypes
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ctrl_alt_play.protocol.errors import ErrorCode, Fault

MOST_BYTES = 512 * 1024
"""What fits into one frame of the control connection, with room for JSON's escapes."""
_BESIDE = ".ctrl-alt-play.writing"
_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 0x02, 0x08
_libc = ctypes.CDLL(None, use_errno=True)


class NotThere(Fault):
    """There is no such file."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def read_text(folder: Path, path: str) -> str:
    """A text file's content.

    Raises:
        Fault: `INVALID_PAYLOAD` with the reason: not there, not a file, outside of the folder, not text, or larger than 512 KiB.
    """
    try:
        return read(folder, path).decode()
    except UnicodeDecodeError as error:
        raise Fault(ErrorCode.INVALID_PAYLOAD, f"{path} is not a text file.") from error


def read(folder: Path, path: str) -> bytes:
    """As `read_text`, whatever is in it."""
    with _opened_folder(folder) as root:
        descriptor = _open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Fault(ErrorCode.INVALID_PAYLOAD, f"{path} is not a file.")
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Fault(
            ErrorCode.INVALID_PAYLOAD,
            f"{path} is larger than {MOST_BYTES // 1024} KiB, the most that can be read here.",
        )
    return data


def write_text(folder: Path, path: str, content: str, uid: int, gid: int) -> int:
    """As `write`."""
    return write(folder, path, content.encode(), uid, gid)


def write(folder: Path, path: str, data: bytes, uid: int, gid: int) -> int:
    """Replaces a file's content at once and whole, making it and its folders where missing, owned by the game's user.

    Gives the size in bytes.

    Raises:
        Fault: `INVALID_PAYLOAD` with the reason; the file is then as it was.
    """
    parts = PurePosixPath(path.lstrip("/")).parts
    if not parts or ".." in parts or "\x00" in path:
        raise Fault(ErrorCode.INVALID_PAYLOAD, f"{path} names no file in the server's folder.")
    with _opened_folder(folder) as root:
        parent = _make_folders(root, parts[:-1], uid, gid)
        try:
            _replace(parent, parts[-1], data, uid, gid)
        except OSError as error:
            raise _fault_of(error, path) from error
        finally:
            os.close(parent)
    return len(data)


class _opened_folder:  # noqa: N801 - reads as a statement
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Fault(ErrorCode.INVALID_STATE, "The server's folder is not there.") from error
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _make_folders(root: int, parts: tuple[str, ...], uid: int, gid: int) -> int:
    """A descriptor of the folder at `parts`, made where missing."""
    current = os.dup(root)
    for index, part in enumerate(parts):
        made = False
        try:
            os.mkdir(part, 0o755, dir_fd=current)
            made = True
        except FileExistsError:
            pass
        except OSError as error:
            os.close(current)
            raise _fault_of(error, "/".join(parts)) from error
        if made:
            os.chown(part, uid, gid, dir_fd=current, follow_symlinks=False)
        os.close(current)
        current = _open_beneath(root, "/".join(parts[: index + 1]), os.O_RDONLY | os.O_DIRECTORY)
    return current


def _replace(parent: int, name: str, data: bytes, uid: int, gid: int) -> None:
    """Writes beside the file and renames, keeping the mode of the file that was there.

    What the game may have put in the place beside, such as a FIFO that would block us, is never opened.
    """
    try:
        before = os.stat(name, dir_fd=parent, follow_symlinks=False)
        mode = stat.S_IMODE(before.st_mode) if stat.S_ISREG(before.st_mode) else 0o644
        if stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder")
    except FileNotFoundError:
        mode = 0o644
    with suppress(FileNotFoundError):
        os.unlink(_BESIDE, dir_fd=parent)
    descriptor = os.open(_BESIDE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode & 0o777)
            os.fsync(descriptor)
        os.replace(_BESIDE, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(_BESIDE, dir_fd=parent)
        raise


def _open_beneath(root: int, path: str, flags: int) -> int:
    relative = path.lstrip("/") or "."
    if "\x00" in relative:
        raise Fault(ErrorCode.INVALID_PAYLOAD, "A path holds no NUL.")
    try:
        return _openat2(root, relative, flags | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise _fault_of(error, path) from error
    try:
        return _walk(root, PurePosixPath(relative).parts, flags | os.O_CLOEXEC)
    except OSError as error:
        raise _fault_of(error, path) from error


def _openat2(root: int, path: str, flags: int) -> int:
    how = _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    descriptor = _libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(descriptor)


def _walk(root: int, parts: tuple[str, ...], flags: int) -> int:
    """The same without the kernel's help: no link is followed, and no part leads upwards."""
    if ".." in parts:
        raise OSError(errno.EXDEV, "leads outside")
    current = os.dup(root)
    try:
        for part in parts[:-1]:
            following = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = following
        return os.open(parts[-1] if parts else ".", flags | os.O_NOFOLLOW, dir_fd=current)
    finally:
        os.close(current)


def _fault_of(error: OSError, path: str) -> Fault:
    match error.errno:
        case errno.ENOENT:
            return NotThere(ErrorCode.INVALID_PAYLOAD, f"{path} is not there.")
        case errno.EXDEV | errno.ELOOP:
            reason = "leads outside of the server's folder"
        case errno.EISDIR:
            reason = "is a folder"
        case errno.ENOTDIR:
            reason = "passes through a file as if it were a folder"
        case errno.ENOSPC | errno.EDQUOT:
            return Fault(ErrorCode.INSUFFICIENT_RESOURCES, f"{path} could not be written: the disk is full.")
        case _:
            reason = f"cannot be opened: {error.strerror}"
    return Fault(ErrorCode.INVALID_PAYLOAD, f"{path} {reason}.")
