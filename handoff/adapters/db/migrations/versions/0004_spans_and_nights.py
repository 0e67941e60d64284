"""How long people had a conversation is stored in spans, and each night by its local date.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import re
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TAKEN = re.compile(r".+ has joined\. You are now talking to a person\.|.+ is back in this .+")
LEFT = re.compile(r".+ had to leave\. .+|.+ has handed you back to .+|.+ has closed this .+")
"""What the desk told customers when somebody took a conversation, and when nobody had it again."""

TIME = sa.DateTime(timezone=True)
HANDOFFS = sa.table(
    "handoffs",
    sa.column("id", sa.String()),
    sa.column("conversation_id", sa.String()),
    sa.column("episode", sa.BigInteger()),
    sa.column("requested_at", TIME),
    sa.column("claimed_at", TIME),
    sa.column("claimed_by", sa.BigInteger()),
    sa.column("ended_at", TIME),
    sa.column("handled_seconds", sa.Float()),
    sa.column("held_since", TIME),
)
LINES = sa.table(
    "messages",
    sa.column("conversation_id", sa.String()),
    sa.column("author", sa.String()),
    sa.column("text", sa.String()),
    sa.column("created_at", TIME),
    sa.column("seq", sa.BigInteger()),
)


def upgrade() -> None:
    """Add columns and table; spans so far follow from what customers were told, where they do."""
    op.add_column("handoffs", sa.Column("handled_seconds", sa.Float(), nullable=True))
    op.add_column("handoffs", sa.Column("held_since", TIME, nullable=True))
    op.create_table(
        "nights",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("local_date", sa.String(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_nights")),
        sa.UniqueConstraint("local_date", name=op.f("uq_nights_local_date")),
        sqlite_autoincrement=True,
    )
    connection = op.get_bind()
    claimed = sa.select(HANDOFFS).where(HANDOFFS.c.claimed_at.is_not(None))
    for row in connection.execute(claimed).all():
        handled, since = _spans(connection, row)
        own = HANDOFFS.c.id == row.id
        values = {"handled_seconds": handled, "held_since": since}
        connection.execute(sa.update(HANDOFFS).where(own).values(**values))


def _spans(connection: sa.Connection, row: sa.Row) -> tuple[float | None, datetime | None]:
    """Return (seconds people had it, since when somebody has it now) of a claimed handoff.

    Without a line about it the time from claim to end stays what is known.
    """
    lines = connection.execute(
        sa.select(LINES.c.text, LINES.c.created_at)
        .where(LINES.c.conversation_id == row.conversation_id)
        .where(LINES.c.author == "system")
        .where(LINES.c.created_at >= row.requested_at)
        .order_by(LINES.c.seq)
    ).all()
    handled, since, told = 0.0, None, False
    for text, moment in lines:
        if row.ended_at is not None and moment > row.ended_at:
            break
        if TAKEN.fullmatch(text):
            since, told = moment, True
        elif LEFT.fullmatch(text) and since is not None:
            handled += max(0.0, (moment - since).total_seconds())
            since = None
    if row.ended_at is not None:
        return (handled if told and since is None else None), None
    return handled, since if told else (row.claimed_at if row.claimed_by is not None else None)


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("nights")
    for name in ("held_since", "handled_seconds"):
        op.drop_column("handoffs", name)
