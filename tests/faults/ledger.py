"""What was asked, held against what was done: nothing lost, nothing twice, nothing that nobody asked for."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.calm import Calm
from tests.faults.game import Diary
from tests.faults.plan import Fault, Kind
from tests.faults.records import Event, Operation
from tests.faults.violations import Violation
from tests.faults.walk import Asked

UNSURE = {"TIMEOUT", "INTERRUPTED", "DOCKER_UNAVAILABLE"}
"""Failures that say themselves that the effect may have come about."""
READ_WITHIN_S = 2.0
CANCELLED = "CANCELLED"
CANCELLED_WITHIN_S = 5.0
"""What ends later than that after its cancellation was accepted was not too far gone for it."""
STARTS = {Kind.START, Kind.RESTART}
HOLDS = {Kind.HOLD, Kind.RELEASE}
ENDS = {Kind.STOP, Kind.RESTART, Kind.KILL, Kind.DELETE, Kind.CRASH, Kind.LEAVE, Kind.HOLD}
ENDED = {"stopping", "stopped", "crashed", "deleted"}
DESIRED = {Kind.START: "on", Kind.RESTART: "on", Kind.STOP: "off", Kind.KILL: "off", Kind.CREATE: "off"}
_DISTURB_ENGINE = (Fault.ENGINE_KILLED, Fault.NODE_POWER_LOST, Fault.AGENT_CLOCK)
ENDS_AGENT = {Fault.AGENT_KILLED, Fault.AGENT_ENDED, Fault.NODE_POWER_LOST}


@dataclass(frozen=True)
class Ledger:
    """One round: the calm before it and the calm after it, what was asked between, and what the panel was told."""

    before: Calm
    after: Calm
    asked: Sequence[Asked]
    events: Sequence[Event]
    killed_games: Counter[str]
    bystanders: set[str]
    struck: Counter[Fault]

    @property
    def is_engine_disturbed(self) -> bool:
        """It was killed, or the agent's clock, by which we would know when, was set."""
        return any(self.struck[fault] for fault in _DISTURB_ENGINE)

    @property
    def has_agent_ended(self) -> bool:
        return any(self.struck[fault] for fault in ENDS_AGENT)

    @property
    def is_quiet(self) -> bool:
        """Nothing was asked, and no fault was about: whatever happened in it can be told exactly."""
        return not self.asked and not self.struck

    def check(self) -> list[Violation]:
        violations = [*self._answers(), *self._lost(), *self._nobody_asked(), *self._existence(), *self._cancelled()]
        for server_id in self.after.servers:
            violations += [*self._lines(server_id), *self._starts(server_id)]
            violations += [*self._word(server_id), *self._hold(server_id), *self._unharmed(server_id)]
            violations += [*self._wanted(server_id), *self._crashes(server_id)]
        return violations

    def _answers(self) -> list[Violation]:
        return [
            Violation("every order is answered", f"{asked.kind} of {asked.server_id}", "an answer", f"{asked.answer}")
            for asked in self.asked
            if asked.answer.status in {0, 500}
        ]

    def _lost(self) -> list[Violation]:
        """What was answered with an operation stays one, and an end is final; only that nothing was heard in time may be corrected."""
        violations = [
            Violation(
                "no operation is lost", f"{asked.kind} {asked.operation_id}", "kept", "the panel does not know it"
            )
            for asked in self.asked
            if asked.operation_id is not None and asked.operation_id not in self.after.operations
        ]
        for id_, before in self.before.operations.items():
            after = self.after.operations.get(id_)
            if after is None or (before.has_ended and before.code != "TIMEOUT" and after.state != before.state):
                found = "nothing" if after is None else _described(after)
                violations.append(Violation("an end is final", f"{before.kind} {id_}", _described(before), found))
        return violations

    def _nobody_asked(self) -> list[Violation]:
        """An order that was repeated under its name makes one operation."""
        known = {asked.operation_id for asked in self.asked}
        return [
            Violation("nothing is done twice", f"{each.kind} {each.id} of {each.server_id}", "asked for", "nobody did")
            for each in self.after.operations.values()
            if each.id not in self.before.operations and each.id not in known and each.created_by is not None
        ]

    def _existence(self) -> list[Violation]:
        """Containers and servers are the same set, but for servers that never came to be, whose deletion failed, or whose start was cut off while
        their container was made anew: then the panel says that there is none, and the next start makes it.
        """
        servers = self.after.servers.keys() - self.after.unmade
        odd = [
            (id_, "no container of a deleted server")
            for id_ in self.after.containers.keys() - self.after.servers.keys()
        ]
        odd += [
            (id_, "a container")
            for id_ in servers - self.after.containers.keys()
            if not self._failed(id_, {Kind.DELETE}) and not self._is_known_to_be_absent(id_)
        ]
        return [Violation("servers are what was asked for", id_, expected, "otherwise") for id_, expected in odd]

    def _cancelled(self) -> list[Violation]:
        """Nothing else is cancelled than what was to be; and what was accepted to be so is, unless it had as good as ended."""
        asked = [each for each in self.asked if each.cancels is not None]
        cancelled = [each for each in self.after.operations.values() if each.code == CANCELLED]
        known = {*self.before.operations, *(each.cancels for each in asked)}
        violations = [
            Violation("only what is cancelled is so", f"{each.kind} {each.id}", "another end", "cancelled")
            for each in cancelled
            if each.id not in known
        ]
        if self.is_engine_disturbed or self.has_agent_ended:
            return violations
        ended_at = {
            event.data["commandId"]: event.happened_at for event in self.events if event.kind == "command_completed"
        }
        for each in asked:
            operation = self.after.operations.get(each.cancels or "")
            if not each.answer.is_accepted or operation is None or operation.state != "succeeded":
                continue
            late_s = (ended_at[operation.id] - each.answered_on).total_seconds() if operation.id in ended_at else 0
            if late_s > CANCELLED_WITHIN_S:
                found = f"{_described(operation)} {late_s:.1f} s after that was accepted"
                violations.append(Violation("what is cancelled is not done", operation.id, CANCELLED, found))
        return violations

    def _lines(self, server_id: str) -> list[Violation]:
        diary = self.after.diaries.get(server_id, Diary())
        violations = []
        for asked in self._of(server_id, {Kind.COMMAND, Kind.CRASH, Kind.LEAVE}):
            count, operation = diary.count(asked.order.line), self._operation(asked)
            least, most = 0, 1
            if operation is None or (operation.state == "failed" and operation.code not in UNSURE):
                most = 0
            elif operation.state == "succeeded" and not self._may_be_unread(asked):
                least = 1
            if not least <= count <= most:
                subject = f"{asked.order.line!r} to {server_id}, {_described(operation)}"
                violations.append(Violation("a line is read once", subject, f"{least} to {most} times", f"{count}"))
        return violations

    def _starts(self, server_id: str) -> list[Violation]:
        """Starts that the game noted: one for each that succeeded, none for those refused, and one more for each crash, each loss of power and
        each end of a hold, and for what ended by itself while its start was cut off; none at all where nobody wants one, or a hold lasts.
        """
        count = len(self._new_starts(server_id))
        orders = [self._operation(asked) for asked in self._of(server_id, STARTS)]
        succeeded = sum(operation is not None and operation.state == "succeeded" for operation in orders)
        failed = sum(operation is not None and operation.state == "failed" for operation in orders)
        crashes = len(self._told_crashes(server_id))
        unseen = succeeded if self.is_engine_disturbed else 0  # a game that nobody could see may have run already
        left = sum(line.startswith(Kind.LEAVE) for _, line in self._new_lines(server_id)) if self.has_agent_ended else 0
        own = left + crashes + self.struck[Fault.NODE_POWER_LOST] + len(self._of(server_id, {Kind.RELEASE}))
        least, most = max(0, succeeded - crashes - unseen), succeeded + failed + own
        if self.is_quiet:
            least = most = crashes
        elif not self._may_start(server_id):
            least = most = 0
        if least <= count <= most:
            return []
        subject = f"{server_id}: {', '.join(map(_described, orders)) or 'no start asked for'}; {crashes} crashes"
        return [Violation("a start is done once", subject, f"{least} to {most} starts", f"{count}")]

    def _may_start(self, server_id: str) -> bool:
        before = self.before.servers.get(server_id, {})
        if before.get("hold", "none") != "none":
            return bool(self._of(server_id, {Kind.RELEASE}))
        return before.get("desired") == "on" or bool(self._of(server_id, STARTS))

    def _crashes(self, server_id: str) -> list[Violation]:
        """What was told as a crash was one, and what was one was told."""
        told = len(self._told_crashes(server_id))
        read = self._new_lines(server_id)
        crashed = sum(line.startswith(Kind.CRASH) for _, line in read)
        orders = [self._operation(each) for each in self._of(server_id, STARTS)]
        failed = sum(each is not None and each.state == "failed" and each.code != CANCELLED for each in orders)
        most = crashed + self.killed_games[server_id] + failed
        least = crashed if not self._of(server_id, ENDS - {Kind.CRASH}) and not self.is_engine_disturbed else 0
        if self.is_quiet:
            least = most = self.killed_games[server_id]
        if least <= told <= most:
            return []
        return [Violation("a crash is told when there was one", server_id, f"{least} to {most} crashes", f"{told}")]

    def _wanted(self, server_id: str) -> list[Violation]:
        """What is wanted of a server follows from what was asked of it, in the order in which the node ended it."""
        possible = {str(self.before.servers.get(server_id, {}).get("desired", "off"))}
        order = {event.data["commandId"]: event.seq for event in self.events if event.kind == "command_completed"}
        asked = [each for each in self._of(server_id, set(DESIRED) | {Kind.LEAVE}) if each.operation_id in order]
        for each in sorted(asked, key=lambda each: order[each.operation_id or ""]):
            operation = self._operation(each)
            if operation is not None and operation.state == "succeeded" and each.kind in DESIRED:
                possible = {DESIRED[each.kind]}
                if any(left.kind is Kind.LEAVE and left.sent_at >= each.sent_at for left in asked):
                    possible |= {"off"}  # read by the game that this very start began
            else:
                possible |= _may_lead_to(each.kind, operation)
        for each in self._of(server_id, set(DESIRED)):
            operation = self._operation(each)
            if each.operation_id not in order and operation is not None and _is_unsure(operation):
                possible |= _may_lead_to(each.kind, operation)
        found = str(self.after.servers[server_id]["desired"])
        if found in possible:
            return []
        asked_for = ", ".join(
            f"{each.kind} {_described(self._operation(each))}" for each in self._of(server_id, set(DESIRED))
        )
        return [Violation("what is wanted was asked for", f"{server_id}: {asked_for}", " or ".join(possible), found)]

    def _word(self, server_id: str) -> list[Violation]:
        """The panel keeps the last change that succeeded and none that failed, and a start after it takes it up."""
        changes = self._kept(server_id, {Kind.CREATE, Kind.CHANGE})
        word = _word_of(self.after.servers[server_id])
        before = _word_of(self.before.servers.get(server_id, self.after.servers[server_id]))
        possible = {each.order.word for each in changes} or {before}
        violations = []
        if word not in possible:
            violations.append(Violation("a change is kept", server_id, " or ".join(sorted(possible)), word))
        elif not changes and (wrong := {started for _, started in self._new_starts(server_id)} - {word}):
            violations.append(Violation("a start takes up the change", server_id, word, ", ".join(wrong)))
        return violations

    def _hold(self, server_id: str) -> list[Violation]:
        """The last hold, or end of one, that succeeded holds."""
        before = self.before.servers.get(server_id, {}).get("hold", "none")
        possible = {each.order.hold for each in self._kept(server_id, HOLDS)} or {str(before)}
        found = str(self.after.servers[server_id]["hold"])
        if found in possible:
            return []
        return [Violation("a hold is kept", server_id, " or ".join(sorted(possible)), found)]

    def _kept(self, server_id: str, kinds: set[Kind]) -> list[Asked]:
        """The last change that succeeded, and those which it may have overtaken."""
        changes = [
            each for each in self._of(server_id, kinds) if each.answer.is_accepted and not self._has_failed(each)
        ]
        last_sent_at = max((each.sent_at for each in changes), default=0.0)
        return [each for each in changes if each.answered_at >= last_sent_at]

    def _unharmed(self, server_id: str) -> list[Violation]:
        """A game that ran, and that nobody asked to end, goes on as the same process."""
        if not self.before.is_running(server_id) or self.killed_games[server_id] or self.struck[Fault.NODE_POWER_LOST]:
            return []
        if self._of(server_id, ENDS) and server_id not in self.bystanders:
            return []
        expected = self.before.process(server_id)
        found = self.after.process(server_id) if self.after.is_running(server_id) else "it does not run"
        if found == expected:
            return []
        return [Violation("no game is harmed", server_id, f"{expected}", f"{found}")]

    def _may_be_unread(self, asked: Asked) -> bool:
        """Whether the game ended with the line in its input, or the engine with the line in its hands."""
        if self.is_engine_disturbed or self.killed_games[asked.server_id or ""]:
            return True
        is_ending, written_at = False, None
        for event in self.events:
            if event.server_id == asked.server_id and event.data.get("currentStatus") is not None:
                is_ending = event.data["currentStatus"] in ENDED
            if event.data.get("commandId") == asked.operation_id:
                written_at = event.happened_at
            if is_ending and written_at is not None:
                return (event.happened_at - written_at).total_seconds() < READ_WITHIN_S
        return False

    def _of(self, server_id: str, kinds: set[Kind]) -> list[Asked]:
        return [asked for asked in self._by_server().get(server_id, []) if asked.kind in kinds]

    def _by_server(self) -> dict[str, list[Asked]]:
        grouped: dict[str, list[Asked]] = defaultdict(list)
        for asked in self.asked:
            if asked.server_id is not None:
                grouped[asked.server_id].append(asked)
        return grouped

    def _operation(self, asked: Asked) -> Operation | None:
        return self.after.operations.get(asked.operation_id or "")

    def _is_known_to_be_absent(self, server_id: str) -> bool:
        was_so = self.before.servers.get(server_id, {}).get("observed") == "absent"
        was_cut_off = self.is_engine_disturbed and self._failed(server_id, STARTS)
        return self.after.servers[server_id]["observed"] == "absent" and (was_so or was_cut_off)

    def _failed(self, server_id: str, kinds: set[Kind]) -> bool:
        return any(map(self._has_failed, self._of(server_id, kinds)))

    def _has_failed(self, asked: Asked) -> bool:
        operation = self._operation(asked)
        return operation is not None and operation.state == "failed"

    def _told_crashes(self, server_id: str) -> list[Event]:
        return [event for event in self.events if event.kind == "server_crashed" and event.server_id == server_id]

    def _new_starts(self, server_id: str) -> tuple[tuple[str, str], ...]:
        known = len(self.before.diaries.get(server_id, Diary()).starts)
        return self.after.diaries.get(server_id, Diary()).starts[known:]

    def _new_lines(self, server_id: str) -> tuple[tuple[str, str], ...]:
        known = len(self.before.diaries.get(server_id, Diary()).lines)
        return self.after.diaries.get(server_id, Diary()).lines[known:]


def _described(operation: Operation | None) -> str:
    if operation is None:
        return "refused"
    return f"{operation.kind} {operation.state}{f' ({operation.code})' if operation.code else ''}"


def _word_of(view: dict[str, Any]) -> str:
    return str(view["environment"].get("WORD"))


def _may_lead_to(kind: Kind, failed: Operation | None) -> set[str]:
    """What may be wanted after an order that failed, beside what was wanted before: a start is given up, unless it came about all the same."""
    return {"on", "off"} if kind in STARTS and (failed is None or _is_unsure(failed)) else {"off"}


def _is_unsure(operation: Operation) -> bool:
    """Nobody said how it ended, or that it did nothing."""
    return not operation.has_ended or operation.code in UNSURE
