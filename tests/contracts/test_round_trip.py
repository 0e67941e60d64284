"""What is stored comes back exactly: every field of every entity, any text, any time zone."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON

from handoff.adapters.db.mapping import from_values, is_nested, to_json, to_values
from handoff.adapters.db.tables import ROWS, table_of
from handoff.core import model
from handoff.core.model import (
    Candidate,
    Conversation,
    Decision,
    Feelings,
    Finding,
    Handoff,
    InboundUpdate,
    IntentScore,
    LearningRun,
    Message,
    OutboxItem,
    Parse,
    PolicyStatus,
    Reason,
    Release,
    ShadowVerdict,
    StoredPolicy,
    Topic,
)
from handoff.ports import Store, Work
from tests.contracts import samples

ENTITIES = list(ROWS)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
BIG = st.integers(-(2**63), 2**63 - 1)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=ZONES | st.just(UTC))
JSON_DATA = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)

for kind, strategy in ((str, TEXT), (int, BIG), (float, FLOATS), (datetime, TIMES)):
    st.register_type_strategy(kind, strategy)


def any_of(cls: type, **fixed: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for an entity or value with every field drawn at random."""
    hints = {name: hint for name, hint in get_type_hints(cls).items() if name not in fixed}
    drawn = {name: of_hint(hint) for name, hint in hints.items()}
    return st.builds(cls, **drawn, **{name: st.just(value) for name, value in fixed.items()})


def of_hint(hint: Any) -> st.SearchStrategy[Any]:
    if hint == dict[str, Any]:
        return JSON_DATA
    if hint == dict[str, Any] | None:
        return st.none() | JSON_DATA
    if hint == tuple[dict[str, Any], ...]:
        return st.lists(JSON_DATA, max_size=2).map(tuple)
    if hint == Parse | None:
        return st.none() | any_of(Parse)
    return st.from_type(hint)


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_mapping_is_exact(entity: type, data: st.DataObject) -> None:
    original = data.draw(any_of(entity))
    values = to_values(original)
    hints = get_type_hints(entity)
    stored = {
        name: json.loads(to_json(value)) if is_nested(hints[name]) else value
        for name, value in values.items()
    }
    restored = from_values(entity, stored)
    assert restored == original
    assert_same_types(restored, original)


def assert_same_types(restored: Any, original: Any) -> None:
    """Equality alone would let a text pass for an enum and 1 for 1.0."""
    assert type(restored) is type(original)
    if is_dataclass(original):
        for field in fields(original):
            assert_same_types(getattr(restored, field.name), getattr(original, field.name))
    elif isinstance(original, list | tuple):
        for mine, theirs in zip(restored, original, strict=True):
            assert_same_types(mine, theirs)


async def add_parents(work: Work) -> None:
    await work.conversations.add(samples.conversation("c1"))
    await work.messages.add(samples.message("m1", "c1", seq=2**62))
    await work.handoffs.add(samples.handoff("h1", "c1"))
    await work.decisions.add(samples.decision("d1", "m1"))
    await work.policies.add(samples.policy("p1", status=PolicyStatus.RETIRED))


def with_parents(entity: type) -> st.SearchStrategy[Any]:
    """Draw an entity that refers to the rows `add_parents` makes."""
    names = {field.name for field in fields(entity)}
    fixed: dict[str, Any] = {"conversation_id": "c1", "message_id": "m1", "handoff_id": "h1"}
    if entity is ShadowVerdict:
        fixed |= {"decision_id": "d1", "policy_id": "p1"}
    fixed = {name: value for name, value in fixed.items() if name in names}
    return any_of(entity, **fixed, **({"id": "drawn"} if "id" in names else {}))


async def add(work: Work, entity: Any) -> None:
    name = {OutboxItem: "put", Topic: "put", InboundUpdate: "put"}.get(type(entity), "add")
    assert await getattr(getattr(work, TABLES[type(entity)]), name)(entity) in (None, True)


async def get(work: Work, entity: Any) -> Any:
    if isinstance(entity, Topic):
        return await work.topics.get(entity.key)
    if isinstance(entity, ShadowVerdict):
        return (await work.shadows.disagreements("p1"))[0]
    if isinstance(entity, InboundUpdate):
        pending = {(u.bot_id, u.update_id): u for u in await work.updates.pending()}
        return pending[entity.bot_id, entity.update_id]
    return await getattr(work, TABLES[type(entity)]).get(entity.id)


TABLES = {
    Conversation: "conversations",
    Message: "messages",
    Decision: "decisions",
    Handoff: "handoffs",
    OutboxItem: "outbox",
    Topic: "topics",
    InboundUpdate: "updates",
    Candidate: "candidates",
    LearningRun: "runs",
    Release: "releases",
    StoredPolicy: "policies",
    ShadowVerdict: "shadows",
}


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_every_field_comes_back(store: Store, entity: type, data: st.DataObject) -> None:
    original = data.draw(with_parents(entity))
    if isinstance(original, InboundUpdate):
        original.status = model.UpdateStatus.PENDING
    if isinstance(original, ShadowVerdict):
        original.agrees = False
    async with store() as work:  # Never committed: each example starts with empty tables.
        await add_parents(work)
        await add(work, original)
        restored = await get(work, original)
    assert restored == original
    assert_same_types(restored, original)
    for field in fields(original):
        value = getattr(restored, field.name)
        assert not isinstance(value, datetime) or value.tzinfo is UTC


NASTY = (
    "<3 _*[ /start [text](entity) <b>&amp;",
    "line\nbreak\r\n\ttab",
    "👩‍👩‍👧‍👦 🇩🇪 e\u0301 ﷽ \u202eright to left",
    "'; DROP TABLE messages; --  %s :name ? {} \\u0000",
    "\U0010ffff\uffff\x01",
    "x" * 20_000,
    "",
)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
async def test_text_comes_back_as_typed(store: Store, text: str) -> None:
    line = samples.message(
        text=text,
        parse=Parse((IntentScore(text, 0.1),), ({"value": text},), 0.30000000000000004, text),
        feelings=Feelings(1e-300, 1.0, 0.1),
        buttons=(model.Button(text, text),),
    )
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.messages.add(line)
        await work.commit()
    async with store() as work:
        assert await work.messages.get("m1") == line


async def test_a_raw_update_may_hold_what_text_may_not(store: Store) -> None:
    """NUL and a lone surrogate inside a payload: an update must be stored whatever it holds."""
    update = samples.update(payload={"text": "a\0b", "half": "\ud83d", "n": 2**53})
    async with store() as work:
        await work.updates.put(update)
        await work.commit()
    async with store() as work:
        assert await work.updates.pending() == [update]


async def test_a_moment_comes_back_in_utc_to_the_microsecond(store: Store) -> None:
    moment = datetime(2025, 3, 30, 3, 30, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    async with store() as work:
        await work.conversations.add(samples.conversation(updated_at=moment))
        await work.commit()
    async with store() as work:
        stored = (await work.conversations.get("c1")).updated_at
    assert stored == moment
    assert stored.isoformat() == "2025-03-30T01:30:00.000001+00:00"


def test_a_value_stored_before_it_had_a_field_can_be_read() -> None:
    values = to_values(samples.message(parse=Parse((IntentScore("greet", 1.0),), (), 0.5, "new")))
    del values["parse"]["model"]
    assert from_values(Message, values).parse == Parse((IntentScore("greet", 1.0),), (), 0.5)


async def test_a_reason_stored_before_it_had_a_weight_decided_by_itself() -> None:
    finding = Finding(Reason.ANGRY, 0.9, 0.75)
    values = to_values(samples.handoff(findings=(finding,)))
    del values["findings"][0]["weight"]
    (restored,) = from_values(Handoff, values).findings
    assert restored == finding and restored.is_rule


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda cls: cls.__name__)
def test_tables_have_exactly_the_columns_of_the_entities(entity: type) -> None:
    columns = table_of(entity).columns
    hints = get_type_hints(entity)
    assert set(columns.keys()) - {"number"} == set(hints) - {"number"}
    for name, hint in hints.items():
        assert isinstance(columns[name].type, JSON) == is_nested(hint), name
        assert columns[name].nullable == (type(None) in getattr(hint, "__args__", ())), name


def test_every_entity_with_an_identity_has_a_table() -> None:
    """An entity of the model is a dataclass that can change, so it has no hash."""
    dataclasses = [
        cls for cls in vars(model).values() if isinstance(cls, type) if is_dataclass(cls)
    ]
    assert {cls for cls in dataclasses if cls.__hash__ is None} == set(ENTITIES)
