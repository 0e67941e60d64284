"""Fixtures of the console's tests: a simulator, a SQLite file, a desk with a running console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from tests.console.desk import TOKEN, Desk
from tests.simulation.server import start_sandbox


@pytest.fixture
def url() -> Iterator[str]:
    """Base URL of a fresh simulator without sending limits."""
    with start_sandbox(token=TOKEN, conflict_delay=0.1) as address:
        yield address


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with the tables."""
    path = tmp_path_factory.mktemp("console") / "template.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def store(template: Path, tmp_path: Path) -> AsyncIterator[DatabaseStore]:
    """Return a store on a SQLite file of its own."""
    path = tmp_path / "desk.db"
    path.write_bytes(template.read_bytes())
    engine = make_engine(f"sqlite:///{path}")
    yield DatabaseStore(engine)
    await engine.dispose()


@pytest.fixture
async def idle(store: DatabaseStore, url: str) -> AsyncIterator[Desk]:
    """Return a desk whose console has not been started."""
    desk = Desk(store, url)
    yield desk
    await desk.close()


@pytest.fixture
async def desk(idle: Desk) -> Desk:
    """Return a desk with a running console."""
    await idle.start()
    return idle
