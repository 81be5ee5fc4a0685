"""A console by the command line: read, followed, searched, downloaded and typed into."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.panel import OPERATION, SERVER_ID, FakePanel, Raw, Turns
from typer.testing import CliRunner, Result

from ctrl_alt_play.cli import lines as console_lines
from ctrl_alt_play.cli.main import app

CONSOLE = f"/api/servers/{SERVER_ID}/console"
STREAM = ("GET", f"{CONSOLE}/stream")
COMMAND = ("POST", f"/api/servers/{SERVER_ID}/command")
AWAY = (503, {"code": "STARTING", "detail": "The panel begins."})
REFUSED = (409, {"code": "NOT_RUNNING", "detail": "The server does not run."})


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_lines, "PAUSES_S", (0.01,))


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["server", *arguments], input=typed)


def page(*texts: str, number: int = 0, cursor: int | None = None) -> dict[str, Any]:
    found = [
        {"number": each, "stream": "stdout", "text": text, "time": None, "lost": None, "count": 1}
        for each, text in enumerate(texts, number)
    ]
    return {
        "lines": found,
        "cursor": str(number + len(texts) if cursor is None else cursor),
        "earlier": None,
        "missed": 0,
    }


def part(offset: int, *texts: str, **more: Any) -> dict[str, Any]:
    told = {
        "offset": offset,
        "lines": len(texts),
        "at": None,
        "stream": "stdout",
        "text": "\n".join(texts),
        "lost": None,
    }
    return told | more


def event(*parts: dict[str, Any]) -> bytes:
    following = parts[-1]["offset"] + parts[-1]["lines"]
    document = json.dumps({"parts": parts, "next": following}, ensure_ascii=False)
    return f"data: {document}\nid: {following}\n\n".encode()


def asked(panel: FakePanel, path: str) -> list[dict[str, str]]:
    return [query for _, each, query, _ in panel.asked if each == path]


def test_the_latest_lines_are_followed_by_what_comes(panel: FakePanel) -> None:
    panel.answers["GET", CONSOLE] = page("a", "b")
    panel.answers[STREAM] = Turns([Raw([event(part(2, "c")), b": ping\n\n", event(part(3, "d", "e"))])])
    done = run("logs", SERVER_ID, "-n", "2", "-f")
    assert done.stdout == "a\nb\nc\nd\ne\n"
    assert asked(panel, STREAM[1])[0] == {"after": "2"}
    assert done.exit_code == 3, "it is no more"


def test_a_lost_connection_loses_and_repeats_nothing(panel: FakePanel) -> None:
    whole, later = event(part(0, "a", "b")), event(part(2, "c"), part(3, "d"))
    panel.answers[STREAM] = Turns([Raw([whole, later[:30]]), AWAY, Raw([later[:40], later[40:]]), AWAY])
    done = run("logs", SERVER_ID, "-f", "--since", "0")
    assert done.stdout == "a\nb\nc\nd\n"
    assert [each["after"] for each in asked(panel, STREAM[1])] == ["0", "2", "2", "4", "4"]
    assert done.stderr.count("is lost") == 2
    assert done.stderr.count("there again") == 1


def test_what_looks_like_the_end_of_a_line_is_none(panel: FakePanel) -> None:
    odd = "a\u2028b\x85c\x1ed\re"
    panel.answers[STREAM] = Turns([Raw([event(part(0, odd, "f"))])])
    done = run("logs", SERVER_ID, "-f", "--since", "0", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["number"], line["text"]) for line in told] == [(0, odd), (1, "f")]


def test_what_is_not_there_is_said_in_words_beside_the_lines(panel: FakePanel) -> None:
    gap = part(1, lines=1200, text=None, lost="flood")
    unknown = part(1201, lines=0, text=None, lost="away")
    panel.answers[STREAM] = Turns([Raw([event(part(0, "a"), gap, unknown, part(1201, "b"))])])
    done = run("logs", SERVER_ID, "-f", "--since", "0")
    assert done.stdout == "a\nb\n"
    assert "[1,200 lines are not here: they came faster than they could be kept.]" in done.stderr
    assert "[Some lines are not here: they were written while the agent was away.]" in done.stderr


def test_all_since_a_line_is_read_in_pages(panel: FakePanel) -> None:
    panel.answers["GET", CONSOLE] = Turns([page("a", "b", number=5), page("c", number=7), page(number=8)])
    assert run("logs", SERVER_ID, "--since", "5").stdout == "a\nb\nc\n"
    assert [each["after"] for each in asked(panel, CONSOLE)] == ["5", "7", "8"]
    panel.answers["GET", CONSOLE] = page("a", "b", number=5)
    assert run("logs", SERVER_ID, "--since", "5", "-n", "2").stdout == "a\nb\n"


def test_a_search_asks_on_until_it_has_enough(panel: FakePanel) -> None:
    lines = page("one", "two", "three", number=7)["lines"]
    panel.answers["GET", f"{CONSOLE}/search"] = Turns(
        [
            {"matches": [lines[2]], "before": "9"},
            {"matches": [], "before": "8"},
            {"matches": lines[1::-1], "before": None},
        ]
    )
    done = run("logs", SERVER_ID, "--search", "t|o", "--regex")
    assert done.stdout == "7:one\n8:two\n9:three\n"
    first, second, third = asked(panel, f"{CONSOLE}/search")
    assert first == {"text": "t|o", "regex": "true", "limit": "100"}
    assert (second["before"], second["limit"], third["before"]) == ("9", "99", "8")


def test_all_that_is_kept_is_written_into_a_file(panel: FakePanel, tmp_path: Path) -> None:
    file = tmp_path / "console.txt"
    file.write_text("as before")
    assert run("logs", SERVER_ID, "--download", str(file)).exit_code == 3
    assert file.read_text() == "as before"
    panel.answers["GET", f"{CONSOLE}/download"] = Raw([b"a\n", b"b\n"])
    assert run("logs", SERVER_ID, "--download", str(file)).exit_code == 0
    assert file.read_text() == "a\nb\n"
    assert run("logs", SERVER_ID, "--download", "-").stdout == "a\nb\n"
    assert run("logs", SERVER_ID, "--download", str(tmp_path)).exit_code == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--regex"],
        ["--search", "a", "-f"],
        ["--search", "a", "--since", "1"],
        ["--download", "a", "-n", "1"],
        ["--since", "-1"],
        ["--since", "1", "-n", "5", "-f"],
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(panel: FakePanel, wrong: list[str]) -> None:
    assert run("logs", SERVER_ID, *wrong).exit_code == 2
    assert panel.asked == []


def typed(panel: FakePanel) -> list[str]:
    return [body["command"] for _, _, body in panel.changes]


def test_what_a_program_types_is_sent_line_by_line_once_and_in_order(panel: FakePanel) -> None:
    panel.answers["GET", CONSOLE] = page("ready")
    panel.answers[STREAM] = Raw([event(part(1, "answer"))])
    panel.answers[COMMAND] = Turns([(202, OPERATION), AWAY, (202, OPERATION)])
    done = run("attach", SERVER_ID, typed="one\n\ntwo\n")
    assert done.exit_code == 0, done.output
    assert typed(panel) == ["one", "two", "two"]
    assert len({key for key in panel.keys if key}) == 2, "a line that is sent again is the same order"
    assert done.stdout.startswith("ready\nanswer\n")
    assert "the server goes on" in done.stderr


def test_a_line_that_is_refused_is_told_and_the_next_is_sent(panel: FakePanel) -> None:
    panel.answers["GET", CONSOLE] = page()
    panel.answers[STREAM] = Raw([])
    panel.answers[COMMAND] = Turns([REFUSED, (202, OPERATION)])
    done = run("attach", SERVER_ID, typed="one\ntwo\n")
    assert "Not sent: one\nThe server does not run. [NOT_RUNNING]" in done.stderr
    assert (typed(panel), done.exit_code) == (["one", "two"], 1)


def test_a_console_that_nobody_can_see_is_not_attached(panel: FakePanel) -> None:
    panel.answers["GET", CONSOLE] = (503, {"code": "AGENT_OFFLINE", "detail": "Its node is away."})
    done = run("attach", SERVER_ID, typed="one\n")
    assert (done.exit_code, typed(panel)) == (5, [])
    assert "Its node is away." in done.stderr
