"""Templates in the page: imported after a look at each, compared, edited by two at once, exported, gone back to, and deleted."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.integration.installation import Installation
from tests.integration.page.reader import Reader
from tests.templates.test_formats import document

from ctrl_alt_play.templates.reading import read

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
FLAWED = document(name="Ruin", variables=[{"env_variable": "A B", "rules": "colour"}])


def article(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def files(**documents: dict[str, Any]) -> Any:
    """As somebody chooses them."""
    return [
        {"name": f"{name}.json", "mimeType": "application/json", "buffer": json.dumps(each).encode()}
        for name, each in documents.items()
    ]


def imported(installation: Installation, **fields: Any) -> str:
    answer = installation.api.post("/api/templates", json={"document": json.dumps(document(**fields))})
    return str(answer.raise_for_status().json()["id"])


def test_files_are_looked_at_imported_compared_exported_and_gone_back_from(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    page.get_by_role("link", name="Templates").click()
    expect(page.get_by_role("heading", name="There are no templates yet.")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    page.get_by_label("Choose files").set_input_files(files(keep=document(name="Keep"), ruin=FLAWED))
    ruin, keep = article(page, "Ruin"), article(page, "Keep")
    expect(ruin.get_by_text("Has flaws")).to_be_visible()
    expect(ruin.get_by_text("2 flaws keep it out")).to_be_visible()
    expect(ruin.get_by_role("listitem").first).to_have_text(
        "variables[0].env_variable: 'A B' is no name of letters, digits and _"
    )
    expect(ruin.get_by_role("button", name="Import")).to_have_count(0)
    page.get_by_label("Category for all").fill("castles")
    keep.get_by_role("button", name="Import Keep").click()
    expect(keep.get_by_text("Imported")).to_be_visible()

    newer = document(name="Keep", startup="java -Xmx1G -jar {{JAR}}")
    page.get_by_role("textbox", name="Pasted text").fill(json.dumps(newer))
    page.get_by_role("button", name="Look at it").click()
    pasted = article(page, "Keep").nth(1)
    expect(pasted.get_by_text("would be version 2 of Keep")).to_be_visible()
    expect(pasted.get_by_text("+ java -Xmx1G -jar {{JAR}}")).to_be_visible()
    pasted.get_by_role("button", name="Import Keep").click()
    expect(pasted.get_by_text("Imported as version 2")).to_be_visible()
    pasted.get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", name="Keep", level=1)).to_be_visible()
    expect(page.get_by_text("castles")).to_be_visible()

    versions = page.get_by_role("region", name="Versions")
    versions.get_by_role("button", name="Compare").click()
    expect(versions.get_by_text("1 difference")).to_be_visible()
    versions.get_by_role("button", name="Make it the newest: version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Make it the newest").click()
    expect(page.get_by_text("version 3", exact=False).first).to_be_visible()
    expect(page.get_by_role("region", name="Startup").get_by_text("java -jar {{JAR}}")).to_be_visible()
    versions.get_by_role("button", name="Show version 2").click()
    expect(page.get_by_text("This is version 2; the newest is 3.")).to_be_visible()
    page.get_by_role("button", name="Show the newest").click()

    page.get_by_role("button", name="Export").click()
    page.get_by_label("Format").select_option("PTDL_v1")
    expect(page.get_by_text("the names of the images")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download").click()
    downloading.value.save_as(tmp_path / "keep.json")
    assert downloading.value.suggested_filename == "egg-keep.json"
    assert read((tmp_path / "keep.json").read_text()).name == "Keep"

    page.get_by_role("button", name="Delete").click()
    page.get_by_label("Type Keep to confirm").fill("Keep")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="There are no templates yet.")).to_be_visible()


def test_a_template_is_found_edited_with_its_flaws_at_their_fields_and_not_overwritten(
    page: Page, installation: Installation
) -> None:
    imported(installation, name="Moat", description="Deep water")
    template_id = imported(installation, name="Wall")
    page.goto("/templates")
    page.get_by_label("Search").last.fill("wall ann@")
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("link", name="Wall").click()
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("heading", name="Edit Wall", level=1)).to_be_visible()
    page.get_by_text("JAR", exact=True).click()
    environment = page.get_by_label("Name in the environment").first
    environment.fill("NOT A NAME")
    page.get_by_role("button", name="Save as version 2").click()
    expect(environment).to_be_focused()
    expect(page.get_by_text("'NOT A NAME' is no name of letters, digits and _")).to_be_visible()
    environment.fill("JAR")
    page.get_by_label("Stop", exact=True).fill("end")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.get_by_text("+ end")).to_be_visible()

    imported(installation, name="Wall", startup="java -jar {{JAR}} nogui")
    page.reload()
    expect(page.get_by_label("Stop", exact=True)).to_have_value("end")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_text("Somebody saved version 2 meanwhile.")).to_be_visible()
    expect(page.get_by_text("- java -jar {{JAR}} nogui")).to_be_visible()
    page.get_by_role("button", name="Save as version 3").click()
    expect(page.get_by_text("version 3").first).to_be_visible()
    content = installation.get(f"/api/templates/{template_id}")["content"]
    assert (content["stop"], content["startup_commands"]) == ("end", {"Default": "java -jar {{JAR}}"})

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Document").click()
    text = page.get_by_label("Document", exact=True)
    text.fill(text.input_value().replace("stop: end", "stop: ^C"))
    page.get_by_role("button", name="Save as version 4").click()
    expect(page.get_by_text("^C", exact=True)).to_be_visible()


@contextmanager
def serving(told: list[str]) -> Iterator[str]:
    """The first of `told`, whatever is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told[0].encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/egg.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_address_is_fetched_only_where_that_is_allowed_and_asked_again_later(
    installation: Installation, reader: Reader
) -> None:
    page, told = reader.page, [json.dumps(document(name="Gate"))]
    reader.signs_in("admin", installation.owner_password)
    with serving(told) as url:
        page.goto("/templates/import")
        page.get_by_role("textbox", name="Address").fill(url)
        page.get_by_role("button", name="Fetch").click()
        expect(page.get_by_text("is not on the public internet").first).to_be_visible()
        installation.kill(installation.panel)
        installation.start_panel(FETCH_NETWORKS="127.0.0.0/8")
        installation.wait_for_panel()
        page.goto("/templates/import")
        page.get_by_role("textbox", name="Address").fill(url)
        page.get_by_role("button", name="Fetch").click()
        page.get_by_role("button", name="Import Gate").click()
        page.get_by_role("link", name="Open").click()
        told[0] = json.dumps(document(name="Gate", startup="newer"))
        page.get_by_role("button", name="Look for a newer one").click()
        expect(page.get_by_role("dialog").get_by_text("+ newer")).to_be_visible()
        page.get_by_role("button", name="Import as version 2").click()
        expect(page.get_by_role("region", name="Startup").get_by_text("newer")).to_be_visible()
    reader.has_no_complaints()
