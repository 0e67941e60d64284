"""Migrations from an empty database make exactly the tables of the models."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from datetime import timedelta
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, inspect, text

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import alembic_config, upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.adapters.db.tables import metadata
from handoff.core.handling import handled_seconds
from handoff.core.model import Finding, Reason, State
from tests.contracts import samples
from tests.contracts.samples import START


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

    def index(of: dict[str, Any]) -> str:
        where = {key: str(value) for key, value in of.pop("dialect_options", {}).items()}
        return f"{of} {where}"

    return {
        table: {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"], c["default"] if later(c) else None)
                for c in found.get_columns(table)
            },
            "primary key": found.get_pk_constraint(table),
            "unique": sorted(map(str, found.get_unique_constraints(table))),
            "foreign keys": sorted(map(str, found.get_foreign_keys(table))),
            "indexes": sorted(index(dict(i)) for i in found.get_indexes(table)),
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def later(column: Any) -> bool:
    """Say whether a column came after rows did; counters of rows have defaults of their own."""
    return column["name"] != "number"


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


async def test_rows_of_the_first_schema_survive(empty_url: str) -> None:
    """A desk that has run before: everything stays, and old lines read as what they were."""
    await go_to(empty_url, "0001")
    engine = make_engine(empty_url)
    async with engine.begin() as connection:
        tables = await connection.run_sync(lambda c: first_schema(c))
        for name, row in OLD_ROWS:
            await connection.execute(tables[name].insert().values(**row))
    await upgrade(empty_url)
    async with DatabaseStore(engine)() as work:
        conversation = await work.conversations.get("c1")
        assert conversation == samples.conversation(state=State.WAITING)
        assert (conversation.questions, conversation.asking) == (0, False)
        (decision,) = await work.decisions.of_message("m1")
        assert decision.findings == (Finding(Reason.ANGRY, 0.9, 0.75),)
        assert decision.findings[0].is_rule and decision.policy_version == "2"
        assert (await work.handoffs.get("h1")).findings == decision.findings
        assert await work.policies.in_use() == (None, None)
        assert await work.places_taken() == 1
        conversation.questions, conversation.asking = 1, True
        await work.conversations.save(conversation)
        await work.policies.add(samples.policy())
        await work.shadows.add(samples.verdict())
        await work.commit()
    await go_to(empty_url, "0001", command.downgrade)
    async with engine.connect() as connection:
        left = await connection.execute(text("SELECT id FROM decisions"))
        assert [row.id for row in left] == ["d1"]
    await engine.dispose()


HANDLED = [
    # name, lines told (text, second), claimed, ended, handled, held since
    ("once", [("Ana has joined. You are now talking to a person.", 10),
              ("Ana has closed this conversation. Write again any time.", 310)],
     10, 310, 300, None),
    ("reopened", [("Ana has joined. You are now talking to a person.", 10),
                  ("Ana has closed this conversation. Write again any time.", 310),
                  ("Ana is back in this conversation.", 173_100),
                  ("Ana has closed this conversation. Write again any time.", 173_160)],
     10, 173_160, 360, None),
    ("released", [("Ana has joined. You are now talking to a person.", 10),
                  ("Ana had to leave. Another colleague will be with you soon.", 20),
                  ("Bo has joined. You are now talking to a person.", 500),
                  ("Bo has handed you back to the assistant. Just ask, or ask for a person again.",
                   530)], 10, 530, 40, None),
    ("under way", [("Ana has joined. You are now talking to a person.", 10),
                   ("Ana had to leave. Another colleague will be with you soon.", 20),
                   ("Bo has joined. You are now talking to a person.", 500)], 10, None, 10, 500),
    ("let go", [("Ana has joined. You are now talking to a person.", 10),
                ("Ana had to leave. Another colleague will be with you soon.", 20)],
     10, None, 10, None),
    ("in other words", [("Ana ist da.", 10)], 10, 310, 300, None),
    ("back in time", [("Ana has joined. You are now talking to a person.", 50),
                      ("Ana has closed this conversation. Write again any time.", 40)],
     50, 40, 0, None),
]  # fmt: skip


async def test_spans_of_before_follow_from_what_customers_were_told(empty_url: str) -> None:
    """The days a conversation was closed counted as handling: 300 s were 173 160 s."""
    await go_to(empty_url, "0003")
    engine = make_engine(empty_url)
    rows = dict(OLD_ROWS)

    def at(second: int | None) -> Any:
        return None if second is None else START + timedelta(seconds=second)

    async with engine.begin() as connection:
        tables = await connection.run_sync(lambda c: first_schema(c))

        async def put(table: str, **changes: Any) -> None:
            values = {"questions": 0, "asking": False} if table == "conversations" else {}
            await connection.execute(
                tables[table].insert().values(**rows[table] | values | changes)
            )

        for name, lines, claimed, ended, _, _ in HANDLED:
            await put("conversations", id=name, customer_key=name)
            await put("messages", id=f"m-{name}", conversation_id=name)
            await put("decisions", id=f"d-{name}", message_id=f"m-{name}", conversation_id=name)
            for seq, (text_told, second) in enumerate(lines, 2):
                await put(
                    "messages", id=f"{name}-{seq}", conversation_id=name, seq=seq,
                    author="system", text=text_told, created_at=at(second),
                )  # fmt: skip
            await put(
                "handoffs", id=name, conversation_id=name, decision_id=f"d-{name}",
                claimed_at=at(claimed), ended_at=at(ended),
                claimed_by=None if name == "let go" else 1001,
            )  # fmt: skip
    await upgrade(empty_url)
    async with DatabaseStore(engine)() as work:
        for name, _, claimed, ended, handled, since in HANDLED:
            found = await work.handoffs.get(name)
            assert (found.claimed_at, found.ended_at) == (at(claimed), at(ended)), name
            assert handled_seconds(found) == handled, name
            assert found.held_since == at(since), name
    await engine.dispose()


async def go_to(url: str, revision: str, move: Any = command.upgrade) -> None:
    """Bring a database to a revision, up or down."""

    def run() -> None:
        config = alembic_config()
        config.cmd_opts = Namespace(x=[f"url={url}"])
        move(config, revision)

    await asyncio.to_thread(run)


def first_schema(connection: Connection) -> dict[str, Table]:
    """Return the tables as they stand in the database, which know nothing of today's models."""
    found = MetaData()
    found.reflect(connection)
    return dict(found.tables)


OLD_FINDING = {"reason": "angry", "value": 0.9, "limit": 0.75, "detail": ""}
OLD_ROWS: list[tuple[str, dict[str, Any]]] = [
    (
        "conversations",
        {
            "id": "c1", "channel": "web", "customer_key": "key-c1", "customer_name": "Ada",
            "created_at": START, "updated_at": START, "state": "waiting", "episode": 1,
            "version": 0, "last_seq": 0, "delivered_seq": 0, "assignee_name": "",
        },
    ),
    (
        "messages",
        {
            "id": "m1", "conversation_id": "c1", "episode": 1, "seq": 1, "author": "customer",
            "text": "where is my order", "created_at": START, "author_name": "Ada",
            "status": "done", "buttons": [],
        },
    ),
    (
        "decisions",
        {
            "id": "d1", "message_id": "m1", "conversation_id": "c1", "action": "hand_off",
            "findings": [OLD_FINDING], "evidence": {"signals": {}, "limits": {}},
            "policy_version": "2", "model": "model-1", "created_at": START,
        },
    ),
    (
        "handoffs",
        {
            "id": "h1", "conversation_id": "c1", "episode": 1, "decision_id": "d1",
            "findings": [OLD_FINDING], "requested_at": START, "claimed_by_name": "",
            "outcome": "", "mined": False,
        },
    ),
]  # fmt: skip


def test_history_is_one_line() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
