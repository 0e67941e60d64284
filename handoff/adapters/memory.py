"""A `Store` in memory for tests: the same rules as the databases, nothing on disk.

It reads as they do (the latest committed state and the unit's own changes), copies by the same
mapping, and keeps the same unique values and parents. One unit writes at a time, from its first
change to its commit or its end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from handoff import ports
from handoff.adapters import StoreBusy
from handoff.adapters.db.mapping import from_values, to_json, to_values
from handoff.core.errors import NotFound, StaleVersion
from handoff.core.model import (
    Author,
    Candidate,
    CandidateStatus,
    Conversation,
    Decision,
    Handoff,
    InboundUpdate,
    LearningRun,
    Message,
    MessageStatus,
    OutboxItem,
    OutboxStatus,
    PolicyStatus,
    Release,
    ReleaseStatus,
    ShadowVerdict,
    State,
    StoredPolicy,
    Topic,
    UpdateStatus,
)

E = TypeVar("E")

BUSY_SECONDS = 10
"""How long a writer waits for another one, in seconds."""


def _copy(entity: E) -> E:
    """Copy as a database does: nested values through JSON, times to UTC."""
    values = to_values(entity)
    for name, value in values.items():
        if isinstance(value, list | dict):
            values[name] = json.loads(to_json(value))
    return cast(E, from_values(type(entity), values))


@dataclass
class _Table:
    """Rows in the order they were stored, and who holds which unique value."""

    rows: dict[Hashable, Any] = field(default_factory=dict)
    holders: dict[Hashable, Hashable] = field(default_factory=dict)
    count: int = 0

    def copy(self) -> _Table:
        return replace(self, rows=dict(self.rows), holders=dict(self.holders))


class MemoryStore:
    """Units of work on a dictionary, for one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._tables: dict[type, _Table] = {}

    def __call__(self) -> AbstractAsyncContextManager[ports.Work]:
        """Open a unit of work; leaving it without `commit` undoes everything."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[ports.Work]:
        unit = _Unit(self._tables, self._lock)
        try:
            yield MemoryWork(unit)
        finally:
            unit.leave()


class _Unit:
    """The committed tables, and this unit's own copies of those it has changed."""

    def __init__(self, committed: dict[type, _Table], lock: asyncio.Lock) -> None:
        self._committed = committed
        self._changed: dict[type, _Table] = {}
        self._lock = lock
        self._locked = False
        self._left = False

    def read(self, entity: type) -> _Table:
        """Return the table as this unit sees it."""
        if self._left:
            raise RuntimeError("this unit of work is over")
        return self._changed.get(entity) or self._committed.get(entity) or _Table()

    async def write(self, entity: type) -> _Table:
        """Return this unit's own copy of the table; wait while another unit is writing."""
        await self.begin()
        if entity not in self._changed:
            self._changed[entity] = self.read(entity).copy()
        return self._changed[entity]

    async def begin(self) -> None:
        """Make this unit the writer; raise `StoreBusy` after `BUSY_SECONDS`."""
        self.read(object)
        if self._locked:
            return
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise StoreBusy(seconds=BUSY_SECONDS) from None
        self._locked = True

    def commit(self) -> None:
        """Make it lasting and let the next writer go."""
        self._committed.update(self._changed)
        self._release()

    def leave(self) -> None:
        """Forget what was not committed and let the next writer go."""
        self._release()
        self._left = True

    def _release(self) -> None:
        self._changed = {}
        if self._locked:
            self._locked = False
            self._lock.release()


class _Rows(Generic[E]):
    """What all tables have in common."""

    entity: type[E]
    what: str
    key: tuple[str, ...] = ("id",)
    unique: tuple[tuple[str, ...], ...] = ()
    parents: tuple[tuple[str, type], ...] = ()

    def __init__(self, unit: _Unit) -> None:
        self._unit = unit

    async def get(self, id: str) -> E:
        """Return it or raise `NotFound`."""
        found = self._unit.read(self.entity).rows.get((id,))
        if found is None:
            raise NotFound(what=self.what, id=id)
        return _copy(found)

    def _all(self, where: Callable[[E], bool], order: Callable[[E], Any]) -> list[E]:
        """Return copies of the rows, sorted; equal ones in the order they were stored."""
        rows = [row for row in self._unit.read(self.entity).rows.values() if where(row)]
        return [_copy(row) for row in sorted(rows, key=order)]

    def _last(self, where: Callable[[E], bool], order: Callable[[E], Any]) -> E | None:
        found = self._all(where, order)
        return found[-1] if found else None

    def _first(self, where: Callable[[E], bool], order: Callable[[E], Any]) -> E | None:
        found = self._all(where, order)
        return found[0] if found else None

    async def _insert(self, entity: E) -> None:
        """Store a new row; `StaleVersion` when a unique value is taken already."""
        copy = _copy(entity)
        table = await self._unit.write(self.entity)
        self._need_parents(copy)
        if self._key(copy) in table.rows:
            raise StaleVersion(what=self.what, id=self._id(copy))
        self._hold(table, copy)
        table.rows[self._key(copy)] = copy
        table.count += 1

    async def _save(self, entity: E) -> None:
        copy = _copy(entity)
        table = await self._unit.write(self.entity)
        if self._key(copy) not in table.rows:
            raise NotFound(what=self.what, id=self._id(copy))
        self._need_parents(copy)
        self._hold(table, copy)
        table.rows[self._key(copy)] = copy

    async def _save_version(self, entity: Any) -> None:
        """Store the successor of the version that was loaded, unless another one is stored."""
        await self._unit.begin()
        if (await self.get(entity.id)).version != entity.version:  # type: ignore[attr-defined]
            raise StaleVersion(what=self.what, id=entity.id)
        await self._save(replace(entity, version=entity.version + 1))
        entity.version += 1

    def _hold(self, table: _Table, entity: E) -> None:
        """Take the unique values of a row and let go of those it had; all or none."""
        key, wanted = self._key(entity), self._uniques(entity)
        if any(table.holders.get(value, key) != key for value in wanted):
            raise StaleVersion(what=self.what, id=self._id(entity))
        if key in table.rows:
            for value in self._uniques(table.rows[key]):
                del table.holders[value]
        table.holders.update(dict.fromkeys(wanted, key))

    def _uniques(self, entity: E) -> list[Hashable]:
        values = [(names, tuple(getattr(entity, n) for n in names)) for names in self.unique]
        return [(names, parts) for names, parts in values if None not in parts]

    def _need_parents(self, entity: E) -> None:
        for name, parent in self.parents:
            if (getattr(entity, name),) not in self._unit.read(parent).rows:
                raise NotFound(what=f"parent row of {self.what}", id=self._id(entity))

    def _key(self, entity: E) -> Hashable:
        return tuple(getattr(entity, name) for name in self.key)

    def _id(self, entity: E) -> str:
        return "/".join(str(getattr(entity, name)) for name in self.key)


class _Conversations(_Rows[Conversation]):
    entity, what, unique = Conversation, "conversation", (("channel", "customer_key"),)

    async def find(self, channel: str, customer_key: str) -> Conversation | None:
        wanted = (channel, customer_key)
        return self._first(lambda c: (c.channel, c.customer_key) == wanted, lambda c: 0)

    async def add(self, conversation: Conversation) -> None:
        await self._insert(conversation)

    async def save(self, conversation: Conversation) -> None:
        await self._save_version(conversation)

    async def in_state(self, states: Sequence[State]) -> list[Conversation]:
        return self._all(lambda c: c.state in states, lambda c: c.updated_at)

    async def idle_since(self, before: datetime) -> list[Conversation]:
        return self._all(
            lambda c: c.state is State.BOT and c.updated_at < before, lambda c: c.updated_at
        )

    async def with_people(self) -> int:
        rows = self._unit.read(Conversation).rows.values()
        return sum(c.state in (State.WAITING, State.AGENT) for c in rows)


class _Messages(_Rows[Message]):
    entity, what = Message, "message"
    unique = (("conversation_id", "seq"), ("conversation_id", "client_id"))
    parents = (("conversation_id", Conversation),)

    async def add(self, message: Message) -> None:
        await self._insert(message)

    async def save(self, message: Message) -> None:
        await self._save(message)

    async def by_client_id(self, conversation_id: str, client_id: str) -> Message | None:
        return self._first(
            lambda m: m.conversation_id == conversation_id and m.client_id == client_id,
            lambda m: m.seq,
        )

    async def by_console_id(self, conversation_id: str, message_id: int) -> Message | None:
        return self._first(
            lambda m: m.conversation_id == conversation_id and m.console_message_id == message_id,
            lambda m: m.seq,
        )

    async def beginning_with(self, beginning: str, limit: int = 2) -> list[Message]:
        return self._all(lambda m: m.id.startswith(beginning), lambda m: m.created_at)[:limit]

    async def after(self, conversation_id: str, seq: int, limit: int = 200) -> list[Message]:
        return self._all(
            lambda m: m.conversation_id == conversation_id and m.seq > seq, lambda m: m.seq
        )[:limit]

    async def of_episode(self, conversation_id: str, episode: int) -> list[Message]:
        return self._all(
            lambda m: m.conversation_id == conversation_id and m.episode == episode,
            lambda m: m.seq,
        )

    async def owed(self, before: datetime) -> list[Message]:
        return self._all(
            lambda m: (
                m.status is MessageStatus.RECEIVED
                and m.author is Author.CUSTOMER
                and m.created_at < before
            ),
            lambda m: m.created_at,
        )

    async def episodes_since(self, since: datetime) -> list[tuple[str, int]]:
        lines = self._all(
            lambda m: m.author is Author.CUSTOMER and m.created_at >= since,
            lambda m: m.created_at,
        )
        return list(dict.fromkeys((line.conversation_id, line.episode) for line in lines))


class _Decisions(_Rows[Decision]):
    entity, what = Decision, "decision"
    parents = (("message_id", Message), ("conversation_id", Conversation))

    async def add(self, decision: Decision) -> None:
        await self._insert(decision)

    async def of_message(self, message_id: str) -> list[Decision]:
        return self._all(lambda d: d.message_id == message_id, lambda d: d.created_at)

    async def latest(self, limit: int = 20) -> list[Decision]:
        stored = [*self._unit.read(Decision).rows.values()]
        return [_copy(decision) for decision in stored[::-1][:limit]]


class _Handoffs(_Rows[Handoff]):
    entity, what = Handoff, "handoff"
    parents = (("conversation_id", Conversation),)

    async def add(self, handoff: Handoff) -> None:
        await self._insert(handoff)

    async def save(self, handoff: Handoff) -> None:
        await self._save(handoff)

    async def latest(self, conversation_id: str) -> Handoff | None:
        return self._last(lambda h: h.conversation_id == conversation_id, lambda h: h.requested_at)

    async def open(self) -> list[Handoff]:
        return self._all(lambda h: h.ended_at is None, lambda h: h.requested_at)

    async def to_mine(self) -> list[Handoff]:
        return self._all(
            lambda h: not h.mined and h.ended_at is not None and h.truth is not None,
            lambda h: h.requested_at,
        )

    async def judged(self) -> list[Handoff]:
        return self._all(
            lambda h: h.ended_at is not None and h.needed is not None, lambda h: h.requested_at
        )

    async def requested_since(self, since: datetime) -> list[Handoff]:
        return self._all(lambda h: h.requested_at >= since, lambda h: h.requested_at)

    async def not_ended_before(self, since: datetime) -> list[Handoff]:
        return self._all(
            lambda h: h.ended_at is None or h.ended_at >= since, lambda h: h.requested_at
        )


class _Outbox(_Rows[OutboxItem]):
    entity, what, unique = OutboxItem, "outbox item", (("dedupe_key",),)

    async def put(self, item: OutboxItem) -> bool:
        table = await self._unit.write(OutboxItem)
        if (("dedupe_key",), (item.dedupe_key,)) in table.holders:
            return False
        number = table.count + 1
        await self._insert(replace(item, number=number))
        item.number = number
        return True

    async def take(
        self, now: datetime, skip_topics: Sequence[str] = (), topics: bool = True
    ) -> OutboxItem | None:
        item = self._next(now, skip_topics, topics)
        if item is None:
            return None
        await self._unit.begin()
        item = self._next(now, skip_topics, topics)
        if item is not None:
            item.status, item.attempts = OutboxStatus.SENDING, item.attempts + 1
            await self._save(item)
        return item

    def _next(self, now: datetime, skip_topics: Sequence[str], topics: bool) -> OutboxItem | None:
        unsettled = self._all(
            lambda i: i.status in (OutboxStatus.PENDING, OutboxStatus.SENDING),
            lambda i: (i.priority, i.number),
        )
        heads: dict[tuple[str, int], str] = {}
        for item in unsettled:
            head = heads.setdefault((item.topic, item.priority), item.id)
            wanted = topics or not item.topic
            due = wanted and item.status is OutboxStatus.PENDING and item.not_before <= now
            if due and item.topic not in skip_topics and (head == item.id or not item.topic):
                return item
        return None

    async def save(self, item: OutboxItem) -> None:
        await self._save(item)

    async def stranded(self) -> list[OutboxItem]:
        return self._all(lambda i: i.status is OutboxStatus.SENDING, lambda i: i.number)

    async def waiting(self) -> int:
        rows = self._unit.read(OutboxItem).rows.values()
        return sum(item.status is OutboxStatus.PENDING for item in rows)


class _Topics(_Rows[Topic]):
    entity, what, key = Topic, "topic", ("key",)
    unique = (("chat_id", "thread_id"),)

    async def get(self, key: str) -> Topic | None:  # type: ignore[override]
        return self._first(lambda t: t.key == key, lambda t: 0)

    async def by_thread(self, chat_id: int, thread_id: int) -> Topic | None:
        return self._first(lambda t: (t.chat_id, t.thread_id) == (chat_id, thread_id), lambda t: 0)

    async def put(self, topic: Topic) -> None:
        table = await self._unit.write(Topic)
        holder = await self.by_thread(topic.chat_id, topic.thread_id)
        for old in (holder, await self.get(topic.key)):
            if old is not None and table.rows.pop(self._key(old), None) is not None:
                table.holders.pop(self._uniques(old)[0])
        await self._insert(topic)


class _Updates(_Rows[InboundUpdate]):
    entity, what, key = InboundUpdate, "update", ("bot_id", "update_id")

    async def put(self, update: InboundUpdate) -> bool:
        if self._key(update) in (await self._unit.write(InboundUpdate)).rows:
            return False
        await self._insert(update)
        return True

    async def pending(self, limit: int = 100) -> list[InboundUpdate]:
        return self._all(
            lambda u: u.status is UpdateStatus.PENDING, lambda u: (u.update_id, u.bot_id)
        )[:limit]

    async def save(self, update: InboundUpdate) -> None:
        await self._save(update)


class _Candidates(_Rows[Candidate]):
    entity, what, unique = Candidate, "candidate", (("dedupe_key",),)
    parents = (("handoff_id", Handoff),)

    async def add(self, candidate: Candidate) -> bool:
        table = await self._unit.write(Candidate)
        if (("dedupe_key",), (candidate.dedupe_key,)) in table.holders:
            return False
        await self._insert(candidate)
        return True

    async def save(self, candidate: Candidate) -> None:
        await self._save_version(candidate)

    async def with_status(self, *statuses: CandidateStatus) -> list[Candidate]:
        return self._all(lambda c: c.status in statuses, lambda c: c.created_at)


class _LearningRuns(_Rows[LearningRun]):
    entity, what = LearningRun, "learning run"

    async def add(self, run: LearningRun) -> None:
        await self._insert(run)

    async def save(self, run: LearningRun) -> None:
        await self._save(run)

    async def latest(self) -> LearningRun | None:
        return self._last(lambda r: True, lambda r: r.started_at)


class _Releases(_Rows[Release]):
    entity, what = Release, "release"

    async def add(self, release: Release) -> None:
        await self._insert(release)

    async def save(self, release: Release) -> None:
        await self._save(release)

    async def current(self) -> Release | None:
        return self._last(lambda r: r.status is ReleaseStatus.CURRENT, lambda r: r.created_at)

    async def model_paths(self) -> list[str]:
        return [release.model_path for release in self._all(lambda r: True, lambda r: r.created_at)]


class _Policies(_Rows[StoredPolicy]):
    entity, what, unique = StoredPolicy, "policy", (("status",),)

    def _uniques(self, entity: StoredPolicy) -> list[Hashable]:
        """One policy decides and one is in the shadow; any number is retired."""
        return [] if entity.status is PolicyStatus.RETIRED else super()._uniques(entity)

    async def add(self, policy: StoredPolicy) -> None:
        await self._insert(policy)

    async def save(self, policy: StoredPolicy) -> None:
        await self._save_version(policy)

    async def in_use(self) -> tuple[StoredPolicy | None, StoredPolicy | None]:
        active, shadow = (
            self._first(lambda p, s=status: p.status is s, lambda p: 0)
            for status in (PolicyStatus.ACTIVE, PolicyStatus.SHADOW)
        )
        return active, shadow

    async def latest(self, limit: int = 20) -> list[StoredPolicy]:
        return self._all(lambda p: True, lambda p: p.created_at)[::-1][:limit]


class _ShadowVerdicts(_Rows[ShadowVerdict]):
    entity, what = ShadowVerdict, "shadow verdict"
    parents = (
        ("decision_id", Decision),
        ("message_id", Message),
        ("conversation_id", Conversation),
        ("policy_id", StoredPolicy),
    )

    async def add(self, verdict: ShadowVerdict) -> None:
        await self._insert(verdict)

    async def counts(self, policy_id: str) -> tuple[int, int]:
        rows = self._unit.read(ShadowVerdict).rows.values()
        agrees = [v.agrees for v in rows if v.policy_id == policy_id]
        return len(agrees), agrees.count(False)

    async def disagreements(self, policy_id: str, limit: int = 20) -> list[ShadowVerdict]:
        wrong = self._all(
            lambda v: v.policy_id == policy_id and not v.agrees, lambda v: v.created_at
        )
        return wrong[::-1][:limit]


class _Nights:
    def __init__(self, unit: _Unit) -> None:
        self._unit = unit

    async def begin(self, local_date: str, now: datetime) -> bool:
        rows = (await self._unit.write(_Nights)).rows
        known = local_date in rows
        rows.setdefault(local_date, now)
        return not known

    async def undo(self, local_date: str) -> None:
        (await self._unit.write(_Nights)).rows.pop(local_date, None)


class MemoryWork:
    """An open unit of work in memory: the `Work` of the ports."""

    def __init__(self, unit: _Unit) -> None:
        self._unit = unit
        self._lines, self._talks = _Messages(unit), _Conversations(unit)
        self.conversations: ports.Conversations = self._talks
        self.messages: ports.Messages = self._lines
        self.decisions: ports.Decisions = _Decisions(unit)
        self.handoffs: ports.Handoffs = _Handoffs(unit)
        self.outbox: ports.Outbox = _Outbox(unit)
        self.topics: ports.Topics = _Topics(unit)
        self.updates: ports.Updates = _Updates(unit)
        self.candidates: ports.Candidates = _Candidates(unit)
        self.runs: ports.LearningRuns = _LearningRuns(unit)
        self.releases: ports.Releases = _Releases(unit)
        self.policies: ports.Policies = _Policies(unit)
        self.shadows: ports.ShadowVerdicts = _ShadowVerdicts(unit)
        self.nights: ports.Nights = _Nights(unit)

    async def places_taken(self) -> int:
        """Return how many conversations are waiting for a person or with one."""
        return await self._talks.with_people()

    async def episodes_since(self, since: datetime) -> list[tuple[str, int]]:
        """Return the episodes with a customer line at or after `since`, each once."""
        return await self._lines.episodes_since(since)

    async def commit(self) -> None:
        """Make everything done so far lasting."""
        self._unit.commit()
