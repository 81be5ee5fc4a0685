"""What is asked of nodes about their images, and how far pulls are."""

from typing import Any

from tests.fakes.part2_agent import Part2Agent, now
from tests.panel.live.support import Viewer
from tests.panel.support import PanelUnderTest, Person, until


def path(agent: Any) -> str:
    return f"/api/nodes/{agent.node_id}/images"


async def tell(agent: Part2Agent, image: str, **more: Any) -> None:
    data = {"image": image, "state": "pulling", **more}
    await agent.send({"type": "event", "event": "image_pull", "timestamp": now(), "data": data})


async def pulls(admin: Person, agent: Part2Agent) -> list[dict[str, Any]]:
    return list((await admin.get(f"/api/nodes/{agent.node_id}"))["pulls"])


async def test_images_are_listed_with_the_names_of_the_servers_that_use_them(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, name="Castle")
    agent.answers["list_images"] = {
        "images": [
            {"id": "sha256:1", "names": ["quake:1"], "size": 80, "servers": [server_id, "orphan"], "isPulled": True},
            {"id": "sha256:2", "others": ["website"], "createdAt": "2026-11-01T12:00:00Z"},
        ],
        "more": 3,
    }
    found = await admin.get(path(agent))
    assert found["more"] == 3
    assert found["items"] == [
        {
            "id": "sha256:1",
            "names": ["quake:1"],
            "size_bytes": 80,
            "created_at": None,
            "servers": [{"id": server_id, "name": "Castle"}, {"id": "orphan", "name": None}],
            "others": [],
            "is_pulled": True,
        },
        {
            "id": "sha256:2",
            "names": [],
            "size_bytes": 0,
            "created_at": "2026-11-01T12:00:00Z",
            "servers": [],
            "others": ["website"],
            "is_pulled": False,
        },
    ]


async def test_an_image_in_use_is_refused_with_the_names_of_who_uses_it(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    server_id = await panel.server(agent, name="Castle")
    agent.answers["remove_image"] = {"servers": [server_id], "others": ["website"]}
    refused = await admin.delete(f"{path(agent)}/registry.example.org:5000/games/quake:1", 409)
    assert refused["code"] == "IMAGE_IN_USE"
    assert "the server Castle and containers that are not ours: website" in refused["detail"]
    agent.answers["remove_image"] = {"servers": [], "others": []}
    await admin.delete(f"{path(agent)}/sha256:1")
    asked = [one["payload"]["image"] for one in agent.commands("remove_image")]
    assert asked == ["registry.example.org:5000/games/quake:1", "sha256:1"]


async def test_pruning_says_how_much_it_freed(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    agent.answers["prune_images"] = {"removed": 2, "freed": 1000, "more": True}
    pruned = await admin.post(f"{path(agent)}/prune", {}, 200)
    assert pruned == {"removed": 2, "freed_bytes": 1000, "more": True}
    agent.answers["prune_images"] = {"removed": 2}
    pruned = await admin.post(f"{path(agent)}/prune", {"everything": True}, 200)
    assert pruned == {"removed": 2, "freed_bytes": None, "more": False}
    assert [one["payload"] for one in agent.commands("prune_images")] == [{"everything": False}, {"everything": True}]


async def test_a_pull_is_followed_in_the_nodes_view_until_its_agent_goes(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    agent.answers["pull_image"] = {"image": "quake:1", "message": "Asking the registry."}
    begun = await admin.post(f"{path(agent)}/pull", {"image": "quake:1"}, 200)
    assert begun == {"image": "quake:1", "state": "pulling", "percent": None, "message": "Asking the registry."}
    await tell(agent, "quake:1", percent=150.0, message="Downloading")
    await until(lambda: pulls(admin, agent))
    assert (await pulls(admin, agent))[0]["percent"] == 100
    topic = f"node:{agent.node_id}"
    async with Viewer(panel, admin) as viewer:
        await viewer.subscribe(topic)
        await tell(agent, "quake:1", percent=60.0, message="Unpacking")
        frames = await viewer.sees(topic, "node", 2)
        assert frames[-1]["data"]["pulls"][0]["message"] == "Unpacking"
    await tell(agent, "quake:2", state="failed", message="No such image.")

    async def both() -> bool:
        return [each["state"] for each in await pulls(admin, agent)] == ["pulling", "failed"]

    await until(both)
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert await pulls(admin, agent) == []


async def test_a_node_that_cannot_be_asked_says_so_at_once(panel: PanelUnderTest, admin: Person) -> None:
    await admin.get("/api/nodes/none/images", 404)
    away = await panel.part2_agent()
    assert (await admin.get(path(away), 503))["code"] == "AGENT_OFFLINE"
    old = await panel.connected(await panel.agent())
    assert (await admin.get(path(old), 501))["code"] == "UNKNOWN_ACTION"
    refusing = await panel.connected(
        await panel.part2_agent(refusals={"list_images": ("DOCKER_UNAVAILABLE", "It is away.")})
    )
    assert (await admin.get(path(refusing), 503))["detail"] == "It is away."
    problem = await admin.post(f"{path(refusing)}/pull", {"image": "Not An Image"}, 422)
    assert problem["fields"][0]["field"] == "image"
