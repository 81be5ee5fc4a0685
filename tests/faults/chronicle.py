"""Whether the panel has every durable event once, in order, and whether all that was accepted has ended once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tests.faults.records import Event, Operation, Spool
from tests.faults.violations import Violation

PASSING = {"starting", "stopping"}
UNDONE = {"CONFIG_INVALID", "INVALID_PAYLOAD", "CANCELLED"}
"""Refusals of a change for good. What a node did not take for another reason the panel keeps, and tells it again."""
SETTLED_BY_THE_PANEL = {"status", "delete", "update"}
"""A question is answered at once; what the node does not have is deleted already; a change waits at the panel for a node that is away."""


def check_sequence(events: Sequence[Event], acknowledged: tuple[str | None, int], spool: Spool) -> list[Violation]:
    """The numbers of all events, without a gap that was not told of, without a repetition, in the order in which they were kept."""
    violations: list[Violation] = []
    last: dict[str, int] = {}
    for event in events:
        expected = last.get(event.spool_id, 0) + 1 + event.missing
        if event.seq != expected:
            violations.append(
                Violation("events come in order, once", f"event {event.row}", f"seq {expected}", f"seq {event.seq}")
            )
        last[event.spool_id] = event.seq
    newest = last.get(spool.id, 0)
    found = f"panel kept {newest}, acknowledged {acknowledged}, {spool.unacknowledged} left in the spool"
    if newest != spool.newest or acknowledged != (spool.id, spool.newest) or spool.unacknowledged:
        violations.append(Violation("every event arrives", "spool", f"all up to {spool.newest}", found))
    if len(last) > 1:
        violations.append(Violation("the journal is kept", "spool", "one", f"{len(last)}: {', '.join(last)}"))
    return violations


def check_completions(operations: Iterable[Operation], events: Sequence[Event]) -> list[Violation]:
    """Each operation that succeeded was completed once; none was completed twice, or otherwise than its operation says."""
    completed = [event.data for event in events if event.kind == "command_completed"]
    counts = Counter(data["commandId"] for data in completed)
    success = {data["commandId"]: bool(data["success"]) or _is_kept(data) for data in completed}
    violations = [
        Violation("an operation completes once", id_, "one completion", f"{count}")
        for id_, count in counts.items()
        if count > 1
    ]
    for operation in operations:
        told = success.get(operation.id)
        is_success = operation.state == "succeeded"
        subject = f"{operation.kind} {operation.id} of {operation.server_id}"
        if told is None and is_success and operation.kind not in SETTLED_BY_THE_PANEL:
            violations.append(Violation("an operation completes once", subject, "a completion", "none"))
        if told is not None and told is not is_success:
            found = f"{operation.state} ({operation.code})"
            violations.append(Violation("an operation ends as it was told", subject, f"success {told}", found))
    return violations


def _is_kept(completed: dict[str, Any]) -> bool:
    return completed["action"] == "update_server" and completed.get("error", {}).get("code") not in {None, *UNDONE}


def check_changes(events: Sequence[Event]) -> list[Violation]:
    """Each change of a server's state begins where the one before it ended; what it passes through meanwhile is no end. An agent that was
    restarted may first have known nothing."""
    violations: list[Violation] = []
    settled: dict[str, str] = {}
    last: dict[str, str] = {}
    for event in events:
        if event.kind != "server_status_changed" or event.server_id is None:
            continue
        previous, current = event.data.get("previousStatus"), event.data.get("currentStatus")
        known = {"unknown", settled.get(event.server_id), last.get(event.server_id)}
        if event.missing == 0 and None not in (previous, *known) and previous not in known:
            subject = f"event {event.row} of {event.server_id}"
            expected = " or ".join(sorted(map(str, known)))
            violations.append(
                Violation("changes follow each other", subject, f"previousStatus {expected}", f"{previous}")
            )
        if current is not None:
            last[event.server_id] = current
            if current not in PASSING:
                settled[event.server_id] = current
    return violations
