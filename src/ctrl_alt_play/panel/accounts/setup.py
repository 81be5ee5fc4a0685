"""The first run: whoever has the panel's code makes the account that owns it, once."""

import secrets

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.accounts.schemas import FirstUser
from ctrl_alt_play.panel.accounts.service import first_user, has_users
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, Forbidden
from ctrl_alt_play.panel.models import User
from ctrl_alt_play.panel.security import Attempts, Passwords, is_same


class Setup:
    """The code is known to whoever sees what the panel prints: nobody else on the network can make a fresh panel theirs."""

    def __init__(self, database: Database, passwords: Passwords, clock: Clock) -> None:
        self.code = secrets.token_urlsafe(16)
        self._database = database
        self._passwords = passwords
        self._clock = clock
        self._attempts = Attempts(clock)
        self._is_done = False
        """For ever, once it is: there is always an administrator where there are users."""

    async def is_needed(self) -> bool:
        if not self._is_done:
            async with self._database.reading() as session:
                self._is_done = await has_users(session)
        return not self._is_done

    async def make_owner(self, new: FirstUser, address: str) -> User:
        """Of two at once one is made.

        Raises:
            Conflict: there are users.
            Forbidden: the code is wrong.
            TooManyAttempts: from this address.
        """
        if not await self.is_needed():
            raise Conflict("This panel has an owner already: sign in.", "SETUP_DONE")
        self._attempts.begin(address)
        if not is_same(new.code, self.code):
            raise Forbidden(
                "The code is wrong: open the link that the panel printed when it started last.", "WRONG_CODE"
            )
        self._attempts.succeeded(address)
        password_hash = await self._passwords.hash(new.password)
        async with self._database.writing() as session:
            if await has_users(session):
                raise Conflict("This panel has an owner already: sign in.", "SETUP_DONE")
            user = first_user(new.username, password_hash, self._clock.utc())
            session.add(user)
        return user
