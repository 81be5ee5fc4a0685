"""Charts in the page, of a game that really uses something."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Response, expect
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.integration.installation import Installation

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
BUSY = "while :; do :; done &"
CRASH_POLICY = {"restart": False}
LIMITS = {"memory": 64 * 1024 * 1024, "cpu": 50}


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Puppet]:
    with puppet.image(tmp_path) as image:
        made = Puppet(installation, image, name="Castle", crash=CRASH_POLICY, limits=LIMITS)
        yield made
        installation.do("DELETE", made.path)


def chart(page: Page, name: str) -> Locator:
    return page.locator("figure").filter(has=page.get_by_role("slider", name=f"{name}, moment by moment"))


def is_graph(response: Response) -> bool:
    return urlsplit(response.url).path.endswith("/figures")


def length_s(response: Response) -> float:
    """Of the time that was asked for."""
    query = parse_qs(urlsplit(response.url).query)
    since, until = (datetime.fromisoformat(query[name][0]) for name in ("since", "until"))
    return (until - since).total_seconds()


def answer(response: Response) -> Any:
    assert response.ok, response.text()
    return response.json()


def test_the_last_minute_moves_with_the_game(server: Puppet, page: Page) -> None:
    server.does("start")
    page.goto(f"/servers/{server.id}")
    expect(chart(page, "CPU")).to_contain_text(re.compile(r"CPU\s*\d(\.\d)? %\s*Limit 50 %"))
    expect(chart(page, "Memory")).to_contain_text("Limit 64 MiB")
    server.types(BUSY)
    expect(chart(page, "CPU")).to_contain_text(re.compile(r"CPU\s*[3-6]\d %"))
    slider = page.get_by_role("slider", name="CPU, moment by moment")
    slider.focus()
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^\d\d:\d\d:\d\d: CPU \d"))


def test_history_marks_a_crash_and_shows_more_of_less(server: Puppet, page: Page) -> None:
    server.does("start")
    page.goto(f"/servers/{server.id}")
    expect(chart(page, "CPU")).to_contain_text(re.compile(r"\d %"))
    page.get_by_role("link", name="Figures").click()
    happened = page.get_by_role("region", name="What happened in this time")
    expect(happened.get_by_role("button", name="Running")).to_be_visible()
    server.crashes_by("exit 3")
    crash = happened.get_by_role("button", name="Crashed")
    expect(crash).to_contain_text("exit code 3")
    crash.focus()
    expect(chart(page, "CPU")).to_contain_text("Crashed: It ended with exit code 3.")

    with page.expect_response(is_graph) as week:
        page.get_by_role("button", name="7 d").click()
    with page.expect_response(is_graph) as nearer:
        page.get_by_role("button", name="Zoom in").click()
    assert length_s(nearer.value) == pytest.approx(length_s(week.value) / 2, abs=1)
    assert answer(nearer.value)["step_s"] < answer(week.value)["step_s"]

    plot = chart(page, "Memory").locator(".u-over")
    expect(page.get_by_text("Asking for figures")).to_be_hidden()
    with page.expect_response(is_graph) as dragged:
        plot.hover(position={"x": 100, "y": 50})
        page.mouse.down()
        plot.hover(position={"x": 200, "y": 50})
        page.mouse.up()
    assert length_s(dragged.value) < length_s(nearer.value)
    assert answer(dragged.value)["step_s"] < answer(nearer.value)["step_s"]
    with page.expect_response(is_graph) as whole:
        page.get_by_role("button", name="Whole time").click()
    assert length_s(whole.value) == pytest.approx(7 * 24 * 3600, abs=1)


def test_what_was_never_measured_is_said_in_words(server: Puppet, page: Page) -> None:
    page.goto(f"/servers/{server.id}/figures")
    expect(page.get_by_text("Nothing was measured in this time")).to_be_visible()
    expect(page.get_by_role("button", name="Installed")).to_be_visible()
