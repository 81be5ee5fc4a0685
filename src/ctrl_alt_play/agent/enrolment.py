"""Makes this machine a node: exchanges a token for the node's secret, and keeps that where agents look for their settings."""

import asyncio
import os
import re
import ssl
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from ctrl_alt_play.agent.config import AgentConfig
from ctrl_alt_play.agent.examination import http_address, tls_options
from ctrl_alt_play.errors import StartupError

TIMEOUT_S = 20.0
IDENTITY = ("panel_url", "node_id", "agent_secret")
_THEIR_LINES = re.compile(rf"^[ \t]*(?:{'|'.join(IDENTITY)})[ \t]*=.*\n?", re.MULTILINE)


def enrol(link: str, config_file: Path | None = None) -> Path:
    """Takes a link as a node's page shows it, `https://panel.example.org#token`. Gives the settings file that an agent is now to be
    started with; it is its owner's alone.

    Raises:
        StartupError: it did not work; the sentence says why. Where the token was not used up, it can be tried again.
    """
    url, token = _parts(link)
    named = [name.upper() for name in IDENTITY if name.upper() in os.environ]
    if named:
        raise StartupError(f"Unset {', '.join(named)} first: the environment would win over what is enrolled.")
    file = AgentConfig.find_file(config_file) or AgentConfig.own_file()
    config = AgentConfig.read(file if file.exists() else Path(os.devnull))
    present = file.read_text() if file.exists() else ""
    beside = _make_beside(file)
    try:
        told = asyncio.run(_redeem(http_address(url), token, config))
        beside.write_text(_with_identity(present, url, told))
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return file


def _parts(link: str) -> tuple[URL, str]:
    try:
        whole = URL(link.strip())
        url, token = whole.with_fragment(None), whole.fragment
    except ValueError:
        url, token = URL(), ""
    if url.scheme not in {"http", "https", "ws", "wss"} or not url.host or not token:
        raise StartupError("That is no link to enrol with: copy the whole command from the node's page of the panel.")
    return url.with_scheme({"http": "ws", "https": "wss"}.get(url.scheme, url.scheme)), token


def _make_beside(file: Path) -> Path:
    """An empty file, its owner's alone, that can take the settings file's place: before the token is used up."""
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    except OSError as error:
        raise StartupError(
            f"The settings cannot be kept in {file} ({error.strerror}): run this as a user who may, or name another file with --config."
        ) from error
    os.close(descriptor)
    return Path(name)


async def _redeem(address: URL, token: str, config: AgentConfig) -> dict[str, str]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as client,
            client.post(address / "api/enrolment", json={"token": token}, **tls_options(config)) as answer,
        ):
            told: Any = await answer.json(content_type=None)
            status = answer.status
    except aiohttp.ClientConnectorCertificateError as error:
        raise StartupError(
            f"The certificate of {address} is not trusted ({error.certificate_error}): set PANEL_CA_FILE to the authority that made it."
        ) from error
    except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as error:
        reason = str(error) or "no answer in time"
        raise StartupError(f"The panel at {address} is not reached from this machine: {reason}.") from error
    except ValueError:
        told, status = None, 0
    if isinstance(told, dict) and status == 200 and told.keys() >= {"node_id", "secret"}:
        return {"node_id": str(told["node_id"]), "agent_secret": str(told["secret"])}
    if isinstance(told, dict) and isinstance(told.get("detail"), str):
        raise StartupError(f"The panel refused: {told['detail']}")
    raise StartupError(f"What answers at {address} is no panel that can enrol nodes: check the address, or upgrade it.")


def _with_identity(present: str, url: URL, told: dict[str, str]) -> str:
    """The settings as they are, but for whose agent this is."""
    identity = {"panel_url": str(url).rstrip("/"), **told}
    lines = "".join(f'{name} = "{value}"\n' for name, value in identity.items())
    text = lines + _THEIR_LINES.sub("", present)
    try:
        kept = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StartupError(f"The settings file cannot be changed ({error}): name another one with --config.") from error
    if any(kept.get(name) != value for name, value in identity.items()):
        raise StartupError("The panel told an id or a secret that no agent can have.")
    return text
