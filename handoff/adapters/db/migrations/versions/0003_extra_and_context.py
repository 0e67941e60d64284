"""Lines keep what is neither text, button nor image, and what the customer's page sent along.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns; lines so far carried neither."""
    for name in ("extra", "context"):
        op.add_column("messages", sa.Column(name, sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Drop both columns."""
    for name in ("context", "extra"):
        op.drop_column("messages", name)
