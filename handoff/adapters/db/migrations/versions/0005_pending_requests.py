"""A conversation remembers the requests of a message that wait for their turn.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no conversation so far has been promised anything."""
    column = sa.Column("pending", sa.JSON(none_as_null=True), nullable=True)
    op.add_column("conversations", column)


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("conversations", "pending")
