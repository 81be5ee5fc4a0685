"""A server's folder on the node: made, given to its user, removed. All of it may take long, so it belongs in a thread."""

import os
import shutil
from pathlib import Path

from ctrl_alt_play.protocol.errors import ErrorCode, Fault


def make(folder: Path, uid: int | None) -> bool:
    """Makes the folder, or gives one that was kept, and all in it, to the server's user of today; without a `uid` it stays ours.

    Gives whether it was missing.

    Raises:
        Fault: `PERMISSION_DENIED`, when it cannot be made.
    """
    try:
        was_missing = not folder.is_dir()
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if uid is not None and folder.stat().st_uid != uid:
            _give(folder, uid, uid)
    except OSError as error:
        raise Fault(ErrorCode.PERMISSION_DENIED, f"The server's folder could not be made: {error}.") from error
    return was_missing


def hand_over(folder: Path, uid: int, gid: int) -> bool:
    """Gives the folder and all in it to the server's user, whoever made it; gives whether there is nothing in it.

    Raises:
        Fault: `PERMISSION_DENIED`, when something cannot be given.
    """
    try:
        _give(folder, uid, gid)
        return not any(folder.iterdir())
    except OSError as error:
        sentence = (
            f"What the installer made could not be given to the server's user: {error}. An agent that is root can."
        )
        raise Fault(ErrorCode.PERMISSION_DENIED, sentence) from error


def _give(folder: Path, uid: int, gid: int) -> None:
    """By descriptors of folders that are none but this one's: links are given, and not followed."""
    for _, folders, files, descriptor in os.fwalk(folder, onerror=_raise):
        for name in (*folders, *files):
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, uid, gid)


def _raise(error: OSError) -> None:
    raise error


def empty(folder: Path) -> None:
    """Removes all that is in a folder; links are removed, not followed.

    Raises:
        Fault: `PERMISSION_DENIED`, when something cannot be removed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as entries:
                for entry in list(entries):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.name, dir_fd=descriptor)
                    else:
                        os.unlink(entry.name, dir_fd=descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Fault(ErrorCode.PERMISSION_DENIED, f"The server's files could not be removed: {error}.") from error


def remove(folder: Path) -> None:
    """Removes a server's folder and all in it; links are removed, not followed.

    Raises:
        Fault: `PERMISSION_DENIED`, when something cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Fault(ErrorCode.PERMISSION_DENIED, f"The server's files could not be removed: {error}.") from error
