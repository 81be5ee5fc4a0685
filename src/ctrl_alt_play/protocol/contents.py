"""What each action, event and legacy message carries."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.images import ImagePayload, ImagePull, PrunePayload, RegistryLogins
from ctrl_alt_play.protocol.live import (
    AttachPayload,
    ConsoleBatch,
    HistoryPayload,
    PlayersChanged,
    Samples,
    SearchPayload,
    WatchPayload,
)
from ctrl_alt_play.protocol.messages import CommandId, Instant, News
from ctrl_alt_play.protocol.part2 import (
    Ack,
    CommandCompleted,
    OperationProgress,
    ProtocolRange,
    ServerCrashed,
    StateSnapshot,
    Welcome,
)
from ctrl_alt_play.protocol.specification import Desired, Model, ServerId, Signal, Specification


class Action(StrEnum):
    """What a panel may command. From `send_command` on they are ours: an agent of part 1 calls them unknown, and is not asked."""

    CREATE_SERVER = "create_server"
    START_SERVER = "start_server"
    STOP_SERVER = "stop_server"
    RESTART_SERVER = "restart_server"
    KILL_SERVER = "kill_server"
    DELETE_SERVER = "delete_server"
    GET_STATUS = "get_status"
    SEND_COMMAND = "send_command"
    UPDATE_SERVER = "update_server"
    ADOPT_SERVER = "adopt_server"
    REINSTALL_SERVER = "reinstall_server"
    CANCEL = "cancel"
    CONSOLE_ATTACH = "console_attach"
    CONSOLE_DETACH = "console_detach"
    CONSOLE_HISTORY = "console_history"
    CONSOLE_SEARCH = "console_search"
    WATCH_FIGURES = "watch_figures"
    EXAMINE_NODE = "examine_node"
    KEEP_REGISTRIES = "keep_registries"
    LIST_IMAGES = "list_images"
    PULL_IMAGE = "pull_image"
    REMOVE_IMAGE = "remove_image"
    PRUNE_IMAGES = "prune_images"


OF_IMAGES = frozenset((Action.LIST_IMAGES, Action.PULL_IMAGE, Action.REMOVE_IMAGE, Action.PRUNE_IMAGES))
OF_NODE = frozenset((Action.WATCH_FIGURES, Action.EXAMINE_NODE, Action.KEEP_REGISTRIES, *OF_IMAGES))
"""About no single server: their command names none."""
QUESTIONS = frozenset(
    (*(Action.CONSOLE_ATTACH, Action.CONSOLE_DETACH, Action.CONSOLE_HISTORY, Action.CONSOLE_SEARCH), *OF_NODE)
)
"""They change nothing of a server, and can be asked again without harm, so they are neither journaled nor ended: the response is all."""

ACCEPTED_STATUS = {
    Action.CREATE_SERVER: "creating",
    Action.START_SERVER: "starting",
    Action.STOP_SERVER: "stopping",
    Action.RESTART_SERVER: "restarting",
    Action.KILL_SERVER: "stopping",
    Action.DELETE_SERVER: "deleting",
    Action.SEND_COMMAND: "processing",
    Action.UPDATE_SERVER: "processing",
    Action.ADOPT_SERVER: "processing",
    Action.REINSTALL_SERVER: "processing",
    Action.CANCEL: "processing",
}
"""The status in the response that accepts an action. `get_status` answers with the server's own."""


class LegacyRequest(StrEnum):
    """What a panel may ask for by a legacy message alone."""

    SYSTEM_INFO = "system_info_request"
    FILE_READ = "file_read"
    FILE_WRITE = "file_write"


class ServerState(StrEnum):
    """What a server is seen to be. The wire carries these words, and `deleted` and the failures beside them."""

    ABSENT = "absent"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """The words of `server_status_changed` that are no lasting state."""

    DELETED = "deleted"
    CREATE_FAILED = "create_failed"
    START_FAILED = "start_failed"
    STOP_FAILED = "stop_failed"
    DELETE_FAILED = "delete_failed"


class StopPayload(Model):
    """Unset fields follow the server's own stop rule, which is SIGTERM and 30 s unless its specification says otherwise."""

    signal: Signal | None = None
    timeout: float | None = Field(default=None, ge=0, le=3600, description="seconds")


class DeletePayload(Model):
    keep_data: bool = False


class ReinstallPayload(Model):
    """Runs the server's installer again, upon what is there or, with `wipe`, upon an empty folder. The game is stopped first.

    A specification that is newer than what the node has is taken over; of a server that the node does not know it makes one.
    """

    wipe: bool = False
    specification: Specification | None = None


class AdoptPayload(Model):
    """Without a specification the container's own label tells it."""

    specification: Specification | None = None


class CancelPayload(Model):
    command_id: CommandId


class LinePayload(Model):
    line: str = Field(max_length=8192, pattern=r"^[^\r\n\x00]*$")


class StatusChanged(News):
    """A change, told when it happened. Successes carry `current_status`, failures `status` and `error`."""

    server_id: ServerId
    previous_status: str | None = None
    current_status: str | None = None
    status: str | None = None
    pid: int | None = None
    exit_code: int | None = None
    forced: bool | None = None
    oom_killed: bool | None = None
    error: str | None = None
    code: ErrorCode | None = Field(default=None, description="of the error; an addition that others ignore")
    ready: bool | None = Field(
        default=None, description="running: whether it was seen to be ready; part 2, as all that follows"
    )
    desired: Desired | None = None
    command_id: str | None = Field(default=None, description="what brought it about, when that was a command")
    restart_at: Instant = Field(default=None, description="crashed: when the node starts it again by itself")
    crashes: int | None = Field(default=None, description="within the crash policy's window")

    @property
    def word(self) -> str | None:
        """What the server has become, or how the attempt ended."""
        return self.current_status or self.status


class Memory(News):
    used: str | None = Field(default=None, description='mebibytes, as "512m"')
    used_bytes: int | None = None
    limit_bytes: int | None = None
    percentage: float | None = None


class Disk(News):
    used_bytes: int | None = None
    limit_bytes: int | None = None


class Traffic(News):
    """Bytes since the container started."""

    rx: int | None = None
    tx: int | None = None


class Resources(News):
    cpu: float | None = Field(default=None, description="percent of one core")
    memory: Memory | None = None
    disk: Disk | None = None
    network: Traffic | None = None


class Players(News):
    online: int | None = None
    max: int | None = None
    list: tuple[str, ...] = ()


class StatusReport(News):
    """The full status of one server, as measured."""

    server_id: ServerId
    status: str
    container_id: str | None = None
    uptime: float | None = Field(default=None, description="seconds")
    resources: Resources | None = None
    players: Players | None = None


class Nothing(Model):
    """A message that says all by its type."""


class ServerCreate(Specification):
    server_id: ServerId


class ServerReference(Model):
    server_id: ServerId


class ServerCommand(Model):
    server_id: ServerId
    command: str = Field(max_length=8192, pattern=r"^[^\r\n\x00]*$")


class FileRead(Model):
    server_id: ServerId
    path: str = Field(min_length=1, max_length=4096)


class FileWrite(FileRead):
    content: str


class Heartbeat(News):
    node_id: str
    timestamp: Instant = None
    status: Literal["online"] = "online"


class SystemInfo(News):
    node_id: str | None = None
    os: str | None = None
    arch: str | None = None
    memory: int | None = Field(default=None, description="bytes")
    cpu: str | None = None
    docker_version: str | None = None
    capabilities: list[str] = Field(default_factory=list, max_length=256)
    networks: dict[str, str] = Field(default_factory=dict, max_length=1024)
    agent_version: str | None = None
    protocol: ProtocolRange | None = Field(
        default=None, description="what the agent speaks; part 2, as all that follows"
    )
    boot_id: str | None = Field(
        default=None, max_length=128, description="of the machine; another one after it was booted again"
    )
    spool_id: str | None = Field(
        default=None, max_length=128, description="of the journal; where it is new, `seq` begins anew"
    )
    clock: Instant = None
    queries: list[str] | None = Field(
        default=None, max_length=256, description="the game queries that it knows, by name"
    )
    cores: int | None = None
    disk: int | None = Field(default=None, description="bytes of the disk that servers' files are on")
    disk_path: str | None = Field(default=None, max_length=4096, description="what `samples` call that disk")


class LegacyTraffic(News):
    """Bytes since the container started; `in` is what the game received."""

    received: int | None = Field(default=None, alias="in")
    sent: int | None = Field(default=None, alias="out")


class Stats(News):
    cpu: float | None = None
    memory: int | None = Field(default=None, description="bytes")
    disk: int | None = Field(default=None, description="bytes")
    network: LegacyTraffic | None = None
    players: int | None = None
    timestamp: Instant = None


class ServerStatus(News):
    server_id: ServerId
    status: str
    stats: Stats | None = None
    error: str | None = None


class ServerOutput(News):
    server_id: ServerId
    output: str
    stream: Literal["stdout", "stderr"] = "stdout"
    timestamp: Instant = None


class FileContent(News):
    server_id: ServerId
    path: str
    content: str | None = None
    size: int | None = Field(default=None, description="bytes")


class ErrorReport(News):
    code: ErrorCode = ErrorCode.INTERNAL
    message: str = ""
    details: str | None = None


PAYLOADS: dict[Action, type[Model]] = {
    Action.CREATE_SERVER: Specification,
    Action.START_SERVER: Nothing,
    Action.STOP_SERVER: StopPayload,
    Action.RESTART_SERVER: StopPayload,
    Action.KILL_SERVER: Nothing,
    Action.DELETE_SERVER: DeletePayload,
    Action.GET_STATUS: Nothing,
    Action.SEND_COMMAND: LinePayload,
    Action.UPDATE_SERVER: Specification,
    Action.ADOPT_SERVER: AdoptPayload,
    Action.REINSTALL_SERVER: ReinstallPayload,
    Action.CANCEL: CancelPayload,
    Action.CONSOLE_ATTACH: AttachPayload,
    Action.CONSOLE_DETACH: Nothing,
    Action.CONSOLE_HISTORY: HistoryPayload,
    Action.CONSOLE_SEARCH: SearchPayload,
    Action.WATCH_FIGURES: WatchPayload,
    Action.EXAMINE_NODE: Nothing,
    Action.KEEP_REGISTRIES: RegistryLogins,
    Action.LIST_IMAGES: Nothing,
    Action.PULL_IMAGE: ImagePayload,
    Action.REMOVE_IMAGE: ImagePayload,
    Action.PRUNE_IMAGES: PrunePayload,
}

EVENTS: dict[str, type[Model]] = {
    "server_status_changed": StatusChanged,
    "server_status": StatusReport,
    "command_completed": CommandCompleted,
    "server_crashed": ServerCrashed,
    "operation_progress": OperationProgress,
    "console": ConsoleBatch,
    "samples": Samples,
    "players_changed": PlayersChanged,
    "image_pull": ImagePull,
}

TO_AGENT: dict[str, type[Model]] = {
    "system_info_request": Nothing,
    "server_create": ServerCreate,
    "server_start": ServerReference,
    "server_stop": ServerReference,
    "server_restart": ServerReference,
    "server_delete": ServerReference,
    "server_command": ServerCommand,
    "file_read": FileRead,
    "file_write": FileWrite,
    "welcome": Welcome,
    "ack": Ack,
}

TO_PANEL: dict[str, type[Model]] = {
    "heartbeat": Heartbeat,
    "system_info": SystemInfo,
    "server_status": ServerStatus,
    "server_output": ServerOutput,
    "file_content": FileContent,
    "error": ErrorReport,
    "state_snapshot": StateSnapshot,
}


OF_PART_2 = frozenset(
    (
        *(Action.UPDATE_SERVER, Action.ADOPT_SERVER, Action.REINSTALL_SERVER, Action.CANCEL, *QUESTIONS),
        *("ack", "state_snapshot", "command_completed", "server_crashed", "operation_progress"),
        *("console", "samples", "players_changed", "image_pull"),
    )
)
"""Actions, events and messages that nobody knows who speaks part 1. `welcome` is what ends it."""


def wire(content: Model) -> dict[str, Any]:
    """A content as it travels: camelCase, what is unset left out."""
    return content.model_dump(by_alias=True, exclude_none=True)
