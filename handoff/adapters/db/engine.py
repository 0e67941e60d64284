"""Opening the database that `DATABASE_URL` names."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from handoff.adapters.db.mapping import to_json
from handoff.core.errors import BadSetting

BUSY_SECONDS = 10
"""How long a writer waits for another one, in seconds."""

WAL_TRIES = 100
"""How often switching a new file to the write-ahead log is tried."""

WAL_PAUSE_SECONDS = 0.01
"""Pause between two such tries, in seconds."""

LAZY = "begin_when_writing"
"""Execution option of a SQLite connection whose user says `BEGIN IMMEDIATE` itself."""

_FORMS = "use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"


def make_engine(url: str) -> AsyncEngine:
    """Return an engine for `sqlite:///path` or `postgresql://...`; nothing is connected yet.

    The folder of a SQLite file is created. Raises `BadSetting`, which never holds the URL itself:
    there may be a password in it.
    """
    parsed = _parse(url)
    if parsed.drivername == "sqlite":
        return _sqlite(parsed)
    if parsed.drivername == "postgresql":
        return _postgresql(parsed)
    raise _bad(f"{parsed.get_backend_name()} databases are not supported: {_FORMS}")


def _bad(why: str) -> BadSetting:
    return BadSetting(name="DATABASE_URL", why=why)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # Not chained: the original message can quote a part of the URL, password included.
        raise _bad(f"it cannot be read as a database address: {_FORMS}") from None


def _postgresql(url: URL) -> AsyncEngine:
    options = {} if "options" in url.query else {"options": f"-c lock_timeout={BUSY_SECONDS}s"}
    return _create(url.set(drivername="postgresql+psycopg"), connect_args=options)


def _sqlite(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise _bad("SQLite needs the path of a file: sqlite:///PATH")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _bad(f"the folder {path.parent} cannot be made: {error.strerror}") from None
    if path.is_dir():
        raise _bad(f"{path} is a folder, not a file")
    engine = _create(url.set(drivername="sqlite+aiosqlite"))
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _create(url: URL, **options: Any) -> AsyncEngine:
    # hide_parameters keeps what customers wrote out of error messages and so out of logs.
    return create_async_engine(
        url,
        json_serializer=to_json,
        hide_parameters=True,
        pool_size=10,
        max_overflow=20,
        pool_pre_ping=url.get_backend_name() == "postgresql",
        **options,
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Switch off the driver's own BEGIN (SQLAlchemy's recipe) and set what SQLite forgets."""
    connection.isolation_level = None
    cursor = connection.cursor()
    # First the timeout: changing the journal mode of a new file needs a lock itself.
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Turn the write-ahead log on, again while others are doing the same to a new file.

    Of two connections that switch at once SQLite refuses one without calling the busy handler:
    waiting could not help it, trying again does. Once switched, the file stays so.
    """
    for _ in range(WAL_TRIES):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(WAL_PAUSE_SECONDS)
    cursor.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that upgrades later may be refused without a wait.

    A connection marked `LAZY` reads without a transaction, each statement the latest committed
    state (as PostgreSQL's READ COMMITTED does), until its user begins to write.
    """
    if not connection.get_execution_options().get(LAZY):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
