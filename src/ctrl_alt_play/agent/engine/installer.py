"""A server's installer as the body of Docker's `POST /containers/create`, and its script as a file in there.

It is root inside, for most scripts install packages. Of root's powers it has those alone that package managers, tar and useradd use.
"""

import io
import shlex
import tarfile
from typing import Any

from ctrl_alt_play.agent.engine.base import INSTALLER, Plan
from ctrl_alt_play.agent.engine.container import (
    LABEL_MANAGED,
    LABEL_NODE,
    LABEL_SERVER,
    LOGS,
    NETWORK,
    PIDS,
    container_name,
    limited,
)
from ctrl_alt_play.agent.engine.environment import environment
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Installer, Limits

LABEL_INSTALLS = "ctrl-alt-play.installs"
FOLDER = "/mnt/server"
SCRIPT = "/mnt/install/install.sh"
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"]
"""Without any one of them apt, dpkg, tar, chown or useradd fails; with them they do what they do with Docker's own set."""
LEAST_MEMORY, MEMORY = 2**30, 4 * 2**30
LEAST_CPU, CPU = 100.0, 400.0
"""Installing takes other things than playing: it has what the server has, but so much at least; and so much where the server has no limit."""


def identity(name: str) -> tuple[str, str]:
    """The label by which a container is found, and what Docker calls it."""
    server_id = name.removesuffix(INSTALLER)
    if server_id == name:
        return f"{LABEL_SERVER}={name}", container_name(name)
    return f"{LABEL_INSTALLS}={server_id}", f"ctrl-alt-play.installer-{server_id}"


def installer_body(plan: Plan, installer: Installer) -> dict[str, Any]:
    """The whole body.

    Raises:
        Fault: `CONFIG_INVALID`, when the entrypoint cannot be read.
    """
    variables = {**environment(plan), "HOME": "/root"}
    return {
        "Image": installer.image,
        "Hostname": "installer",
        "User": "0:0",
        "Entrypoint": _program(installer.entrypoint),
        "Cmd": [SCRIPT],
        "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
        "Labels": {LABEL_MANAGED: "true", LABEL_INSTALLS: plan.server_id, LABEL_NODE: plan.node_id},
        "HostConfig": {
            "NetworkMode": NETWORK,
            "Mounts": [{"Type": "bind", "Source": str(plan.folder), "Target": FOLDER}],
            "CapDrop": ["ALL"],
            "CapAdd": CAPABILITIES,
            "SecurityOpt": ["no-new-privileges"],
            "Init": True,
            "PidsLimit": PIDS,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": LOGS,
            **limited(_limits(plan.specification.limits)),
        },
    }


def script_archive(installer: Installer) -> bytes:
    """The script as a tar to be unpacked at the container's root. Many were written on Windows, whose line ends no shell takes."""
    script = installer.script.replace("\r\n", "\n").replace("\r", "\n").encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        file = tarfile.TarInfo(SCRIPT.removeprefix("/"))
        file.size, file.mode = len(script), 0o755
        archive.addfile(file, io.BytesIO(script))
    return packed.getvalue()


def _program(entrypoint: str) -> list[str]:
    try:
        return shlex.split(entrypoint)
    except ValueError as error:
        raise Fault(ErrorCode.CONFIG_INVALID, f"The installer's entrypoint cannot be read: {error}.") from error


def _limits(limits: Limits) -> Limits:
    memory = max(limits.memory, LEAST_MEMORY) if limits.memory else MEMORY
    cpu = max(limits.cpu, LEAST_CPU) if limits.cpu else CPU
    return limits.model_copy(update={"memory": memory, "cpu": cpu})
