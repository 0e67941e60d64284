"""Opening a database: what is accepted, how SQLite is set up, and that no password leaks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from handoff.adapters import StoreBusy
from handoff.adapters.db import engine as engine_module
from handoff.adapters.db import store as store_module
from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.core.errors import BadSetting
from tests.contracts import samples

SECRET = "hunter2-sesame"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "desk.db",
        "sqlite://",
        "sqlite:///:memory:",
        f"mysql://desk:{SECRET}@localhost/desk",
        f"postgresql+asyncpg://desk:{SECRET}@localhost/desk",
        f"postgres://desk:{SECRET}@localhost/desk",
        f"postgresql://desk:x:{SECRET}/y@localhost:port/desk",
        f"postgresql://desk:{SECRET}@localhost:{SECRET}/desk",
    ],
)
def test_anything_else_is_a_bad_setting_without_the_password(url: str) -> None:
    with pytest.raises(BadSetting) as caught:
        make_engine(url)
    assert "DATABASE_URL" in str(caught.value)
    assert SECRET not in everything_said_by(caught.value)


def everything_said_by(error: BaseException | None) -> str:
    said = ""
    while error is not None:
        said += f"{error!r} {error} "
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


async def test_an_unreachable_database_is_a_bad_setting_without_the_password() -> None:
    with pytest.raises(BadSetting) as caught:
        await upgrade(f"postgresql://desk:{SECRET}@127.0.0.1:1/desk?connect_timeout=2")
    assert "127.0.0.1:1/desk" in str(caught.value)
    assert SECRET not in everything_said_by(caught.value)


async def test_a_file_that_is_no_database_is_a_bad_setting(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is not a database, it is a note that is long enough to be read" * 20)
    with pytest.raises(BadSetting, match=r"notes\.txt"):
        await upgrade(f"sqlite:///{path}")


def test_a_folder_is_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="is a folder"):
        make_engine(f"sqlite:///{tmp_path}")


def test_a_folder_that_cannot_be_made_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="cannot be made"):
        make_engine(f"sqlite:///{tmp_path}/file/below/desk.db")


async def test_sqlite_is_set_up_for_several_processes(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/new/folder/desk.db")
    async with engine.connect() as connection:
        settings = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
    await engine.dispose()
    assert settings == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "synchronous": 1,
    }


async def test_errors_do_not_quote_what_customers_wrote(database_url: str) -> None:
    engine = make_engine(database_url)
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("SELECT :said FROM nowhere"), {"said": SECRET})
    await engine.dispose()
    assert SECRET not in str(caught.value)


async def test_many_first_connections_at_once_are_not_refused(tmp_path: Path) -> None:
    """Switching a new file to WAL needs its lock."""

    async def open_and_read() -> object:
        engine = make_engine(f"sqlite:///{tmp_path}/desk.db")
        async with engine.connect() as connection:
            mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar()
        await engine.dispose()
        return mode

    assert set(await asyncio.gather(*(open_and_read() for _ in range(8)))) == {"wal"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 1)
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("same_process", [True, False])
async def test_a_writer_that_waits_too_long_is_told(database_url: str, same_process: bool) -> None:
    first = make_engine(database_url)
    second = first if same_process else make_engine(database_url)
    store = DatabaseStore(first)
    other = store if same_process else DatabaseStore(second)
    async with store() as holder:
        await holder.conversations.add(samples.conversation("c1", customer_key="same"))
        with pytest.raises(StoreBusy, match="1 seconds"):
            async with other() as work:
                await work.conversations.add(samples.conversation("c2", customer_key="same"))
        await holder.commit()
    async with other() as work:
        await work.conversations.add(samples.conversation("c3"))
        await work.commit()
    await first.dispose()
    await second.dispose()
