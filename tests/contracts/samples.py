"""Small entities for the contract tests: everything has a default that a test may replace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from handoff.core.model import (
    Action,
    Author,
    Candidate,
    CandidateKind,
    Conversation,
    Decision,
    Handoff,
    InboundUpdate,
    LearningRun,
    Message,
    OutboxItem,
    OutboxKind,
    PolicyStatus,
    Release,
    ReleaseStatus,
    ShadowVerdict,
    StoredPolicy,
    Topic,
)

START = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return the moment so many seconds after the start of the test's time."""
    return START + timedelta(seconds=seconds)


def conversation(id: str = "c1", **fields: Any) -> Conversation:
    defaults: dict[str, Any] = {
        "channel": "web",
        "customer_key": f"key-{id}",
        "customer_name": "Ada",
        "created_at": START,
        "updated_at": START,
    }
    return Conversation(id=id, **(defaults | fields))


def message(id: str = "m1", conversation_id: str = "c1", **fields: Any) -> Message:
    defaults: dict[str, Any] = {
        "episode": 1,
        "seq": 1,
        "author": Author.CUSTOMER,
        "text": "where is my order",
        "created_at": START,
    }
    return Message(id=id, conversation_id=conversation_id, **(defaults | fields))


def decision(id: str = "d1", message_id: str = "m1", **fields: Any) -> Decision:
    defaults: dict[str, Any] = {
        "conversation_id": "c1",
        "action": Action.ANSWER,
        "findings": (),
        "evidence": {},
        "policy_version": "1",
        "model": "model-1",
        "created_at": START,
    }
    return Decision(id=id, message_id=message_id, **(defaults | fields))


def handoff(id: str = "h1", conversation_id: str = "c1", **fields: Any) -> Handoff:
    defaults: dict[str, Any] = {
        "episode": 1,
        "decision_id": "d1",
        "findings": (),
        "requested_at": START,
    }
    return Handoff(id=id, conversation_id=conversation_id, **(defaults | fields))


def item(id: str = "o1", **fields: Any) -> OutboxItem:
    defaults: dict[str, Any] = {
        "kind": OutboxKind.NOTICE,
        "payload": {"text": id},
        "dedupe_key": f"key-{id}",
        "created_at": START,
        "not_before": START,
    }
    return OutboxItem(id=id, **(defaults | fields))


def topic(key: str = "conversation:c1", **fields: Any) -> Topic:
    defaults: dict[str, Any] = {"chat_id": -1001234567890, "thread_id": 7}
    return Topic(key=key, **(defaults | fields))


def update(update_id: int = 1, **fields: Any) -> InboundUpdate:
    defaults: dict[str, Any] = {
        "bot_id": 42,
        "payload": {"update_id": update_id},
        "received_at": START,
    }
    return InboundUpdate(update_id=update_id, **(defaults | fields))


def candidate(id: str = "k1", handoff_id: str = "h1", **fields: Any) -> Candidate:
    defaults: dict[str, Any] = {
        "kind": CandidateKind.EXAMPLE,
        "message_ids": ("m1",),
        "texts": ("where is it",),
        "intent": "track_order",
        "answer": "",
        "dedupe_key": f"key-{id}",
        "created_at": START,
    }
    return Candidate(id=id, handoff_id=handoff_id, **(defaults | fields))


def run(id: str = "r1", **fields: Any) -> LearningRun:
    defaults: dict[str, Any] = {"started_at": START, "heartbeat_at": START}
    return LearningRun(id=id, **(defaults | fields))


def release(id: str = "rel1", **fields: Any) -> Release:
    defaults: dict[str, Any] = {
        "created_at": START,
        "model_path": "models/1.tar.gz",
        "learned_path": "learned/1",
        "status": ReleaseStatus.CURRENT,
    }
    return Release(id=id, **(defaults | fields))


def policy(id: str = "p1", **fields: Any) -> StoredPolicy:
    defaults: dict[str, Any] = {
        "body": {"limits": {"risk": 0.25}},
        "status": PolicyStatus.ACTIVE,
        "created_at": START,
        "changed_at": START,
        "made_by": "settings",
    }
    return StoredPolicy(id=id, **(defaults | fields))


def verdict(id: str = "v1", policy_id: str = "p1", **fields: Any) -> ShadowVerdict:
    defaults: dict[str, Any] = {
        "decision_id": "d1",
        "message_id": "m1",
        "conversation_id": "c1",
        "action": Action.HAND_OFF,
        "findings": (),
        "agrees": False,
        "created_at": START,
    }
    return ShadowVerdict(id=id, policy_id=policy_id, **(defaults | fields))
