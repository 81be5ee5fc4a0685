"""Signing in, and administrators' care of accounts."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, status

from ctrl_alt_play.panel.accounts import service
from ctrl_alt_play.panel.accounts.schemas import AccessToken, Credentials, NewUser, UserChange, UserView
from ctrl_alt_play.panel.accounts.service import Accounts
from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed, public

auth = APIRouter(prefix="/api/auth", tags=["auth"])
users = APIRouter(prefix="/api/users", tags=["users"])


async def _accounts(request: Request) -> Accounts:
    return cast("Accounts", request.app.state.accounts)


Service = Annotated[Accounts, Depends(_accounts)]
MANAGE = Depends(Allowed(Permission.USERS_MANAGE))


@auth.post("/login", dependencies=[Depends(public)])
async def sign_in(credentials: Credentials, request: Request, accounts: Service) -> AccessToken:
    address = request.client.host if request.client else ""
    token, lifetime = await accounts.sign_in(credentials, address)
    return AccessToken(access_token=token, expires_in=int(lifetime.total_seconds()))


@auth.get("/me")
async def me(actor: Annotated[Actor, Depends(Allowed(Permission.ACCOUNT_SELF))], session: Reading) -> UserView:
    return UserView.model_validate(await service.get(session, actor.id))


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
    return UserView.model_validate(await accounts.change(user_id, change))


@users.delete("/{user_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGE])
async def delete_user(user_id: str, accounts: Service) -> None:
    await accounts.delete(user_id)
