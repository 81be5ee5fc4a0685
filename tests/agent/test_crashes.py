"""What follows upon a crash, why it came about, and what is told of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.agent.servers.causes import Evidence, explain
from ctrl_alt_play.agent.servers.changes import GoodRun, changes_between
from ctrl_alt_play.agent.servers.crashes import MOST_LINE_BYTES, MOST_LINES, newest, next_start, report
from ctrl_alt_play.agent.servers.words import listed, size
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import CrashCause
from ctrl_alt_play.protocol.specification import CrashPolicy, Limits, Port, Readiness, Specification, StopRule

MIB = 2**20
NOW = 1_000_000.0
LADDER = CrashPolicy(backoff=(2, 10, 30), limit=5, window=600)
ENDLESS = CrashPolicy(backoff=(2, 60, 30), limit=2, window=600, then="retry")
SINGLE = CrashPolicy(backoff=(0,), limit=1)


# The ladder


@pytest.mark.parametrize(
    ("policy", "ages_s", "delay_s"),
    [
        (LADDER, [0], 2),
        (LADDER, [5, 0], 10),
        (LADDER, [9, 5, 0], 30),
        (LADDER, [20, 9, 5, 0], 30),
        (LADDER, [100, 20, 9, 5, 0], 30),
        (LADDER, [200, 100, 20, 9, 5, 0], None),
        (LADDER, [601, 100, 20, 9, 5, 0], 30),
        (LADDER, [600, 100, 20, 9, 5, 0], 30),
        (LADDER, [9000, 8000, 7000, 6000, 5000, 4000, 0], 2),
        (LADDER, [-3600, -3600, 0], 30),
        (LADDER, [9000], 2),
        (LADDER, [], 2),
        (ENDLESS, [1, 0], 60),
        (ENDLESS, [2, 1, 0], 60),
        (ENDLESS, [2] * 1000, 60),
        (SINGLE, [0], 0),
        (SINGLE, [0, 0], None),
    ],
)
def test_the_next_start_waits_as_long_as_its_rung_says(
    policy: CrashPolicy, ages_s: list[float], delay_s: float | None
) -> None:
    assert next_start(policy, [NOW - age_s for age_s in ages_s], NOW) == delay_s


def times() -> st.SearchStrategy[float]:
    return st.floats(-1e12, 1e12)


@given(st.builds(CrashPolicy), st.lists(times()), times())
def test_a_delay_is_always_one_of_the_policy(policy: CrashPolicy, crashed_at: list[float], now: float) -> None:
    delay_s = next_start(policy, crashed_at, now)
    assert delay_s in {None, *policy.backoff}
    assert delay_s is not None or policy.then == "stop"


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1e9))
def test_another_crash_never_brings_the_next_start_forward(ages_s: list[float], clock: float) -> None:
    crashed_at = sorted(clock - age_s for age_s in ages_s)
    policy = CrashPolicy(then="retry")
    before = next_start(policy, crashed_at, clock)
    after = next_start(policy, [*crashed_at, clock], clock)
    assert before is not None
    assert after is not None
    assert before <= after


# Causes


def seen(**evidence: Any) -> Evidence:
    return Evidence(**evidence)


CAUSES = [
    (seen(exit_code=1), "exit_code", "It ended with exit code 1."),
    (seen(exit_code=0), "exit_code", "It ended with exit code 0."),
    (seen(exit_code=127), "exit_code", "It ended with exit code 127 (a command was not found)."),
    (seen(exit_code=126), "exit_code", "It ended with exit code 126 (a command could not be executed)."),
    (seen(exit_code=128), "exit_code", "It ended with exit code 128."),
    (seen(exit_code=255), "exit_code", "It ended with exit code 255."),
    (seen(exit_code=-1), "exit_code", "It ended with exit code -1."),
    (seen(exit_code=3221225477), "exit_code", "It ended with exit code 3221225477."),
    (seen(), "exit_code", "It ended, nobody knows how."),
    (seen(exit_code=139), "signal", "It was ended by SIGSEGV."),
    (seen(exit_code=134), "signal", "It was ended by SIGABRT."),
    (seen(exit_code=143), "signal", "It was ended by SIGTERM, sent by something outside."),
    (seen(exit_code=137), "signal", "It was killed (SIGKILL) by something outside."),
    (
        seen(exit_code=137, oom_killed=True, memory_limit_bytes=512 * MIB),
        "out_of_memory",
        "It ran out of memory (limit 512 MiB) and was killed.",
    ),
    (seen(exit_code=137, oom_killed=True), "out_of_memory", "It ran out of memory and was killed."),
    (
        seen(exit_code=1, oom_killed=True, memory_limit_bytes=1536 * MIB),
        "out_of_memory",
        "One of its processes ran out of memory (limit 1.5 GiB) and was killed. It then ended with exit code 1.",
    ),
    (
        seen(exit_code=3, last_lines=["java.lang.OutOfMemoryError: Java heap space", "at net.minecraft.Server"]),
        "out_of_memory",
        "It says that it ran out of memory: “java.lang.OutOfMemoryError: Java heap space” It then ended with exit code 3.",
    ),
    (
        seen(exit_code=1, last_lines=["saving", "\x1b[31mwrite: No space left on device\x1b[0m"]),
        "disk_full",
        "It says that the disk is full: “write: No space left on device” It then ended with exit code 1.",
    ),
    (
        seen(exit_code=1, disk_free_bytes=0, last_lines=["No space left on device"]),
        "disk_full",
        "The node's disk is full: “No space left on device” It then ended with exit code 1.",
    ),
    (
        seen(exit_code=1, disk_free_bytes=10**12, limit_free_bytes=-5, last_lines=["Disk quota exceeded"]),
        "disk_full",
        "It has used up its limit of disk space: “Disk quota exceeded” It then ended with exit code 1.",
    ),
    (seen(exit_code=1, disk_free_bytes=4096), "disk_full", "The node's disk is full. It ended with exit code 1."),
    (seen(exit_code=1, limit_free_bytes=-5, disk_free_bytes=10**12), "exit_code", "It ended with exit code 1."),
    (
        seen(exit_code=1, last_lines=["**** FAILED TO BIND TO PORT!"]),
        "port_taken",
        "It says that its port is taken: “**** FAILED TO BIND TO PORT!” It then ended with exit code 1.",
    ),
    (
        seen(exit_code=1, last_lines=["bind: Address already in use", "No space left on device", "bye"]),
        "disk_full",
        "It says that the disk is full: “No space left on device” It then ended with exit code 1.",
    ),
    (
        seen(exit_code=137, silent_s=60.0, oom_killed=False),
        "readiness_lost",
        "It ran, but did not answer any more for 60 s, so the node ended it.",
    ),
    (
        seen(fault=Fault(ErrorCode.PORT_CONFLICT, "Docker: port is already allocated")),
        "port_taken",
        "It could not be started: Docker: port is already allocated.",
    ),
    (
        seen(fault=Fault(ErrorCode.IMAGE_NOT_FOUND, "The image is nowhere."), exit_code=1),
        "image_missing",
        "It could not be started: The image is nowhere.",
    ),
    (
        seen(fault=Fault(ErrorCode.INSUFFICIENT_RESOURCES, "Docker: no space left on device")),
        "disk_full",
        "It could not be started: Docker: no space left on device.",
    ),
    (
        seen(fault=Fault(ErrorCode.CONFIG_INVALID, "Check its quotes.")),
        "start_failed",
        "It could not be started: Check its quotes.",
    ),
]


@pytest.mark.parametrize(("evidence", "cause", "summary"), CAUSES, ids=[summary for _, _, summary in CAUSES])
def test_a_cause_is_told_in_a_sentence(evidence: Evidence, cause: str, summary: str) -> None:
    found = explain(evidence)
    assert (found.cause, found.summary) == (CrashCause(cause), summary)


@pytest.mark.parametrize(
    ("exit_code", "signal"), [(137, "SIGKILL"), (139, "SIGSEGV"), (129, "SIGHUP"), (1, None), (128, None), (255, None)]
)
def test_a_signal_has_its_name(exit_code: int, signal: str | None) -> None:
    assert explain(seen(exit_code=exit_code)).signal == signal


def test_a_long_line_is_quoted_in_part() -> None:
    summary = explain(seen(exit_code=1, last_lines=["ENOSPC" + "x" * 10_000])).summary
    assert "x…” It then" in summary
    assert len(summary) < 400


@given(
    st.none() | st.integers(-(2**33), 2**33),
    st.booleans(),
    st.none() | st.floats(0, 1e5),
    st.lists(st.text(max_size=50), max_size=5),
    st.none() | st.integers(0, 2**60),
    st.none() | st.builds(Fault, st.sampled_from(ErrorCode), st.text(max_size=20)),
)
def test_every_end_has_a_cause_and_a_sentence(
    exit_code: int | None,
    oom_killed: bool,
    silent_s: float | None,
    lines: list[str],
    disk_free_bytes: int | None,
    fault: Fault | None,
) -> None:
    found = explain(
        Evidence(
            exit_code=exit_code,
            oom_killed=oom_killed,
            silent_s=silent_s,
            last_lines=lines,
            disk_free_bytes=disk_free_bytes,
            fault=fault,
        )
    )
    assert found.summary[-1] in ".!?"
    assert found.cause in CrashCause


# Changes


SPECIFICATION = Specification(
    image="example.org/games/quake:1",
    startup="quake +map dm1",
    environment={"MODE": "ffa", "SECRET": "s3cret", "GONE": "x"},
    limits=Limits(memory=512 * MIB, cpu=100),
    ports=(Port(internal=27960, external=27960, protocol="udp"),),
)
GOOD = GoodRun(specification=SPECIFICATION, image_id="sha256:1", at=NOW, files=("server.cfg",))


def now(*, image_id: str = "sha256:1", files: tuple[str, ...] = (), **changes: Any) -> GoodRun:
    return GoodRun(specification=SPECIFICATION.model_copy(update=changes), image_id=image_id, at=NOW + 60, files=files)


@pytest.mark.parametrize(
    ("run", "sentences"),
    [
        (now(), []),
        (now(revision=9, readiness=Readiness(timeout=1), crash=SINGLE), []),
        (
            now(image="example.org/games/quake:2", image_id="sha256:2"),
            ["The image was changed from example.org/games/quake:1 to example.org/games/quake:2."],
        ),
        (
            now(image_id="sha256:2"),
            ["The image example.org/games/quake:1 is another than it was, under the same name."],
        ),
        (now(image_id=""), []),
        (now(startup="quake +set rcon_password s3cret"), ["The startup command was changed."]),
        (
            now(limits=Limits(memory=0, swap=-1, disk=2**30, io=10, cpu=0)),
            [
                "The limit of memory was changed from 512 MiB to none.",
                "The limit of swap was changed from 0 bytes to unlimited.",
                "The limit of disk was changed from none to 1 GiB.",
                "The limit of CPU was changed from 100 % to none.",
                "The limit of I/O weight was changed from none to 10.",
            ],
        ),
        (
            now(ports=(Port(internal=27960, external=27961, protocol="udp"), Port(internal=80, external=80))),
            [
                "Ports added: 0.0.0.0:27961 to 27960/udp, 0.0.0.0:80 to 80/tcp.",
                "Port removed: 0.0.0.0:27960 to 27960/udp.",
            ],
        ),
        (now(stop=StopRule(command="quit")), ["The rule for stopping was changed."]),
        (
            now(environment={"MODE": "ctf", "SECRET": "n3w", "MAP": "s3cret", "SKILL": "5"}),
            [
                "Environment variables added: MAP, SKILL.",
                "Environment variable removed: GONE.",
                "Environment variables changed: MODE, SECRET.",
            ],
        ),
        (
            now(files=("server.cfg", "maps/a.bsp", "server.cfg")),
            ["Written through the panel since then: server.cfg, maps/a.bsp."],
        ),
    ],
)
def test_what_differs_from_the_last_good_run_is_told(run: GoodRun, sentences: list[str]) -> None:
    assert list(changes_between(GOOD, run)) == sentences


@given(
    st.dictionaries(st.sampled_from("ABCD"), st.text(alphabet="xyz", min_size=1, max_size=3)),
    st.dictionaries(st.sampled_from("ABCD"), st.text(alphabet="xyz", min_size=1, max_size=3)),
)
def test_values_of_variables_are_never_told(before: dict[str, str], after: dict[str, str]) -> None:
    runs = [
        GoodRun(specification=SPECIFICATION.model_copy(update={"environment": {k: v * 9 for k, v in each.items()}}))
        for each in (before, after)
    ]
    told = "".join(changes_between(*runs))
    assert not any(value * 9 in told for value in (*before.values(), *after.values()))
    assert bool(told) == (before != after)


def test_a_run_is_remembered_as_json() -> None:
    assert GoodRun.model_validate_json(GOOD.model_dump_json(by_alias=True)) == GOOD


# Reports


AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def test_a_report_holds_all_that_is_known() -> None:
    told = report(
        "quake",
        seen(exit_code=139, last_lines=["\x1b[31mbye\x1b[0m"]),
        crashed_at=AT,
        started_at=AT - timedelta(seconds=90),
        crashes=2,
        restart_at=AT + timedelta(seconds=10),
        good=GOOD,
        now=now(startup=""),
    )
    assert told.model_dump() == {
        "server_id": "quake",
        "cause": CrashCause.SIGNAL,
        "summary": "It was ended by SIGSEGV.",
        "exit_code": 139,
        "signal": "SIGSEGV",
        "uptime": 90.0,
        "last_lines": ("\x1b[31mbye\x1b[0m",),
        "changes": ("The startup command was changed.",),
        "crashes": 2,
        "restart_at": AT + timedelta(seconds=10),
        "crashed_at": AT,
    }


def test_a_report_without_a_good_run_or_a_start_leaves_them_out() -> None:
    told = report("quake", seen(exit_code=1), crashed_at=AT, now=now())
    assert (told.changes, told.uptime, told.restart_at) == ((), None, None)
    assert report("quake", seen(), crashed_at=AT, started_at=AT + timedelta(hours=1)).uptime == 0


def test_the_newest_lines_are_kept() -> None:
    lines = [str(number) for number in range(80)]
    assert newest(lines) == tuple(lines[-MOST_LINES:])
    assert newest([]) == ()


def test_of_long_lines_the_end_is_kept() -> None:
    assert newest(["ö" * MOST_LINE_BYTES]) == ("ö" * (MOST_LINE_BYTES // 2),)
    assert newest(["a" * MOST_LINE_BYTES, "bb"]) == ("a" * (MOST_LINE_BYTES - 2), "bb")


@given(st.lists(st.text(max_size=3000), max_size=120))
def test_a_report_has_bounded_lines_that_the_game_wrote(lines: list[str]) -> None:
    kept = newest(lines)
    assert len(kept) <= MOST_LINES
    assert sum(len(line.encode()) for line in kept) <= MOST_LINE_BYTES
    if kept:
        assert list(kept[1:]) == lines[len(lines) - len(kept) + 1 :]
        assert lines[len(lines) - len(kept)].endswith(kept[0])


# Words


@pytest.mark.parametrize(
    ("amount_bytes", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (512 * MIB, "512 MiB"), (1536 * MIB, "1.5 GiB"), (2**40, "1024 GiB")],
)  # fmt: skip
def test_amounts_are_read_by_people(amount_bytes: int, text: str) -> None:
    assert size(amount_bytes) == text


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(23))).endswith("18, 19 and 3 more")
