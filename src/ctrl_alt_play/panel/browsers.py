"""Browsers: what they tell of where a request comes from, and the cookie by which they are known again."""

from typing import cast

from fastapi import Response
from fastapi.requests import HTTPConnection

from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.errors import Forbidden

COOKIE = "ctrl-alt-play-session"
"""Not merely `session`: cookies know no ports, and what else runs on the same machine may well call its own so."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_OWN = frozenset({"same-origin", "none"})


def secret_of(connection: HTTPConnection) -> str | None:
    """The secret of the session that a browser comes with."""
    return connection.cookies.get(_name(connection))


def set_cookie(response: Response, connection: HTTPConnection, secret: str, lasts_s: int) -> None:
    name, secure = _name(connection), _is_secure(connection)
    response.set_cookie(name, secret, max_age=lasts_s, secure=secure, httponly=True, samesite="strict")


def clear_cookie(response: Response, connection: HTTPConnection) -> None:
    name, secure = _name(connection), _is_secure(connection)
    response.delete_cookie(name, secure=secure, httponly=True, samesite="strict")


async def ensure_same_origin(connection: HTTPConnection) -> None:
    """That a page of ours asks, or whoever is at the browser. A browser says so itself, and no page can make it say anything else.

    Raises: Forbidden, also where nothing is said.
    """
    site = connection.headers.get("sec-fetch-site")
    if not (site in _OWN if site is not None else _is_own(connection)):
        raise Forbidden(
            "That comes from another page: use the panel's own. A script signs in at /api/auth/login, and sends its access token.",
            "CROSS_ORIGIN",
        )


def _is_own(connection: HTTPConnection) -> bool:
    """By its address: browsers tell more only over https, or where the panel is on the same machine."""
    _, _, origin = connection.headers.get("origin", "").partition("://")
    _, _, public = _config(connection).public_url.partition("://")
    return bool(origin) and origin.lower() in {connection.headers.get("host", "").lower(), public}


def _name(connection: HTTPConnection) -> str:
    """A browser takes one with that prefix over https alone, and from no other host, however near."""
    return f"__Host-{COOKIE}" if _is_secure(connection) else COOKIE


def _is_secure(connection: HTTPConnection) -> bool:
    return connection.scope["scheme"] in {"https", "wss"} or _config(connection).public_url.startswith("https:")


def _config(connection: HTTPConnection) -> Config:
    return cast("Config", connection.app.state.config)
