"""Bringing a database to the newest schema, from wherever the package is installed."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from handoff.adapters.db.engine import make_engine
from handoff.core.errors import BadSetting

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 7_263_810_559_121
"""Any number that no other user of PostgreSQL's advisory locks takes."""


async def upgrade(url: str) -> None:
    """Create or upgrade the database `url` names; harmless when it is up to date already.

    Everything happens in one transaction, and processes that upgrade at the same time wait for each
    other. Raises `BadSetting` when the address is wrong or the database cannot be reached.
    """
    engine = make_engine(url)
    try:
        await _upgrade(engine)
    finally:
        await engine.dispose()


async def _upgrade(engine: AsyncEngine) -> None:
    try:
        connection = await engine.connect()
    except DBAPIError as error:
        # Not chained and shortened: drivers quote the address they were given.
        raise BadSetting(name="DATABASE_URL", why=_unreachable(engine, error)) from None
    try:
        async with connection.begin():
            await connection.run_sync(_run)
    finally:
        await connection.close()


def _unreachable(engine: AsyncEngine, error: DBAPIError) -> str:
    url = engine.url
    if engine.dialect.name == "sqlite":
        return f"the file {url.database} cannot be opened as a SQLite database ({error.orig})"
    # Without its options: a password may stand among them.
    return f"no connection to {url.set(query={}).render_as_string(hide_password=True)}"


def _run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Return Alembic's configuration, without any file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
