"""Statements that are made once and run many times: most of what a small one costs otherwise is its making."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Dialect, Insert, Update

Change = tuple[Insert | Update, Mapping[str, Any]]
"""A statement about one row of a table, and a value for each of its parameters and columns."""


class Prepared:
    """A statement as the driver takes it: compiled once, for as long as the program runs."""

    def __init__(self, statement: Insert | Update, names: list[str], dialect: Dialect) -> None:
        plain = statement.inline() if isinstance(statement, Insert) else statement
        compiled = plain.compile(dialect=dialect, column_keys=names)
        self.text = compiled.string
        self._takes = [_take(compiled.binds[name], dialect) for name in compiled.positiontup or ()]

    def take(self, values: Mapping[str, Any]) -> list[Any]:
        """In the statement's order, as the database keeps them."""
        return [take(values) for take in self._takes]


def _take(bind: BindParameter[Any], dialect: Dialect) -> Callable[[Mapping[str, Any]], Any]:
    name = bind.key
    process = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if not bind.required:
        constant = bind.value if process is None else process(bind.value)
        return lambda _: constant
    return itemgetter(name) if process is None else lambda values: process(values[name])
