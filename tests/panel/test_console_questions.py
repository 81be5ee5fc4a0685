"""What is asked of a node about a console, over HTTP: pages, search, download; and what becomes of it where the node is away or too old."""

import asyncio
from typing import Any

import pytest
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.consoles import asking
from ctrl_alt_play.panel.gateway.connection import QUESTIONS_AT_ONCE
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import HistoryPayload


async def game(panel: PanelUnderTest, **how: Any) -> tuple[Part2Agent, str]:
    agent = await panel.connected(await panel.part2_agent(**how))
    return agent, await panel.server(agent)


def console(server_id: str) -> str:
    return f"/api/servers/{server_id}/console"


async def test_the_newest_lines_are_read_and_then_what_follows(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, "one", "two", "three")
    newest = await admin.get(console(server_id), lines=2)
    assert [(line["number"], line["text"]) for line in newest["lines"]] == [(1, "two"), (2, "three")]
    assert (newest["cursor"], newest["earlier"], newest["missed"]) == ("3", "1", 0)
    await agent.write(server_id, "four")
    following = await admin.get(console(server_id), after=newest["cursor"])
    assert [line["text"] for line in following["lines"]] == ["four"]
    earlier = await admin.get(console(server_id), before=newest["earlier"])
    assert [line["text"] for line in earlier["lines"]] == ["one"]
    assert earlier["earlier"] is None


async def test_lines_that_are_not_there_are_told(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *map(str, range(10)))
    agent.consoles[server_id].first = 7
    found = await admin.get(console(server_id), after="2")
    assert found["missed"] == 5
    gap, *lines = found["lines"]
    assert (gap["number"], gap["lost"], gap["count"]) == (2, "rotated", 5)
    assert [(line["number"], line["lost"]) for line in lines] == [(7, None), (8, None), (9, None)]


async def test_a_cursor_that_no_line_ever_had_is_as_none(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, "only")
    assert [line["text"] for line in (await admin.get(console(server_id), after="99"))["lines"]] == ["only"]


async def test_after_and_before_do_not_go_together(panel: PanelUnderTest, admin: Person) -> None:
    _, server_id = await game(panel)
    problem = await admin.get(console(server_id), 422, after="1", before="2")
    assert problem["fields"][0]["field"] == "before"


async def test_a_search_is_the_nodes_and_goes_on_by_its_cursor(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *(f"{number} {'kill' if number % 2 else 'join'}" for number in range(10)))
    path = f"{console(server_id)}/search"
    found = await admin.get(path, text="kill", limit=3, ignore_case=False, after="2026-01-01T00:00:00Z")
    assert [line["number"] for line in found["matches"]] == [9, 7, 5]
    asked = agent.consoles[server_id].asked[-1]
    assert (asked["isRegex"], asked["ignoreCase"], asked["after"]) == (False, False, "2026-01-01T00:00:00Z")
    rest = await admin.get(path, text="kill", limit=3, before=found["before"])
    assert [line["number"] for line in rest["matches"]] == [3, 1]
    assert rest["before"] is None


async def test_what_the_node_cannot_search_for_is_refused_as_it_says(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    agent.refusals["console_search"] = ("INVALID_PAYLOAD", "The expression cannot be used.")
    problem = await admin.get(f"{console(server_id)}/search", 422, text="(", regex=True)
    assert problem["detail"] == "The expression cannot be used."


async def test_a_download_is_all_that_is_kept_page_by_page(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *map(str, range(3000)))
    agent.consoles[server_id].first = 10
    answer = await admin.api.get(f"{console(server_id)}/download")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="console-{server_id}.txt"'
    assert answer.text == "".join(f"{number}\n" for number in range(10, 3000))
    assert len(agent.consoles[server_id].asked) > 3


async def test_a_download_whose_node_goes_says_that_the_rest_is_missing(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel)
    await agent.write(server_id, *map(str, range(3000)))
    first = asking.Asking(panel.app.state.gateway, panel.app.state.consoles.memory).all_pages(agent.node_id, server_id)
    await anext(first)
    agent.die()
    await panel.sees_node(agent, online=False)
    with pytest.raises(Fault) as caught:
        await anext(first)
    assert caught.value.code is ErrorCode.AGENT_OFFLINE


@pytest.mark.parametrize(("what", "query"), [("", {}), ("/search", {"text": "x"}), ("/download", {})])
async def test_a_node_that_is_away_is_told_at_once(
    panel: PanelUnderTest, admin: Person, what: str, query: dict[str, str]
) -> None:
    agent, server_id = await game(panel)
    await agent.go()
    await panel.sees_node(agent, online=False)
    async with asyncio.timeout(5):
        assert (await admin.get(f"{console(server_id)}{what}", 503, **query))["code"] == "AGENT_OFFLINE"


async def test_a_node_that_goes_before_it_answers_is_offline(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel, unanswered={"console_history"})
    reading = asyncio.create_task(admin.get(console(server_id), 503))
    await until(lambda: agent.commands("console_history"))
    agent.die()
    assert (await reading)["code"] == "AGENT_OFFLINE"


async def test_a_node_that_does_not_answer_in_time_is_said_so(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_TIMEOUT_S", 0.05)
    agent, server_id = await game(panel, unanswered={"console_history"})
    assert (await admin.get(console(server_id), 504))["code"] == "TIMEOUT"
    (asked,) = agent.commands("console_history")
    operations = (await admin.get(f"/api/servers/{server_id}/operations"))["items"]
    await agent.send({"id": asked["id"], "type": "response", "success": True, "data": {}})
    agent.unanswered.clear()
    assert (await admin.get(console(server_id)))["lines"] == []
    assert (await admin.get(f"/api/servers/{server_id}/operations"))["items"] == operations


async def test_answers_to_questions_never_reach_the_sink(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, server_id = await game(panel)
    sink = panel.app.state.gateway._sink
    seen: list[Any] = []
    apply = sink.apply

    async def noting(node_id: str, facts: Any) -> Any:
        seen.extend(facts)
        return await apply(node_id, facts)

    monkeypatch.setattr(sink, "apply", noting)
    await agent.write(server_id, "hello")
    assert (await admin.get(console(server_id)))["lines"]
    assert seen == []


async def test_an_agent_of_part_1_is_not_asked(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.agent(knows_send_command=True))
    server_id = await panel.server(agent)
    await admin.done(f"{console(server_id).removesuffix('/console')}/command", {"command": "hello"})
    await until(lambda: panel.app.state.consoles.memory.holds(agent.node_id, server_id))
    assert [line["text"] for line in (await admin.get(console(server_id)))["lines"]] == ["[game] hello"]
    assert (await admin.api.get(f"{console(server_id)}/download")).text == "[game] hello\n"
    assert (await admin.get(f"{console(server_id)}/search", 501, text="x"))["code"] == "UNKNOWN_ACTION"
    assert not agent.commands("console_history")
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert [line["text"] for line in (await admin.get(console(server_id)))["lines"]] == ["[game] hello"]


async def test_an_older_agent_of_part_2_is_asked_only_once(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel, refusals={"console_history": ("UNKNOWN_ACTION", "Unknown action")})
    await agent.tell("server_output", {"serverId": server_id, "output": "hello\n", "stream": "stdout"})
    await until(lambda: panel.app.state.consoles.memory.holds(agent.node_id, server_id))
    for _ in range(3):
        assert [line["text"] for line in (await admin.get(console(server_id)))["lines"]] == ["hello"]
    assert len(agent.commands("console_history")) == 1


async def test_the_gateway_asks_only_who_is_there(panel: PanelUnderTest) -> None:
    with pytest.raises(Fault) as caught:
        await panel.app.state.gateway.ask("nowhere", Action.CONSOLE_DETACH, "s", None)
    assert caught.value.code is ErrorCode.AGENT_OFFLINE


async def test_questions_leave_room_for_commands(panel: PanelUnderTest, admin: Person) -> None:
    agent, server_id = await game(panel, unanswered={"console_history"})
    gateway = panel.app.state.gateway

    async def ask() -> ErrorCode:
        with pytest.raises(Fault) as caught:
            await gateway.ask(agent.node_id, Action.CONSOLE_HISTORY, server_id, HistoryPayload())
        return caught.value.code

    asking = [asyncio.create_task(ask()) for _ in range(500)]
    await until(lambda: len(agent.commands("console_history")) == QUESTIONS_AT_ONCE)
    await admin.done(f"/api/servers/{server_id}/start")
    assert len(agent.commands("console_history")) == QUESTIONS_AT_ONCE
    agent.die()
    assert set(await asyncio.gather(*asking)) == {ErrorCode.AGENT_OFFLINE}
