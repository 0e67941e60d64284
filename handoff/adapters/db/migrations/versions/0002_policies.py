"""Policies are stored, one may run in the shadow, and the bot asks what was meant.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IN_USE = sa.text("status <> 'retired'")


def upgrade() -> None:
    """Create the tables of policies; conversations so far have been asked nothing."""
    op.add_column(
        "conversations",
        sa.Column("questions", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("asking", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_policies")),
        sa.UniqueConstraint("id", name=op.f("uq_policies_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_policies_created_at"), "policies", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_policies_status"),
        "policies",
        ["status"],
        unique=True,
        sqlite_where=IN_USE,
        postgresql_where=IN_USE,
    )
    op.create_table(
        "shadow_verdicts",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("policy_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_shadow_verdicts_conversation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_shadow_verdicts_decision_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_shadow_verdicts_message_id")
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name=op.f("fk_shadow_verdicts_policy_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_shadow_verdicts")),
        sa.UniqueConstraint("id", name=op.f("uq_shadow_verdicts_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_shadow_verdicts_policy_id_agrees_created_at"),
        "shadow_verdicts",
        ["policy_id", "agrees", "created_at"],
        unique=False,
    )


def downgrade() -> None:
    """Drop what `upgrade` made."""
    op.drop_index(
        op.f("ix_shadow_verdicts_policy_id_agrees_created_at"), table_name="shadow_verdicts"
    )
    op.drop_table("shadow_verdicts")
    op.drop_index(op.f("ix_policies_status"), table_name="policies")
    op.drop_index(op.f("ix_policies_created_at"), table_name="policies")
    op.drop_table("policies")
    op.drop_column("conversations", "asking")
    op.drop_column("conversations", "questions")
