"""What follows upon a crash, and the report of it. Nothing here waits, looks at anything, or reads a clock."""

from collections.abc import Sequence
from datetime import datetime

from ctrl_alt_play.agent.servers.causes import Evidence, explain
from ctrl_alt_play.agent.servers.changes import GoodRun, changes_between
from ctrl_alt_play.protocol.part2 import ServerCrashed
from ctrl_alt_play.protocol.specification import CrashPolicy

SHORTEST_RETRY_S = 1.0
"""For ever is not to be as fast as Docker can."""
MOST_LINES = 50
MOST_LINE_BYTES = 8 * 1024
"""Of all lines together, in UTF-8."""


def next_start(policy: CrashPolicy, crashed_at: Sequence[float], now: float) -> float | None:
    """Seconds until the next start after the newest crash of `crashed_at`; None: it stays down.

    All times are of one clock, which may have jumped. Whether a start is wanted at all (`restart`, `clean`) is not asked here.
    """
    count = max(1, sum(now - at < policy.window for at in crashed_at))
    if count <= policy.limit:
        return policy.backoff[min(count, len(policy.backoff)) - 1]
    return max(SHORTEST_RETRY_S, *policy.backoff) if policy.then == "retry" else None


def report(
    server_id: str,
    seen: Evidence,
    *,
    crashed_at: datetime,
    started_at: datetime | None = None,
    crashes: int = 1,
    restart_at: datetime | None = None,
    good: GoodRun | None = None,
    now: GoodRun | None = None,
) -> ServerCrashed:
    """The report of a crash. `good` is the last run that went well, and `now` the one that did not."""
    explanation = explain(seen)
    return ServerCrashed(
        server_id=server_id,
        cause=explanation.cause,
        summary=explanation.summary,
        exit_code=seen.exit_code,
        signal=explanation.signal,
        uptime=None if started_at is None else max(0.0, (crashed_at - started_at).total_seconds()),
        last_lines=newest(seen.last_lines),
        changes=changes_between(good, now) if good is not None and now is not None else (),
        crashes=crashes,
        restart_at=restart_at,
        crashed_at=crashed_at,
    )


def newest(lines: Sequence[str]) -> tuple[str, ...]:
    """The newest lines that a report has room for, oldest first. Colours stay; the oldest of them may have lost its beginning."""
    kept: list[str] = []
    left = MOST_LINE_BYTES
    for line in reversed(lines[-MOST_LINES:]):
        data = line.encode(errors="replace")
        if len(data) > left:
            rest = data[len(data) - left :].decode(errors="ignore")
            kept += [rest] if rest else []
            break
        kept.append(line)
        left -= len(data)
    return tuple(reversed(kept))
