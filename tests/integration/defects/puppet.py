"""A server whose game does what a test types on its console, and what the panel's API and the kernel say of it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.integration.installation import Installation, docker
from tests.waiting import until

from ctrl_alt_play.games import packages
from ctrl_alt_play.games.image import Root

SCRIPT = Path(__file__).with_name("puppet.sh")
CHANGES = ("USER 1000:1000", "WORKDIR /home/container", "ENV PATH=/bin", "ENV HOME=/home/container")
Report = dict[str, Any]


def root(folder: Path) -> Path:
    """An archive of busybox and the script."""
    packages.unpack(["busybox-static"], folder / "root", folder, lambda _: None)
    busybox = next((folder / "root").rglob("bin/busybox"))
    archive = folder / "puppet.tar"
    Root({"/bin/busybox": busybox, "/bin/sh": busybox, "/puppet": SCRIPT}).write(archive)
    return archive


@contextmanager
def image(folder: Path) -> Iterator[str]:
    """An image of them, under a name of its own for as long as it is needed."""
    name = f"ctrl-alt-play/puppet:{secrets.token_hex(4)}"
    docker("import", *(part for change in CHANGES for part in ("--change", change)), str(root(folder)), name)
    try:
        yield name
    finally:
        docker("image", "rm", "--force", name)


class Puppet:
    """`at_start` and `at_end` are shell, done in place of `echo ready` and upon SIGTERM."""

    def __init__(
        self, installation: Installation, image: str, *, at_start: str = "", at_end: str = "", **recipe: Any
    ) -> None:
        self.installation = installation
        told = {"AT_START": at_start, "AT_END": at_end}
        self.id = installation.create(
            image=image,
            startup="/bin/sh /puppet",
            environment={name: value for name, value in told.items() if value},
            **recipe,
        )
        self.path = f"/api/servers/{self.id}"

    # Asking for something

    def order(self, action: str, body: Any = None) -> dict[str, Any]:
        """Asks for an action, which is accepted."""
        return self.installation.order("POST", f"{self.path}/{action}", body)

    def ended(self, operation: dict[str, Any]) -> dict[str, Any]:
        return self.installation.ended(operation)

    def does(self, action: str, body: Any = None) -> dict[str, Any]:
        """An action that succeeds."""
        return self.installation.do("POST", f"{self.path}/{action}", body)

    def is_refused(self, action: str, body: Any = None) -> tuple[int, str]:
        """The answer's status and code."""
        answer = self.installation.api.post(f"{self.path}/{action}", json=body)
        assert answer.is_client_error, answer.text
        return answer.status_code, answer.json()["code"]

    def is_held(self, hold: str) -> dict[str, Any]:
        return self.installation.do("PUT", f"{self.path}/hold", {"hold": hold})

    def is_changed(self, **change: Any) -> dict[str, Any]:
        return self.installation.do("PATCH", self.path, change)

    def types(self, line: str) -> None:
        self.does("command", {"command": line})

    def crashes_by(self, line: str) -> Report:
        """Types a line that makes it crash; gives the report of it."""
        before = len(self.crashes())
        self.types(line)
        return self.next_crash(before)

    def next_crash(self, before: int) -> Report:
        until(lambda: len(self.crashes()) > before, "the crash is reported")
        return self.crashes()[0]

    # What is said of it

    def view(self) -> dict[str, Any]:
        return dict(self.installation.get(self.path))

    def status(self) -> str:
        return self.installation.status(self.id)

    def becomes(self, status: str, timeout_s: float = 10) -> None:
        until(lambda: self.status() == status, f"{self.id} is {status}; it is {self.status()}", timeout_s)

    def crashes(self) -> list[Report]:
        """Its crash reports, the latest first."""
        return list(self.installation.get(f"{self.path}/crashes", limit=200)["items"])

    def events(self) -> list[dict[str, Any]]:
        """All that was told of it, in the order in which it was told."""
        return events(self.installation, self.path)

    # What is true

    @property
    def pid(self) -> int:
        """Of its first process; 0 while it does not run."""
        return self.installation.pid(self.id)

    @property
    def game(self) -> psutil.Process:
        """The shell, below the first process."""
        return psutil.Process(self.pid).children()[0]

    def runs_anew(self, before: int, timeout_s: float = 30) -> None:
        """Waits until it runs as another process than `before`."""
        until(lambda: self.pid not in {0, before}, f"{self.id} runs as another process than {before}", timeout_s)

    def lives(self) -> list[str]:
        """A word for each start and each orderly end, by its own account."""
        file = self.installation.folder / "agent" / "servers" / self.id / "lives"
        return file.read_text().split() if file.exists() else []


def events(installation: Installation, path: str) -> list[dict[str, Any]]:
    """All events of a server or of a node, in the order in which they were told."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = installation.get(f"{path}/events", limit=200, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found[::-1]
        cursor = {"cursor": page["next_cursor"]}
