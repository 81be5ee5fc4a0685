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
            _give(folder, uid)
    except OSError as error:
        raise Fault(ErrorCode.PERMISSION_DENIED, f"The server's folder could not be made: {error}.") from error
    return was_missing


def _give(folder: Path, uid: int) -> None:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), uid, uid, follow_symlinks=False)
    os.chown(folder, uid, uid)


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
