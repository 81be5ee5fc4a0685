"""The database's shape, brought to what this program needs before the panel starts."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.panel.config import Config
from ctrl_alt_play.panel.db import make_engine


def alembic_config(connection: Connection) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def migrate(config: Config) -> None:
    """Brings the database up to date, in one transaction.

    Raises:
        StartupError: it cannot be reached or written, or belongs to a newer program.
    """
    if not config.database_url:
        config.make_database_file()
    try:
        engine = make_engine(config.database, writes=True)
    except (SQLAlchemyError, ImportError) as error:
        raise StartupError(f"DATABASE_URL is not an address that the panel can use: {error}.") from error
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    except (DBAPIError, OSError) as error:
        raise StartupError(_sentence(engine.url.render_as_string(hide_password=True), error)) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = set(MigrationContext.configure(connection).get_current_heads())
    if current - known:
        newer = ", ".join(sorted(current - known))
        raise StartupError(
            f"The database was made by a newer Ctrl-Alt-Play (revision {newer}): start that version, or restore a backup."
        )
    command.upgrade(config, "head")


def _sentence(url: str, error: Exception) -> str:
    reason: Any = getattr(error, "orig", None) or error
    text = str(reason).strip().rstrip(".") or type(reason).__name__
    if "database is locked" in text:
        return f"The database {url} is locked by another program: is another panel running on it?"
    if "readonly" in text or "unable to open" in text:
        return f"The database {url} cannot be opened or written ({text}): check who owns the file and its folder."
    return f"The database {url} cannot be used: {text}."
