"""An agent of part 2 in miniature: its journal outlives its connections, its commands are done once, and it can be told to keep things to itself."""

import asyncio
import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.fakes.console_log import ConsoleLog
from tests.fakes.until import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

BECOMES = {
    "create_server": "created",
    "start_server": "running",
    "stop_server": "stopped",
    "restart_server": "running",
    "kill_server": "stopped",
    "delete_server": "deleted",
    "reinstall_server": "created",
}
OF_IMAGES = {"list_images", "pull_image", "remove_image", "prune_images"}
OF_NODE = {"watch_figures", "examine_node", "keep_registries", *OF_IMAGES}
"""What is about no server, and is answered at once."""
DESIRES = {"start_server": "on", "restart_server": "on", "stop_server": "off", "kill_server": "off"}
Data = dict[str, Any]


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Part2Agent:
    """Actions in `unanswered` are accepted without a word of it, those in `unfinished` are not ended by themselves."""

    url: str
    node_id: str
    secret: str
    protocol: Data | None = field(default_factory=lambda: {"version": 2, "minimum": 1})
    spool_id: str = field(default_factory=lambda: uuid4().hex)
    instance: str = ""
    unanswered: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    refusals: dict[str, tuple[str, str]] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    """Startup commands of which it takes none, for good."""
    servers: dict[str, Data] = field(default_factory=dict)
    orphans: list[Data] = field(default_factory=list)
    consoles: dict[str, ConsoleLog] = field(default_factory=lambda: defaultdict(ConsoleLog))
    queries: list[str] | None = None
    """The game queries that it tells it knows."""
    machine: Data = field(default_factory=dict)
    """What it tells of its machine beside that."""
    seq: int = 0
    spool: list[Data] = field(default_factory=list)
    """Events that the panel did not acknowledge."""
    received: list[Data] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """The ids of what was done, each time."""
    is_forgetting_acks: bool = False
    findings: list[Data] = field(default_factory=list)
    """What it finds when it is asked to look at itself."""
    answers: dict[str, Data] = field(default_factory=dict)
    """What it says to other questions about its node."""
    part_size: int = 500
    closed_with: int | None = None
    closed_for: str | None = None
    _answers: dict[str, Data] = field(default_factory=dict)
    _connection: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None

    async def come(self) -> None:
        """Returns once it has told the truth, and all that it had to tell since."""
        await self.dial()
        welcome = await until(lambda: self.of("welcome"))
        await self.tell_truth()
        for event in list(self.spool):
            if event["seq"] > welcome[-1]["data"]["ackedSeq"]:
                await self.send(event)

    async def dial(self) -> None:
        headers = {"Authorization": f"Bearer {self.secret}", "X-Node-Id": self.node_id}
        headers |= {"X-Agent-Instance": self.instance} if self.instance else {}
        self._connection = await connect(self.url, additional_headers=headers, max_size=None)
        self.closed_with = None
        self.received.clear()
        for console in self.consoles.values():
            console.told = None
        protocol = {} if self.protocol is None else {"protocol": self.protocol, "spoolId": self.spool_id}
        queries = {} if self.queries is None else {"queries": self.queries}
        await self.tell(
            "system_info",
            {"nodeId": self.node_id, "os": "linux", "agentVersion": "1", **self.machine, **protocol, **queries},
        )
        self._reader = asyncio.create_task(self._read(self._connection), name=f"agent {self.node_id}")

    async def go(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._reader is not None:
            await self._reader

    def die(self) -> None:
        """As a machine does that loses its power."""
        if self._connection is not None:
            self._connection.transport.abort()

    def of(self, kind: str) -> list[Data]:
        return [frame for frame in self.received if frame.get("type") == kind]

    def commands(self, action: str) -> list[Data]:
        return [frame for frame in self.of("command") if frame["action"] == action]

    @property
    def orders(self) -> list[Data]:
        """The commands about its servers."""
        return [frame for frame in self.of("command") if frame["action"] not in OF_NODE]

    @property
    def acked(self) -> int:
        return max((frame["data"]["seq"] for frame in self.of("ack")), default=0)

    async def send(self, frame: Data | str) -> None:
        """What cannot be said because the panel is away is not said."""
        if self._connection is not None:
            with suppress(ConnectionClosed):
                await self._connection.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def tell(self, kind: str, data: Data) -> None:
        await self.send({"type": kind, "timestamp": now(), "data": data})

    async def tell_truth(self, seq: int | None = None) -> None:
        servers = [{"serverId": server_id, **told} for server_id, told in self.servers.items()]
        parts = [servers[at : at + self.part_size] for at in range(0, len(servers), self.part_size)] or [[]]
        for number, part in enumerate(parts, 1):
            more = {"part": number, "more": number < len(parts)}
            orphans = self.orphans if number == 1 else []
            seq_told = self.seq if seq is None else seq
            await self.tell("state_snapshot", {"servers": part, "orphans": orphans, "seq": seq_told, **more})

    def write_down(self, name: str, data: Data, missing: int | None = None) -> Data:
        """A durable event, in the spool and not sent."""
        self.seq += 1 + (missing or 0)
        event = {"type": "event", "event": name, "timestamp": now(), "data": data, "seq": self.seq}
        self.spool.append(event if missing is None else {**event, "missing": missing})
        return self.spool[-1]

    async def event(self, name: str, data: Data, missing: int | None = None) -> Data:
        event = self.write_down(name, data, missing)
        await self.send(event)
        return event

    async def become(self, server_id: str, word: str, **more: Any) -> Data:
        if word == "deleted":
            self.servers.pop(server_id, None)
        else:
            self.servers.setdefault(server_id, {}).update(observed=word, **more)
        return await self.event("server_status_changed", {"serverId": server_id, "currentStatus": word, **more})

    async def end(self, command: Data, error: tuple[str, str] | None = None, **result: Any) -> Data:
        """The one end of a command."""
        data = {
            "commandId": command["id"],
            "action": command["action"],
            "serverId": command.get("serverId", ""),
            "success": error is None,
            "startedAt": now(),
            "finishedAt": now(),
            "result": result,
        }
        if error is not None:
            data["error"] = {"code": error[0], "message": error[1]}
        return await self.event("command_completed", data)

    async def write(self, server_id: str, *texts: str) -> None:
        """A server writes lines; the panel is told them where it has attached."""
        self.consoles[server_id].texts += texts
        await self.tell_console(server_id)

    async def tell_console(self, server_id: str) -> None:
        while parts := self.consoles[server_id].take():
            data = {"serverId": server_id, "parts": parts}
            await self.send({"type": "event", "event": "console", "timestamp": now(), "data": data})

    async def _read(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for frame in connection:
                message = json.loads(frame)
                self.received.append(message)
                if message["type"] == "command":
                    await self._obey(message)
                elif message["type"] == "ack" and not self.is_forgetting_acks:
                    self.spool = [event for event in self.spool if event["seq"] > message["data"]["seq"]]
        self.closed_with, self.closed_for = connection.close_code, connection.close_reason

    async def _obey(self, command: Data) -> None:
        action, id_ = command["action"], command["id"]
        if (answer := self._answers.get(id_)) is not None:
            await self.send(answer)
            return
        if (refusal := self._refusal(command)) is not None:
            error = {"code": refusal[0], "message": refusal[1]}
            await self.send({"id": id_, "type": "response", "success": False, "error": error, "timestamp": now()})
            return
        if action.startswith("console_"):
            await self._answer_console(command)
            return
        if action in OF_NODE:
            data = {"findings": self.findings} if action == "examine_node" else self.answers.get(action, {})
            if action not in self.unanswered:
                await self.send({"id": id_, "type": "response", "success": True, "data": data, "timestamp": now()})
            return
        data = {"serverId": command.get("serverId"), "status": "processing"}
        if action == "get_status":
            data["status"] = self.servers[command["serverId"]]["observed"]
            data["resources"] = {"cpu": 12.5}
        self._answers[id_] = {"id": id_, "type": "response", "success": True, "data": data, "timestamp": now()}
        if action not in self.unanswered:
            await self.send(self._answers[id_])
        if action != "get_status":
            self.done.append(id_)
            await self._act(command)

    async def _answer_console(self, command: Data) -> None:
        if command["action"] not in self.unanswered:
            data = self.consoles[command["serverId"]].answer(command["action"], command.get("payload") or {})
            await self.send(
                {"id": command["id"], "type": "response", "success": True, "data": data, "timestamp": now()}
            )
            await self.tell_console(command["serverId"])

    def _refusal(self, command: Data) -> tuple[str, str] | None:
        if (command.get("payload") or {}).get("startup") in self.unreadable:
            return "CONFIG_INVALID", "That cannot be."
        return self.refusals.get(command["action"])

    async def _act(self, command: Data) -> None:
        action, server_id = command["action"], command.get("serverId", "")
        if action in self.unfinished:
            return
        result: Data = {}
        if action in BECOMES:
            desired = {"desired": DESIRES[action]} if action in DESIRES else {}
            payload = command.get("payload") or {}
            made_of = payload.get("specification") if action == "reinstall_server" else payload
            revision = {"revision": made_of["revision"]} if "revision" in (made_of or {}) else {}
            result = revision if action == "reinstall_server" else {}
            self.servers.setdefault(server_id, {}).update(revision)
            await self.become(server_id, BECOMES[action], **desired)
        elif action == "update_server":
            result = {"revision": command["payload"]["revision"]}
            self.servers[server_id]["revision"] = result["revision"]
        elif action == "adopt_server":
            (orphan,) = [one for one in self.orphans if one["serverId"] == server_id]
            self.orphans.remove(orphan)
            specification = command["payload"].get("specification") or orphan["specification"]
            result = {"specification": specification}
            self.servers[server_id] = {"revision": specification.get("revision", 1)}
            await self.become(server_id, orphan["state"], desired="on")
        await self.end(command, **result)
