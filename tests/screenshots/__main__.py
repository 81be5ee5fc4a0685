"""Takes the pictures: every screen, light and dark, on a phone and on a desk, with what is empty, loading, wrong and long."""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from tests.integration.page.conftest import WITHOUT_GRAPHICS
from tests.screenshots.stage import LONG, Stage, stage

from ctrl_alt_play.games.own import own_templates

README = Path("docs/images")
VIEWPORTS = {"desk": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """`prepare` is done once the address is shown. With `is_kept` it stands in the README."""

    name: str
    address: str
    prepare: Callable[[Page], object] | None = None
    is_kept: bool = False


def shots(made: Stage) -> Iterator[Shot]:
    castle, crashed, long = (made.servers[name] for name in ("Castle", "Skyblock", LONG))
    node = made.installation.node_id
    yield Shot("servers-cards", "/")
    yield Shot("servers-table", "/", _table, is_kept=True)
    yield Shot("servers-none-match", "/?q=nowhere", _cards)
    yield Shot("create", "/servers/new")
    yield Shot("create-ports", "/servers/new", lambda page: _create(page, "Next"))
    yield Shot("create-variables", "/servers/new", lambda page: _create(page, "Variables"))
    yield Shot("create-review", "/servers/new", lambda page: _create(page, "Review"))
    yield Shot("console", f"/servers/{castle.id}", is_kept=True)
    yield Shot("server-figures", f"/servers/{castle.id}/figures", _day, is_kept=True)
    for tab in ("players", "activity", "startup", "settings"):
        yield Shot(f"server-{tab}", f"/servers/{castle.id}/{tab}")
    yield Shot("startup-of-a-template", f"/servers/{made.duel}/startup")
    yield Shot("server-crashed", f"/servers/{crashed.id}/activity")
    yield Shot("server-long", f"/servers/{long.id}")
    yield Shot("server-gone", "/servers/nothing")
    yield Shot("nodes", "/nodes")
    yield Shot("node", f"/nodes/{node}")
    yield Shot("node-away", "/nodes/attic")
    template = f"/templates/{made.templates['luanti']}"
    yield Shot("templates", "/templates")
    yield Shot("template", template)
    yield Shot("template-edit", f"{template}/edit")
    yield Shot("template-import", "/templates/import", _import)
    for name in ("registries", "users", "account", "design"):
        yield Shot(name, f"/{name}")
    yield Shot("not-found", "/nodes/nowhere/at/all")
    yield Shot("palette", "/", lambda page: page.keyboard.press("Control+k"))
    yield Shot("help", "/", lambda page: page.keyboard.press("?"))
    yield Shot("loading", "/nodes", _without_answers)


def _cards(page: Page) -> None:
    page.get_by_role("button", name="Cards").click()


def _table(page: Page) -> None:
    page.get_by_role("button", name="Table").click()


def _day(page: Page) -> None:
    page.get_by_role("button", name="24 h").click()


def _create(page: Page, step: str) -> None:
    """On the way to a server of a template, as far as that step, from its beginning: what was decided before is remembered."""
    page.evaluate("sessionStorage.clear(); localStorage.clear()")
    page.reload()
    page.get_by_role("button", name="Luanti (Minetest)").click()
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Island")
    if step != "Next":
        page.get_by_role("navigation", name="Steps").get_by_role("button", name=step).click()


def _import(page: Page) -> None:
    """One that is good, and one that is not."""
    good = dict(own_templates())["luanti"].replace("max_users:", "max_players:")
    for name, text in (("luanti.yaml", good), ("broken.yaml", "name: Ruin\nvariables: [{env_variable: A B}]")):
        file = {"name": name, "mimeType": "application/yaml", "buffer": text.encode()}
        page.get_by_label("Choose files").set_input_files([file])


def _without_answers(page: Page) -> None:
    page.route("**/api/**", lambda _: None)
    page.route_web_socket("**/api/live", lambda _: None)
    page.reload()


@contextmanager
def signed_in(browser: Browser, made: Stage, viewport: str, theme: str) -> Iterator[Page]:
    width, height = VIEWPORTS[viewport]
    context = browser.new_context(
        base_url=str(made.installation.api.base_url),
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto("/")
    page.screenshot(path=made.installation.folder / "first.png")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(made.installation.owner_password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Servers", level=1).wait_for()
    yield page
    context.close()


def take(page: Page, shot: Shot, file: Path) -> None:
    page.goto(shot.address)
    page.locator("main").wait_for()
    page.wait_for_timeout(500)
    if shot.prepare is not None:
        shot.prepare(page)
    page.wait_for_timeout(1500)
    page.screenshot(path=file)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        print(f"{file.name}: {wide} px wider than the window")
    page.unroute_all(behavior="ignoreErrors")


def entrances(browser: Browser, made: Stage, out: Path) -> None:
    """Before anybody is in: signing in, and what is said of a wrong password."""
    for theme in THEMES:
        for viewport, (width, height) in VIEWPORTS.items():
            context = browser.new_context(
                base_url=str(made.installation.api.base_url),
                viewport={"width": width, "height": height},
                color_scheme="dark" if theme == "dark" else "light",
                locale="en-GB",
            )
            page = context.new_page()
            page.goto("/")
            page.get_by_label("Username").fill("admin")
            page.screenshot(path=out / f"sign-in-{viewport}-{theme}.png")
            page.get_by_label("Password").fill("not the password")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("alert").wait_for()
            page.screenshot(path=out / f"sign-in-refused-{viewport}-{theme}.png")
            context.close()


def main() -> None:
    options = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    options.add_argument("--out", type=Path, default=Path("screenshots"), help="the folder for all of them")
    options.add_argument("--readme", action="store_true", help=f"also renews those of the README, in {README}/")
    options.add_argument("--only", default="", help="those whose name begins so")
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as made, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(WITHOUT_GRAPHICS))
        if not chosen.only:
            entrances(browser, made, chosen.out)
            with signed_in(browser, made, "desk", "light") as page:
                take(page, Shot("servers-empty", "/"), chosen.out / "servers-empty-desk-light.png")
        made.fill()
        for theme in THEMES:
            for viewport in VIEWPORTS:
                with signed_in(browser, made, viewport, theme) as page:
                    for shot in shots(made):
                        if shot.name.startswith(chosen.only):
                            take(page, shot, chosen.out / f"{shot.name}-{viewport}-{theme}.png")
                            if chosen.readme and shot.is_kept and viewport == "desk":
                                README.mkdir(parents=True, exist_ok=True)
                                page.screenshot(path=README / f"{shot.name}-{theme}.png")
        browser.close()
    print(f"{len(list(chosen.out.glob('*.png')))} pictures in {chosen.out}")


main()
