"""The nouns of the desk.

Entities (`Conversation`, `Message`, `Handoff`, ...) are plain mutable dataclasses: a use case loads
one, changes it through the functions of `core`, and saves it in one unit of work. Values
(`IntentScore`, `Finding`, ...) are frozen. Times are aware datetimes in UTC. Identifiers are opaque
strings made by `new_id`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


def new_id() -> str:
    """Return a fresh identifier: 32 hexadecimal digits, unguessable (UUID version 4)."""
    return uuid.uuid4().hex


class State(StrEnum):
    """Who owns a conversation."""

    BOT = "bot"
    WAITING = "waiting"
    AGENT = "agent"
    CLOSED = "closed"


class Author(StrEnum):
    """Who wrote a line of a conversation. `NOTE` lines never leave the desk."""

    CUSTOMER = "customer"
    BOT = "bot"
    AGENT = "agent"
    SYSTEM = "system"
    NOTE = "note"


CUSTOMER_SEES = frozenset({Author.CUSTOMER, Author.BOT, Author.AGENT, Author.SYSTEM})
"""Authors whose lines are shown to the customer."""


class MessageStatus(StrEnum):
    """How far a message is: only a customer's message is ever `RECEIVED` (decision still owed)."""

    RECEIVED = "received"
    DONE = "done"


class Role(StrEnum):
    """What a person may do in the console. A lead may do everything."""

    AGENT = "agent"
    REVIEWER = "reviewer"
    LEAD = "lead"


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who works at the desk, known by the numeric Telegram user id."""

    id: int
    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Say whether this person holds `role` (a lead holds all)."""
        return role in self.roles or Role.LEAD in self.roles


@dataclass(frozen=True, slots=True)
class IntentScore:
    """One intent and the assistant's confidence in it, 0 to 1."""

    intent: str
    confidence: float


NO_INTENT = IntentScore("", 0.0)
"""Stands for the best intent of a message for which the assistant named none."""


@dataclass(frozen=True, slots=True)
class Parse:
    """What the assistant understood: `ranking` descending, `novelty` 0 (known) to 1 (like nothing),
    and the name of the model that said so."""

    ranking: tuple[IntentScore, ...] = ()
    entities: tuple[dict[str, Any], ...] = ()
    novelty: float | None = None
    model: str = ""

    @property
    def best(self) -> IntentScore:
        """Return the best intent, `NO_INTENT` where none was named."""
        return self.ranking[0] if self.ranking else NO_INTENT


@dataclass(frozen=True, slots=True)
class Feelings:
    """Probabilities, 0 to 1, read from one message: negative, angry, asks to talk to a person.

    `danger` is that it tells of harm to life, health or property, `legal` that it threatens with
    the law, `praise` that it reads as thanks or praise, `irony` that such words mean the contrary;
    None where nobody has read it, as in decisions of before. `precedent` is how likely
    messages like this one needed a person in labelled conversations; None where none were learned
    from.
    """

    negative: float = 0.0
    angry: float = 0.0
    asks_for_person: float = 0.0
    precedent: float | None = None
    danger: float | None = None
    legal: float | None = None
    praise: float | None = None
    irony: float | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A choice the bot offers: what the customer sees, and what is sent to the bot when pressed."""

    title: str
    payload: str


@dataclass(frozen=True, slots=True)
class BotLine:
    """One message of a bot turn.

    `extra` is what the assistant sent besides, under Rasa's own names: `custom` (any JSON, such as
    a carousel for a widget that can show one), `attachment`, `json_message`.
    """

    text: str
    buttons: tuple[Button, ...] = ()
    image: str | None = None
    extra: dict[str, Any] | None = None


class Action(StrEnum):
    """What happens with a customer's message."""

    ANSWER = "answer"
    CLARIFY = "clarify"
    HAND_OFF = "hand_off"


class Reason(StrEnum):
    """Why a conversation goes to a person: rules first, then what adds to the risk."""

    PERSON_REQUESTED = "person_requested"
    SAFETY = "safety"
    LEGAL = "legal"
    SENSITIVE_INTENT = "sensitive_intent"
    ANGRY = "angry"
    NOT_MEANT = "not_meant"
    CUSTOMER_REPEATS = "customer_repeats"
    BOT_REPEATS = "bot_repeats"
    BOT_UNAVAILABLE = "bot_unavailable"
    FOREIGN_LANGUAGE = "foreign_language"
    REJECTED = "rejected"
    WORDLESS = "wordless"
    OUT_OF_SCOPE = "out_of_scope"
    NOT_UNDERSTOOD = "not_understood"
    AMBIGUOUS = "ambiguous"
    PRECEDENT = "precedent"
    MOOD_FALLING = "mood_falling"
    MOOD_BAD = "mood_bad"
    NEGATIVE = "negative"
    MAY_ASK_FOR_PERSON = "may_ask_for_person"
    ASKED_BACK = "asked_back"


RULE_WEIGHT = 10.0
"""Weight of a reason that decides by itself, in log-odds: more than signals can add up to."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason with its evidence: the measured `value` and a `detail`.

    A rule (`weight` = `RULE_WEIGHT`) has passed `limit`. Any other reason adds `weight` log-odds to
    the risk, because `value` is not what is typical, which then stands in `limit`.
    """

    reason: Reason
    value: float
    limit: float
    detail: str = ""
    weight: float = RULE_WEIGHT

    @property
    def is_rule(self) -> bool:
        """Say whether this reason decided by itself."""
        return self.weight >= RULE_WEIGHT


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps people from being reached, in a sentence without a full stop that says what to do.

    `blocks` says that nobody gets what customers write while it lasts; without it something needs
    attention, and that is all. `shown_in_group` says that the agents' group itself can be told.
    """

    sentence: str
    blocks: bool = True
    shown_in_group: bool = False


@dataclass(slots=True)
class Conversation:
    """A customer and whoever answers, over any number of episodes.

    `episode` counts from 1 and grows each time a closed conversation is opened again: what the
    policy looks at, and the bot's own memory, never reach back over it. `questions` counts how
    often in this episode the bot has asked what was meant, `asking` says that its last line was
    such a question. `pending` are requests the bot has been given and has yet to serve, in
    order. `version` grows with every save and makes a stale save fail. `delivered_seq` is the
    last line pushed to a customer whose channel keeps no cursor of its own.
    """

    id: str
    channel: str
    customer_key: str
    customer_name: str
    created_at: datetime
    updated_at: datetime
    state: State = State.BOT
    episode: int = 1
    version: int = 0
    last_seq: int = 0
    delivered_seq: int = 0
    assignee: int | None = None
    assignee_name: str = ""
    awaiting_slot: str | None = None
    questions: int = 0
    asking: bool = False
    pending: tuple[str, ...] | None = None


@dataclass(slots=True)
class Message:
    """One line. `seq` counts lines of its conversation from 1 without gaps.

    `client_id` is the sender's own identifier (a browser's, or `tg:CHAT:MESSAGE`) and unique within
    the conversation, so that a repeated delivery changes nothing. For the customer's lines `parse`
    and `feelings` hold what was understood. `buttons` are the choices the bot offers; on a
    customer's line it is the one that was chosen, and the text what the customer saw or typed.
    `extra` is that of a `BotLine`; `context` is what the customer's page sent along (Rasa's
    metadata).
    """

    id: str
    conversation_id: str
    episode: int
    seq: int
    author: Author
    text: str
    created_at: datetime
    client_id: str | None = None
    author_name: str = ""
    status: MessageStatus = MessageStatus.DONE
    buttons: tuple[Button, ...] = ()
    image: str | None = None
    parse: Parse | None = None
    feelings: Feelings | None = None
    console_message_id: int | None = None
    extra: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


@dataclass(slots=True)
class Decision:
    """What was decided about a customer message, why, and by which policy and model."""

    id: str
    message_id: str
    conversation_id: str
    action: Action
    findings: tuple[Finding, ...]
    evidence: dict[str, Any]
    policy_version: str
    model: str
    created_at: datetime


class PolicyStatus(StrEnum):
    """Where a policy stands. At most one is `ACTIVE` and at most one a `SHADOW`."""

    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(slots=True)
class StoredPolicy:
    """A policy as it was made: never changed, only switched on and off. Nothing is deleted.

    `id` follows from `body` (`core.evidence.named`). `figures` are what it was measured at when it
    was last proposed, `note` says why. `changed_at` and `changed_by` tell of its status. `version`
    grows with every save and makes a stale save fail.
    """

    id: str
    body: dict[str, Any]
    status: PolicyStatus
    created_at: datetime
    changed_at: datetime
    made_by: str
    changed_by: str = ""
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    version: int = 0


@dataclass(slots=True)
class ShadowVerdict:
    """What a policy in the shadow would have done with a message the active one decided on."""

    id: str
    decision_id: str
    message_id: str
    conversation_id: str
    policy_id: str
    action: Action
    findings: tuple[Finding, ...]
    agrees: bool
    created_at: datetime


class Truth(StrEnum):
    """The agent's one tap of truth at the end of a handoff."""

    INTENT = "intent"
    NEW_TOPIC = "new_topic"
    DO_NOT_LEARN = "do_not_learn"


@dataclass(slots=True)
class Handoff:
    """One stay of a conversation with people: from the request to the resolution.

    `outcome` is `resolved`, `returned` (given back to the bot) or empty while open. `needed` is the
    agent's judgement of the handoff itself. `mined` says that the learning job has read it.
    `handled_seconds` sums the spans somebody had it (`core/handling.py`), None while nobody has and
    for handoffs from before they were stored; `held_since` is when the span going on began.
    """

    id: str
    conversation_id: str
    episode: int
    decision_id: str
    findings: tuple[Finding, ...]
    requested_at: datetime
    claimed_at: datetime | None = None
    claimed_by: int | None = None
    claimed_by_name: str = ""
    first_response_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    truth: Truth | None = None
    truth_intent: str | None = None
    needed: bool | None = None
    card_message_id: int | None = None
    mined: bool = False
    handled_seconds: float | None = None
    held_since: datetime | None = None


class OutboxStatus(StrEnum):
    """Life of an outgoing item. `UNCERTAIN`: sent, but Telegram's answer never came."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"


class OutboxKind(StrEnum):
    """What an outgoing item is; the console renders it from the state at the moment of sending."""

    RELAY = "relay"
    CARD = "card"
    NOTICE = "notice"
    REPLY = "reply"
    STATS = "stats"
    TOPIC_STATE = "topic_state"
    REVIEW = "review"
    DIGEST = "digest"


@dataclass(slots=True)
class OutboxItem:
    """Something the console owes Telegram.

    `topic` is the key of the topic it goes to (`conversation:ID`, `review`, `digest`) or empty for
    a plain chat named in the payload. `priority` 0 goes first. `dedupe_key` is unique: asking twice
    for the same item stores one. `number` orders items and is given by the store.
    """

    id: str
    kind: OutboxKind
    payload: dict[str, Any]
    dedupe_key: str
    created_at: datetime
    not_before: datetime
    topic: str = ""
    priority: int = 1
    status: OutboxStatus = OutboxStatus.PENDING
    attempts: int = 0
    error: str = ""
    sent_message_id: int | None = None
    number: int = 0


@dataclass(slots=True)
class Topic:
    """A forum topic the console owns, by its key."""

    key: str
    chat_id: int
    thread_id: int
    closed: bool = False


class UpdateStatus(StrEnum):
    """Life of a stored Telegram update. `SET_ASIDE`: it failed every time and was put away."""

    PENDING = "pending"
    DONE = "done"
    SET_ASIDE = "set_aside"


@dataclass(slots=True)
class InboundUpdate:
    """A raw Telegram update, stored before it is confirmed; unique by bot and update id."""

    bot_id: int
    update_id: int
    payload: dict[str, Any]
    received_at: datetime
    status: UpdateStatus = UpdateStatus.PENDING
    attempts: int = 0
    error: str = ""


class CandidateKind(StrEnum):
    """An `EXAMPLE` teaches an intent; an `ANSWER` teaches a new topic with the agent's answer."""

    EXAMPLE = "example"
    ANSWER = "answer"


class CandidateStatus(StrEnum):
    """Life of a candidate. `LEARNED` ones stand in the training files of the release in use."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    LEARNED = "learned"
    ROLLED_BACK = "rolled_back"


@dataclass(slots=True)
class Candidate:
    """A proposed training example with where it came from and who judged it.

    `dedupe_key` is unique, so mining the same handoff twice adds nothing. `answer` is set for a new
    topic. `texts` are the examples (customer's own words, redacted, neutralised).
    """

    id: str
    kind: CandidateKind
    handoff_id: str
    message_ids: tuple[str, ...]
    texts: tuple[str, ...]
    intent: str
    answer: str
    dedupe_key: str
    created_at: datetime
    status: CandidateStatus = CandidateStatus.PENDING
    proposed_intent: str = ""
    reviewer: int | None = None
    reviewer_name: str = ""
    reviewed_at: datetime | None = None
    release_id: str | None = None
    review_message_id: int | None = None
    version: int = 0


class RunStatus(StrEnum):
    """Life of a learning run."""

    RUNNING = "running"
    NOTHING_TO_LEARN = "nothing_to_learn"
    PROMOTED = "promoted"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True)
class LearningRun:
    """One pass of the learning job, with the step it has reached and what it measured."""

    id: str
    started_at: datetime
    heartbeat_at: datetime
    step: str = "collect"
    status: RunStatus = RunStatus.RUNNING
    mined: int = 0
    pending_review: int = 0
    learned: int = 0
    figures_before: dict[str, float] = field(default_factory=dict)
    figures_after: dict[str, float] = field(default_factory=dict)
    verdict: str = ""
    finished_at: datetime | None = None


class ReleaseStatus(StrEnum):
    """Life of a release. Exactly one is `CURRENT`."""

    CURRENT = "current"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"


@dataclass(slots=True)
class Release:
    """A trained model together with the learned training files it was trained on."""

    id: str
    created_at: datetime
    model_path: str
    learned_path: str
    status: ReleaseStatus
    figures: dict[str, float] = field(default_factory=dict)
    previous_id: str | None = None
    run_id: str | None = None
