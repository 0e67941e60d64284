"""What the use cases need from the world, as small Protocols named by need.

Every store method works inside one unit of work: nothing is visible to others before `commit`, and
leaving the block without it undoes everything. Stores hand out copies: a change counts once saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from handoff.core.assistant import AssistantDomain
from handoff.core.model import (
    BotLine,
    Candidate,
    CandidateStatus,
    Conversation,
    Decision,
    Feelings,
    Handoff,
    InboundUpdate,
    LearningRun,
    Message,
    OutboxItem,
    Parse,
    Release,
    ShadowVerdict,
    State,
    StoredPolicy,
    Topic,
)

Vector = Sequence[float]
"""A sentence embedding of unit length."""


class Clock(Protocol):
    """The time, so that a test can turn it."""

    def now(self) -> datetime:
        """Return the current moment, aware, in UTC."""
        ...


class Encoder(Protocol):
    """Sentences to vectors of unit length, through a cache."""

    @property
    def digest(self) -> str:
        """Return what identifies the vectors: two encoders with one digest agree on every text."""
        ...

    async def encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return one vector a text; raise `EncoderUnavailable` when it cannot."""
        ...


class FeelingsReader(Protocol):
    """Reads feelings from a message."""

    async def read(self, text: str) -> Feelings:
        """Return the probabilities for one message."""
        ...


class Assistant(Protocol):
    """Any Rasa assistant. Every method raises `AssistantUnavailable` when there is no answer."""

    async def parse(self, text: str) -> Parse:
        """Say what `text` means; nothing is remembered."""
        ...

    async def respond(
        self, sender: str, text: str, metadata: Mapping[str, Any] | None = None
    ) -> list[BotLine]:
        """Take the bot's turn in the memory named `sender`; may be empty.

        `metadata` goes along for the assistant's own actions.
        """
        ...

    async def awaiting_slot(self, sender: str) -> str | None:
        """Return the slot the bot is asking for, or None."""
        ...

    async def domain(self) -> AssistantDomain:
        """Return what the assistant tells of itself, as of a few seconds ago at most."""
        ...

    async def status(self) -> str:
        """Return the name of the model in use."""
        ...

    async def load_model(self, path: Path) -> None:
        """Swap the model in place."""
        ...


class Redactor(Protocol):
    """Removes personal data from text."""

    def redact(self, text: str, names: Sequence[str] = ()) -> str:
        """Return `text` with personal data replaced by plain words such as `my email address`."""
        ...


class Conversations(Protocol):
    """Conversations, with an optimistic version."""

    async def get(self, id: str) -> Conversation:
        """Return it or raise `NotFound`."""
        ...

    async def find(self, channel: str, customer_key: str) -> Conversation | None:
        """Return the conversation of a customer on a channel; the pair is unique."""
        ...

    async def add(self, conversation: Conversation) -> None:
        """Store a new one; raise `StaleVersion` when the customer already has one."""
        ...

    async def save(self, conversation: Conversation) -> None:
        """Store it and raise its `version` by one; `StaleVersion` when it was saved since."""
        ...

    async def in_state(self, states: Sequence[State]) -> list[Conversation]:
        """Return all in these states, longest unchanged first."""
        ...

    async def idle_since(self, before: datetime) -> list[Conversation]:
        """Return those the bot owns whose last change is before the moment given."""
        ...


class Messages(Protocol):
    """The lines of conversations."""

    async def get(self, id: str) -> Message:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, message: Message) -> None:
        """Store a new line; (conversation, seq) and (conversation, client_id) are unique."""
        ...

    async def save(self, message: Message) -> None:
        """Store a changed line."""
        ...

    async def by_client_id(self, conversation_id: str, client_id: str) -> Message | None:
        """Return the line the sender gave this identifier."""
        ...

    async def by_console_id(self, conversation_id: str, message_id: int) -> Message | None:
        """Return the line that stands in the console under this Telegram message id."""
        ...

    async def beginning_with(self, beginning: str, limit: int = 2) -> list[Message]:
        """Return lines whose id begins so, oldest first."""
        ...

    async def after(self, conversation_id: str, seq: int, limit: int = 200) -> list[Message]:
        """Return lines with a greater seq, in order."""
        ...

    async def of_episode(self, conversation_id: str, episode: int) -> list[Message]:
        """Return all lines of an episode, in order."""
        ...

    async def owed(self, before: datetime) -> list[Message]:
        """Return customer messages received before the moment given that await a decision."""
        ...


class Decisions(Protocol):
    """Decisions, never changed."""

    async def get(self, id: str) -> Decision:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, decision: Decision) -> None:
        """Store a new one."""
        ...

    async def of_message(self, message_id: str) -> list[Decision]:
        """Return the decisions about a message, oldest first."""
        ...

    async def latest(self, limit: int = 20) -> list[Decision]:
        """Return those stored last, the last one first."""
        ...


class Handoffs(Protocol):
    """Handoffs."""

    async def get(self, id: str) -> Handoff:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, handoff: Handoff) -> None:
        """Store a new one."""
        ...

    async def save(self, handoff: Handoff) -> None:
        """Store a changed one."""
        ...

    async def latest(self, conversation_id: str) -> Handoff | None:
        """Return the most recently requested handoff of a conversation."""
        ...

    async def open(self) -> list[Handoff]:
        """Return those not ended, longest waiting first."""
        ...

    async def to_mine(self) -> list[Handoff]:
        """Return ended ones with a truth that the learning job has not read, oldest first."""
        ...

    async def judged(self) -> list[Handoff]:
        """Return ended ones of which an agent has said whether they were needed, oldest first."""
        ...

    async def requested_since(self, since: datetime) -> list[Handoff]:
        """Return those requested at or after the moment given, oldest first."""
        ...

    async def not_ended_before(self, since: datetime) -> list[Handoff]:
        """Return those still open or ended at or after the moment given, oldest first."""
        ...


class Outbox(Protocol):
    """What is owed to Telegram."""

    async def put(self, item: OutboxItem) -> bool:
        """Store an item; False (and nothing stored) when its `dedupe_key` is known already."""
        ...

    async def get(self, id: str) -> OutboxItem:
        """Return it or raise `NotFound`."""
        ...

    async def take(
        self, now: datetime, skip_topics: Sequence[str] = (), topics: bool = True
    ) -> OutboxItem | None:
        """Mark the next due item `SENDING`, count the attempt and return it.

        With `topics` false only items without a topic are looked at.

        Lowest priority value first, then lowest number; within one topic an item of a priority
        never overtakes an older one of the same priority that is still pending or sending.
        """
        ...

    async def save(self, item: OutboxItem) -> None:
        """Store a changed item."""
        ...

    async def stranded(self) -> list[OutboxItem]:
        """Return items left `SENDING`: at start-up, those a dead process was sending."""
        ...

    async def waiting(self) -> int:
        """Return how many items are pending."""
        ...


class Topics(Protocol):
    """Forum topics by key."""

    async def get(self, key: str) -> Topic | None:
        """Return the topic with this key."""
        ...

    async def by_thread(self, chat_id: int, thread_id: int) -> Topic | None:
        """Return the topic with this Telegram thread."""
        ...

    async def put(self, topic: Topic) -> None:
        """Store or replace it."""
        ...


class Updates(Protocol):
    """Raw Telegram updates."""

    async def put(self, update: InboundUpdate) -> bool:
        """Store a raw update; False when (bot, update) is known already."""
        ...

    async def pending(self, limit: int = 100) -> list[InboundUpdate]:
        """Return those not handled yet, by update id."""
        ...

    async def save(self, update: InboundUpdate) -> None:
        """Store a changed one."""
        ...


class Candidates(Protocol):
    """Proposed training examples."""

    async def get(self, id: str) -> Candidate:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, candidate: Candidate) -> bool:
        """Store a new one; False when its `dedupe_key` is known already."""
        ...

    async def save(self, candidate: Candidate) -> None:
        """Store it and raise its `version` by one; `StaleVersion` when it was saved since."""
        ...

    async def with_status(self, *statuses: CandidateStatus) -> list[Candidate]:
        """Return those with one of these statuses, oldest first."""
        ...


class LearningRuns(Protocol):
    """Passes of the learning job."""

    async def get(self, id: str) -> LearningRun:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, run: LearningRun) -> None:
        """Store a new one."""
        ...

    async def save(self, run: LearningRun) -> None:
        """Store a changed one."""
        ...

    async def latest(self) -> LearningRun | None:
        """Return the run started last."""
        ...


class Releases(Protocol):
    """Models with their learned files."""

    async def get(self, id: str) -> Release:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, release: Release) -> None:
        """Store a new one."""
        ...

    async def save(self, release: Release) -> None:
        """Store a changed one."""
        ...

    async def current(self) -> Release | None:
        """Return the release in use."""
        ...

    async def model_paths(self) -> list[str]:
        """Return the model file of every release, whatever became of it."""
        ...


class Policies(Protocol):
    """Policies that decide, decided, or run in the shadow."""

    async def get(self, id: str) -> StoredPolicy:
        """Return it or raise `NotFound`."""
        ...

    async def add(self, policy: StoredPolicy) -> None:
        """Store a new one; `StaleVersion` when its id, or a status only one may have, is taken."""
        ...

    async def save(self, policy: StoredPolicy) -> None:
        """Store it and raise its `version` by one.

        `StaleVersion` when it was saved since, or when another one has its status and only one may.
        """
        ...

    async def in_use(self) -> tuple[StoredPolicy | None, StoredPolicy | None]:
        """Return the one that decides and the one that runs in the shadow."""
        ...

    async def latest(self, limit: int = 20) -> list[StoredPolicy]:
        """Return the newest, newest first."""
        ...


class ShadowVerdicts(Protocol):
    """What policies in the shadow would have done; never changed."""

    async def add(self, verdict: ShadowVerdict) -> None:
        """Store a new one."""
        ...

    async def counts(self, policy_id: str) -> tuple[int, int]:
        """Return how many messages a policy has judged in the shadow, and on how many of them it
        disagreed."""
        ...

    async def disagreements(self, policy_id: str, limit: int = 20) -> list[ShadowVerdict]:
        """Return where a policy disagreed, newest first."""
        ...


class Nights(Protocol):
    """Which nights have begun, by local date."""

    async def begin(self, local_date: str, now: datetime) -> bool:
        """Store that the night of a date (`2026-11-26`) begins; False when it has begun before."""
        ...

    async def undo(self, local_date: str) -> None:
        """Forget a night that was broken off: it may begin again."""
        ...


class Work(Protocol):
    """An open unit of work."""

    conversations: Conversations
    messages: Messages
    decisions: Decisions
    handoffs: Handoffs
    outbox: Outbox
    topics: Topics
    updates: Updates
    candidates: Candidates
    runs: LearningRuns
    releases: Releases
    policies: Policies
    shadows: ShadowVerdicts
    nights: Nights

    async def places_taken(self) -> int:
        """Return how many conversations are waiting for a person or with one."""
        ...

    async def episodes_since(self, since: datetime) -> list[tuple[str, int]]:
        """Return (conversation id, episode) of every episode with a customer line at or after the
        moment given, each once."""
        ...

    async def commit(self) -> None:
        """Make everything done so far lasting; called once, at the edge."""
        ...


class Store(Protocol):
    """Opens units of work: `async with store() as work: ...; await work.commit()`."""

    def __call__(self) -> AbstractAsyncContextManager[Work]:
        """Open one. Writers wait for each other; a block left without commit is undone."""
        ...


class Doorbell(Protocol):
    """A hint that something new is in the database. Losing one costs a little time, never data."""

    def ring(self, key: str) -> None:
        """Wake whoever waits for `key`."""
        ...

    async def wait(self, key: str, seconds: float) -> None:
        """Return when `key` rings or the seconds have passed."""
        ...
