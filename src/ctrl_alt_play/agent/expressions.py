"""Regular expressions written by strangers. RE2 searches without going back, within bounded memory, so they can hold nobody up.

It is loaded with the first expression: few games have one, and it is 1.5 MiB.
"""

from typing import Any


def compiled(pattern: str, most_bytes: int, *, has_groups: bool = False) -> Any:
    """The expression, ready for bytes of UTF-8. Groups cost memory: they are there where they are asked for.

    Raises:
        ValueError: it is none, or would take more memory than `most_bytes`; says why.
    """
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; it comes without types

    options = re2.Options()
    options.max_mem = most_bytes
    options.log_errors = False
    options.never_capture = not has_groups
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(_reason(error)) from error


def escaped(text: str) -> str:
    """The expression that matches just this text."""
    import re2  # noqa: PLC0415 - see above

    return str(re2.escape(text))


def _reason(error: Exception) -> str:
    return b" ".join(each if isinstance(each, bytes) else str(each).encode() for each in error.args).decode(
        errors="replace"
    )
