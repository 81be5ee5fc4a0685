"""What has to be so before anything is started; each finding is a sentence with its fix."""

import errno
import fcntl
import os
import shutil
import socket
from pathlib import Path

import psutil

from ctrl_alt_play.up.say import Trouble

LEAST_FREE_BYTES = 500 * 1024 * 1024


def own_data(folder: Path, least_free_bytes: int = LEAST_FREE_BYTES) -> int:
    """Holds the data folder for this run; gives the lock's descriptor, which lives as long as the process.

    Raises:
        Trouble: the folder cannot be used, is in use, or its disk is full.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "logs").mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _full(folder) from error
        raise Trouble(
            f"{folder} cannot be used ({error.strerror}): set CTRL_ALT_PLAY_DATA to a folder of yours."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Trouble(
            f"Ctrl-Alt-Play runs already with its data in {folder}: stop that one first, with Ctrl-C where it runs."
        ) from error
    if shutil.disk_usage(folder).free < least_free_bytes:
        os.close(lock)
        raise _full(folder)
    return lock


def _full(folder: Path) -> Trouble:
    return Trouble(
        f"The disk that holds {folder} is full, or nearly so: make room, or set CTRL_ALT_PLAY_DATA to a folder elsewhere."
    )


def check_port(port: int, setting: str, what: str) -> None:
    """Raises: Trouble, when the port cannot be opened."""
    try:
        _bind(port, socket.SOCK_STREAM)
    except PermissionError as error:
        raise Trouble(
            f"You may not open port {port} for {what}: choose one above 1023, such as {setting}=1{port:04d}."
        ) from error
    except OSError as error:
        holder = _holder(port)
        raise Trouble(
            f"Port {port}, which {what} needs, is taken{holder}: end that program, or choose another with {setting}=…."
        ) from error


def free_port(wanted: int, protocol: str = "tcp") -> int:
    """`wanted`, or the next port above it that is free."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    for port in range(wanted, min(wanted + 100, 65536)):
        try:
            _bind(port, kind)
        except OSError:
            continue
        return port
    raise Trouble(f"No {protocol} port from {wanted} to {wanted + 99} is free on this machine.")


def _bind(port: int, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", port))


def _holder(port: int) -> str:
    """Who has the port, as far as we may see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.laddr
                and connection.laddr.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""
