"""The first run, signing in, one's own account and sessions, and administrators' care of accounts."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Response, status

from ctrl_alt_play.panel.accounts import service
from ctrl_alt_play.panel.accounts.schemas import (
    AccessToken,
    Credentials,
    FirstUser,
    NewUser,
    PasswordChange,
    SessionList,
    SessionView,
    SetupView,
    UserChange,
    UserView,
)
from ctrl_alt_play.panel.accounts.service import Accounts
from ctrl_alt_play.panel.accounts.setup import Setup
from ctrl_alt_play.panel.browsers import clear_cookie, ensure_same_origin, set_cookie
from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.models import User
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed, public
from ctrl_alt_play.panel.sessions import LONGEST, Sessions

CURRENT = "current"

setup = APIRouter(prefix="/api/setup", tags=["setup"], dependencies=[Depends(public)])
auth = APIRouter(prefix="/api/auth", tags=["auth"])
users = APIRouter(prefix="/api/users", tags=["users"])


async def _setup(request: Request) -> Setup:
    return cast("Setup", request.app.state.setup)


async def _accounts(request: Request) -> Accounts:
    return cast("Accounts", request.app.state.accounts)


async def _sessions(request: Request) -> Sessions:
    return cast("Sessions", request.app.state.sessions)


async def _address(request: Request) -> str:
    return request.client.host if request.client else ""


First = Annotated[Setup, Depends(_setup)]
Service = Annotated[Accounts, Depends(_accounts)]
Signed = Annotated[Sessions, Depends(_sessions)]
Address = Annotated[str, Depends(_address)]
Myself = Annotated[Actor, Depends(Allowed(Permission.ACCOUNT_SELF))]
MANAGE = Depends(Allowed(Permission.USERS_MANAGE))
FROM_OUR_PAGE = Depends(ensure_same_origin)


@setup.get("")
async def show_setup(first: First) -> SetupView:
    """Whether the first run is still to come."""
    return SetupView(is_needed=await first.is_needed())


@setup.post("", status_code=status.HTTP_201_CREATED, dependencies=[FROM_OUR_PAGE])
async def set_up(
    new: FirstUser, request: Request, response: Response, first: First, accounts: Service, address: Address
) -> UserView:
    """Makes the owner of a panel that has no users yet, and signs them in as `POST /api/auth/sessions` does."""
    user = await first.make_owner(new, address)
    await _begin_session(user, request, response, accounts, address)
    return UserView.model_validate(user)


@auth.post("/login", dependencies=[Depends(public)])
async def sign_in(credentials: Credentials, accounts: Service, address: Address) -> AccessToken:
    """For scripts and the command line: an access token, to be sent as `Authorization: Bearer …`. It lasts for 12 hours."""
    token, lifetime = await accounts.sign_in(credentials, address)
    return AccessToken(access_token=token, expires_in=int(lifetime.total_seconds()))


@auth.post("/sessions", status_code=status.HTTP_201_CREATED, dependencies=[Depends(public), FROM_OUR_PAGE])
async def begin_session(
    credentials: Credentials, request: Request, response: Response, accounts: Service, address: Address
) -> UserView:
    """For pages: sets a cookie that no script can read. The session ends 30 days after it was seen last, and 90 days after it began. What comes
    with the cookie and may change something is refused (`CROSS_ORIGIN`) unless the browser says that it comes from the panel's own page.
    """
    user = await accounts.check(credentials, address)
    await _begin_session(user, request, response, accounts, address)
    return UserView.model_validate(user)


async def _begin_session(user: User, request: Request, response: Response, accounts: Accounts, address: str) -> None:
    secret = await accounts.begin_session(user, address, request.headers.get("user-agent", ""))
    set_cookie(response, request, secret, int(LONGEST.total_seconds()))


@auth.get("/sessions")
async def list_sessions(sessions: Signed, actor: Myself) -> SessionList:
    """One's own, the newest first; 50 at most."""
    found = await sessions.of_user(actor.id)
    return SessionList(items=[SessionView.of(session, actor.session_id) for session in found])


@auth.delete("/sessions", status_code=status.HTTP_204_NO_CONTENT)
async def end_other_sessions(sessions: Signed, actor: Myself) -> None:
    """All of one's own but the one by which this is asked. Access tokens go on: change the password to end them."""
    await sessions.end_others(actor.id, actor.session_id)


@auth.delete("/sessions/{session_id}", status_code=status.HTTP_204_NO_CONTENT)
async def end_session(session_id: str, request: Request, response: Response, sessions: Signed, actor: Myself) -> None:
    """One of one's own; `current` is the one by which this is asked: so one signs out."""
    current = actor.session_id
    if session_id == CURRENT:
        if current is None:
            raise NotFound("This was asked with an access token, which is no session.")
        session_id = current
    await sessions.end(actor.id, session_id)
    if session_id == current:
        clear_cookie(response, request)


@auth.get("/me")
async def me(actor: Myself, session: Reading) -> UserView:
    return UserView.model_validate(await service.get(session, actor.id))


@auth.patch("/me")
async def change_own_password(change: PasswordChange, accounts: Service, actor: Myself, address: Address) -> UserView:
    """Ends all that was signed in with the old password, access tokens as well; the session by which this is asked goes on."""
    user = await accounts.change_own_password(actor, change, address)
    return UserView.model_validate(user)


@users.get("", dependencies=[MANAGE])
async def list_users(session: Reading, limit: Limit = 50, cursor: str | None = None) -> Page[UserView]:
    rows, next_cursor = cut(await service.list_page(session, limit, cursor), limit, lambda user: (user.username,))
    return Page(items=[UserView.model_validate(user) for user in rows], next_cursor=next_cursor)


@users.post("", status_code=status.HTTP_201_CREATED, dependencies=[MANAGE])
async def create_user(new: NewUser, accounts: Service) -> UserView:
    return UserView.model_validate(await accounts.create(new))


@users.get("/{user_id}", dependencies=[MANAGE])
async def get_user(user_id: str, session: Reading) -> UserView:
    return UserView.model_validate(await service.get(session, user_id))


@users.patch("/{user_id}", dependencies=[MANAGE])
async def change_user(user_id: str, change: UserChange, accounts: Service) -> UserView:
    """A new password ends all that was signed in with the old one."""
    return UserView.model_validate(await accounts.change(user_id, change))


@users.delete("/{user_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGE])
async def delete_user(user_id: str, accounts: Service) -> None:
    await accounts.delete(user_id)
