"""Operations that someone waits for, as they are once the node's answer was taken in: so the answer needs no look at the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from ctrl_alt_play.panel.models import Operation


class Watched:
    def __init__(self) -> None:
        self._placed: dict[str, Operation] = {}
        self._heard: dict[str, Operation] = {}
        self._set_out: set[str] = set()
        self._called_off: set[str] = set()

    @contextmanager
    def watching(self, operation: Operation) -> Iterator[None]:
        """Begin before the operation is committed: who sends again what was left over passes by what is watched."""
        self._placed[operation.id] = operation
        try:
            yield
        finally:
            del self._placed[operation.id]
            self._heard.pop(operation.id, None)
            self._set_out.discard(operation.id)
            self._called_off.discard(operation.id)

    def set_out(self, operation_id: str) -> bool:
        """Whether it may be sent; from here on it cannot be called off here any more."""
        if operation_id in self._called_off:
            return False
        self._set_out.add(operation_id)
        return True

    def call_off(self, operation_id: str) -> bool:
        """Whether nothing of it was sent, and nothing will be."""
        if operation_id not in self._placed or operation_id in self._set_out:
            return False
        self._called_off.add(operation_id)
        return True

    def __contains__(self, operation_id: str) -> bool:
        return operation_id in self._placed

    def placed(self, operation_id: str) -> Operation | None:
        """As it was written when it was ordered; None once something was heard of it."""
        return None if operation_id in self._heard else self._placed.get(operation_id)

    def tell(self, operation: Operation) -> None:
        """`operation` was changed by what its node said, and the change is committed."""
        if operation.id in self._placed:
            self._heard[operation.id] = operation

    def latest(self, operation_id: str) -> Operation | None:
        """None while nothing was heard of it."""
        return self._heard.get(operation_id)
