"""The only program of a small machine whose kernel has control groups of version 2. A process works in a group that is named as Docker names its
own, our reader measures it, and what both say goes into a file.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from ctrl_alt_play.agent.engine.base import Container, ContainerState
from ctrl_alt_play.agent.figures.cgroups import Counters
from ctrl_alt_play.clock import SystemClock

ID = "e1cc123bf19fee964551e48fe32559e93e67d47cd04335424e9d9b7549d2f8b0"
GROUPS = Path("/sys/fs/cgroup")
LIMIT_BYTES = 192 * 2**20


def main(folder: Path) -> None:
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("cgroup2", str(GROUPS))):
        subprocess.run(["mount", "-t", kind, kind, place], check=True)
    group = GROUPS / "system.slice" / f"docker-{ID}.scope"
    group.mkdir(parents=True)
    for above in (GROUPS, group.parent):
        (above / "cgroup.subtree_control").write_text("+cpu +io +memory +pids")
    (group / "memory.max").write_text(str(LIMIT_BYTES))
    command = ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh", sys.executable, f"{folder}/work.py"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        own_account = json.loads(process.stdout.readline())
        box = Container(ID, "one", ContainerState.RUNNING, pid=process.pid)
        sample = Counters(SystemClock()).read(box)
        (folder / "report.json").write_text(json.dumps({"told": own_account, "read": sample and asdict(sample)}))
        process.kill()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    finally:
        Path("/proc/sysrq-trigger").write_text("o")
