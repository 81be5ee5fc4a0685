"""Operations as people see them: what is kept, how far they are, and what those that are not accepted yet wait for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import spoken
from ctrl_alt_play.panel.db import Database, database_of
from ctrl_alt_play.panel.models import Node, Operation, OperationKind, OperationState
from ctrl_alt_play.panel.operations.progress import Progress
from ctrl_alt_play.panel.operations.schemas import OperationView, ProgressView


class Views:
    def __init__(self, database: Database, progress: Progress) -> None:
        self._database = database
        self._progress = progress

    async def view(self, operation: Operation) -> OperationView:
        """Of one that was just ordered: nothing is read where nothing waits."""
        if operation.state != OperationState.QUEUED:
            return self._view(operation, None)
        async with self._database.reading() as session:
            return (await self.views(session, [operation]))[0]

    async def views(self, session: AsyncSession, operations: Sequence[Operation]) -> list[OperationView]:
        waiting = {operation.node_id for operation in operations if operation.state == OperationState.QUEUED}
        away = await _away_since(session, waiting) if waiting else {}
        return [self._view(operation, away.get(operation.node_id)) for operation in operations]

    def _view(self, operation: Operation, away_since: datetime | None) -> OperationView:
        view = OperationView.model_validate(operation)
        if (step := self._progress.of(operation)) is not None:
            view.progress = ProgressView.model_validate(step)
        if operation.state == OperationState.QUEUED and away_since is not None:
            end = "is kept for later" if operation.kind == OperationKind.UPDATE else "fails"
            view.message = (
                f"It waits for node {operation.node_id}, which is away since {spoken(away_since)},"
                f" and {end} if the node is not back by {spoken(operation.deadline_at)}."
            )
        return view


async def _away_since(session: AsyncSession, node_ids: set[str]) -> dict[str, datetime]:
    nodes = await session.scalars(select(Node).where(Node.id.in_(node_ids), ~Node.online))
    return {node.id: node.since for node in nodes}


async def _views_of(connection: HTTPConnection) -> Views:
    return Views(
        database_of(connection), cast("Progress", connection.app.state.progress)
    )  # Starlette's state has no types


Showing = Annotated[Views, Depends(_views_of)]
