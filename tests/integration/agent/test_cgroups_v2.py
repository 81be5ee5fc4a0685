"""Control groups of version 2 as a real kernel has them, and a real engine: those of a small machine, for this one's may be of version 1.

It needs Debian's `user-mode-linux`, a kernel that is a program, and is skipped where there is none or where it does not run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.agent.machine_v2 import HELD_BYTES, LIMIT_BYTES
from tests.integration.defects import puppet

pytestmark = pytest.mark.timeout(300)
REPOSITORY = Path(__file__).parents[3]
MIB = 2**20
HELD, CACHED, READ, WRITTEN, THREADS = 48 * MIB, 64 * MIB, 4 * MIB, 8 * MIB, 3
WORK = f"""
import json, mmap, os, threading, time
held = b"x" * {HELD}
with open("large", "rb") as file:
    while file.read({MIB}):
        pass
disk = os.open("/dev/ubda", os.O_RDWR | os.O_DIRECT)
block = mmap.mmap(-1, {MIB})
for place in range({WRITTEN // MIB}):
    os.pwrite(disk, block, place * {MIB})
for place in range({READ // MIB}):
    os.preadv(disk, [block], place * {MIB})
for _ in range({THREADS - 1}):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
while time.process_time() < 1:
    pass
print(json.dumps({{"cpu_ns": time.process_time_ns()}}), flush=True)
time.sleep(1000)
"""
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
cd {repository}
exec {python} -m tests.integration.agent.machine_v2 {folder}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    kernel = shutil.which("linux.uml")
    if kernel is None or shutil.which("dockerd") is None:
        pytest.skip("there is no linux.uml here, or no dockerd: apt-get install user-mode-linux docker.io")
    tmp_path = tmp_path_factory.mktemp("machine")
    puppet.root(tmp_path)
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "large").write_bytes(bytes(CACHED))
    (tmp_path / "disk").write_bytes(bytes(2 * WRITTEN))
    init = tmp_path / "init"
    init.write_text(INIT.format(repository=REPOSITORY, python=sys.executable, folder=tmp_path))
    init.chmod(0o755)
    machine = [
        "mem=768M",
        "rootfstype=hostfs",
        "rw",
        f"ubd0={tmp_path}/disk",
        f"init={init}",
        "con=null",
        "con0=fd:0,fd:1",
    ]
    done = subprocess.run(
        [kernel, *machine],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    if f"Run {init}" not in said:
        pytest.skip(f"linux.uml does not run here: {said[-200:]}")
    file = tmp_path / "report.json"
    assert file.exists(), said[-3000:]
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_a_process_is_measured_as_it_says_itself(report: dict[str, Any]) -> None:
    told, read = report["process"]["told"], report["process"]["read"]
    assert read["cpu_ns"] == pytest.approx(told["cpu_ns"], rel=0.25), "the small machine counts in ticks"
    assert HELD < read["memory_bytes"] < HELD + CACHED / 2
    assert read["memory_limit_bytes"] == LIMIT_BYTES
    assert (read["read_bytes"], read["written_bytes"]) == (READ, WRITTEN)
    assert read["pids"] == THREADS


def test_a_container_is_measured_as_docker_measures_it(report: dict[str, Any]) -> None:
    assert report["container"].keys() == {"before", "docker", "after"}, report["container"]
    before, docker, after = report["container"].values()
    assert before["cpu_ns"] <= docker["cpu_ns"] <= after["cpu_ns"]
    assert HELD_BYTES < before["memory_bytes"] < HELD_BYTES + 8 * MIB
    assert abs(before["memory_bytes"] - docker["memory_bytes"]) < MIB
    assert before["memory_limit_bytes"] == docker["memory_limit_bytes"] == LIMIT_BYTES
    assert docker["pids"] in {before["pids"], after["pids"]}
