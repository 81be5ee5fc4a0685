"""Amounts and lists as people read them."""

from collections.abc import Iterable

MOST_LISTED = 20


def size(amount_bytes: int) -> str:
    """`512 MiB`, `1.5 GiB`, `100 bytes`."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if amount_bytes >= factor:
            return f"{round(amount_bytes / factor, 1):g} {unit}"
    return f"{amount_bytes} bytes"


def listed(names: Iterable[str]) -> str:
    """`a, b and 3 more`."""
    every = list(names)
    more = f" and {len(every) - MOST_LISTED} more" if len(every) > MOST_LISTED else ""
    return ", ".join(every[:MOST_LISTED]) + more
