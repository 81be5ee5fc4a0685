"""What the panel finds wrong with a node: each check by its facts, who may ask, and what the node says of itself."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fakes.clock import NOON
from tests.panel.support import PanelUnderTest, Person, until
from tests.panel.test_door import status

from ctrl_alt_play import __version__
from ctrl_alt_play.panel.gateway.refusals import Reason, Refusal
from ctrl_alt_play.panel.models import Node
from ctrl_alt_play.panel.nodes.doctor import Facts, examine
from ctrl_alt_play.protocol.doctor import Finding

GIB = 2**30
SYSTEM = {"agent_version": __version__, "docker_version": "27.3.1"}


def node(**fields: Any) -> Node:
    known = {"enabled": True, "online": True, "since": NOON, "protocol_version": 2, "orphans": [], "system": SYSTEM}
    return Node(id="attic", name="Attic", **{**known, **fields})


def refusal(reason: Reason) -> Refusal:
    return Refusal(reason, "192.0.2.7", NOON, 0.0)


def measured(**fields: Any) -> Any:
    disk = SimpleNamespace(path="/", used_bytes=10 * GIB, total_bytes=100 * GIB)
    known = {
        "measured_at": NOON,
        "memory_used_bytes": 1 * GIB,
        "memory_total_bytes": 8 * GIB,
        "disks": [disk],
        "clock_ahead_s": 0.1,
    }
    return SimpleNamespace(**{**known, **fields})


def disk(free_gib: float, total_gib: float = 100) -> Any:
    return SimpleNamespace(path="/srv", used_bytes=int((total_gib - free_gib) * GIB), total_bytes=int(total_gib * GIB))


def found(id_: str, **facts: Any) -> Finding | None:
    of = facts.pop("of", None) or node()
    given = {"now": NOON + timedelta(seconds=30), "last_heard_at": NOON, **facts}
    return next((each for each in examine(Facts(node=of, **given)) if each.id == id_), None)


AWAY = {"online": False}
CASES: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("connection", {}, "ok", "connected for 30 s"),
    ("connection", {"of": node(**AWAY)}, "problem", "away for 30 s"),
    ("connection", {"of": node(enabled=False, **AWAY)}, "warning", "disabled"),
    ("connection", {"of": node(**AWAY), "last_heard_at": None}, "unknown", "never connected"),
    ("connection", {"of": node(**AWAY), "refusal": refusal(Reason.WRONG)}, "problem", "wrong secret"),
    ("connection", {"of": node(**AWAY), "refusal": refusal(Reason.OF_ANOTHER)}, "problem", "another node's secret"),
    ("connection", {"of": node(**AWAY), "refusal": refusal(Reason.NONE_SHOWN)}, "problem", "without a secret"),
    ("connection", {"of": node(**AWAY), "refusal": refusal(Reason.DISABLED)}, "problem", "was disabled"),
    ("rivals", {}, None, ""),
    ("rivals", {"rivalry": "Two agents use this node's id."}, "problem", "Two agents"),
    ("rivals", {"refusal": refusal(Reason.WRONG)}, "warning", "192.0.2.7"),
    ("docker", {}, "ok", "27.3.1"),
    ("docker", {"of": node(system={**SYSTEM, "docker_version": "19.03.5"})}, "problem", "older than 20.10"),
    ("docker", {"of": node(system={**SYSTEM, "docker_version": "20.10.24+dfsg1"})}, "ok", "20.10.24"),
    ("docker", {"of": node(system={**SYSTEM, "docker_version": ""})}, "warning", "did not answer"),
    ("docker", {"of": node(system=None)}, None, ""),
    ("disk", {}, None, ""),
    ("disk", {"measured": measured()}, "ok", "90 GiB are free"),
    ("disk", {"measured": measured(disks=[disk(50), disk(9)])}, "warning", "91% full"),
    ("disk", {"measured": measured(disks=[disk(1)])}, "problem", "/srv"),
    ("disk", {"measured": measured(disks=[disk(50), disk(0, total_gib=1)])}, "ok", "50 GiB"),
    ("disk", {"measured": measured(disks=[])}, "unknown", "No disk"),
    ("disk", {"measured": measured(measured_at=NOON - timedelta(minutes=5))}, None, ""),
    ("memory", {"measured": measured()}, "ok", "1 GiB of 8 GiB"),
    ("memory", {"measured": measured(memory_used_bytes=int(7.8 * GIB))}, "warning", "8 GiB"),
    ("memory", {"measured": measured(memory_used_bytes=None)}, "unknown", "not measured"),
    ("clock", {"measured": measured()}, "ok", "agree"),
    ("clock", {"measured": measured(clock_ahead_s=-90.0)}, "warning", "1 min behind"),
    ("clock", {"measured": measured(clock_ahead_s=7200.0)}, "problem", "2 h 0 min ahead of"),
    ("clock", {"measured": measured(clock_ahead_s=None)}, "unknown", "could not be held"),
    ("version", {}, "ok", __version__),
    ("version", {"of": node(system={**SYSTEM, "agent_version": "0.0.9"})}, "warning", "0.0.9"),
    ("version", {"of": node(system={**SYSTEM, "agent_version": None})}, "unknown", "does not say"),
    ("protocol", {}, None, ""),
    ("protocol", {"of": node(protocol_version=1)}, "warning", "part 1"),
    ("orphans", {}, None, ""),
    ("orphans", {"of": node(orphans=[{}, {}])}, "warning", "2 containers"),
    ("revisions", {}, None, ""),
    ("revisions", {"behind": 1}, "warning", "1 server was changed"),
]


@pytest.mark.parametrize(("id_", "facts", "state", "seen"), CASES)
def test_each_check_by_its_facts(id_: str, facts: dict[str, Any], state: str | None, seen: str) -> None:
    finding = found(id_, **facts)
    assert (finding and finding.state) == state
    if finding is not None:
        assert seen in finding.seen
        assert bool(finding.todo) == (finding.state in {"warning", "problem"}) or finding.state == "unknown"


def test_who_has_the_older_version_is_told_to_upgrade() -> None:
    older, newer = (found("version", of=node(system={**SYSTEM, "agent_version": each})) for each in ("0.0.1", "99.0.0"))
    assert older is not None
    assert newer is not None
    assert "Upgrade the agent" in older.todo
    assert "Upgrade the panel" in newer.todo


async def test_a_refusal_is_known_and_told_and_gone_once_the_node_is_in(own_panel: PanelUnderTest) -> None:
    admin, agent = own_panel.admin, await own_panel.agent()
    path = f"/api/nodes/{agent.node_id}"
    assert (await admin.get(path))["health"]["state"] == "unknown"
    assert await status(own_panel.agents_url, "not the right one", agent.node_id) == 401
    refused = (await admin.get(path))["health"]
    assert (refused["state"], refused["id"]) == ("problem", "connection")
    assert "wrong secret" in refused["seen"]
    assert "127.0.0.1" in refused["seen"]
    await own_panel.connected(agent)
    assert (await admin.get(f"{path}/doctor"))["findings"][0]["state"] == "ok"
    assert "rivals" not in [each["id"] for each in (await admin.get(f"{path}/doctor"))["findings"]]


async def test_nobody_makes_the_panel_remember_nodes_that_are_not(own_panel: PanelUnderTest) -> None:
    assert await status(own_panel.agents_url, "anything", "no-such-node") == 401
    assert own_panel.app.state.nodes._refusals._last == {}


async def test_a_refusal_is_forgotten_with_time(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.agent()
    await status(own_panel.agents_url, "not the right one", agent.node_id)
    own_panel.clock.ahead_s += 301
    assert (await own_panel.admin.get(f"/api/nodes/{agent.node_id}"))["health"]["state"] == "unknown"


async def test_a_node_of_part_2_is_asked_for_its_own_findings(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    told = {"id": "docker", "state": "problem", "seen": "Docker does not answer.", "todo": "Start it."}
    agent.findings = [told]
    own = await admin.get(f"/api/nodes/{agent.node_id}/doctor/own")
    assert own["findings"] == [told]


async def test_a_node_that_cannot_be_asked_says_why(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.agent()

    async def own() -> tuple[str, str]:
        (finding,) = (await admin.get(f"/api/nodes/{agent.node_id}/doctor/own"))["findings"]
        return finding["state"], finding["seen"]

    assert await own() == ("unknown", f"Node {agent.node_id} is not connected to the panel.")
    await panel.connected(agent)
    state, seen = await own()
    assert state == "unknown"
    assert "does not know examine_node: upgrade it" in seen


@pytest.mark.parametrize("path", ["", "/own"])
async def test_the_doctor_is_for_administrators_and_of_nodes_that_there_are(
    panel: PanelUnderTest, admin: Person, owner: Person, path: str
) -> None:
    agent = await panel.agent()
    await owner.get(f"/api/nodes/{agent.node_id}/doctor{path}", 403)
    await admin.get(f"/api/nodes/no-such-node/doctor{path}", 404)


async def test_a_new_refusal_is_told_to_those_who_look(own_panel: PanelUnderTest) -> None:
    agent = await own_panel.agent()
    told: list[str] = []
    own_panel.app.state.nodes._refusals.report_to(told.append)
    for _ in range(3):
        await status(own_panel.agents_url, "not the right one", agent.node_id)
    await until(lambda: told == [agent.node_id])
