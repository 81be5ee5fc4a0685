"""A teller that remembers what it was told."""

from dataclasses import dataclass, field

from ctrl_alt_play.agent.records import News, OperationRecord
from ctrl_alt_play.protocol.contents import Outcome, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.part2 import CommandCompleted, OperationProgress, ServerCrashed


@dataclass(frozen=True)
class Ended:
    operation: OperationRecord
    state: ServerState | Outcome
    fault: Fault | None


@dataclass
class FakeTeller:
    """`changes` are what part 1 is told; `news` is all of it, with its numbers. `words` are the states and outcomes told of one server, in order."""

    news: list[tuple[int, News]] = field(default_factory=list)
    changes: list[StatusChanged] = field(default_factory=list)
    crashes: list[ServerCrashed] = field(default_factory=list)
    completed: list[CommandCompleted] = field(default_factory=list)
    steps: list[OperationProgress] = field(default_factory=list)
    endings: list[Ended] = field(default_factory=list)
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def hear(self, seq: int, news: News) -> None:
        """For the journal's `on_news`."""
        self.news.append((seq, news))
        match news.content:
            case StatusChanged() as change if news.is_for_part1:
                self.changed(change)
            case ServerCrashed() as crash:
                self.crashes.append(crash)
            case CommandCompleted() as completed:
                self.completed.append(completed)

    def changed(self, change: StatusChanged) -> None:
        self.changes.append(change)

    def progress(self, progress: OperationProgress) -> None:
        self.steps.append(progress)

    def ended(self, operation: OperationRecord, state: ServerState | Outcome, fault: Fault | None) -> None:
        self.endings.append(Ended(operation, state, fault))

    def wrote(self, server_id: str, stream: str, text: str) -> None:
        self.lines += [(server_id, stream, line) for line in text.split("\n")]

    def missed(self, server_id: str, lines: int) -> None:
        self.lines.append((server_id, "missed", str(lines)))

    def words(self, server_id: str) -> list[str | None]:
        return [change.word for change in self.changes if change.server_id == server_id]

    def last(self, server_id: str) -> StatusChanged | None:
        told = [change for change in self.changes if change.server_id == server_id]
        return told[-1] if told else None

    def texts(self, server_id: str) -> list[str]:
        return [text for id_, _, text in self.lines if id_ == server_id]

    def ending(self, command_id: str) -> Ended | None:
        """How an action ended.

        Raises:
            AssertionError: it was told more than once.
        """
        told = [ended for ended in self.endings if ended.operation.id == command_id]
        assert len(told) <= 1, f"the end of {command_id} was told {len(told)} times"
        return told[0] if told else None
