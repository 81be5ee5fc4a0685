"""Makes sure that a Docker Engine answers on this machine: the one that is there, or else the distribution's own."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ctrl_alt_play.log_file import open_private
from ctrl_alt_play.up.say import Trouble, step

SOCKET = "/var/run/docker.sock"
START_TIMEOUT_S = 60.0
INSTALL_TIMEOUT_S = 900.0


class Answer(Enum):
    YES = "yes"
    FORBIDDEN = "forbidden"
    NOTHING = "nothing"


@dataclass
class OwnEngine:
    """An engine that this run started by hand, where no service manager did. It goes on when `up` ends, as the games do."""

    process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Ends it again, if it was started here."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(host: str) -> Answer:
    """Whether an engine answers at `host`, as `DOCKER_HOST` names it."""
    parts = urlsplit(host)
    connection = (
        _UnixConnection(parts.path) if parts.scheme == "unix" else http.client.HTTPConnection(parts.netloc, timeout=5)
    )
    try:
        connection.request("GET", "/_ping")
        return Answer.YES if connection.getresponse().status == http.client.OK else Answer.NOTHING
    except PermissionError:
        return Answer.FORBIDDEN
    except (OSError, http.client.HTTPException):
        return Answer.NOTHING
    finally:
        connection.close()


def ensure(log_folder: Path) -> OwnEngine:
    """Gives back when an engine answers.

    Raises:
        Trouble: it does not, and cannot be made to; says what to do.
    """
    told = os.environ.get("DOCKER_HOST")
    host = told or f"unix://{SOCKET}"
    match ask(host):
        case Answer.YES:
            return OwnEngine()
        case Answer.FORBIDDEN:
            user = os.environ.get("USER", "you")
            raise Trouble(
                f"You may not use Docker here: run `sudo usermod -aG docker {user}`, log in again, and run this again."
            )
        case Answer.NOTHING if told:
            raise Trouble(
                f"No Docker Engine answers at DOCKER_HOST={told}: start it, or unset DOCKER_HOST to use this machine's own."
            )
        case Answer.NOTHING:
            return _start(log_folder, host)


def _start(log_folder: Path, host: str) -> OwnEngine:
    is_installed = shutil.which("dockerd", path=_path()) is not None
    if os.geteuid() != 0:
        what = (
            "start it with `sudo systemctl start docker`"
            if is_installed
            else "install it with `sudo apt-get install docker.io`"
        )
        raise Trouble(f"No Docker Engine answers on this machine: {what}, then run this again.")
    if not is_installed:
        _install()
    with step("Starting the Docker Engine"):
        engine = _start_service() or _start_by_hand(log_folder)
        _wait(host, engine, log_folder)
    return engine


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise Trouble(
            "No Docker Engine is on this machine: install Docker with your distribution's packages, then run this again."
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step("Installing the Docker Engine (the distribution's package docker.io)"):
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "docker.io"]):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
            )
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                raise Trouble(
                    f"`{' '.join(command)}` failed ({last}): mend that, or install Docker yourself, then run this again."
                )


def _start_service() -> OwnEngine | None:
    """By systemd, where it runs."""
    if not Path("/run/systemd/system").is_dir():
        return None
    done = subprocess.run(["systemctl", "start", "docker"], capture_output=True, timeout=START_TIMEOUT_S, check=False)
    return OwnEngine() if done.returncode == 0 else None


def _start_by_hand(log_folder: Path) -> OwnEngine:
    log: IO[bytes]
    with open(log_folder / "dockerd.log", "ab", opener=open_private) as log:
        process = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": _path()},
        )
    return OwnEngine(process)


def _wait(host: str, engine: OwnEngine, log_folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while ask(host) is not Answer.YES:
        has_ended = engine.process is not None and engine.process.poll() is not None
        if has_ended or time.monotonic() > deadline:
            where = f"{log_folder / 'dockerd.log'} says why" if engine.process else "`journalctl -u docker` says why"
            raise Trouble(f"The Docker Engine does not start on this machine: {where}.")
        time.sleep(0.1)


def _path() -> str:
    """Where daemons are, also for a person whose PATH leaves the system's folders out."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin"
