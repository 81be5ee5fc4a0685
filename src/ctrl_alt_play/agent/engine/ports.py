"""Who has the port that kept a container from starting."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ctrl_alt_play.agent.engine.container import LABEL_SERVER
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Port

_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - as Docker calls it


class Listed(Protocol):
    """A container as Docker lists it."""

    def __getitem__(self, field: str, /) -> Any: ...


def wanted_ports(host_config: Mapping[str, Any]) -> list[Port]:
    """The ports of the node that a container is to have, as `inspect` tells them."""
    return [
        Port(
            internal=int(internal.partition("/")[0]),
            external=int(binding["HostPort"]),
            protocol=internal.partition("/")[2],
            address=binding.get("HostIp") or "0.0.0.0",  # noqa: S104 - as Docker means it
        )
        for internal, bindings in (host_config.get("PortBindings") or {}).items()
        for binding in bindings
    ]


def conflict(ports: Sequence[Port], running: Sequence[Listed], message: str) -> Fault:
    """Docker's complaint as a sentence: which of the `ports` it means, and which of the `running` containers has it."""
    named = [port for port in ports if re.search(rf":{port.external}\b", message)]
    for port in named:
        for container in running:
            if _holds(container, port):
                return port_taken(port, _name(container), message)
    spoken = [port for port in named if port.protocol in message] or named
    return port_taken(spoken[0], "another program", message) if spoken else Fault(ErrorCode.PORT_CONFLICT, message)


def port_taken(port: Port, holder: str, message: str) -> Fault:
    sentence = f"Port {port.external}/{port.protocol} is taken on this node by {holder}. Stop that, or give this server another port."
    return Fault(ErrorCode.PORT_CONFLICT, sentence, message)


def _holds(container: Listed, port: Port) -> bool:
    return any(
        (taken.get("PublicPort"), taken.get("Type")) == (port.external, port.protocol)
        and (port.address == taken.get("IP") or _EVERYWHERE & {port.address, taken.get("IP") or ""})
        for taken in container["Ports"] or ()
    )


def _name(container: Listed) -> str:
    if server_id := (container["Labels"] or {}).get(LABEL_SERVER):
        return f"server {server_id}"
    names = container["Names"] or [container["Id"][:12]]
    return f"the container {names[0].removeprefix('/')}, which is no server of this node"
