"""What the panel and a node's own program judge alike: figures in, findings out. Nothing here looks at anything by itself."""

from collections.abc import Iterable

from ctrl_alt_play.protocol.doctor import Finding, State

GIB = 2**30
SMALLEST_DISK_BYTES = 4 * GIB
"""Smaller ones hold what a machine boots from."""
DISK_WARNING, DISK_PROBLEM = 0.90, 0.98
MEMORY_WARNING = 0.95
CLOCK_WARNING_S, CLOCK_PROBLEM_S = 5.0, 300.0
OLDEST_DOCKER = (20, 10)

_SEVERITY = (State.OK, State.UNKNOWN, State.WARNING, State.PROBLEM)


def ok(id_: str, seen: str) -> Finding:
    return Finding(id=id_, state=State.OK, seen=seen)


def unknown(id_: str, seen: str, todo: str = "") -> Finding:
    return Finding(id=id_, state=State.UNKNOWN, seen=seen, todo=todo)


def warning(id_: str, seen: str, todo: str) -> Finding:
    return Finding(id=id_, state=State.WARNING, seen=seen, todo=todo)


def problem(id_: str, seen: str, todo: str) -> Finding:
    return Finding(id=id_, state=State.PROBLEM, seen=seen, todo=todo)


def worst(findings: Iterable[Finding]) -> Finding:
    """The first of those that are worst. There must be one."""
    return max(findings, key=lambda finding: _SEVERITY.index(finding.state))


def disks(usages: Iterable[tuple[str, int, int]]) -> Finding:
    """`usages` are a path with what is used of how many bytes."""
    full = [(used / total, path, total - used) for path, used, total in usages if total >= SMALLEST_DISK_BYTES]
    if not full:
        return unknown("disk", "No disk was measured.")
    share, path, free = max(full)
    seen = f"{path} is {share:.0%} full: {size(free)} are free."
    todo = "Remove what is not needed, such as old images (docker image prune), or add a disk. On a full one games cannot save."
    if share >= DISK_PROBLEM:
        return problem("disk", seen, todo)
    return warning("disk", seen, todo) if share >= DISK_WARNING else ok("disk", seen)


def memory(used: int | None, total: int | None) -> Finding:
    if used is None or not total:
        return unknown("memory", "Memory was not measured.")
    seen = f"{size(used)} of {size(total)} are used."
    if used / total < MEMORY_WARNING:
        return ok("memory", seen)
    return warning(
        "memory",
        seen,
        "Stop a server, give some less memory, or move them: the system ends games when it has none left.",
    )


def clock(ahead_s: float | None) -> Finding:
    """By how much the node's clock is ahead of the panel's."""
    if ahead_s is None:
        return unknown("clock", "The node's clock could not be held against the panel's.")
    if abs(ahead_s) < CLOCK_WARNING_S:
        return ok("clock", "The node's clock and the panel's agree.")
    seen = f"The node's clock is {span(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} the panel's."
    todo = "Set both clocks by the network: timedatectl set-ntp true. Until then the times of its events are wrong."
    return (problem if abs(ahead_s) >= CLOCK_PROBLEM_S else warning)("clock", seen, todo)


def docker_version(version: str) -> Finding:
    """Of an engine that answers."""
    if _numbers(version)[:2] >= OLDEST_DOCKER:
        return ok("docker", f"Docker {version} answers.")
    oldest = ".".join(map(str, OLDEST_DOCKER))
    return problem("docker", f"Docker {version} is older than {oldest}.", f"Install Docker {oldest} or newer.")


def agent_version(agent: str | None, panel: str) -> Finding:
    """Of an agent against its panel's."""
    if agent is None:
        return unknown("version", "The agent does not say which version it is.")
    if agent == panel:
        return ok("version", f"Agent and panel are both {panel}.")
    seen = f"The agent is {agent}, the panel {panel}."
    older = "agent" if _numbers(agent) < _numbers(panel) else "panel"
    return warning("version", seen, f"Upgrade the {older}, so that both are of one version.")


def _numbers(version: str) -> tuple[int, ...]:
    """`27.3.1-rc1` as 27, 3, 1."""
    parts = version.split("-", maxsplit=1)[0].split("+", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts if part.isdecimal())


def size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{_short(count)} {unit}"
        count /= 1024
    return f"{_short(count)} TiB"


def _short(count: float) -> str:
    return f"{count:.1f}".removesuffix(".0")


def span(seconds: float) -> str:
    """A time in its two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"
