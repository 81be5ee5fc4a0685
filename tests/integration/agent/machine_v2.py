"""The only program of a small machine whose kernel has control groups of version 2: a process works in a group that is named as Docker names its
own, and then a container of a real engine. Our reader measures both, and what they and the engine say goes into a file.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.waiting import until

from ctrl_alt_play.agent.engine.base import Container, ContainerState
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.agent.figures.cgroups import Counters
from ctrl_alt_play.clock import SystemClock

ID = "e1cc123bf19fee964551e48fe32559e93e67d47cd04335424e9d9b7549d2f8b0"
GROUPS = Path("/sys/fs/cgroup")
LIMIT_BYTES, HELD_BYTES = 192 * 2**20, 20 * 2**20
SOCKET = "unix:///run/docker.sock"
WORK = f"busybox head -c {HELD_BYTES} /dev/zero >/dev/shm/held; while :; do :; done"


def begin() -> None:
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("cgroup2", str(GROUPS)), ("tmpfs", "/run")):
        subprocess.run(["mount", "-t", kind, kind, place], check=True)
    for place in ("/dev/pts", "/dev/shm"):  # noqa: S108 - where runc looks for them
        Path(place).mkdir(exist_ok=True)


def of_a_process(folder: Path) -> dict[str, Any]:
    group = GROUPS / "system.slice" / f"docker-{ID}.scope"
    group.mkdir(parents=True)
    for above in (GROUPS, group.parent):
        (above / "cgroup.subtree_control").write_text("+cpu +io +memory +pids")
    (group / "memory.max").write_text(str(LIMIT_BYTES))
    command = ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh", sys.executable, f"{folder}/work.py"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        sample = Counters(SystemClock()).read(Container(ID, "one", ContainerState.RUNNING, pid=process.pid))
        process.kill()
    return {"told": told, "read": sample and asdict(sample)}


@contextmanager
def engine() -> Iterator[None]:
    """Without a network, for this machine has none."""
    places = ("--data-root", "/run/data", "--exec-root", "/run/exec", "--pidfile", "/run/docker.pid", "-H", SOCKET)
    without = ("--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none")
    with subprocess.Popen(["dockerd", *places, *without]) as daemon:
        until(lambda: docker("version").returncode == 0, "the engine answers", 60)
        yield
        daemon.kill()


def docker(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["docker", "-H", SOCKET, *arguments], capture_output=True, check=False)


def of_a_container(folder: Path) -> dict[str, Any]:
    with engine():
        docker("import", f"{folder}/puppet.tar", "box")
        limits = ("--network", "none", "--memory", str(LIMIT_BYTES), "--env", "PATH=/bin")
        ours = ("--name", "ctrl-alt-play-one", "--label", "ctrl-alt-play.managed=true")
        box = ("--label", "ctrl-alt-play.server-id=one", "box", "/bin/sh", "-c", WORK)
        started = docker("run", "--detach", *limits, *ours, *box)
        if started.returncode:
            return {"failed": started.stderr.decode()}
        return asyncio.run(compared())


async def compared() -> dict[str, Any]:
    """What Docker says, between two readings of ours."""
    asked, counters = DockerEngine(SOCKET), Counters(SystemClock())
    box = await asked.inspect("one")
    assert box is not None
    await asyncio.to_thread(
        until, lambda: (found := counters.read(box)) and found.memory_bytes > HELD_BYTES, "it works"
    )
    samples = [counters.read(box), await asked.sample("one"), counters.read(box)]
    await asked.close()
    return dict(zip(("before", "docker", "after"), (each and asdict(each) for each in samples), strict=True))


def main(folder: Path) -> None:
    begin()
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    report = {"process": of_a_process(folder), "container": of_a_container(folder)}
    (folder / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    finally:
        Path("/proc/sysrq-trigger").write_text("o")
