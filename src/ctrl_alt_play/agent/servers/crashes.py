"""Stand-in until the real one is here."""

from collections.abc import Sequence

from ctrl_alt_play.protocol.specification import CrashPolicy


def next_start(policy: CrashPolicy, crashed_at: Sequence[float], now: float) -> float | None:
    recent = [at for at in crashed_at if at > now - policy.window]
    if len(recent) > policy.limit and policy.then == "stop":
        return None
    return policy.backoff[min(max(len(recent) - 1, 0), len(policy.backoff) - 1)]
