"""The seam: what the agent asks of whatever runs containers. A container is known by its server's id, which its label tells, whatever its name;
that of a server's installer by what `installer_of` makes of the id.

Every method raises `Fault`: `DOCKER_UNAVAILABLE` when nothing answers, `CONTAINER_NOT_FOUND` when there is no such container, and what fits
best otherwise. None of them waits for ever.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ctrl_alt_play.protocol.specification import Specification

LOG_BYTES = 32 * 2**20
"""More than Docker is told to keep."""
INSTALLER = "/installer"
"""No server's id ends so."""


def installer_of(server_id: str) -> str:
    """What the container of a server's installer is called here."""
    return f"{server_id}{INSTALLER}"


class ContainerState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of a container at one moment."""

    id: str
    server_id: str
    state: ContainerState
    is_paused: bool = False
    """It runs, and is frozen."""
    pid: int | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    started_at: datetime | None = None
    """While it runs."""
    finished_at: datetime | None = None
    """Once it has exited."""
    node_id: str = ""
    image: str = ""
    image_id: str = ""
    """Of what it was made from, which the image's name may no longer mean."""
    address: str | None = None
    """Where the node itself reaches the game, while it runs."""
    uid: int | None = None
    fingerprint: str = ""
    """Of the plan that it was made from."""
    specification: Specification | None = None
    """What it was made from, as the container itself tells; None where it does not."""

    @property
    def is_running(self) -> bool:
        return self.state is ContainerState.RUNNING


@dataclass(frozen=True, slots=True)
class Plan:
    """All that makes a container: the server's specification, and where and as whom it runs on this node."""

    server_id: str
    node_id: str
    specification: Specification
    folder: Path
    uid: int
    gid: int
    timezone: str = "UTC"
    """The node's."""


@dataclass(frozen=True, slots=True)
class Change:
    """The engine saw something happen to a server's container: look again."""

    server_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Raw counters of a running container, and when they were read (seconds, of the engine's clock)."""

    read_at_s: float
    cpu_ns: int
    memory_bytes: int
    memory_limit_bytes: int
    received_bytes: int
    sent_bytes: int
    pids: int
    read_bytes: int | None = None
    """From block devices; None where that is not counted."""
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str
    networks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """How the engine is set up, as far as it says."""

    version: str
    storage_driver: str = ""
    cgroup: str = ""
    keeps_games: bool | None = None
    """Containers live on while it is restarted (live-restore)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as the game wrote them; lines and characters may be cut anywhere."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """What the engine keeps of one image. Docker counts what images share for each of them."""

    id: str
    names: tuple[str, ...] = ()
    """With their tags. Without one nothing but containers refers to it."""
    size_bytes: int = 0
    created_at: datetime | None = None
    servers: tuple[str, ...] = ()
    """That have a container of it, or whose installer has."""
    others: tuple[str, ...] = ()
    """Names of containers of it that are not ours."""


@dataclass(frozen=True, slots=True)
class Login:
    """As whom a registry is asked."""

    username: str
    password: str = field(repr=False)


class OnPull(Protocol):
    """Takes a phase of a pull, `download` or `unpack`, its percent, where that is known, and a sentence. It must return at once."""

    def __call__(self, phase: str, percent: float | None, message: str = "", /) -> None: ...


LoginFor = Callable[[str], Login | None]
"""As whom the registry of an image is asked; None: as nobody."""
OnPulled = Callable[[str], Awaitable[None]]
"""Told the id of each image that was pulled."""


class Attachment(Protocol):
    """An open console. It must be read without pause, or the game blocks when it writes."""

    async def read(self) -> Chunk | None:
        """The next output; None when the container, or the engine, has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Writes to the game's standard input."""
        ...

    async def close(self) -> None: ...


class Engine(Protocol):
    async def info(self) -> EngineInfo: ...

    async def setup(self) -> EngineSetup: ...

    async def ensure_image(self, image: str, on_progress: OnPull | None = None) -> None:
        """Makes sure that the image is here, pulling it when it is not. May take long.

        Raises:
            Fault: `IMAGE_NOT_FOUND`.
        """
        ...

    async def pull_image(self, image: str, on_progress: OnPull | None = None) -> str:
        """Pulls what the image's name means at its registry today; gives its id. What is here stays where that fails. May take long.

        Raises:
            Fault: as `ensure_image`.
        """
        ...

    async def list_images(self) -> "list[Image]":
        """All that have a name or that nothing is built upon."""
        ...

    async def image_bytes(self) -> int:
        """What all images take on the disk, what they share counted once. Docker before 23 looks at all it has, which may take long."""
        ...

    async def remove_image(self, image: Image) -> None:
        """Takes all names from an image, and so removes it; does nothing when there is none.

        Raises:
            Fault: `INVALID_STATE`, a container uses it.
        """
        ...

    async def image_id(self, image: str) -> str | None:
        """What the image's name means on this node now; None when it is not here."""
        ...

    async def create(self, plan: Plan) -> None:
        """Makes the container of a server, whose image is here; one with the plan's fingerprint stays as it is.

        Raises:
            Fault: `SERVER_EXISTS` when the server has another container, or the name is taken.
        """
        ...

    async def create_installer(self, plan: Plan) -> None:
        """Makes the container of a server's installer, whose image is here, with its script in it. It is neither listed nor told of in
        `changes`; all else can be asked of it.

        Raises:
            Fault: `SERVER_EXISTS` when there is one already.
        """
        ...

    async def start(self, server_id: str) -> None:
        """Starts the container; a running one stays as it is.

        Raises:
            Fault: `PORT_CONFLICT`, whose sentence tells who has the port, and whatever else keeps it from starting.
        """
        ...

    async def unpause(self, server_id: str) -> None:
        """Lets a paused game go on; does nothing when it is not paused."""
        ...

    async def signal(self, server_id: str, signal: str) -> None:
        """Sends a signal to the game, which goes on if it was paused; does nothing when it is not running."""
        ...

    async def remove(self, server_id: str) -> None:
        """Removes the container, killing what runs in it; does nothing when there is none."""
        ...

    async def inspect(self, server_id: str) -> Container | None: ...

    async def list(self) -> list[Container]:
        """All containers that carry our label, whosever they are."""
        ...

    def changes(self) -> AsyncIterator[Change]:
        """What happens to containers that carry our label, from the moment that iterating began.

        Raises:
            Fault: `DOCKER_UNAVAILABLE` when the engine goes away. The stream does not come back: reconcile, and ask for a new one.
        """
        ...

    async def attach(self, server_id: str) -> Attachment:
        """Opens the console. That of a paused container cannot be opened; one that is open stays so."""
        ...

    def logs(self, server_id: str, *, since_s: float | None = None, tail: int | None = None) -> AsyncIterator[Chunk]:
        """What the engine keeps of a container's output: from a moment on (seconds of the wall clock), or so many lines from the end.

        Ends with what was written by now, and after `LOG_BYTES` at the latest.
        """
        ...

    async def sample(self, server_id: str) -> Sample | None:
        """The counters of a running container; None when it does not run. Takes milliseconds."""
        ...

    async def written_bytes(self, server_id: str) -> int | None:
        """What a container has written beside its folders; None when there is none. The engine looks at all of it, which may take a while."""
        ...

    async def disk_bytes(self) -> int:
        """What images, containers, volumes and the build cache take on the disk. The engine looks at all of them, which may take minutes."""
        ...

    async def close(self) -> None: ...
