"""What the kernel counts for a container, from the texts of its files: control groups of version 1 and of version 2, and `/proc/<pid>/net/dev`.

Memory is as `docker stats` tells it: without the page cache that the kernel gives back under pressure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ctrl_alt_play.agent.engine.base import Sample

Texts = Mapping[str, str]
"""The contents of files by their names; a file that is not there is left out."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One version of control groups: the files that are read, with the controller that each belongs to, and what they mean."""

    files: Mapping[str, str]
    needed: frozenset[str]
    """Without these nothing is known; the others may be missing."""
    sample: Callable[[Texts, float], Sample]
    """Takes the texts and the time at which they were read. Raises `ValueError` for what is no such text."""


def traffic(net_dev: str, is_wanted: Callable[[str], bool] = lambda name: name != "lo") -> tuple[int, int]:
    """Bytes received and sent by the interfaces that are wanted, from `/proc/<pid>/net/dev`.

    Raises:
        ValueError: it is no such text.
    """
    received = sent = 0
    for line in net_dev.splitlines()[2:]:
        name, _, counts = line.partition(":")
        if is_wanted(name.strip()):
            numbers = counts.split()
            received += int(numbers[0])
            sent += int(numbers[8])
    return received, sent


def limited(limit_bytes: int | None, machine_bytes: int) -> int:
    """A limit as people mean it: where there is none, it is what the machine has."""
    return min(limit_bytes or machine_bytes, machine_bytes)


def _sample_v1(texts: Texts, at_s: float) -> Sample:
    read, written = _sum_v1(texts.get("blkio.throttle.io_service_bytes_recursive"))
    return Sample(
        read_at_s=at_s,
        cpu_ns=int(texts["cpuacct.usage"]),
        memory_bytes=_memory(texts["memory.usage_in_bytes"], texts["memory.stat"], "total_inactive_file"),
        memory_limit_bytes=int(texts["memory.limit_in_bytes"]),
        received_bytes=0,
        sent_bytes=0,
        pids=int(texts.get("pids.current", 0)),
        read_bytes=read,
        written_bytes=written,
    )


def _sample_v2(texts: Texts, at_s: float) -> Sample:
    limit = texts["memory.max"].strip()
    read, written = _sum_v2(texts.get("io.stat"))
    return Sample(
        read_at_s=at_s,
        cpu_ns=_field(texts["cpu.stat"], "usage_usec") * 1000,
        memory_bytes=_memory(texts["memory.current"], texts["memory.stat"], "inactive_file"),
        memory_limit_bytes=0 if limit == "max" else int(limit),
        received_bytes=0,
        sent_bytes=0,
        pids=int(texts.get("pids.current", 0)),
        read_bytes=read,
        written_bytes=written,
    )


def _memory(usage: str, stat: str, cache_name: str) -> int:
    used, cache = int(usage), _field(stat, cache_name)
    return used - cache if cache < used else used


def _field(text: str, name: str) -> int:
    """The number after a name, in lines of names and numbers; 0 where the name is missing."""
    _, found, rest = f"\n{text}".partition(f"\n{name} ")
    return int(rest.partition("\n")[0]) if found else 0


def _sum_v1(text: str | None) -> tuple[int | None, int | None]:
    """Of lines such as `8:0 Read 4096`; what the kernel counts of a device in total is passed over."""
    if text is None:
        return None, None
    sums = {"Read": 0, "Write": 0}
    for words in map(str.split, text.splitlines()):
        if len(words) == 3 and words[1] in sums:
            sums[words[1]] += int(words[2])
    return sums["Read"], sums["Write"]


def _sum_v2(text: str | None) -> tuple[int | None, int | None]:
    """Of lines such as `8:0 rbytes=4096 wbytes=0 rios=1 …`."""
    if text is None:
        return None, None
    return _sum_of("rbytes=", text.split()), _sum_of("wbytes=", text.split())


def _sum_of(name: str, words: Iterable[str]) -> int:
    return sum(int(word.removeprefix(name)) for word in words if word.startswith(name))


V1 = Kind(
    files={
        "cpuacct.usage": "cpuacct",
        "memory.usage_in_bytes": "memory",
        "memory.stat": "memory",
        "memory.limit_in_bytes": "memory",
        "pids.current": "pids",
        "blkio.throttle.io_service_bytes_recursive": "blkio",
    },
    needed=frozenset(("cpuacct.usage", "memory.usage_in_bytes", "memory.stat", "memory.limit_in_bytes")),
    sample=_sample_v1,
)
V2 = Kind(
    files=dict.fromkeys(("cpu.stat", "memory.current", "memory.stat", "memory.max", "pids.current", "io.stat"), ""),
    needed=frozenset(("cpu.stat", "memory.current", "memory.stat", "memory.max")),
    sample=_sample_v2,
)
"""All controllers share one hierarchy, which has no name."""
