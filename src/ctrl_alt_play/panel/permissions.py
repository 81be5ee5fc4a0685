"""Who may do what, as one table. Every route names the permission that it needs."""

from enum import StrEnum


class Role(StrEnum):
    """What someone is in regard to the thing at hand."""

    ADMIN = "admin"
    OWNER = "owner"


class Permission(StrEnum):
    ACCOUNT_SELF = "account.self"
    USERS_MANAGE = "users.manage"
    NODES_MANAGE = "nodes.manage"
    TEMPLATES_SEE = "templates.see"
    TEMPLATES_MANAGE = "templates.manage"
    SERVERS_SEE = "servers.see"
    SERVERS_CREATE = "servers.create"
    SERVERS_UPDATE = "servers.update"
    SERVERS_STARTUP = "servers.startup"
    SERVERS_REINSTALL = "servers.reinstall"
    SERVERS_HOLD = "servers.hold"
    SERVERS_ADOPT = "servers.adopt"
    SERVERS_DELETE = "servers.delete"
    SERVERS_START = "servers.start"
    SERVERS_STOP = "servers.stop"
    SERVERS_RESTART = "servers.restart"
    SERVERS_KILL = "servers.kill"
    SERVERS_COMMAND = "servers.command"
    SERVERS_STATUS = "servers.status"
    SERVERS_CONSOLE = "servers.console"
    SERVERS_EVENTS = "servers.events"
    OPERATIONS_SEE = "operations.see"
    OPERATIONS_CANCEL = "operations.cancel"


_ADMIN = frozenset({Role.ADMIN})
_OWNER = frozenset({Role.ADMIN, Role.OWNER})

GRANTED: dict[Permission, frozenset[Role]] = {
    Permission.ACCOUNT_SELF: _OWNER,
    Permission.USERS_MANAGE: _ADMIN,
    Permission.NODES_MANAGE: _ADMIN,
    Permission.TEMPLATES_SEE: _ADMIN,
    Permission.TEMPLATES_MANAGE: _ADMIN,
    Permission.SERVERS_SEE: _OWNER,
    Permission.SERVERS_CREATE: _ADMIN,
    Permission.SERVERS_UPDATE: _ADMIN,
    Permission.SERVERS_STARTUP: _OWNER,
    Permission.SERVERS_REINSTALL: _OWNER,
    Permission.SERVERS_HOLD: _ADMIN,
    Permission.SERVERS_ADOPT: _ADMIN,
    Permission.SERVERS_DELETE: _ADMIN,
    Permission.SERVERS_START: _OWNER,
    Permission.SERVERS_STOP: _OWNER,
    Permission.SERVERS_RESTART: _OWNER,
    Permission.SERVERS_KILL: _ADMIN,
    Permission.SERVERS_COMMAND: _OWNER,
    Permission.SERVERS_STATUS: _OWNER,
    Permission.SERVERS_CONSOLE: _OWNER,
    Permission.SERVERS_EVENTS: _OWNER,
    Permission.OPERATIONS_SEE: _OWNER,
    Permission.OPERATIONS_CANCEL: _OWNER,
}
"""An owner has what names `OWNER` on what is theirs, and there alone: a route about many things shows them only their own."""


def is_granted(permission: Permission, *, is_admin: bool) -> bool:
    """Whether someone may do it at all: an administrator, or the owner of the thing, which what they can see already decided."""
    return (Role.ADMIN if is_admin else Role.OWNER) in GRANTED[permission]


def granted(*, is_admin: bool) -> list[Permission]:
    """All that someone may do, on what they can see."""
    return [permission for permission in Permission if is_granted(permission, is_admin=is_admin)]
