"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "conversations",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("customer_key", sa.String(), nullable=False),
        sa.Column("customer_name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("delivered_seq", sa.BigInteger(), nullable=False),
        sa.Column("assignee", sa.BigInteger(), nullable=True),
        sa.Column("assignee_name", sa.String(), nullable=False),
        sa.Column("awaiting_slot", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_conversations")),
        sa.UniqueConstraint(
            "channel", "customer_key", name=op.f("uq_conversations_channel_customer_key")
        ),
        sa.UniqueConstraint("id", name=op.f("uq_conversations_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_conversations_state_updated_at"),
        "conversations",
        ["state", "updated_at"],
        unique=False,
    )
    op.create_table(
        "learning_runs",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("mined", sa.BigInteger(), nullable=False),
        sa.Column("pending_review", sa.BigInteger(), nullable=False),
        sa.Column("learned", sa.BigInteger(), nullable=False),
        sa.Column("figures_before", sa.JSON(), nullable=False),
        sa.Column("figures_after", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_learning_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_learning_runs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_learning_runs_started_at"), "learning_runs", ["started_at"], unique=False
    )
    op.create_table(
        "outbox",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("dedupe_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("sent_message_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_outbox_status_priority_number"),
        "outbox",
        ["status", "priority", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_outbox_topic_status_priority_number"),
        "outbox",
        ["topic", "status", "priority", "number"],
        unique=False,
    )
    op.create_table(
        "releases",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_path", sa.String(), nullable=False),
        sa.Column("learned_path", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("previous_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_releases")),
        sa.UniqueConstraint("id", name=op.f("uq_releases_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_releases_status_created_at"), "releases", ["status", "created_at"], unique=False
    )
    op.create_table(
        "topics",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_topics")),
        sa.UniqueConstraint("chat_id", "thread_id", name=op.f("uq_topics_chat_id_thread_id")),
    )
    op.create_table(
        "updates",
        sa.Column("bot_id", sa.BigInteger(), nullable=False),
        sa.Column("update_id", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("bot_id", "update_id", name=op.f("pk_updates")),
    )
    op.create_index(
        op.f("ix_updates_status_update_id"), "updates", ["status", "update_id"], unique=False
    )
    op.create_table(
        "handoffs",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("claimed_by_name", sa.String(), nullable=False),
        sa.Column("first_response_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("truth", sa.String(), nullable=True),
        sa.Column("truth_intent", sa.String(), nullable=True),
        sa.Column("needed", sa.Boolean(), nullable=True),
        sa.Column("card_message_id", sa.BigInteger(), nullable=True),
        sa.Column("mined", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_handoffs_conversation_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_handoffs")),
        sa.UniqueConstraint("id", name=op.f("uq_handoffs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_handoffs_conversation_id_requested_at"),
        "handoffs",
        ["conversation_id", "requested_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_handoffs_ended_at_requested_at"),
        "handoffs",
        ["ended_at", "requested_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_handoffs_mined_requested_at"), "handoffs", ["mined", "requested_at"], unique=False
    )
    op.create_index(op.f("ix_handoffs_requested_at"), "handoffs", ["requested_at"], unique=False)
    op.create_table(
        "messages",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.Column("author_name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("buttons", sa.JSON(), nullable=False),
        sa.Column("image", sa.String(), nullable=True),
        sa.Column("parse", sa.JSON(), nullable=True),
        sa.Column("feelings", sa.JSON(), nullable=True),
        sa.Column("console_message_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_messages_conversation_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_messages")),
        sa.UniqueConstraint(
            "conversation_id", "client_id", name=op.f("uq_messages_conversation_id_client_id")
        ),
        sa.UniqueConstraint("conversation_id", "seq", name=op.f("uq_messages_conversation_id_seq")),
        sa.UniqueConstraint("id", name=op.f("uq_messages_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_messages_author_created_at"), "messages", ["author", "created_at"], unique=False
    )
    op.create_index(
        op.f("ix_messages_conversation_id_console_message_id"),
        "messages",
        ["conversation_id", "console_message_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_messages_conversation_id_episode_seq"),
        "messages",
        ["conversation_id", "episode", "seq"],
        unique=False,
    )
    op.create_index(
        op.f("ix_messages_status_created_at"), "messages", ["status", "created_at"], unique=False
    )
    op.create_table(
        "candidates",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("handoff_id", sa.String(), nullable=False),
        sa.Column("message_ids", sa.JSON(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("intent", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("dedupe_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("proposed_intent", sa.String(), nullable=False),
        sa.Column("reviewer", sa.BigInteger(), nullable=True),
        sa.Column("reviewer_name", sa.String(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_id", sa.String(), nullable=True),
        sa.Column("review_message_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["handoff_id"], ["handoffs.id"], name=op.f("fk_candidates_handoff_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_candidates")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_candidates_dedupe_key")),
        sa.UniqueConstraint("id", name=op.f("uq_candidates_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_candidates_handoff_id"), "candidates", ["handoff_id"], unique=False)
    op.create_index(
        op.f("ix_candidates_status_created_at"),
        "candidates",
        ["status", "created_at"],
        unique=False,
    )
    op.create_table(
        "decisions",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_decisions_conversation_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_decisions_message_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_decisions")),
        sa.UniqueConstraint("id", name=op.f("uq_decisions_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_decisions_conversation_id"), "decisions", ["conversation_id"], unique=False
    )
    op.create_index(
        op.f("ix_decisions_message_id_created_at"),
        "decisions",
        ["message_id", "created_at"],
        unique=False,
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_index(op.f("ix_decisions_message_id_created_at"), table_name="decisions")
    op.drop_index(op.f("ix_decisions_conversation_id"), table_name="decisions")
    op.drop_table("decisions")
    op.drop_index(op.f("ix_candidates_status_created_at"), table_name="candidates")
    op.drop_index(op.f("ix_candidates_handoff_id"), table_name="candidates")
    op.drop_table("candidates")
    op.drop_index(op.f("ix_messages_status_created_at"), table_name="messages")
    op.drop_index(op.f("ix_messages_conversation_id_episode_seq"), table_name="messages")
    op.drop_index(op.f("ix_messages_conversation_id_console_message_id"), table_name="messages")
    op.drop_index(op.f("ix_messages_author_created_at"), table_name="messages")
    op.drop_table("messages")
    op.drop_index(op.f("ix_handoffs_requested_at"), table_name="handoffs")
    op.drop_index(op.f("ix_handoffs_mined_requested_at"), table_name="handoffs")
    op.drop_index(op.f("ix_handoffs_ended_at_requested_at"), table_name="handoffs")
    op.drop_index(op.f("ix_handoffs_conversation_id_requested_at"), table_name="handoffs")
    op.drop_table("handoffs")
    op.drop_index(op.f("ix_updates_status_update_id"), table_name="updates")
    op.drop_table("updates")
    op.drop_table("topics")
    op.drop_index(op.f("ix_releases_status_created_at"), table_name="releases")
    op.drop_table("releases")
    op.drop_index(op.f("ix_outbox_topic_status_priority_number"), table_name="outbox")
    op.drop_index(op.f("ix_outbox_status_priority_number"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_learning_runs_started_at"), table_name="learning_runs")
    op.drop_table("learning_runs")
    op.drop_index(op.f("ix_conversations_state_updated_at"), table_name="conversations")
    op.drop_table("conversations")
