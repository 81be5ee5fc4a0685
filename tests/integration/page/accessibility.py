"""What can be found by a program that keeps people from using a page, by the rules of WCAG 2.2 AA."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[3] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TALLEST = 12_000


def finds_nothing(page: Page, where: str) -> None:
    """Of all that is shown, as high as it is, so that nothing lies under a bar."""
    size = page.viewport_size
    assert size is not None
    settle(page)
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(max(height, size["height"]), TALLEST)})
    settle(page)
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)["violations"]
    page.set_viewport_size(size)
    assert found == [], f"{where}: {[told(violation) for violation in found]}"


def told(violation: dict[str, Any]) -> str:
    nodes = "; ".join(f"{node['target']}: {node['failureSummary']}" for node in violation["nodes"][:3])
    return f"{violation['id']}: {nodes}"


def settle(page: Page) -> None:
    """Until all has come that was asked for; and colours that are on their way are none that anybody reads."""
    page.wait_for_load_state("networkidle")
    page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished)).then(() => {})")


def is_no_wider_than_the_window(page: Page, where: str) -> None:
    wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, where


REACHABLE = "a[href], button, input, select, textarea, summary"
UNREACHED = f"""() => [...document.querySelectorAll("{REACHABLE}")].filter(each =>
    each.checkVisibility({{visibilityProperty: true}}) && !each.disabled && each.tabIndex >= 0 && !each.reached
).map(each => each.outerHTML.slice(0, 120))"""


SHOWN = """() => {
    const at = document.activeElement;
    at.reached = true;
    const outlined = [at, at.parentElement, at.closest("article, li, tr, label"), at.closest("div")].filter(Boolean)
        .flatMap(each => [getComputedStyle(each), getComputedStyle(each, "::after")]);
    return outlined.some(style => style.outlineStyle !== "none") ? null : at.outerHTML.slice(0, 200);
}"""
"""What has the focus, where nothing shows that; also what is around it may."""


def is_reached_by_tab(page: Page, where: str) -> None:
    """Every control that is to be seen gets the focus, and shows that it has it."""
    settle(page)
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement !== document.body && !document.activeElement.reached"):
        unseen = page.evaluate(SHOWN)
        assert unseen is None, f"{where}: {unseen}"
        page.keyboard.press("Tab")
    unreached = page.evaluate(UNREACHED)
    assert unreached == [], f"{where}: {unreached}"
