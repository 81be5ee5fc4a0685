"""An agent that is not ours: it speaks only the first, fixed part of the protocol, and shares no code with the project.

It keeps pretended containers, so that what it says is coherent, and can be told to misbehave.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ACCEPTED = {
    "create_server": "creating",
    "start_server": "starting",
    "stop_server": "stopping",
    "restart_server": "restarting",
    "kill_server": "stopping",
    "delete_server": "deleting",
}
BECOMES = {
    "create_server": "created",
    "start_server": "running",
    "stop_server": "stopped",
    "restart_server": "running",
    "kill_server": "stopped",
    "delete_server": "deleted",
}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class ForeignAgent:
    """`containers` outlive a connection, as real ones do. Actions in `unanswered` get no response, in `unfinished` no outcome."""

    url: str
    node_id: str
    secret: str
    tells_events: bool = True
    tells_legacy: bool = False
    knows_send_command: bool = False
    refusals: dict[str, tuple[str, str]] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    containers: dict[str, str] = field(default_factory=dict)
    received: list[dict[str, Any]] = field(default_factory=list)
    closed_with: int | None = None
    _connection: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ForeignAgent":
        await self.come()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go()

    async def come(self) -> None:
        headers = {"Authorization": f"Bearer {self.secret}", "X-Node-Id": self.node_id}
        self._connection = await connect(self.url, additional_headers=headers, max_size=None)
        self.closed_with = None
        await self.tell("system_info", self.system())
        self._reader = asyncio.create_task(self._read(self._connection), name=f"foreign agent {self.node_id}")

    async def go(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._reader is not None:
            await self._reader

    def die(self) -> None:
        """As a machine does that loses its power: nothing is said."""
        if self._connection is not None:
            self._connection.transport.abort()

    async def send(self, frame: str | bytes | dict[str, Any]) -> None:
        assert self._connection is not None, "the agent has not come yet"
        await self._connection.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        await self.send({"type": kind, "timestamp": now(), "data": data})

    async def event(self, name: str, data: dict[str, Any]) -> None:
        await self.send({"type": "event", "timestamp": now(), "event": name, "data": data})

    async def respond(self, command_id: str, **fields: Any) -> None:
        await self.send({"id": command_id, "type": "response", "timestamp": now(), **fields})

    async def become(self, server_id: str, status: str, **more: Any) -> None:
        """A server changed; told as this agent tells such things."""
        previous = self.containers.get(server_id, "absent")
        if status == "deleted":
            self.containers.pop(server_id, None)
        else:
            self.containers[server_id] = status
        if self.tells_events:
            data = {"serverId": server_id, "previousStatus": previous, "currentStatus": status, **more}
            await self.event("server_status_changed", data)
        if self.tells_legacy:
            await self.tell("server_status", {"serverId": server_id, "status": status})

    def commands(self, action: str) -> list[dict[str, Any]]:
        return [frame for frame in self.received if frame.get("action") == action]

    def system(self) -> dict[str, Any]:
        return {
            "nodeId": self.node_id,
            "os": "linux",
            "arch": "amd64",
            "memory": 8589934592,
            "cpu": "2 cores",
            "dockerVersion": "28.2.2",
            "capabilities": ["docker"],
            "networks": {"bridge": "172.17.0.0/16"},
        }

    async def _read(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for frame in connection:
                message = json.loads(frame)
                self.received.append(message)
                if message.get("type") == "command":
                    await self._obey(message)
                elif message.get("type") == "system_info_request":
                    reply = {"messageId": message["messageId"]} if "messageId" in message else {}
                    await self.send({"type": "system_info", "timestamp": now(), "data": self.system(), **reply})
                elif message.get("type") == "server_command":
                    await self._run_line(message["data"])
        self.closed_with = connection.close_code

    async def _obey(self, command: dict[str, Any]) -> None:
        action, server_id = command["action"], command.get("serverId", "")
        if action in self.unanswered:
            return
        if action in self.refusals:
            code, text = self.refusals[action]
            await self._refuse(command["id"], code, text)
        elif action == "get_status":
            await self._tell_status(command["id"], server_id)
        elif action == "send_command" and self.knows_send_command:
            await self.respond(command["id"], success=True, message="written", data={"serverId": server_id})
            await self._run_line({"serverId": server_id, "command": command["payload"]["line"]})
        elif action not in ACCEPTED:
            await self._refuse(command["id"], "UNKNOWN_ACTION", f"Unknown action: {action}")
        elif action != "create_server" and server_id not in self.containers:
            await self._refuse(command["id"], "SERVER_NOT_FOUND", "no such server")
        else:
            await self._accept(command["id"], action, server_id)

    async def _accept(self, command_id: str, action: str, server_id: str) -> None:
        data = {"serverId": server_id, "status": ACCEPTED[action]}
        await self.respond(command_id, success=True, message=f"{action} command received", data=data)
        if action in self.unfinished:
            return
        more = {"exitCode": 0} if BECOMES[action] == "stopped" else {}
        await self.become(server_id, BECOMES[action], **more)

    async def _refuse(self, command_id: str, code: str, text: str) -> None:
        await self.respond(command_id, success=False, error={"code": code, "message": text})

    async def _tell_status(self, command_id: str, server_id: str) -> None:
        if server_id not in self.containers:
            await self._refuse(command_id, "CONTAINER_NOT_FOUND", "no container")
            return
        data = {
            "serverId": server_id,
            "status": self.containers[server_id],
            "containerId": "4cd1",
            "uptime": 12.5,
            "resources": {"cpu": 45.2, "memory": {"used": "1024m", "usedBytes": 1073741824, "percentage": 50.0}},
        }
        await self.respond(command_id, success=True, data=data)
        await self.event("server_status", data)

    async def _run_line(self, data: dict[str, Any]) -> None:
        output = {"serverId": data["serverId"], "output": f"[game] {data['command']}", "stream": "stdout"}
        await self.tell("server_output", {**output, "timestamp": now()})
