"""Control groups of both versions are read as Docker would tell them, and only those that are the container's own."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.clock import HeldClock

from ctrl_alt_play.agent.engine.base import Container, ContainerState, Sample
from ctrl_alt_play.agent.figures.cgroups import Counters, find
from ctrl_alt_play.agent.figures.counters import V1, V2, Kind, Texts, limited, traffic

ID = "e1cc123bf19fee964551e48fe32559e93e67d47cd04335424e9d9b7549d2f8b0"
BOX = Container(ID, "one", ContainerState.RUNNING, pid=77)
NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
  eth0:     310       3    0    0    0     0          0         0      450       4    0    0    0     0       0          0
  eth1:1000       3    0    0    0     0          0         0     2000       4    0    0    0     0       0          0
"""
TEXTS_V1 = {
    "cpuacct.usage": "1500000000\n",
    "memory.usage_in_bytes": "50000000\n",
    "memory.stat": "cache 614400\ninactive_file 585728\ntotal_cache 614400\ntotal_inactive_file 20000000\ntotal_active_file 1\n",
    "memory.limit_in_bytes": "134217728\n",
    "pids.current": "3\n",
    "blkio.throttle.io_service_bytes_recursive": (
        "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 12288\n8:0 Async 0\n8:0 Total 12288\n8:16 Read 1\n8:16 Write 2\nTotal 12291\n"
    ),
}
TEXTS_V2 = {
    "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 0\n",
    "memory.current": "50000000\n",
    "memory.stat": "anon 94208\nfile 614400\ninactive_anon 5\nactive_anon 90112\ninactive_file 20000000\nactive_file 28672\n",
    "memory.max": "134217728\n",
    "pids.current": "3\n",
    "io.stat": (
        "8:16 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n8:0 rbytes=4096 wbytes=8192 rios=9 wios=9 dbytes=7 dios=1\n253:0 \n"
    ),
}
SAMPLE = Sample(1000.0, 1_500_000_000, 30_000_000, 134_217_728, 0, 0, 3, 4097, 8194)


@pytest.mark.parametrize(("kind", "texts"), [(V1, TEXTS_V1), (V2, TEXTS_V2)], ids=["v1", "v2"])
def test_both_versions_say_the_same(kind: Kind, texts: Texts) -> None:
    assert kind.files.keys() == texts.keys()
    assert kind.sample(texts, 1000.0) == SAMPLE


@pytest.mark.parametrize(
    ("kind", "changed", "wanted"),
    [
        (V1, {"memory.limit_in_bytes": "9223372036854771712\n"}, {"memory_limit_bytes": 9223372036854771712}),
        (V2, {"memory.max": "max\n"}, {"memory_limit_bytes": 0}),
        (V1, {"memory.stat": "cache 1\ntotal_inactive_file 60000000\n"}, {"memory_bytes": 50_000_000}),
        (V2, {"memory.stat": "anon 1\n"}, {"memory_bytes": 50_000_000}),
        (V1, {"blkio.throttle.io_service_bytes_recursive": "Total 0\n"}, {"read_bytes": 0, "written_bytes": 0}),
        (V2, {"io.stat": ""}, {"read_bytes": 0, "written_bytes": 0}),
        (V2, {"io.stat": None}, {"read_bytes": None, "written_bytes": None}),
        (V1, {"blkio.throttle.io_service_bytes_recursive": None}, {"read_bytes": None, "written_bytes": None}),
        (V1, {"pids.current": None}, {"pids": 0}),
        (V2, {"cpu.stat": "usage_usec 0\n"}, {"cpu_ns": 0}),
    ],
)
def test_what_is_missing_or_without_a_limit_is_understood(
    kind: Kind, changed: dict[str, str | None], wanted: dict[str, int | None]
) -> None:
    whole = {**(TEXTS_V1 if kind is V1 else TEXTS_V2), **changed}
    texts = {name: text for name, text in whole.items() if text is not None}
    assert kind.sample(texts, 1000.0) == replace(SAMPLE, **wanted)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("kind", [V1, V2])
def test_what_is_no_number_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        kind.sample(dict.fromkeys(kind.files, "many\n"), 1000.0)


def test_traffic_is_that_of_all_interfaces_but_the_loopback() -> None:
    assert traffic(NET_DEV) == (1310, 2450)
    assert traffic(NET_DEV, lambda name: name == "eth0") == (310, 450)
    assert traffic("") == (0, 0)


def test_without_a_limit_the_machine_is_the_limit() -> None:
    assert [limited(each, 100) for each in (None, 0, 50, 2**63 - 4096)] == [100, 100, 50, 100]


# Where they are


class Machine:
    """`/proc` and the control groups of a machine, made of files."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.groups = folder / "proc", folder / "groups"
        self.write(self.proc / "77/net/dev", NET_DEV)

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def v1(self, *, path: str = f"/docker/{ID}", root: str = "/") -> None:
        """Each controller has a hierarchy; two of them share one. Beside them there is the empty one of version 2."""
        shared = {"cpuacct": "cpu,cpuacct"}
        controllers = ("cpuacct", "memory", "pids", "blkio")
        own = [f"{number}:{shared.get(name, name)}:{path}" for number, name in enumerate(controllers, 1)]
        self.write(self.proc / "77/cgroup", "\n".join([*own, f"9:name=systemd:{path}", f"0::{path}"]) + "\n")
        mounts = [
            f"33 31 0:30 {root} {self.groups}/{name} rw,relatime - cgroup cgroup rw,{shared.get(name, name)}"
            for name in controllers
        ]
        unified = f"41 31 0:38 {root} {self.groups}/unified rw - cgroup2 cgroup2 rw"
        self.write(self.proc / "self/mountinfo", "\n".join(["23 1 8:1 / / rw - ext4 /dev/vda rw", *mounts, unified]))
        inner = path.removeprefix(root if root != "/" else "").lstrip("/")
        for name, text in TEXTS_V1.items():
            self.write(self.groups / V1.files[name] / inner / name, text)

    def v2(self, *, path: str = f"/system.slice/docker-{ID}.scope", root: str = "/") -> None:
        self.write(self.proc / "77/cgroup", f"0::{path}\n")
        self.write(
            self.proc / "self/mountinfo",
            f"35 24 0:30 {root} {self.groups} rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        )
        inner = path.removeprefix(root if root != "/" else "").lstrip("/")
        for name, text in TEXTS_V2.items():
            self.write(self.groups / inner / name, text)

    def read(self, box: Container = BOX) -> Sample | None:
        return Counters(HeldClock(), self.proc).read(box)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


WANTED = replace(SAMPLE, read_at_s=HeldClock().utc().timestamp(), received_bytes=1310, sent_bytes=2450)


def test_groups_of_version_1_are_found_by_the_containers_process(machine: Machine) -> None:
    machine.v1()
    assert machine.read() == WANTED


def test_groups_of_version_2_are_found_by_the_containers_process(machine: Machine) -> None:
    machine.v2()
    assert machine.read() == WANTED


def test_an_agent_that_sees_a_part_of_the_hierarchy_finds_them_in_it(machine: Machine) -> None:
    machine.v1(path=f"/docker/outer/docker/{ID}", root="/docker/outer")
    assert machine.read() == WANTED


def test_a_process_of_the_same_number_that_is_not_the_containers_is_passed_over(machine: Machine) -> None:
    machine.v1(path="/user.slice")
    assert find(BOX, machine.proc) is None
    machine.v2(path="/user.slice")
    assert machine.read() is None


@pytest.mark.parametrize("path", [f"/../{ID}", "/"])
def test_groups_outside_of_what_the_agent_sees_are_not_found(machine: Machine, path: str) -> None:
    machine.v2()
    machine.write(machine.proc / "77/cgroup", f"0::{path}\n")
    assert machine.read() is None


@pytest.mark.parametrize("box", [replace(BOX, pid=None), replace(BOX, pid=78)])
def test_without_its_process_nothing_is_found(machine: Machine, box: Container) -> None:
    machine.v1()
    assert machine.read(box) is None


def test_what_may_be_missing_is_not_told_and_what_is_needed_is_missed(machine: Machine) -> None:
    machine.v2()
    (group,) = machine.groups.rglob("io.stat")
    group.unlink()
    assert machine.read() == replace(WANTED, read_bytes=None, written_bytes=None)
    group.with_name("memory.current").unlink()
    assert machine.read() is None


def test_a_container_that_ended_is_not_read_and_its_next_run_is(machine: Machine) -> None:
    machine.v1()
    counters = Counters(HeldClock(), machine.proc)
    assert counters.read(BOX) is not None
    for file in machine.groups.rglob("memory.stat"):
        file.unlink()
    assert counters.read(BOX) is None
    machine.v1()
    assert counters.read(BOX) is not None


def test_a_limit_above_the_machines_memory_is_the_machines_memory(machine: Machine) -> None:
    machine.v1()
    machine.write(machine.groups / "memory/docker" / ID / "memory.limit_in_bytes", "9223372036854771712\n")
    sample = machine.read()
    assert sample is not None
    assert 2**20 < sample.memory_limit_bytes < 2**50
