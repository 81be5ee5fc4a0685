"""The page with many servers, in a real browser: how smoothly it scrolls, and what that costs, also while servers change."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import CDPSession, Page, sync_playwright

from bench.place import Place, remark, show
from bench.swarm import Swarm

NODES = 50
SERVERS = 500
CHANGES_S = 100
LAYOUTS = ("Cards", "Table")
SECONDS = 8
WIDTH, HEIGHT = 1600, 900
STILL = "<div style='height:3rem;border-bottom:1px solid'>a line that nothing happens to</div>" * SERVERS
SPEED = 3000
"""Pixels a second, as by a hand that is looking for something."""
SCROLL = """([seconds, speed]) => new Promise(done => {
    const frames = [], most = document.documentElement.scrollHeight - innerHeight, began = performance.now();
    const draw = now => {
        frames.push(now);
        const way = (now - began) / 1000 * speed % (2 * most);
        scrollTo(0, way < most ? way : 2 * most - way);
        if (now - began < seconds * 1000) requestAnimationFrame(draw);
        else done(frames.slice(1).map((each, index) => each - frames[index]));
    };
    requestAnimationFrame(draw);
})"""
"""Down, and up again; gives the milliseconds between frames."""


@dataclass(frozen=True)
class Scrolled:
    frames_s: float
    longest_ms: float
    busy: float
    """Percent of a core, of the thread that runs scripts and lays out."""


def measure(place: Place) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no Chromium here: apt-get install chromium")
    place.add_nodes(NODES)
    place.add_servers(NODES, SERVERS // NODES)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_content(STILL)
        still = _scrolled(page)
        for what, changes in (
            ("nothing changes", 0),
            (f"{CHANGES_S} changes/s", len(LAYOUTS) * CHANGES_S * 2 * SECONDS),
        ):
            with _agents(place, changes // NODES):
                _sign_in(page, place)
                for layout in LAYOUTS:
                    _lay_out(page, layout)
                    _tell(f"{layout.lower()}, {what}", _scrolled(page), still)
        browser.close()
    remark(f"{SERVERS} servers, {SECONDS} s each; bare: a document of as many lines that nothing happens to")


@contextmanager
def _agents(place: Place, events: int) -> Iterator[None]:
    """Each changes one of its servers again and again."""
    how = {"kind": "status", "pace_s": NODES / CHANGES_S, "events": events, "heartbeat_s": 10}
    with Swarm(place.agents_url, place.secret, agents=NODES, part=2, servers=SERVERS // NODES, **how) as swarm:
        swarm.expect("connected")
        swarm.go_on()
        yield
        swarm.go_on()


def _sign_in(page: Page, place: Place) -> None:
    page.context.clear_cookies()
    page.goto(str(place.installation.api.base_url))
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(place.installation.owner_password or "")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text(f"{SERVERS} servers").wait_for()


def _lay_out(page: Page, layout: str) -> None:
    page.get_by_role("button", name=layout).click()
    page.get_by_role("link", name="server 0-0").first.wait_for()


def _scrolled(page: Page) -> Scrolled:
    with _busy(page) as busy:
        frames: list[float] = page.evaluate(SCROLL, [SECONDS, SPEED])
    return Scrolled(len(frames) * 1000 / sum(frames), max(frames), busy[0] * 100 / SECONDS)


@contextmanager
def _busy(page: Page) -> Iterator[list[float]]:
    """Filled at the end: seconds."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _tasks_s(devtools)
    busy: list[float] = []
    yield busy
    busy.append(_tasks_s(devtools) - before)
    devtools.detach()


def _tasks_s(devtools: CDPSession) -> float:
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def _tell(what: str, ours: Scrolled, bare: Scrolled) -> None:
    show(f"{what}: frames/s", ours.frames_s, bare.frames_s, "")
    show(f"{what}: longest frame", ours.longest_ms, bare.longest_ms, "ms")
    show(f"{what}: busy", ours.busy, bare.busy, "%")
