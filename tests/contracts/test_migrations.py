"""Migrations from an empty database make exactly the tables of the models."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import alembic_config, upgrade
from handoff.adapters.db.tables import metadata


async def look(url: str, read: Any) -> Any:
    engine = make_engine(url)
    async with engine.connect() as connection:
        seen = await connection.run_sync(read)
    await engine.dispose()
    return seen


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return compare_metadata(context, metadata)


def shape(connection: Connection) -> dict[str, Any]:
    """Return all columns, constraints and indexes as the database tells them."""
    found = inspect(connection)
    return {
        table: {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)
            },
            "primary key": found.get_pk_constraint(table),
            "unique": sorted(map(str, found.get_unique_constraints(table))),
            "foreign keys": sorted(map(str, found.get_foreign_keys(table))),
            "indexes": sorted(map(str, found.get_indexes(table))),
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


async def test_migrations_from_empty_equal_the_models(empty_url: str) -> None:
    await upgrade(empty_url)
    assert await look(empty_url, differences) == []


async def test_migrated_tables_have_the_shape_the_models_would_make(empty_url: str) -> None:
    """Autogenerate compares a part only; this compares all that the database tells."""
    await upgrade(empty_url)
    migrated = await look(empty_url, shape)
    assert set(migrated) == set(metadata.tables)
    engine = make_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    assert await look(empty_url, shape) == migrated


async def test_the_comparison_can_fail(empty_url: str) -> None:
    await upgrade(empty_url)
    engine = make_engine(empty_url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP INDEX ix_handoffs_requested_at")
        await connection.exec_driver_sql("ALTER TABLE handoffs DROP COLUMN truth_intent")
    await engine.dispose()
    found = await look(empty_url, differences)
    assert {difference[0] for difference in found} == {"add_index", "add_column"}


async def test_upgrading_twice_is_harmless(empty_url: str) -> None:
    await upgrade(empty_url)
    before = await look(empty_url, shape)
    await upgrade(empty_url)
    assert await look(empty_url, shape) == before
    assert await look(empty_url, differences) == []


async def test_upgrading_at_the_same_time_is_harmless(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(3)))
    assert await look(empty_url, differences) == []


async def test_a_failed_upgrade_leaves_nothing(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = command.upgrade

    def run_and_fail(*args: Any) -> None:
        run(*args)
        raise ZeroDivisionError

    monkeypatch.setattr(command, "upgrade", run_and_fail)
    with pytest.raises(ZeroDivisionError):
        await upgrade(empty_url)
    assert await look(empty_url, shape) == {}


def test_migrations_run_by_hand_too(empty_url: str) -> None:
    """As `alembic -x url=...` does: env.py opens the database itself, and can go back."""
    config = alembic_config()
    config.cmd_opts = Namespace(x=[f"url={empty_url}"])
    command.upgrade(config, "head")
    assert asyncio.run(look(empty_url, differences)) == []
    command.downgrade(config, "base")
    assert asyncio.run(look(empty_url, shape)) == {}


def test_history_is_one_line() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
