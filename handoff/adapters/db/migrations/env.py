"""Alembic's entry point.

`handoff.adapters.db.migrate` hands over its connection. Run by hand (`alembic -x url=...`), it
opens the database itself through the async engine.
"""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.tables import metadata


def migrate(connection: Connection) -> None:
    """Run the migrations on an open connection."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_by_hand(url: str) -> None:
    """Open the database and run the migrations."""
    engine = make_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_by_hand(context.get_x_argument(as_dictionary=True)["url"]))
