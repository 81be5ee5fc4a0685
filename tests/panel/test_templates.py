"""Templates in the panel: imported and looked at before, their versions, what is different, and what they become again."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.panel.support import PanelUnderTest, Person, unique
from tests.panel.test_fetching import PUBLIC, Names, Network, answer
from tests.templates.test_formats import FORMATS, document
from tests.templates.test_public import PATHS

from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.templates.fetching import Fetcher
from ctrl_alt_play.templates.model import Template
from ctrl_alt_play.templates.reading import read

PNG = "data:image/png;base64,iVBORw0KGgo="


def egg(**fields: Any) -> str:
    """Of a name that no other has."""
    return json.dumps(document(**{"name": unique("Castle"), **fields}))


async def imported(admin: Person, document: str, status: int = 201, **more: Any) -> dict[str, Any]:
    kept: dict[str, Any] = await admin.post("/api/templates", {"document": document, **more}, status)
    return kept


async def previewed(admin: Person, **draft: Any) -> dict[str, Any]:
    preview: dict[str, Any] = await admin.post("/api/templates/preview", draft, 200)
    return preview


async def put(person: Person, template_id: str, version: int | None = None, **draft: Any) -> Any:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    return await person.api.put(f"/api/templates/{template_id}", json=draft, headers=headers)


async def test_a_document_is_looked_at_and_then_imported(admin: Person) -> None:
    text = egg()
    preview = await previewed(admin, document=text)
    assert (preview["outcome"], preview["like"], preview["flaws"], preview["changes"]) == ("new", None, [], [])
    kept = await imported(admin, text, category="castles")
    assert (kept["outcome"], kept["version"], kept["category"], kept["servers"]) == ("new", 1, "castles", 0)
    found = await admin.get(f"/api/templates/{kept['id']}")
    assert found["content"] == preview["content"] == read(text).model_dump(mode="json")
    (version,) = (await admin.get(f"/api/templates/{kept['id']}/versions"))["items"]
    assert (version["version"], version["created_by_name"]) == (1, admin.username)


async def test_the_same_again_is_no_version_and_another_is_the_next_one(admin: Person) -> None:
    first = json.loads(egg())
    kept = await imported(admin, json.dumps(first))
    again = await imported(admin, json.dumps(first | {"exported_at": "later"}), 200)
    assert (again["outcome"], again["id"], again["version"]) == ("same", kept["id"], 1)
    newer = json.dumps(first | {"startup": "java -Xmx1G -jar {{JAR}}"})
    preview = await previewed(admin, document=newer)
    assert (preview["outcome"], preview["like"]["id"], preview["like"]["by"]) == ("next", kept["id"], "name")
    assert [change["path"] for change in preview["changes"]] == [["startup_commands", "Default"]]
    assert (await imported(admin, newer))["version"] == 2
    between = await admin.get(f"/api/templates/{kept['id']}/changes", before=2, after=1)
    assert [change["after"] for change in between["changes"]] == ["java -jar {{JAR}}"]
    versions = (await admin.get(f"/api/templates/{kept['id']}/versions", limit=1))["items"]
    assert [version["version"] for version in versions] == [2]


async def test_who_has_the_same_uuid_is_the_same_whatever_it_is_called_now(admin: Person) -> None:
    uuid = unique("uuid")
    kept = await imported(admin, egg(uuid=uuid))
    renamed = await previewed(admin, document=egg(uuid=uuid))
    assert (renamed["like"]["id"], renamed["like"]["by"]) == (kept["id"], "uuid")
    assert (await previewed(admin, document=egg(uuid=unique("uuid"), name=kept["name"])))["like"] is None
    older = await previewed(admin, document=egg(name=kept["name"]))
    assert (older["outcome"], older["like"]["by"], older["content"]["uuid"]) == ("same", "name", uuid)
    apart = await imported(admin, egg(uuid=uuid), is_new=True)
    assert (apart["outcome"], apart["uuid"]) == ("new", uuid)
    assert (await previewed(admin, document=egg(uuid=uuid, name=apart["name"])))["like"]["id"] == apart["id"]


async def test_all_flaws_are_told_with_their_places_and_nothing_is_kept(admin: Person) -> None:
    flawed = egg(docker_images={}, variables=[{"env_variable": "A", "rules": "colour"}, {"env_variable": "B C"}])
    preview = await previewed(admin, document=flawed)
    places = [flaw["place"] for flaw in preview["flaws"]]
    assert preview["outcome"] == "flawed"
    assert places == ["docker_images", "variables[0].rules", "variables[1].env_variable"]
    problem = await imported(admin, flawed, 422)
    assert [field["field"] for field in problem["fields"]] == places
    assert (await admin.get("/api/templates", text=json.loads(flawed)["name"]))["items"] == []


@pytest.mark.parametrize(
    "text", ["{", "a: [", "no template", "[]", egg(name="a\x00b"), egg(name="x" * 192), egg(author="\ud800")]
)
async def test_what_cannot_be_kept_is_a_flaw(admin: Person, text: str) -> None:
    assert (await previewed(admin, document=text))["flaws"]
    await imported(admin, text, 422)


async def test_an_import_of_what_was_compared_with_another_version_is_stale(admin: Person) -> None:
    first = json.loads(egg())
    await imported(admin, json.dumps(first), compared_with=0)
    await imported(admin, json.dumps(first | {"startup": "two"}), compared_with=1)
    problem = await imported(admin, json.dumps(first | {"startup": "three"}), 412, compared_with=1)
    assert problem["code"] == "STALE"


async def test_what_was_changed_in_parts_is_the_next_version(admin: Person) -> None:
    kept = await imported(admin, egg())
    content = (await admin.get(f"/api/templates/{kept['id']}"))["content"]
    content["stop"] = "end"
    content["variables"][0]["rules"] = ["required"]
    changed = await put(admin, kept["id"], 1, content=content)
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = await put(admin, kept["id"], 1, content={**content, "stop": "quit"})
    assert (stale.status_code, stale.json()["code"]) == (412, "STALE")
    newest = await admin.get(f"/api/templates/{kept['id']}")
    assert (newest["content"], newest["shown_version"]) == (content, 2)
    assert (await admin.get(f"/api/templates/{kept['id']}", version=1))["content"]["stop"] == "stop"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": ""}, "name"),
        ({"images": {}}, "docker_images"),
        ({"startup_commands": {}}, "startup"),
        ({"startup_commands": {"Default": ""}}, "startup"),
        ({"installer": {"image": "", "entrypoint": "ash", "script": "true"}}, "scripts.installation.container"),
        ({"configuration": [{"path": "a", "parser": "pdf", "replacements": []}]}, "config.files['a'].parser"),
        ({"configuration": [{"path": "a", "parser": "ini", "replacements": []}] * 2}, "config.files['a']"),
        ({"stop_timeout": -1}, "ctrl_alt_play.stop_timeout"),
        ({"ports": [{"name": "query"}] * 2}, "ctrl_alt_play"),
    ],
)
async def test_what_is_wrong_with_a_part_has_its_place(admin: Person, fields: dict[str, Any], place: str) -> None:
    kept = await imported(admin, egg())
    content = (await admin.get(f"/api/templates/{kept['id']}"))["content"]
    refused = await put(admin, kept["id"], content=content | fields)
    assert refused.status_code == 422
    assert place in [field["field"] for field in refused.json()["fields"]]


async def test_what_a_document_cannot_say_is_told(admin: Person) -> None:
    kept = await imported(admin, egg())
    content = (await admin.get(f"/api/templates/{kept['id']}"))["content"]
    both = [{"match": "a", "value": "1", "if_value": None}, {"match": "a", "value": "2", "if_value": "x"}]
    content["configuration"] = [{"path": "a", "parser": "ini", "replacements": both}]
    refused = await put(admin, kept["id"], content=content)
    assert [field["field"] for field in refused.json()["fields"]] == ["config.files['a'].find['a']"]


async def test_an_older_version_comes_back_as_the_next_one(admin: Person) -> None:
    first = json.loads(egg())
    kept = await imported(admin, json.dumps(first))
    await imported(admin, json.dumps(first | {"startup": "two"}))
    back = await admin.post(f"/api/templates/{kept['id']}/rollback", {"version": 1}, 200)
    assert (back["version"], back["outcome"]) == (3, "next")
    assert (await admin.get(f"/api/templates/{kept['id']}/changes", before=1, after=3))["changes"] == []
    await admin.post(f"/api/templates/{kept['id']}/rollback", {"version": 9}, 404)


async def test_categories_are_those_that_there_are(admin: Person) -> None:
    category = unique("games")
    kept = await imported(admin, egg(), category=category)
    assert category in {each["name"] for each in (await admin.get("/api/templates/categories"))["items"]}
    (found,) = (await admin.get("/api/templates", category=category))["items"]
    assert found["id"] == kept["id"]
    changed = await admin.patch(f"/api/templates/{kept['id']}", {"category": ""})
    assert (changed["category"], changed["version"]) == ("", 1)
    assert category not in {each["name"] for each in (await admin.get("/api/templates/categories"))["items"]}


async def test_templates_are_found_by_words_and_come_in_pages(admin: Person) -> None:
    word = unique("moat")
    for number in range(3):
        await imported(admin, egg(name=f"{word} {number}", description="Deep 100% water"))
    assert len((await admin.get("/api/templates", text=f"{word.upper()} WATER 100%"))["items"]) == 3
    assert (await admin.get("/api/templates", text=f"{word} 1_0"))["items"] == []
    first = await admin.get("/api/templates", text=word, limit=2)
    rest = await admin.get("/api/templates", text=word, limit=2, cursor=first["next_cursor"])
    assert [each["name"] for each in [*first["items"], *rest["items"]]] == [f"{word} {number}" for number in range(3)]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("syntax", ["json", "yaml"])
async def test_it_is_exported_in_every_format_and_what_is_lost_is_said(
    admin: Person, format_: str, syntax: str
) -> None:
    kept = await imported(admin, egg(meta={"version": "PLCN_v3"}, tags=["old"], image=PNG))
    path = f"/api/templates/{kept['id']}/document"
    exported = await admin.get(path, format=format_, syntax=syntax)
    assert ("the tags" in exported["lost"]) == format_.startswith("PTDL")
    assert exported["file_name"] == f"egg-{kept['name'].lower()}.{syntax}"
    if format_ == "PLCN_v3":
        again = await imported(admin, exported["document"], 200)
        assert (again["id"], again["outcome"]) == (kept["id"], "same")


async def test_an_icon_is_shown_as_an_image_and_does_nothing_else(admin: Person) -> None:
    kept = await imported(admin, egg(meta={"version": "PLCN_v3"}, image=PNG))
    assert kept["has_icon"]
    icon = await admin.api.get(f"/api/templates/{kept['id']}/icon")
    assert (icon.headers["content-type"], icon.content) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert icon.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert icon.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("icon", ["data:text/html;base64,PHA+", "https://example.org/a.png", "data:image/png,a", "x"])
async def test_what_is_no_image_is_no_icon(admin: Person, icon: str) -> None:
    kept = await imported(admin, egg(meta={"version": "PLCN_v3"}, image=icon))
    assert not kept["has_icon"]
    await admin.get(f"/api/templates/{kept['id']}/icon", 404)


async def test_what_servers_were_made_from_stays(panel: PanelUnderTest, admin: Person) -> None:
    kept = await imported(admin, egg())
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent, name="Arena")
    database: Database = panel.app.state.database
    async with database.writing() as session:
        server = await session.get(Server, server_id)
        assert server
        server.template_id, server.template_version = kept["id"], 1
    problem = await admin.delete(f"/api/templates/{kept['id']}", 409)
    assert (problem["code"], "Arena" in problem["detail"]) == ("TEMPLATE_IN_USE", True)
    detail = await admin.get(f"/api/templates/{kept['id']}")
    assert (detail["servers"], detail["made"]) == (1, [{"id": server_id, "name": "Arena", "version": 1}])
    await admin.operation(await admin.delete(f"/api/servers/{server_id}", 202))
    await admin.delete(f"/api/templates/{kept['id']}")
    await admin.get(f"/api/templates/{kept['id']}", 404)


async def test_it_is_had_from_an_address_and_a_newer_one_is_looked_for_there(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = json.loads(egg())
    network = Network(**{PUBLIC: answer(json.dumps(first))})
    fetcher = Fetcher(resolve=Names(example_org=[PUBLIC]), backend=network)
    monkeypatch.setattr(panel.app.state.templates, "_fetcher", fetcher)
    url = "https://example.org/egg.json"
    preview = await previewed(admin, url=url)
    assert (preview["outcome"], preview["source"], preview["document"]) == ("new", url, json.dumps(first))
    network.answers[PUBLIC] = answer(json.dumps(first | {"startup": "two"}))
    kept = await imported(admin, preview["document"], source=url)
    assert (kept["source"], kept["version"]) == (url, 1)
    newer = await admin.post(f"/api/templates/{kept['id']}/newer", status=200)
    assert (newer["outcome"], newer["like"]["by"], newer["like"]["id"]) == ("next", "choice", kept["id"])
    assert (await admin.post("/api/templates", {"url": url}, 201))["version"] == 2
    assert (await admin.post(f"/api/templates/{kept['id']}/newer", status=200))["outcome"] == "same"


async def test_nothing_is_fetched_from_the_panels_own_machine(panel: PanelUnderTest, admin: Person) -> None:
    address = f"http://localhost:{panel.people_port}/api/health"
    problem = await admin.post("/api/templates/preview", {"url": address}, 422)
    assert problem["fields"][0]["field"] == "url"
    kept = await imported(admin, egg(meta={"version": "PLCN_v3", "update_url": address}))
    await admin.post(f"/api/templates/{kept['id']}/newer", status=422)


async def test_where_nobody_said_where_newer_ones_are_that_is_told(admin: Person) -> None:
    kept = await imported(admin, egg())
    await admin.post(f"/api/templates/{kept['id']}/newer", status=409)


@pytest.mark.parametrize("draft", [{}, {"document": "a", "url": "http://example.org"}, {"source": "http://a.org"}])
async def test_a_template_is_given_in_exactly_one_way(admin: Person, draft: dict[str, str]) -> None:
    await admin.post("/api/templates/preview", draft, 422)


async def test_templates_are_for_administrators(admin: Person, owner: Person) -> None:
    kept = await imported(admin, egg())
    for path in ("", "/categories", *(f"/{kept['id']}{part}" for part in ("", "/versions", "/document", "/icon"))):
        await owner.get(f"/api/templates{path}", 403)
    await owner.post("/api/templates", {"document": egg()}, 403)
    assert (await put(owner, kept["id"], document=egg())).status_code == 403


@pytest.mark.skipif(not PATHS, reason="there are no templates beside this project")
async def test_all_public_templates_are_imported_and_come_out_as_they_went_in(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    for path in PATHS:
        text = path.read_text()
        preview = await previewed(admin, document=text, is_new=True)
        kept = await imported(admin, text, is_new=True, category=path.parent.name)
        exported = await admin.get(f"/api/templates/{kept['id']}/document", syntax=_syntax(path.suffix))
        content = (await admin.get(f"/api/templates/{kept['id']}"))["content"]
        assert Template.model_validate(content) == read(exported["document"]) == read(text), path.name
        assert preview["content"] == content
        same = await previewed(admin, content=content, template_id=kept["id"])
        assert (same["outcome"], same["flaws"]) == ("same", []), path.name
    found: Sequence[dict[str, Any]] = (await admin.get("/api/templates/categories"))["items"]
    assert sum(each["templates"] for each in found) == len(PATHS)


def _syntax(suffix: str) -> str:
    return "json" if suffix == ".json" else "yaml"
