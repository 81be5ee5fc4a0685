"""Regular expressions written by strangers. RE2 searches without going back, within bounded memory, so they can hold nobody up."""

from typing import Any

import re2  # type: ignore[import-untyped]  # it comes without types

Error = re2.error
escaped = re2.escape


def compiled(pattern: str, most_bytes: int) -> Any:
    """The expression, ready for bytes of UTF-8.

    Raises:
        Error: it is none, or would take more memory than `most_bytes`.
    """
    options = re2.Options()
    options.max_mem = most_bytes
    options.log_errors = False
    options.never_capture = True
    return re2.compile(pattern, options)


def reason(error: Exception) -> str:
    return b" ".join(each if isinstance(each, bytes) else str(each).encode() for each in error.args).decode(
        errors="replace"
    )
