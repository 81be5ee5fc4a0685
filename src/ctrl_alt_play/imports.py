"""Importing a library without what it would load besides."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """What is imported inside finds these not installed. Those that are loaded already stay."""
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python says that there is none
    try:
        yield
    finally:
        for module in hidden:
            del sys.modules[module]
