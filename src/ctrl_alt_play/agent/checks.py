"""What an agent's own machine can be found to be like: facts in, findings out. `examination` gathers the facts."""

from dataclasses import dataclass
from pathlib import Path

from ctrl_alt_play import doctor
from ctrl_alt_play.agent.engine.base import EngineSetup
from ctrl_alt_play.doctor import ok, problem, unknown, warning
from ctrl_alt_play.protocol.doctor import Finding

_WHOLE_COPIES = {"vfs", "devicemapper"}
"""Storage drivers that nobody wants for games: slow, or each image takes its size many times over."""


@dataclass(frozen=True, slots=True)
class EngineSeen:
    """An engine that was asked; `setup` is None where it did not answer."""

    setup: EngineSetup | None = None
    is_forbidden: bool = False
    """Its socket is there, and this user may not use it."""


@dataclass(frozen=True, slots=True)
class FolderSeen:
    path: Path
    fault: str = ""
    """Why nothing can be written there; empty where it can."""
    is_root: bool = True


@dataclass(frozen=True, slots=True)
class PanelSeen:
    """What answered at the panel's address."""

    address: str
    fault: str = ""
    """Why nothing did."""
    is_distrusted: bool = False
    """It answered, and its certificate is not to be trusted."""
    is_panel: bool = False
    clock_ahead_s: float | None = None
    is_admitted: bool | None = None
    """Whether it takes this agent; None where it does not tell."""
    reason: str = ""
    """Why it does not."""


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """What has the agent's health port."""

    port: int
    node_id: str | None = None
    """Of the agent that answers there."""
    is_connected: bool = False
    is_taken: bool = False
    """By something that is no agent."""


def engine(seen: EngineSeen) -> list[Finding]:
    if seen.is_forbidden:
        todo = "Run the agent as root, or add its user to the group docker: usermod -aG docker USER, and sign in again."
        return [problem("docker", "This user may not use Docker.", todo)]
    if seen.setup is None:
        todo = "Install it where it is missing, and start it: systemctl enable --now docker. Elsewhere than usual: set DOCKER_HOST."
        return [problem("docker", "Docker does not answer.", todo)]
    return [doctor.docker_version(seen.setup.version), _storage(seen.setup), _cgroup(seen.setup), _restarts(seen.setup)]


def _storage(setup: EngineSetup) -> Finding:
    seen = f"Docker stores images with {setup.storage_driver or 'a driver that it does not name'}."
    if setup.storage_driver in _WHOLE_COPIES:
        return warning("storage", seen, "Let it use overlay2: images take many times their size otherwise.")
    return ok("storage", seen)


def _cgroup(setup: EngineSetup) -> Finding:
    if not setup.cgroup:
        return unknown("cgroup", "Docker does not say how the system limits and counts.")
    more = "; version 2 counts memory more truly" if setup.cgroup == "1" else ""
    return ok("cgroup", f"The system limits and counts by cgroup version {setup.cgroup}{more}.")


def _restarts(setup: EngineSetup) -> Finding:
    if setup.keeps_games:
        return ok("live-restore", "Games run on while Docker is restarted.")
    todo = 'Add "live-restore": true to /etc/docker/daemon.json, then: systemctl reload docker.'
    return warning(
        "live-restore", "Games end whenever Docker is restarted or upgraded; the agent starts them again.", todo
    )


def folder(seen: FolderSeen) -> list[Finding]:
    if seen.fault:
        todo = "Make it the agent's user's, or set CTRL_ALT_PLAY_DATA to a folder that is."
        return [problem("folder", f"{seen.path} cannot be written: {seen.fault}.", todo)]
    if not seen.is_root:
        todo = "That is well for one person's games. For strangers' games run the agent as root: each gets a user of its own."
        return [warning("folder", f"{seen.path} can be written; all servers run as this one user.", todo)]
    return [ok("folder", f"{seen.path} can be written, and each server has a user of its own.")]


def journal(*, is_lost: bool, is_stuck: bool) -> Finding:
    if is_lost or is_stuck:
        todo = (
            "Make room on the disk, and look whether somebody removed files of the agent's folder. Its log says more."
        )
        return problem("journal", "The agent cannot write its journal: it takes no orders until it can.", todo)
    return ok("journal", "The journal can be written.")


def panel(seen: PanelSeen) -> list[Finding]:
    if seen.is_distrusted:
        todo = "Give the panel a certificate that fits its name, or set PANEL_CA_FILE to the authority that made it."
        return [problem("panel", f"The certificate of {seen.address} is not trusted: {seen.fault}.", todo)]
    if seen.fault:
        todo = "Look whether PANEL_URL is right, the panel runs, and no firewall stands between: curl it from here."
        return [problem("panel", f"{seen.address} is not reached: {seen.fault}.", todo)]
    if not seen.is_panel:
        return [
            problem("panel", f"What answers at {seen.address} is no panel.", "Set PANEL_URL to the panel's address.")
        ]
    return [ok("panel", f"The panel answers at {seen.address}."), doctor.clock(seen.clock_ahead_s), _secret(seen)]


def _secret(seen: PanelSeen) -> Finding:
    if seen.is_admitted is None:
        return unknown("secret", "This panel does not tell whether it takes the secret.", "The agent's log says it.")
    if seen.is_admitted:
        return ok("secret", "The panel takes this node's secret.")
    todo = "On the node's page choose Connect, and run the command that it shows here."
    return problem("secret", f"The panel refuses this agent: {seen.reason}", todo)


def agent(seen: AgentSeen, node_id: str) -> Finding:
    if seen.is_taken:
        todo = "Set HEALTH_PORT to a free port, or end the other program."
        return problem("agent", f"Port {seen.port} is taken by another program: the agent cannot start.", todo)
    if seen.node_id is None:
        todo = "Start it: systemctl enable --now ctrl-alt-play-agent, or ctrl-alt-play agent."
        return warning("agent", "The agent does not run here.", todo)
    if seen.node_id != node_id:
        todo = "Look with the settings of that agent (--config), or set HEALTH_PORT to another port for this one."
        return warning("agent", f"The agent that runs here is that of node {seen.node_id}, not {node_id}.", todo)
    if not seen.is_connected:
        return warning(
            "agent", "The agent runs, and is not connected to the panel.", "See what is wrong with the panel, above."
        )
    return ok("agent", "The agent runs, and is connected to the panel.")


def settings(fault: str) -> Finding:
    if fault:
        return problem("settings", fault, "Mend the setting, or make a new command on the node's page and run it here.")
    return ok("settings", "The settings can be read.")
