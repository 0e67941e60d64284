"""Every method of the store's ports, on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from handoff.core.errors import NotFound, StaleVersion
from handoff.core.model import (
    Author,
    CandidateStatus,
    MessageStatus,
    PolicyStatus,
    ReleaseStatus,
    RunStatus,
    State,
    Truth,
    UpdateStatus,
)
from handoff.ports import Store
from tests.contracts import samples
from tests.contracts.samples import at

# Conversations


async def test_find_needs_channel_and_key(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation("a", customer_key="ada"))
        await work.conversations.add(samples.conversation("b", channel="rest", customer_key="ada"))
        found = await work.conversations.find("rest", "ada")
        assert found is not None and found.id == "b"
        assert await work.conversations.find("web", "Ada") is None
        assert await work.conversations.find("telegram", "ada") is None


async def test_a_customer_has_one_conversation_a_channel(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation("a", customer_key="ada"))
        with pytest.raises(StaleVersion):
            await work.conversations.add(samples.conversation("b", customer_key="ada"))
        with pytest.raises(StaleVersion):
            await work.conversations.add(samples.conversation("a", customer_key="bob"))


@pytest.mark.parametrize("kind", ["conversations", "messages", "decisions", "handoffs", "outbox"])
async def test_get_of_an_unknown_id_is_not_found(store: Store, kind: str) -> None:
    async with store() as work:
        with pytest.raises(NotFound):
            await getattr(work, kind).get("nobody")


@pytest.mark.parametrize("kind", ["candidates", "runs", "releases", "policies"])
async def test_get_of_an_unknown_thing_learned_is_not_found(store: Store, kind: str) -> None:
    async with store() as work:
        with pytest.raises(NotFound):
            await getattr(work, kind).get("nobody")


async def test_save_of_something_never_stored_is_not_found(store: Store) -> None:
    async with store() as work:
        for save in (
            work.conversations.save(samples.conversation()),
            work.messages.save(samples.message()),
            work.handoffs.save(samples.handoff()),
            work.outbox.save(samples.item()),
            work.updates.save(samples.update()),
            work.candidates.save(samples.candidate()),
            work.runs.save(samples.run()),
            work.releases.save(samples.release()),
            work.policies.save(samples.policy()),
        ):
            with pytest.raises(NotFound):
                await save


async def test_in_state_returns_the_longest_unchanged_first(store: Store) -> None:
    async with store() as work:
        for id, state, changed in (
            ("late", State.WAITING, 3),
            ("bot", State.BOT, 0),
            ("early", State.AGENT, 1),
            ("tie-b", State.WAITING, 2),
            ("tie-a", State.WAITING, 2),
        ):
            conversation = samples.conversation(id, state=state, updated_at=at(changed))
            await work.conversations.add(conversation)
        found = await work.conversations.in_state([State.WAITING, State.AGENT])
        assert [c.id for c in found] == ["early", "tie-b", "tie-a", "late"]
        assert await work.conversations.in_state([State.CLOSED]) == []
        assert await work.conversations.in_state([]) == []


async def test_idle_since_returns_the_bots_own_before_the_moment(store: Store) -> None:
    async with store() as work:
        for id, state, changed in (
            ("b", State.BOT, 2),
            ("a", State.BOT, 1),
            ("just", State.BOT, 3),
            ("agent", State.AGENT, 1),
        ):
            conversation = samples.conversation(id, state=state, updated_at=at(changed))
            await work.conversations.add(conversation)
        assert [c.id for c in await work.conversations.idle_since(at(3))] == ["a", "b"]


async def test_places_taken_counts_those_waiting_for_a_person_or_with_one(store: Store) -> None:
    async with store() as work:
        assert await work.places_taken() == 0
        for number, state in enumerate([*State, State.WAITING]):
            await work.conversations.add(samples.conversation(f"c{number}", state=state))
        assert await work.places_taken() == 3


# Messages


async def test_lines_are_found_by_the_beginning_of_their_id(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        for seq, id in enumerate(("abc1", "abd2", "ab_3", "Abc4", "xab5"), 1):
            await work.messages.add(samples.message(id, seq=seq, created_at=at(-seq)))
        found = await work.messages.beginning_with("ab", limit=9)
        assert [m.id for m in found] == ["ab_3", "abd2", "abc1"]
        assert [m.id for m in await work.messages.beginning_with("ab_")] == ["ab_3"]
        assert len(await work.messages.beginning_with("ab")) == 2
        assert await work.messages.beginning_with("%") == []


async def test_a_line_belongs_to_a_conversation_that_exists(store: Store) -> None:
    async with store() as work:
        with pytest.raises(NotFound):
            await work.messages.add(samples.message())


async def test_seq_and_client_id_are_unique_within_a_conversation(store: Store) -> None:
    async with store() as work:
        for id in ("c1", "c2"):
            await work.conversations.add(samples.conversation(id))
        await work.messages.add(samples.message("m1", seq=1, client_id="x"))
        with pytest.raises(StaleVersion):
            await work.messages.add(samples.message("m2", seq=1))
        with pytest.raises(StaleVersion):
            await work.messages.add(samples.message("m2", seq=2, client_id="x"))
        await work.messages.add(samples.message("m2", "c2", seq=1, client_id="x"))
        await work.messages.add(samples.message("m3", seq=2, client_id=None))
        await work.messages.add(samples.message("m4", seq=3, client_id=None))
        with pytest.raises(StaleVersion):
            await work.messages.save(samples.message("m4", seq=3, client_id="x"))
        assert [m.id for m in await work.messages.after("c1", 0)] == ["m1", "m3", "m4"]


async def test_lines_are_found_by_the_ids_of_others(store: Store) -> None:
    async with store() as work:
        for id in ("c1", "c2"):
            await work.conversations.add(samples.conversation(id))
        await work.messages.add(samples.message("m1", client_id="x", console_message_id=2**40))
        found = await work.messages.by_client_id("c1", "x")
        assert found is not None and found.id == "m1"
        assert await work.messages.by_client_id("c2", "x") is None
        assert await work.messages.by_client_id("c1", "y") is None
        found = await work.messages.by_console_id("c1", 2**40)
        assert found is not None and found.id == "m1"
        assert await work.messages.by_console_id("c2", 2**40) is None
        assert await work.messages.by_console_id("c1", 1) is None


async def test_a_changed_line_is_stored(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.messages.add(samples.message(status=MessageStatus.RECEIVED))
        line = await work.messages.get("m1")
        line.status, line.console_message_id, line.client_id = MessageStatus.DONE, 5, "x"
        await work.messages.save(line)
        await work.messages.save(line)
        assert await work.messages.get("m1") == line


async def test_after_returns_later_lines_in_order_up_to_the_limit(store: Store) -> None:
    async with store() as work:
        for id in ("c1", "c2"):
            await work.conversations.add(samples.conversation(id))
        for seq in (3, 1, 2, 4):
            await work.messages.add(samples.message(f"m{seq}", seq=seq))
        await work.messages.add(samples.message("elsewhere", "c2", seq=9))
        assert [m.seq for m in await work.messages.after("c1", 1)] == [2, 3, 4]
        assert [m.seq for m in await work.messages.after("c1", 0, limit=2)] == [1, 2]
        assert await work.messages.after("c1", 4) == []


async def test_of_episode_returns_its_lines_in_order(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        for seq, episode in ((3, 2), (1, 1), (2, 2)):
            await work.messages.add(samples.message(f"m{seq}", seq=seq, episode=episode))
        assert [m.seq for m in await work.messages.of_episode("c1", 2)] == [2, 3]
        assert await work.messages.of_episode("c1", 3) == []


async def test_owed_returns_the_customers_undecided_lines(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        for seq, status, created, author in (
            (1, MessageStatus.RECEIVED, 2, Author.CUSTOMER),
            (2, MessageStatus.RECEIVED, 1, Author.CUSTOMER),
            (3, MessageStatus.DONE, 1, Author.CUSTOMER),
            (4, MessageStatus.RECEIVED, 3, Author.CUSTOMER),
            (5, MessageStatus.RECEIVED, 1, Author.BOT),
        ):
            line = samples.message(
                f"m{seq}", seq=seq, status=status, created_at=at(created), author=author
            )
            await work.messages.add(line)
        assert [m.seq for m in await work.messages.owed(at(3))] == [2, 1]


async def test_episodes_since_counts_customer_lines_only(store: Store) -> None:
    async with store() as work:
        for id in ("c1", "c2", "c3"):
            await work.conversations.add(samples.conversation(id))
        for number, (conversation, episode, created, author) in enumerate(
            [
                ("c1", 1, 4, Author.CUSTOMER),
                ("c1", 1, 5, Author.CUSTOMER),
                ("c1", 2, 9, Author.CUSTOMER),
                ("c2", 1, 6, Author.CUSTOMER),
                ("c2", 1, 7, Author.CUSTOMER),
                ("c3", 1, 8, Author.AGENT),
                ("c3", 1, 1, Author.CUSTOMER),
            ]
        ):
            line = samples.message(
                f"m{number}",
                conversation,
                seq=number + 1,
                episode=episode,
                created_at=at(created),
                author=author,
            )
            await work.messages.add(line)
        assert await work.episodes_since(at(5)) == [("c1", 1), ("c2", 1), ("c1", 2)]
        assert await work.episodes_since(at(10)) == []


# Decisions and handoffs


async def test_decisions_of_a_message_come_oldest_first(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.messages.add(samples.message("m1", seq=1))
        await work.messages.add(samples.message("m2", seq=2))
        for id, made in (("late", 2), ("early", 1), ("tie", 2)):
            await work.decisions.add(samples.decision(id, created_at=at(made)))
        await work.decisions.add(samples.decision("elsewhere", "m2"))
        found = await work.decisions.of_message("m1")
        assert [d.id for d in found] == ["early", "late", "tie"]
        assert found[0] == samples.decision("early", created_at=at(1))
        assert await work.decisions.get("early") == found[0]
        with pytest.raises(NotFound):
            await work.decisions.add(samples.decision("d", "nobody"))


async def test_the_latest_decisions_are_those_stored_last(store: Store) -> None:
    """Whatever their clocks said: the order is that in which they were made."""
    async with store() as work:
        assert await work.decisions.latest() == []
        await work.conversations.add(samples.conversation())
        await work.messages.add(samples.message())
        for id, made in (("a", 2), ("b", 1), ("c", 2)):
            await work.decisions.add(samples.decision(id, created_at=at(made)))
        found = await work.decisions.latest()
        assert [d.id for d in found] == ["c", "b", "a"]
        assert found[1] == samples.decision("b", created_at=at(1))
        assert [d.id for d in await work.decisions.latest(limit=2)] == ["c", "b"]


async def test_latest_handoff_is_the_one_requested_last(store: Store) -> None:
    async with store() as work:
        for id in ("c1", "c2"):
            await work.conversations.add(samples.conversation(id))
        assert await work.handoffs.latest("c1") is None
        for id, requested in (("b", 2), ("a", 1), ("tie", 2)):
            await work.handoffs.add(samples.handoff(id, requested_at=at(requested)))
        await work.handoffs.add(samples.handoff("elsewhere", "c2", requested_at=at(9)))
        found = await work.handoffs.latest("c1")
        assert found is not None and found.id == "tie"


async def test_open_handoffs_come_longest_waiting_first(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        for id, requested, ended in (("b", 2, None), ("a", 1, None), ("over", 0, 5)):
            handoff = samples.handoff(
                id, requested_at=at(requested), ended_at=None if ended is None else at(ended)
            )
            await work.handoffs.add(handoff)
        assert [h.id for h in await work.handoffs.open()] == ["a", "b"]
        first = (await work.handoffs.open())[0]
        first.ended_at, first.outcome = at(6), "resolved"
        await work.handoffs.save(first)
        assert [h.id for h in await work.handoffs.open()] == ["b"]
        assert await work.handoffs.get("a") == first


async def test_to_mine_wants_ended_true_and_unread(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        wanted: list[tuple[str, int, dict[str, Any]]] = [
            ("b", 2, {"ended_at": at(9), "truth": Truth.NEW_TOPIC}),
            ("a", 1, {"ended_at": at(9), "truth": Truth.INTENT}),
            ("open", 0, {"truth": Truth.INTENT}),
            ("no truth", 0, {"ended_at": at(9)}),
            ("read", 0, {"ended_at": at(9), "truth": Truth.INTENT, "mined": True}),
        ]
        for id, requested, fields in wanted:
            await work.handoffs.add(samples.handoff(id, requested_at=at(requested), **fields))
        assert [h.id for h in await work.handoffs.to_mine()] == ["a", "b"]


async def test_requested_since_includes_the_moment(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        for id, requested in (("c", 3), ("a", 1), ("b", 2)):
            await work.handoffs.add(samples.handoff(id, requested_at=at(requested)))
        assert [h.id for h in await work.handoffs.requested_since(at(2))] == ["b", "c"]


async def test_not_ended_before_wants_what_went_on_at_the_moment(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        for id, requested, ended in (("c", 3, None), ("a", 1, None), ("b", 1, 5), ("d", 1, 4)):
            ended_at = None if ended is None else at(ended)
            handoff = samples.handoff(id, requested_at=at(requested), ended_at=ended_at)
            await work.handoffs.add(handoff)
        assert [h.id for h in await work.handoffs.not_ended_before(at(5))] == ["a", "b", "c"]


async def test_judged_wants_what_ended_and_what_somebody_said_of_it(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        wanted: list[tuple[str, int, dict[str, Any]]] = [
            ("b", 2, {"ended_at": at(9), "needed": False}),
            ("a", 1, {"ended_at": at(9), "needed": True}),
            ("open", 0, {"needed": True}),
            ("nothing said", 0, {"ended_at": at(9)}),
        ]
        for id, requested, fields in wanted:
            await work.handoffs.add(samples.handoff(id, requested_at=at(requested), **fields))
        assert [h.id for h in await work.handoffs.judged()] == ["a", "b"]


# Topics


async def test_topics_are_found_by_key_and_by_thread(store: Store) -> None:
    async with store() as work:
        topic = samples.topic(closed=True)
        await work.topics.put(topic)
        assert await work.topics.get(topic.key) == topic
        assert await work.topics.by_thread(topic.chat_id, topic.thread_id) == topic
        assert await work.topics.get("review") is None
        assert await work.topics.by_thread(topic.chat_id, 8) is None
        assert await work.topics.by_thread(1, topic.thread_id) is None


async def test_put_replaces_a_topic(store: Store) -> None:
    async with store() as work:
        await work.topics.put(samples.topic(thread_id=7))
        await work.topics.put(samples.topic(thread_id=8, closed=True))
        assert await work.topics.get("conversation:c1") == samples.topic(thread_id=8, closed=True)
        assert await work.topics.by_thread(samples.topic().chat_id, 7) is None


async def test_a_thread_given_to_another_key_leaves_the_first(store: Store) -> None:
    """Else a reply in the thread would reach the wrong customer."""
    async with store() as work:
        await work.topics.put(samples.topic("conversation:c1", thread_id=7))
        await work.topics.put(samples.topic("conversation:c2", thread_id=7))
        found = await work.topics.by_thread(samples.topic().chat_id, 7)
        assert found is not None and found.key == "conversation:c2"
        assert await work.topics.get("conversation:c1") is None


# Updates


async def test_an_update_is_stored_once(store: Store, other: Store) -> None:
    async with store() as work:
        assert await work.updates.put(samples.update(1, payload={"text": "first"}))
        await work.commit()
    async with other() as work:
        assert not await work.updates.put(samples.update(1, payload={"text": "again"}))
        assert await work.updates.put(samples.update(1, bot_id=43))
        assert await work.updates.put(samples.update(2))
        await work.commit()
    async with store() as work:
        first = (await work.updates.pending())[0]
        assert (first.bot_id, first.payload) == (42, {"text": "first"})


async def test_pending_updates_come_by_number_up_to_the_limit(store: Store) -> None:
    async with store() as work:
        for id, status in (
            (10, UpdateStatus.PENDING),
            (9, UpdateStatus.PENDING),
            (2, UpdateStatus.DONE),
            (3, UpdateStatus.SET_ASIDE),
            (2**40, UpdateStatus.PENDING),
        ):
            await work.updates.put(samples.update(id, status=status))
        assert [u.update_id for u in await work.updates.pending()] == [9, 10, 2**40]
        assert [u.update_id for u in await work.updates.pending(limit=1)] == [9]
        first = (await work.updates.pending())[0]
        first.status, first.attempts, first.error = UpdateStatus.SET_ASIDE, 3, "no"
        await work.updates.save(first)
        assert [u.update_id for u in await work.updates.pending()] == [10, 2**40]


# Learning


async def test_a_candidate_is_stored_once(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.handoffs.add(samples.handoff())
        assert await work.candidates.add(samples.candidate("k1", dedupe_key="same"))
        assert not await work.candidates.add(samples.candidate("k2", dedupe_key="same"))
        with pytest.raises(NotFound):
            await work.candidates.get("k2")
        with pytest.raises(NotFound):
            await work.candidates.add(samples.candidate("k3", "nobody"))


async def test_with_status_returns_the_oldest_first(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.handoffs.add(samples.handoff())
        for id, status, created in (
            ("late", CandidateStatus.PENDING, 3),
            ("early", CandidateStatus.ACCEPTED, 1),
            ("tie-b", CandidateStatus.PENDING, 2),
            ("tie-a", CandidateStatus.PENDING, 2),
            ("no", CandidateStatus.REJECTED, 0),
        ):
            candidate = samples.candidate(id, status=status, created_at=at(created))
            await work.candidates.add(candidate)
        wanted = CandidateStatus.PENDING, CandidateStatus.ACCEPTED
        found = await work.candidates.with_status(*wanted)
        assert [k.id for k in found] == ["early", "tie-b", "tie-a", "late"]
        assert [k.id for k in await work.candidates.with_status(wanted[1])] == ["early"]
        assert await work.candidates.with_status() == []


async def test_latest_run_is_the_one_started_last(store: Store) -> None:
    async with store() as work:
        assert await work.runs.latest() is None
        for id, started in (("b", 2), ("a", 1)):
            await work.runs.add(samples.run(id, started_at=at(started)))
        found = await work.runs.latest()
        assert found is not None and found.id == "b"
        found.status, found.figures_after = RunStatus.PROMOTED, {"accuracy": 0.875}
        await work.runs.save(found)
        assert await work.runs.get("b") == found


async def test_current_release_is_the_one_in_use(store: Store) -> None:
    async with store() as work:
        assert await work.releases.current() is None
        await work.releases.add(samples.release("one"))
        first = await work.releases.current()
        assert first is not None and first == samples.release("one")
        first.status = ReleaseStatus.SUPERSEDED
        await work.releases.save(first)
        assert await work.releases.current() is None
        await work.releases.add(samples.release("two", previous_id="one", created_at=at(1)))
        found = await work.releases.current()
        assert found is not None and (found.id, found.previous_id) == ("two", "one")
        assert (await work.releases.get("one")).status is ReleaseStatus.SUPERSEDED
        await work.releases.add(samples.release("three", model_path="/else/three.tar.gz"))
        model = samples.release().model_path
        assert sorted(await work.releases.model_paths()) == ["/else/three.tar.gz", model, model]


# Policies


async def test_one_policy_decides_and_one_is_in_the_shadow(store: Store) -> None:
    async with store() as work:
        assert await work.policies.in_use() == (None, None)
        for id, status in (
            ("gone", PolicyStatus.RETIRED),
            ("on", PolicyStatus.ACTIVE),
            ("old", PolicyStatus.RETIRED),
            ("beside", PolicyStatus.SHADOW),
        ):
            await work.policies.add(samples.policy(id, status=status))
        active, shadow = await work.policies.in_use()
        assert active == samples.policy("on")
        assert shadow == samples.policy("beside", status=PolicyStatus.SHADOW)
        for status in (PolicyStatus.ACTIVE, PolicyStatus.SHADOW):
            with pytest.raises(StaleVersion):
                await work.policies.add(samples.policy("second", status=status))
            with pytest.raises(StaleVersion):
                await work.policies.save(samples.policy("old", status=status))
        with pytest.raises(StaleVersion):
            await work.policies.add(samples.policy("gone", status=PolicyStatus.RETIRED))
        assert await work.policies.in_use() == (active, shadow)


async def test_a_policy_takes_the_place_of_another(store: Store, other: Store) -> None:
    async with store() as work:
        await work.policies.add(samples.policy("one", figures={"cost": 0.1}))
        await work.commit()
    async with other() as work:
        one, _ = await work.policies.in_use()
        assert one is not None
        one.status, one.changed_at, one.changed_by = PolicyStatus.RETIRED, at(1), "Lea"
        await work.policies.save(one)
        await work.policies.add(samples.policy("two", created_at=at(1)))
        await work.commit()
    async with store() as work:
        assert await work.policies.get("one") == one
        assert (one.version, one.figures) == (1, {"cost": 0.1})
        active, _ = await work.policies.in_use()
        assert active is not None and active.id == "two"


async def test_a_policy_saved_by_somebody_else_since_is_stale(store: Store) -> None:
    async with store() as work:
        await work.policies.add(samples.policy())
        first, second = [await work.policies.get("p1") for _ in range(2)]
        first.status = PolicyStatus.RETIRED
        await work.policies.save(first)
        with pytest.raises(StaleVersion):
            await work.policies.save(second)
        assert (await work.policies.get("p1")).status is PolicyStatus.RETIRED


async def test_the_newest_policies_come_first_up_to_the_limit(store: Store) -> None:
    async with store() as work:
        for id, created in (("b", 2), ("a", 1), ("tie", 2), ("c", 3)):
            policy = samples.policy(id, status=PolicyStatus.RETIRED, created_at=at(created))
            await work.policies.add(policy)
        assert [p.id for p in await work.policies.latest()] == ["c", "tie", "b", "a"]
        assert [p.id for p in await work.policies.latest(limit=2)] == ["c", "tie"]


async def test_what_the_shadow_would_have_done_is_counted_and_shown(store: Store) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.messages.add(samples.message())
        await work.decisions.add(samples.decision())
        for id in ("p1", "p2"):
            await work.policies.add(samples.policy(id, status=PolicyStatus.RETIRED))
        for id, policy_id, agrees, made in (
            ("a", "p1", True, 9),
            ("b", "p1", False, 2),
            ("c", "p1", False, 1),
            ("tie", "p1", False, 2),
            ("d", "p2", True, 1),
        ):
            verdict = samples.verdict(id, policy_id, agrees=agrees, created_at=at(made))
            await work.shadows.add(verdict)
        assert await work.shadows.counts("p1") == (4, 3)
        assert await work.shadows.counts("p2") == (1, 0)
        assert await work.shadows.counts("p3") == (0, 0)
        found = await work.shadows.disagreements("p1")
        assert [v.id for v in found] == ["tie", "b", "c"]
        assert found[1] == samples.verdict("b", agrees=False, created_at=at(2))
        assert [v.id for v in await work.shadows.disagreements("p1", limit=1)] == ["tie"]
        assert await work.shadows.disagreements("p2") == []


@pytest.mark.parametrize("parent", ["decision_id", "message_id", "conversation_id", "policy_id"])
async def test_a_shadow_verdict_is_about_something_stored(store: Store, parent: str) -> None:
    async with store() as work:
        await work.conversations.add(samples.conversation())
        await work.messages.add(samples.message())
        await work.decisions.add(samples.decision())
        await work.policies.add(samples.policy())
        with pytest.raises(NotFound):
            await work.shadows.add(samples.verdict(**{"policy_id": "p1", parent: "nobody"}))
