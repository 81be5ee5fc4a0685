"""The page docs/reference/live.md against a real panel."""

import json
import re
from pathlib import Path
from typing import Any

from tests.panel.live.support import Viewer, token_of
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.live.topics import Kind

LIVE = Path(__file__).parents[3] / "src/ctrl_alt_play/panel/live"
PAGE = (Path(__file__).parents[3] / "docs/reference/live.md").read_text()
SIGNS = {"→", "←"}


def conversation() -> list[tuple[str, str]]:
    (block,) = re.findall(r"```live\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.partition(" ") for line in block.splitlines()]
    assert {sign for sign, _, _ in lines} == SIGNS
    return [(sign, said) for sign, _, said in lines]


def fits(told: Any, shown: Any) -> bool:
    """Whether it has all that the page shows; numbers and `…` stand for any."""
    match shown:
        case dict():
            return isinstance(told, dict) and all(name in told and fits(told[name], shown[name]) for name in shown)
        case list():
            return isinstance(told, list) and len(told) >= len(shown)
        case bool():
            return told is shown
        case int():
            return isinstance(told, int)
        case str() if shown == "…":
            return isinstance(told, str)
        case _:
            return bool(told == shown)


async def test_the_conversation_on_the_page_is_held(panel: PanelUnderTest) -> None:
    person = await panel.person("olga-of-the-page")
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, person)
    await agent.write(server_id, "a line")
    async with Viewer(panel, person, by_header=False, says_token=False) as viewer:
        for sign, said in conversation():
            text = said.replace("SERVER", server_id).replace("olga", person.username)
            if sign == "←":
                frame = json.loads(text)
                await until(lambda frame=frame: any(fits(told, frame) for told in viewer.frames))
                if "topic" not in frame:
                    assert fits(viewer.frames[-1], frame)
            elif text.startswith("POST "):
                await person.post(text.removeprefix("POST "))
            else:
                message = json.loads(text)
                await viewer.say(**({"token": token_of(person)} if "token" in message else message))


def test_every_topic_and_every_kind_of_frame_is_on_the_page() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`([\w-]+)", row)}
    sources = "".join(path.read_text() for path in LIVE.glob("*.py"))
    kinds = set(re.findall(r'frame\(\s*"(\w+)"', sources)) | set(re.findall(r'_offer\([^"]*?"(\w+)"', sources))
    assert {"page", "event", "lines", "revoked", "operation", "server", "node"} <= kinds
    assert named == kinds | set(Kind)


async def test_views_are_those_of_the_api(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, owner)
    async with Viewer(panel, owner) as viewer:
        await viewer.subscribe("servers")
        (shown,) = [one for one in viewer.of("servers")[0]["data"] if one["id"] == server_id]
        assert shown.keys() == (await owner.get(f"/api/servers/{server_id}")).keys()
