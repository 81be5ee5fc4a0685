"""`ctrl-alt-play doctor`: what is wrong with this machine as a node, and what to do."""

import asyncio
from pathlib import Path

from ctrl_alt_play.agent import checks
from ctrl_alt_play.agent.config import load_config
from ctrl_alt_play.agent.examination import of_machine
from ctrl_alt_play.cli.output import say, show_json
from ctrl_alt_play.doctor import worst
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.protocol.doctor import Finding, State

_MARKS = {State.OK: "ok     ", State.UNKNOWN: "unknown", State.WARNING: "warning", State.PROBLEM: "PROBLEM"}


def examine(config_file: Path | None, *, as_json: bool) -> int:
    """Prints what was found; gives the exit code: 1 where something does not work."""
    findings = _look(config_file)
    if as_json:
        show_json([finding.model_dump(mode="json") for finding in findings])
    else:
        say("\n".join(line for finding in findings for line in _lines(finding)))
    return 1 if worst(findings).state is State.PROBLEM else 0


def _look(config_file: Path | None) -> list[Finding]:
    try:
        config = load_config(config_file)
    except StartupError as error:
        return [checks.settings(str(error))]
    return [checks.settings(""), *asyncio.run(of_machine(config))]


def _lines(finding: Finding) -> list[str]:
    lines = [f"{_MARKS[finding.state]}  {finding.id + ':':14}{finding.seen}"]
    return [*lines, f"{'':23}→ {finding.todo}"] if finding.todo else lines
