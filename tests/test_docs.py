"""The documents name what the programs have: what is added without a word there is found here."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.cli.main import app
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.protocol.contents import EVENTS, TO_AGENT, TO_PANEL, Action
from ctrl_alt_play.protocol.errors import ErrorCode
from ctrl_alt_play.protocol.part2 import CrashCause
from ctrl_alt_play.protocol.specification import CrashPolicy, Readiness
from ctrl_alt_play.settings import Settings

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])
HOW_TO_READINESS = "howto/crashes-and-readiness.md"
INNER = {"config_file"}
"""Settings that are given on the command line."""


def commands() -> list[str]:
    """Every command as it is typed: `up`, `server list`."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    names = []
    for name, command in root.commands.items():
        inner = [f"{name} {each}" for each in command.commands] if isinstance(command, TyperGroup) else [name]
        names += inner
    return names


def named(page: str) -> set[str]:
    """All that stands as code on a page, in words."""
    text = (DOCS / page).read_text()
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[\w.-]+", code)}


@pytest.mark.parametrize("settings", [AgentConfig, Config])
def test_every_setting_is_on_the_page_of_settings(settings: type[Settings]) -> None:
    names = {
        "CTRL_ALT_PLAY_DATA" if name == "data" else name.upper() for name in settings.model_fields if name not in INNER
    }
    assert names - named("reference/settings.md") == set()


@pytest.mark.parametrize("command", commands())
def test_every_command_is_on_the_page_of_commands(command: str) -> None:
    group, _, name = command.rpartition(" ")
    rows = [line for line in (DOCS / "reference/command-line.md").read_text().splitlines() if line.startswith("| `")]
    first_cells = [row.split("|")[1] for row in rows]
    of_group = [cell for cell in first_cells if f"`{group} " in cell] if group else first_cells
    assert any(re.search(rf"[`\s]{name}\b", cell) for cell in of_group), f"{command} is on no row"


@pytest.mark.parametrize("words", [ErrorCode, Action, CrashCause, EVENTS, TO_AGENT, TO_PANEL])
def test_every_word_of_the_protocol_is_on_its_page(words: object) -> None:
    assert {str(word) for word in words} - named("reference/protocol.md") == set()  # type: ignore[attr-defined]  # enums and dictionaries


def test_every_rule_about_crashes_and_readiness_is_in_its_how_to() -> None:
    rules = {*Readiness.model_fields, *CrashPolicy.model_fields, *QUERIES, *map(str, CrashCause)}
    assert rules - named(HOW_TO_READINESS) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, place = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not place or place in places(target), f"{link}: no such heading"


def places(page: Path) -> set[str]:
    """The anchors of a page's headings, as Git hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_decision_has_a_number_of_its_own_and_fits_on_a_page() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [page.name[:4] for page in decisions]
    assert numbers == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for page in decisions:
        lines = page.read_text().splitlines()
        assert lines[0].startswith(f"# {int(page.name[:4])}. ")
        assert len(lines) <= 40, page.name
