"""A private registry, from its password to an image that is pulled, used, pulled anew and pruned: in the page, on a real Docker."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.integration.defects import puppet
from tests.integration.installation import Installation
from tests.integration.registry import PASSWORD, USERNAME, registry
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


def test_an_image_of_a_private_registry_is_pulled_used_and_pruned(
    installation: Installation, page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as store:
        image = store.push("castle:1", puppet.root(folder), *puppet.CHANGES)

        page.goto("/nodes")
        page.get_by_role("main").get_by_role("link", name="Registries").click()
        page.get_by_role("button", name="Add a registry").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Registry").fill(f"http://{store.host}/")
        dialog.get_by_label("User name").fill(USERNAME)
        dialog.get_by_label("Password or access token").fill("a-wrong-password")
        dialog.get_by_role("button", name="Add a registry").click()
        expect(page.get_by_text(f"pulled as {USERNAME}")).to_be_visible()

        body = {"image": image, "startup": "/bin/sh /puppet", "name": "Castle", "node_id": installation.node_id}
        operation = installation.ended(installation.order("POST", "/api/servers", body))
        assert operation["code"] == "IMAGE_NOT_FOUND"
        server = f"/servers/{operation['server_id']}"
        page.goto(server)
        refusal = page.get_by_text(f"{store.host} refuses the user name or password that it was asked with")
        expect(refusal.first).to_be_visible()

        page.goto("/registries")
        page.get_by_role("button", name=f"Change {store.host}").click()
        dialog.get_by_label("New password or access token").fill(PASSWORD)
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_be_hidden()
        page.goto(server)
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text("Stopped").first).to_be_visible()

        page.goto(f"/nodes/{installation.node_id}")
        images = page.get_by_role("region", name="Images")
        row = images.get_by_role("listitem").filter(has=page.get_by_text(image, exact=True)).last
        expect(row.get_by_role("link", name="Castle")).to_be_visible()
        expect(row.get_by_role("button", name="Remove")).to_have_count(0)
        row.get_by_role("button", name=f"Pull the newest {image}").click()
        expect(images.get_by_text("It was the newest already.")).to_be_visible()
        images.get_by_role("button", name="Pull an image").click()
        dialog.get_by_label("Name").fill(f"{store.host}/castle:none")
        dialog.get_by_role("button", name="Pull an image").click()
        expect(images.get_by_text("manifest unknown")).to_be_visible()

        installation.do("DELETE", f"/api{server}")
        images.get_by_role("button", name="Prune").click()
        expect(dialog.get_by_label("Also images that this node did not pull")).not_to_be_checked()
        dialog.get_by_role("button", name="Prune").click()
        expect(images.get_by_text(re.compile(r"1 image was removed; \d.* are free again"))).to_be_visible()
        expect(images.get_by_role("button", name=f"Pull the newest {image}")).to_have_count(0)

    kept = [file for file in installation.folder.rglob("*") if file.is_file()]
    assert [file.name for file in kept if PASSWORD.encode() in file.read_bytes()] == ["registries.json"]
    (added,) = installation.get("/api/registries")["items"]
    assert installation.api.delete(f"/api/registries/{added['id']}").is_success
    until(
        lambda: PASSWORD.encode() not in (installation.folder / "agent/registries.json").read_bytes(), "it is forgotten"
    )


def test_what_a_node_has_is_asked_of_it_and_one_that_is_away_says_so(
    installation: Installation, page: Page, tmp_path: Path
) -> None:
    with puppet.image(tmp_path) as image:
        page.goto(f"/nodes/{installation.node_id}")
        images = page.get_by_role("region", name="Images")
        expect(images.get_by_text(image)).to_be_visible()
        installation.kill(installation.agent)
        expect(images.get_by_text("Nobody can be asked while the node is away.")).to_be_visible()
        expect(images.get_by_text(image)).to_be_hidden()
        installation.start_agent()
        expect(images.get_by_text(image)).to_be_visible()
