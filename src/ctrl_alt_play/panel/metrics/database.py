"""The database, with a watch on each statement."""

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import event

from ctrl_alt_play.panel.db import Database, Touched
from ctrl_alt_play.panel.metrics.counted import Counted
from ctrl_alt_play.panel.prepared import Change

READ, WRITE = "read", "write"


class TimedDatabase(Database):
    def __init__(self, counted: Counted, url: str) -> None:
        super().__init__(url)
        self._counted = counted
        for engine in {self.engine, self._writer}:
            event.listen(engine.sync_engine, "before_cursor_execute", _begin)
            event.listen(engine.sync_engine, "after_cursor_execute", self._end)

    def _end(self, connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """SQLAlchemy's signature, which has no types."""
        kind = READ if statement.startswith("SELECT") else WRITE
        self._counted.statement(kind, time.perf_counter() - connection.info["began_s"])

    async def change(self, *changes: Change, touched: AbstractSet[Touched] = frozenset()) -> bool:
        if self._file is None:
            return await super().change(*changes, touched=touched)  # by the engine, which tells of it
        with self._counted.timed_statement(WRITE):
            return await super().change(*changes, touched=touched)

    async def row(self, question: str, **parameters: str | int | None) -> Sequence[Any] | None:
        if self._file is None:
            return await super().row(question, **parameters)
        with self._counted.timed_statement(READ):
            return await super().row(question, **parameters)


def _begin(connection: Any, *_: Any) -> None:
    connection.info["began_s"] = time.perf_counter()
