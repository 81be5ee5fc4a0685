"""A server's specification as the body of Docker's `POST /containers/create` (API 1.41 and later)."""

import hashlib
import json
from typing import Any

from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.agent.engine.environment import HOME, environment, readable
from ctrl_alt_play.protocol.specification import Launch, Limits, Port
from ctrl_alt_play.templates.startup import arguments

LABEL_MANAGED = "ctrl-alt-play.managed"
LABEL_SERVER = "ctrl-alt-play.server-id"
LABEL_NODE = "ctrl-alt-play.node-id"
LABEL_FINGERPRINT = "ctrl-alt-play.specification"
LABEL_SPECIFICATION = "ctrl-alt-play.specification-json"
MOST_LABEL_BYTES = 64 * 1024
"""Every event of a container repeats its labels."""
NETWORK = "ctrl-alt-play"
PIDS = 512
LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}


def container_name(server_id: str) -> str:
    return f"ctrl-alt-play-{server_id}"


def container_body(plan: Plan) -> dict[str, Any]:
    """The whole body. The game runs as its own user, without capabilities or new privileges, and writes nowhere but its folder and /tmp.

    Raises:
        Fault: `CONFIG_INVALID`, when the startup command cannot be read.
    """
    body = _bare_body(plan)
    return {**body, "Labels": _labels(plan, _fingerprint_of(body))}


def fingerprint(plan: Plan) -> str:
    """Equal for plans of the same container: also where they differ in what the agent alone goes by, such as a stop rule or a revision.

    Raises:
        Fault: as `container_body`.
    """
    return _fingerprint_of(_bare_body(plan))


def _fingerprint_of(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _labels(plan: Plan, fingerprint: str) -> dict[str, str]:
    labels = {
        LABEL_MANAGED: "true",
        LABEL_SERVER: plan.server_id,
        LABEL_NODE: plan.node_id,
        LABEL_FINGERPRINT: fingerprint,
    }
    specification = plan.specification.model_dump_json(by_alias=True, exclude={"installer"})
    if len(specification.encode()) <= MOST_LABEL_BYTES:
        labels[LABEL_SPECIFICATION] = specification
    return labels


def _bare_body(plan: Plan) -> dict[str, Any]:
    specification = plan.specification
    body: dict[str, Any] = {
        "Image": specification.image,
        "Hostname": plan.server_id[:63],
        "User": f"{plan.uid}:{plan.gid}",
        "WorkingDir": HOME,
        "Env": [f"{name}={value}" for name, value in sorted(environment(plan).items())],
        "AttachStdin": True,
        "OpenStdin": True,
        "StdinOnce": False,
        "Tty": specification.console.tty,
        "ExposedPorts": {f"{port.internal}/{port.protocol}": {} for port in specification.ports},
        "HostConfig": _host_config(plan),
    }
    if specification.launch is Launch.COMMAND and specification.startup:
        body["Cmd"] = command(plan)
    return body


def command(plan: Plan) -> list[str]:
    """The program and its arguments, where the image does not make them of the startup command itself.

    Raises:
        Fault: as `container_body`.
    """
    with readable():
        return arguments(plan.specification.startup, environment(plan))


def _host_config(plan: Plan) -> dict[str, Any]:
    return {
        "NetworkMode": NETWORK,
        "PortBindings": _port_bindings(plan.specification.ports),
        "Mounts": [{"Type": "bind", "Source": str(plan.folder), "Target": HOME}],
        "Tmpfs": {"/tmp": "rw,exec,nosuid,nodev,size=128m"},  # noqa: S108 - the container's own; Java unpacks libraries there and runs them
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "PidsLimit": PIDS,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": LOGS,
        **limited(plan.specification.limits),
    }


def _port_bindings(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        binding = {"HostIp": port.address, "HostPort": str(port.external)}
        bindings.setdefault(f"{port.internal}/{port.protocol}", []).append(binding)
    return bindings


def limited(limits: Limits) -> dict[str, Any]:
    """Docker counts swap together with memory; a quota of CPU is in microseconds of each 100 ms."""
    body: dict[str, Any] = {}
    if limits.memory:
        body["Memory"] = limits.memory
        body["MemorySwap"] = -1 if limits.swap < 0 else limits.memory + limits.swap
    if limits.cpu:
        body["CpuPeriod"] = 100_000
        body["CpuQuota"] = max(1000, round(limits.cpu * 1000))
    if limits.io is not None:
        body["BlkioWeight"] = limits.io
    return body
