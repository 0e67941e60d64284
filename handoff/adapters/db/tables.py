"""The tables. Columns carry the names of the entities' fields; nested values are JSON.

`number` counts rows in the order they were stored and settles every tie between equal times. JSON,
not JSONB: nothing is searched inside it, and JSON takes any text a customer can send.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    text,
)
from sqlmodel import Field, SQLModel, UTCDateTime

from handoff.core import model

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""Constraints have the same names everywhere, so that a later migration can change them."""

_COUNTED = {"sqlite_autoincrement": True}
_JSON = JSON(none_as_null=True)


class Row(SQLModel):
    """Base of all tables."""

    __tablename__: ClassVar[Any]
    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


def _number() -> Any:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Field(default=None, primary_key=True, sa_type=kind)


def _id() -> Any:
    return Field(unique=True)


def _conversation() -> Any:
    return Field(foreign_key="conversations.id")


def _big() -> Any:
    return Field(sa_type=BigInteger, nullable=False)


def _added_later(kind: Any, value: Any) -> Any:
    """Return a column that rows stored before it existed hold a value in."""
    return Field(sa_type=kind, nullable=False, sa_column_kwargs={"server_default": value})


def _maybe_big() -> Any:
    return Field(default=None, sa_type=BigInteger, nullable=True)


def _time() -> Any:
    return Field(sa_type=UTCDateTime, nullable=False)


def _maybe_time() -> Any:
    return Field(default=None, sa_type=UTCDateTime, nullable=True)


def _json() -> Any:
    return Field(sa_type=_JSON, nullable=False)


def _maybe_json() -> Any:
    return Field(default=None, sa_type=_JSON, nullable=True)


class ConversationRow(Row, table=True):
    """A `Conversation`."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("channel", "customer_key"),
        Index(None, "state", "updated_at"),
        _COUNTED,
    )

    number: int = _number()
    id: str = _id()
    channel: str
    customer_key: str
    customer_name: str
    created_at: datetime = _time()
    updated_at: datetime = _time()
    state: str
    episode: int = _big()
    version: int = _big()
    last_seq: int = _big()
    delivered_seq: int = _big()
    assignee: int | None = _maybe_big()
    assignee_name: str
    awaiting_slot: str | None
    questions: int = _added_later(BigInteger, text("0"))
    asking: bool = _added_later(Boolean, false())
    pending: Any = _maybe_json()


class MessageRow(Row, table=True):
    """A `Message`."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        UniqueConstraint("conversation_id", "client_id"),
        Index(None, "conversation_id", "console_message_id"),
        Index(None, "conversation_id", "episode", "seq"),
        Index(None, "status", "created_at"),
        Index(None, "author", "created_at"),
        _COUNTED,
    )

    number: int = _number()
    id: str = _id()
    conversation_id: str = _conversation()
    episode: int = _big()
    seq: int = _big()
    author: str
    text: str
    created_at: datetime = _time()
    client_id: str | None
    author_name: str
    status: str
    buttons: list[Any] = _json()
    image: str | None
    parse: dict[str, Any] | None = _maybe_json()
    feelings: dict[str, Any] | None = _maybe_json()
    console_message_id: int | None = _maybe_big()
    extra: dict[str, Any] | None = _maybe_json()
    context: dict[str, Any] | None = _maybe_json()


class DecisionRow(Row, table=True):
    """A `Decision`."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "message_id", "created_at"), _COUNTED)

    number: int = _number()
    id: str = _id()
    message_id: str = Field(foreign_key="messages.id")
    conversation_id: str = Field(foreign_key="conversations.id", index=True)
    action: str
    findings: list[Any] = _json()
    evidence: dict[str, Any] = _json()
    policy_version: str
    model: str
    created_at: datetime = _time()


class HandoffRow(Row, table=True):
    """A `Handoff`."""

    __tablename__ = "handoffs"
    __table_args__ = (
        Index(None, "conversation_id", "requested_at"),
        Index(None, "ended_at", "requested_at"),
        Index(None, "mined", "requested_at"),
        Index(None, "requested_at"),
        _COUNTED,
    )

    number: int = _number()
    id: str = _id()
    conversation_id: str = _conversation()
    episode: int = _big()
    decision_id: str
    findings: list[Any] = _json()
    requested_at: datetime = _time()
    claimed_at: datetime | None = _maybe_time()
    claimed_by: int | None = _maybe_big()
    claimed_by_name: str
    first_response_at: datetime | None = _maybe_time()
    ended_at: datetime | None = _maybe_time()
    outcome: str
    truth: str | None
    truth_intent: str | None
    needed: bool | None
    card_message_id: int | None = _maybe_big()
    mined: bool
    handled_seconds: float | None = Field(default=None, nullable=True)
    held_since: datetime | None = _maybe_time()


class OutboxRow(Row, table=True):
    """An `OutboxItem`."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(None, "status", "priority", "number"),
        Index(None, "topic", "status", "priority", "number"),
        _COUNTED,
    )

    number: int = _number()
    id: str = _id()
    kind: str
    payload: dict[str, Any] = _json()
    dedupe_key: str = Field(unique=True)
    created_at: datetime = _time()
    not_before: datetime = _time()
    topic: str
    priority: int = _big()
    status: str
    attempts: int = _big()
    error: str
    sent_message_id: int | None = _maybe_big()


class TopicRow(Row, table=True):
    """A `Topic`."""

    __tablename__ = "topics"
    __table_args__ = (UniqueConstraint("chat_id", "thread_id"),)

    key: str = Field(primary_key=True)
    chat_id: int = _big()
    thread_id: int = _big()
    closed: bool


class UpdateRow(Row, table=True):
    """An `InboundUpdate`."""

    __tablename__ = "updates"
    __table_args__ = (Index(None, "status", "update_id"),)

    bot_id: int = Field(primary_key=True, sa_type=BigInteger)
    update_id: int = Field(primary_key=True, sa_type=BigInteger)
    payload: dict[str, Any] = _json()
    received_at: datetime = _time()
    status: str
    attempts: int = _big()
    error: str


class CandidateRow(Row, table=True):
    """A `Candidate`."""

    __tablename__ = "candidates"
    __table_args__ = (Index(None, "status", "created_at"), _COUNTED)

    number: int = _number()
    id: str = _id()
    kind: str
    handoff_id: str = Field(foreign_key="handoffs.id", index=True)
    message_ids: list[Any] = _json()
    texts: list[Any] = _json()
    intent: str
    answer: str
    dedupe_key: str = Field(unique=True)
    created_at: datetime = _time()
    status: str
    proposed_intent: str
    reviewer: int | None = _maybe_big()
    reviewer_name: str
    reviewed_at: datetime | None = _maybe_time()
    release_id: str | None
    review_message_id: int | None = _maybe_big()
    version: int = _big()


class LearningRunRow(Row, table=True):
    """A `LearningRun`."""

    __tablename__ = "learning_runs"
    __table_args__ = (Index(None, "started_at"), _COUNTED)

    number: int = _number()
    id: str = _id()
    started_at: datetime = _time()
    heartbeat_at: datetime = _time()
    step: str
    status: str
    mined: int = _big()
    pending_review: int = _big()
    learned: int = _big()
    figures_before: dict[str, Any] = _json()
    figures_after: dict[str, Any] = _json()
    verdict: str
    finished_at: datetime | None = _maybe_time()


class ReleaseRow(Row, table=True):
    """A `Release`."""

    __tablename__ = "releases"
    __table_args__ = (Index(None, "status", "created_at"), _COUNTED)

    number: int = _number()
    id: str = _id()
    created_at: datetime = _time()
    model_path: str
    learned_path: str
    status: str
    figures: dict[str, Any] = _json()
    previous_id: str | None
    run_id: str | None


_IN_USE = text(f"status <> '{model.PolicyStatus.RETIRED.value}'")


class StoredPolicyRow(Row, table=True):
    """A `StoredPolicy`. The database itself keeps it at one active and one in the shadow."""

    __tablename__ = "policies"
    __table_args__ = (
        Index(None, "status", unique=True, sqlite_where=_IN_USE, postgresql_where=_IN_USE),
        Index(None, "created_at"),
        _COUNTED,
    )

    number: int = _number()
    id: str = _id()
    body: dict[str, Any] = _json()
    status: str
    created_at: datetime = _time()
    changed_at: datetime = _time()
    made_by: str
    changed_by: str
    note: str
    figures: dict[str, Any] = _json()
    version: int = _big()


class ShadowVerdictRow(Row, table=True):
    """A `ShadowVerdict`."""

    __tablename__ = "shadow_verdicts"
    __table_args__ = (Index(None, "policy_id", "agrees", "created_at"), _COUNTED)

    number: int = _number()
    id: str = _id()
    decision_id: str = Field(foreign_key="decisions.id")
    message_id: str = Field(foreign_key="messages.id")
    conversation_id: str = _conversation()
    policy_id: str = Field(foreign_key="policies.id")
    action: str
    findings: list[Any] = _json()
    agrees: bool
    created_at: datetime = _time()


class NightRow(Row, table=True):
    """That the night of a local date (`2026-11-26`) has begun."""

    __tablename__ = "nights"
    __table_args__ = (_COUNTED,)

    number: int = _number()
    local_date: str = Field(unique=True)
    started_at: datetime = _time()


metadata = Row.metadata

ROWS: dict[type, type[Row]] = {
    model.Conversation: ConversationRow,
    model.Message: MessageRow,
    model.Decision: DecisionRow,
    model.Handoff: HandoffRow,
    model.OutboxItem: OutboxRow,
    model.Topic: TopicRow,
    model.InboundUpdate: UpdateRow,
    model.Candidate: CandidateRow,
    model.LearningRun: LearningRunRow,
    model.Release: ReleaseRow,
    model.StoredPolicy: StoredPolicyRow,
    model.ShadowVerdict: ShadowVerdictRow,
}
"""Which table holds which entity."""


def table_of(entity: type) -> Table:
    """Return the table that holds this kind of entity."""
    return metadata.tables[ROWS[entity].__tablename__]
