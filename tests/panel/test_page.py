"""The page's files as the panel gives them out."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Response
from tests.panel.support import PanelUnderTest

from ctrl_alt_play.panel.page import api, files

INDEX = "<!doctype html><title>page</title>" + "words " * 500
ROUTES = Path(__file__).parents[2] / "ui" / "src" / "routes.ts"


@pytest.fixture(autouse=True)
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "assets" / "index-abc.js").write_text("1")
    (tmp_path / "secret").write_text("of the panel")
    monkeypatch.setattr(files, "BUILT", tmp_path)
    files.read.cache_clear()
    yield tmp_path
    files.read.cache_clear()


async def ask(panel: PanelUnderTest, address: str, **headers: str) -> Response:
    async with panel.client() as client:
        return await client.get(address, headers=headers)


@pytest.mark.parametrize("address", ["/", "/?tag=eu&q=a%20b", "/servers/abc", "/servers/abc/activity"])
async def test_the_page_answers_at_each_of_its_addresses(panel: PanelUnderTest, address: str) -> None:
    answer = await ask(panel, address)
    assert answer.status_code == 200
    assert answer.text == INDEX
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_browser_that_has_the_page_is_not_given_it_again(panel: PanelUnderTest) -> None:
    etag = (await ask(panel, "/")).headers["etag"]
    assert (await ask(panel, "/", **{"If-None-Match": etag})).status_code == 304


async def test_the_page_is_packed_for_those_who_can_unpack_it(panel: PanelUnderTest) -> None:
    packed = await ask(panel, "/", **{"Accept-Encoding": "gzip"})
    plain = await ask(panel, "/", **{"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text == INDEX
    assert int(packed.headers["content-length"]) == len(gzip.compress(INDEX.encode(), mtime=0))


async def test_built_files_are_kept_for_ever(panel: PanelUnderTest) -> None:
    answer = await ask(panel, "/assets/index-abc.js")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith(("text/javascript", "application/javascript"))


@pytest.mark.parametrize("address", ["/assets/other.js", "/assets/..%2fsecret", "/assets/%2e%2e/secret", "/secret"])
async def test_nothing_else_is_given_out(panel: PanelUnderTest, address: str) -> None:
    assert (await ask(panel, address)).status_code == 404


async def test_what_the_api_does_not_have_is_no_page(panel: PanelUnderTest) -> None:
    answer = await ask(panel, "/api/weather")
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"


async def test_a_panel_without_its_page_shows_what_the_api_can(panel: PanelUnderTest, built: Path) -> None:
    (built / "index.html").unlink()
    answer = await ask(panel, "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_the_panel_knows_every_address_of_the_page() -> None:
    asked = re.findall(r'^ *"(/[^"]*)":', ROUTES.read_text(), re.MULTILINE)
    known = [re.compile(address.replace("{rest:path}", ".+")) for address in api.ADDRESSES]
    assert len(asked) >= 2
    assert [path for path in asked if not any(pattern.fullmatch(path) for pattern in known)] == []
