"""The `Store` of the ports on SQLite and PostgreSQL.

Both databases behave alike: a read sees the latest committed state and the unit's own changes, a
writer waits for another writer of the same thing, and versions catch who decided on old facts. On
SQLite a unit takes the write lock of the file with its first change (`BEGIN IMMEDIATE`), so reading
blocks nobody. A refusal (`StaleVersion`, `NotFound`, False) leaves the unit usable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from handoff import ports
from handoff.adapters import StoreBusy
from handoff.adapters.db.engine import BUSY_SECONDS, LAZY
from handoff.adapters.db.mapping import from_values, to_values
from handoff.adapters.db.tables import NightRow, metadata, table_of
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
Where = sa.ColumnElement[bool]

_BUSY = {"SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "55P03"}
_LOST_A_RACE = {"40001", "40P01"}
_NO_PARENT = {"SQLITE_CONSTRAINT_FOREIGNKEY", "23503"}


class DatabaseStore:
    """Units of work on an engine made by `make_engine`, for one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._lock = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    def __call__(self) -> AbstractAsyncContextManager[ports.Work]:
        """Open a unit of work; leaving it without `commit` undoes everything."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[ports.Work]:
        async with self._engine.execution_options(**{LAZY: True}).connect() as connection:
            unit = _Unit(connection, self._lock)
            try:
                yield DatabaseWork(unit)
            finally:
                await unit.leave()


class _Unit:
    """One connection and the transaction on it."""

    def __init__(self, connection: AsyncConnection, lock: asyncio.Lock | None) -> None:
        self._connection = connection
        self._lock = lock
        self._locked = False
        self.on_postgresql = lock is None

    async def begin(self) -> None:
        """Make this unit the writer. Does nothing on PostgreSQL, which locks single rows.

        Writers of this process queue up here, in order; the file's own lock, which is polled, is
        left to other processes. Raises `StoreBusy` after `BUSY_SECONDS`.
        """
        if self._lock is None or self._locked:
            return
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise StoreBusy(seconds=BUSY_SECONDS) from None
        self._locked = True
        await self.run(sa.text("BEGIN IMMEDIATE"))

    async def run(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        """Execute one statement; a lost race or a busy database raises its typed refusal."""
        try:
            return await self._connection.execute(statement)
        except DBAPIError as error:
            _refuse_if_busy(error)
            raise

    async def write(self, statement: sa.Executable, what: str, id: object) -> sa.CursorResult[Any]:
        """Execute a change; a broken constraint raises `StaleVersion` (unique) or `NotFound`."""
        await self.begin()
        try:
            if not self.on_postgresql:  # SQLite undoes just the failed statement by itself.
                return await self.run(statement)
            async with self._connection.begin_nested():
                return await self.run(statement)
        except IntegrityError as error:
            if _code(error) in _NO_PARENT:
                raise NotFound(what=f"parent row of {what}", id=id) from None
            raise StaleVersion(what=what, id=id) from None

    async def commit(self) -> None:
        """Make it lasting and let the next writer go."""
        await self._connection.commit()
        self._release()

    async def leave(self) -> None:
        """Undo what was not committed and let the next writer go."""
        try:
            await self._connection.rollback()
        finally:
            self._release()

    def _release(self) -> None:
        if self._lock is not None and self._locked:
            self._locked = False
            self._lock.release()


def _code(error: DBAPIError) -> str:
    """Return the SQLSTATE of PostgreSQL or the name SQLite gives to an error."""
    cause = error.orig
    return getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or ""


def _refuse_if_busy(error: DBAPIError) -> None:
    code = _code(error)
    if code in _BUSY:
        raise StoreBusy(seconds=BUSY_SECONDS) from None
    if code in _LOST_A_RACE:
        raise StaleVersion(what="something in", id="this unit of work") from None


class _Rows(Generic[E]):
    """What all tables have in common."""

    entity: type[E]
    what: str
    key: tuple[str, ...] = ("id",)

    def __init__(self, unit: _Unit) -> None:
        self._unit = unit
        self._table = table_of(self.entity)
        self._c = self._table.c
        self._columns = [self._c[field.name] for field in fields(self.entity)]  # type: ignore[arg-type]

    async def get(self, id: str) -> E:
        """Return it or raise `NotFound`."""
        found = await self._first(self._c.id == id)
        if found is None:
            raise NotFound(what=self.what, id=id)
        return found

    async def _first(self, where: Where, *order: Any) -> E | None:
        result = await self._unit.run(self._query(where, *order).limit(1))
        row = result.mappings().first()
        return None if row is None else from_values(self.entity, row)  # type: ignore[arg-type]

    async def _all(self, where: Where, *order: Any, limit: int | None = None) -> list[E]:
        result = await self._unit.run(self._query(where, *order).limit(limit))
        return [from_values(self.entity, row) for row in result.mappings()]  # type: ignore[arg-type]

    async def _count(self, where: Where) -> int:
        query = sa.select(sa.func.count()).select_from(self._table).where(where)
        return (await self._unit.run(query)).scalar_one()

    def _query(self, where: Where, *order: Any) -> sa.Select[Any]:
        return sa.select(*self._columns).where(where).order_by(*order)

    async def _insert(self, entity: E) -> None:
        """Store a new row; `StaleVersion` when a unique value is taken already."""
        insert = sa.insert(self._table).values(**to_values(entity))
        await self._unit.write(insert, self.what, self._id(entity))

    async def _insert_unless(self, entity: E, *unique: str, **left_out: Any) -> sa.Row[Any] | None:
        """Store a new row unless these columns' values are taken; return its `unique` columns."""
        dialect = postgresql if self._unit.on_postgresql else sqlite
        values = {name: v for name, v in to_values(entity).items() if name not in left_out}
        insert = (
            dialect.insert(self._table)
            .values(**values)
            .on_conflict_do_nothing(index_elements=list(unique))
            .returning(*(self._c[name] for name in (*unique, *left_out)))
        )
        return (await self._unit.write(insert, self.what, self._id(entity))).first()

    async def _update(self, entity: E, *also: Where, **instead: Any) -> bool:
        """Store a changed row; say whether there was one that also meets the conditions."""
        values = {n: v for n, v in to_values(entity).items() if n not in self.key} | instead
        update = sa.update(self._table).where(*self._same(entity), *also).values(**values)
        result = await self._unit.write(update, self.what, self._id(entity))
        return result.rowcount == 1

    async def _save(self, entity: E) -> None:
        if not await self._update(entity):
            raise NotFound(what=self.what, id=self._id(entity))

    async def _save_version(self, entity: Any) -> None:
        """Store the successor of the version that was loaded, unless another one is stored."""
        version = entity.version
        if await self._update(entity, self._c.version == version, version=version + 1):
            entity.version = version + 1
            return
        await self.get(entity.id)
        raise StaleVersion(what=self.what, id=entity.id)

    def _same(self, entity: E) -> list[Where]:
        return [self._c[name] == getattr(entity, name) for name in self.key]

    def _id(self, entity: E) -> str:
        return "/".join(str(getattr(entity, name)) for name in self.key)


class _Conversations(_Rows[Conversation]):
    entity, what = Conversation, "conversation"

    async def find(self, channel: str, customer_key: str) -> Conversation | None:
        c = self._c
        return await self._first((c.channel == channel) & (c.customer_key == customer_key))

    async def add(self, conversation: Conversation) -> None:
        await self._insert(conversation)

    async def save(self, conversation: Conversation) -> None:
        await self._save_version(conversation)

    async def in_state(self, states: Sequence[State]) -> list[Conversation]:
        c = self._c
        return await self._all(c.state.in_([s.value for s in states]), c.updated_at, c.number)

    async def idle_since(self, before: datetime) -> list[Conversation]:
        c = self._c
        idle = (c.state == State.BOT.value) & (c.updated_at < before)
        return await self._all(idle, c.updated_at, c.number)

    async def with_people(self) -> int:
        states = [State.WAITING.value, State.AGENT.value]
        return await self._count(self._c.state.in_(states))


class _Messages(_Rows[Message]):
    entity, what = Message, "message"

    async def add(self, message: Message) -> None:
        await self._insert(message)

    async def save(self, message: Message) -> None:
        await self._save(message)

    async def by_client_id(self, conversation_id: str, client_id: str) -> Message | None:
        c = self._c
        return await self._first(
            (c.conversation_id == conversation_id) & (c.client_id == client_id)
        )

    async def by_console_id(self, conversation_id: str, message_id: int) -> Message | None:
        c = self._c
        mine = (c.conversation_id == conversation_id) & (c.console_message_id == message_id)
        return await self._first(mine, c.seq)

    async def beginning_with(self, beginning: str, limit: int = 2) -> list[Message]:
        c = self._c
        begins = sa.func.substr(c.id, 1, len(beginning)) == beginning
        return await self._all(begins, c.created_at, c.number, limit=limit)

    async def after(self, conversation_id: str, seq: int, limit: int = 200) -> list[Message]:
        c = self._c
        later = (c.conversation_id == conversation_id) & (c.seq > seq)
        return await self._all(later, c.seq, limit=limit)

    async def of_episode(self, conversation_id: str, episode: int) -> list[Message]:
        c = self._c
        return await self._all(
            (c.conversation_id == conversation_id) & (c.episode == episode), c.seq
        )

    async def owed(self, before: datetime) -> list[Message]:
        c = self._c
        owed = sa.and_(
            c.status == MessageStatus.RECEIVED.value,
            c.author == Author.CUSTOMER.value,
            c.created_at < before,
        )
        return await self._all(owed, c.created_at, c.number)

    async def episodes_since(self, since: datetime) -> list[tuple[str, int]]:
        c = self._c
        query = (
            sa.select(c.conversation_id, c.episode)
            .where(c.author == Author.CUSTOMER.value, c.created_at >= since)
            .group_by(c.conversation_id, c.episode)
            .order_by(sa.func.min(c.created_at), sa.func.min(c.number))
        )
        return [tuple(row) for row in await self._unit.run(query)]  # type: ignore[misc]


class _Decisions(_Rows[Decision]):
    entity, what = Decision, "decision"

    async def add(self, decision: Decision) -> None:
        await self._insert(decision)

    async def of_message(self, message_id: str) -> list[Decision]:
        c = self._c
        return await self._all(c.message_id == message_id, c.created_at, c.number)

    async def latest(self, limit: int = 20) -> list[Decision]:
        # By number, not by time: the primary key has the order, and a large table is not sorted.
        return await self._all(sa.true(), self._c.number.desc(), limit=limit)


class _Handoffs(_Rows[Handoff]):
    entity, what = Handoff, "handoff"

    async def add(self, handoff: Handoff) -> None:
        await self._insert(handoff)

    async def save(self, handoff: Handoff) -> None:
        await self._save(handoff)

    async def latest(self, conversation_id: str) -> Handoff | None:
        c = self._c
        mine = c.conversation_id == conversation_id
        return await self._first(mine, c.requested_at.desc(), c.number.desc())

    async def open(self) -> list[Handoff]:
        c = self._c
        return await self._all(c.ended_at.is_(None), c.requested_at, c.number)

    async def to_mine(self) -> list[Handoff]:
        c = self._c
        unread = sa.and_(c.mined.is_(False), c.ended_at.is_not(None), c.truth.is_not(None))
        return await self._all(unread, c.requested_at, c.number)

    async def judged(self) -> list[Handoff]:
        c = self._c
        told = c.ended_at.is_not(None) & c.needed.is_not(None)
        return await self._all(told, c.requested_at, c.number)

    async def requested_since(self, since: datetime) -> list[Handoff]:
        c = self._c
        return await self._all(c.requested_at >= since, c.requested_at, c.number)

    async def not_ended_before(self, since: datetime) -> list[Handoff]:
        c = self._c
        going_on = c.ended_at.is_(None) | (c.ended_at >= since)
        return await self._all(going_on, c.requested_at, c.number)


class _Outbox(_Rows[OutboxItem]):
    entity, what = OutboxItem, "outbox item"

    async def put(self, item: OutboxItem) -> bool:
        if self._unit.on_postgresql and item.topic:
            # Numbers are given before they are visible. Units that write to one topic queue up
            # here until they commit, so that its numbers become visible in their order.
            lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(item.topic, 0))
            await self._unit.run(sa.select(lock))
        row = await self._insert_unless(item, "dedupe_key", number=None)
        if row is not None:
            item.number = row.number
        return row is not None

    async def take(
        self, now: datetime, skip_topics: Sequence[str] = (), topics: bool = True
    ) -> OutboxItem | None:
        due = self._due(now, skip_topics)
        if not topics:
            due = due.where(self._c.topic == "")
        if await self._number(due) is None:  # Looking takes no lock: the usual case is idle.
            return None
        await self._unit.begin()
        number = await self._number(due.with_for_update(skip_locked=True))
        if number is None:
            return None
        update = (
            sa.update(self._table)
            .where(self._c.number == number)
            .values(status=OutboxStatus.SENDING.value, attempts=self._c.attempts + 1)
            .returning(*self._columns)
        )
        taken = (await self._unit.write(update, self.what, number)).mappings().one()
        return from_values(OutboxItem, taken)  # type: ignore[arg-type]

    async def _number(self, query: sa.Select[Any]) -> int | None:
        return (await self._unit.run(query)).scalar()

    def _due(self, now: datetime, skip_topics: Sequence[str]) -> sa.Select[Any]:
        c, older = self._c, self._table.alias("older")
        unsettled = [OutboxStatus.PENDING.value, OutboxStatus.SENDING.value]
        overtakes = sa.exists().where(
            older.c.topic == c.topic,
            older.c.status.in_(unsettled),
            older.c.priority == c.priority,
            older.c.number < c.number,
        )
        return (
            sa.select(c.number)
            .where(c.status == OutboxStatus.PENDING.value, c.not_before <= now)
            .where(c.topic.not_in(list(skip_topics)))
            .where((c.topic == "") | ~overtakes)
            .order_by(c.priority, c.number)
            .limit(1)
        )

    async def save(self, item: OutboxItem) -> None:
        await self._save(item)

    async def stranded(self) -> list[OutboxItem]:
        return await self._all(self._c.status == OutboxStatus.SENDING.value, self._c.number)

    async def waiting(self) -> int:
        return await self._count(self._c.status == OutboxStatus.PENDING.value)


class _Topics(_Rows[Topic]):
    entity, what, key = Topic, "topic", ("key",)

    async def get(self, key: str) -> Topic | None:  # type: ignore[override]
        return await self._first(self._c.key == key)

    async def by_thread(self, chat_id: int, thread_id: int) -> Topic | None:
        return await self._first(self._holds(chat_id, thread_id))

    async def put(self, topic: Topic) -> None:
        other = self._holds(topic.chat_id, topic.thread_id) & (self._c.key != topic.key)
        await self._unit.write(sa.delete(self._table).where(other), self.what, topic.key)
        if not await self._update(topic):
            await self._insert(topic)

    def _holds(self, chat_id: int, thread_id: int) -> Where:
        return (self._c.chat_id == chat_id) & (self._c.thread_id == thread_id)


class _Updates(_Rows[InboundUpdate]):
    entity, what, key = InboundUpdate, "update", ("bot_id", "update_id")

    async def put(self, update: InboundUpdate) -> bool:
        return await self._insert_unless(update, "bot_id", "update_id") is not None

    async def pending(self, limit: int = 100) -> list[InboundUpdate]:
        c = self._c
        pending = c.status == UpdateStatus.PENDING.value
        return await self._all(pending, c.update_id, c.bot_id, limit=limit)

    async def save(self, update: InboundUpdate) -> None:
        await self._save(update)


class _Candidates(_Rows[Candidate]):
    entity, what = Candidate, "candidate"

    async def add(self, candidate: Candidate) -> bool:
        return await self._insert_unless(candidate, "dedupe_key") is not None

    async def save(self, candidate: Candidate) -> None:
        await self._save_version(candidate)

    async def with_status(self, *statuses: CandidateStatus) -> list[Candidate]:
        c = self._c
        return await self._all(c.status.in_([s.value for s in statuses]), c.created_at, c.number)


class _LearningRuns(_Rows[LearningRun]):
    entity, what = LearningRun, "learning run"

    async def add(self, run: LearningRun) -> None:
        await self._insert(run)

    async def save(self, run: LearningRun) -> None:
        await self._save(run)

    async def latest(self) -> LearningRun | None:
        return await self._first(sa.true(), self._c.started_at.desc(), self._c.number.desc())


class _Releases(_Rows[Release]):
    entity, what = Release, "release"

    async def add(self, release: Release) -> None:
        await self._insert(release)

    async def save(self, release: Release) -> None:
        await self._save(release)

    async def current(self) -> Release | None:
        c = self._c
        current = c.status == ReleaseStatus.CURRENT.value
        return await self._first(current, c.created_at.desc(), c.number.desc())

    async def model_paths(self) -> list[str]:
        return [release.model_path for release in await self._all(sa.true())]


class _Policies(_Rows[StoredPolicy]):
    entity, what = StoredPolicy, "policy"

    async def add(self, policy: StoredPolicy) -> None:
        await self._insert(policy)

    async def save(self, policy: StoredPolicy) -> None:
        await self._save_version(policy)

    async def in_use(self) -> tuple[StoredPolicy | None, StoredPolicy | None]:
        wanted = PolicyStatus.ACTIVE, PolicyStatus.SHADOW
        found = await self._all(self._c.status.in_([status.value for status in wanted]))
        by_status = {policy.status: policy for policy in found}
        return by_status.get(wanted[0]), by_status.get(wanted[1])

    async def latest(self, limit: int = 20) -> list[StoredPolicy]:
        c = self._c
        return await self._all(sa.true(), c.created_at.desc(), c.number.desc(), limit=limit)


class _ShadowVerdicts(_Rows[ShadowVerdict]):
    entity, what = ShadowVerdict, "shadow verdict"

    async def add(self, verdict: ShadowVerdict) -> None:
        await self._insert(verdict)

    async def counts(self, policy_id: str) -> tuple[int, int]:
        mine = self._c.policy_id == policy_id
        return await self._count(mine), await self._count(mine & self._c.agrees.is_(False))

    async def disagreements(self, policy_id: str, limit: int = 20) -> list[ShadowVerdict]:
        c = self._c
        wrong = (c.policy_id == policy_id) & c.agrees.is_(False)
        return await self._all(wrong, c.created_at.desc(), c.number.desc(), limit=limit)


class _Nights:
    def __init__(self, unit: _Unit) -> None:
        self._unit = unit
        self._table = metadata.tables[NightRow.__tablename__]

    async def begin(self, local_date: str, now: datetime) -> bool:
        dialect = postgresql if self._unit.on_postgresql else sqlite
        insert = (
            dialect.insert(self._table)
            .values(local_date=local_date, started_at=now)
            .on_conflict_do_nothing(index_elements=["local_date"])
            .returning(self._table.c.local_date)
        )
        return (await self._unit.write(insert, "night", local_date)).first() is not None

    async def undo(self, local_date: str) -> None:
        own = self._table.c.local_date == local_date
        await self._unit.write(sa.delete(self._table).where(own), "night", local_date)


class DatabaseWork:
    """An open unit of work on a database: the `Work` of the ports."""

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
        await self._unit.commit()
