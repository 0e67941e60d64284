"""The nightly refit: what counts as a judged episode, and when a policy is proposed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from handoff.app.policies import policy_of, switch_on_stored
from handoff.app.resolve import TellTruth
from handoff.core.costs import judge_replays
from handoff.core.errors import AssistantUnavailable, BadData, TooFewEpisodes
from handoff.core.evidence import named
from handoff.core.limits import PolicyLimits
from handoff.core.model import (
    Action,
    Author,
    Conversation,
    Decision,
    Feelings,
    Handoff,
    Message,
    PolicyStatus,
    StoredPolicy,
)
from handoff.core.policy import Policy
from handoff.core.risk import RiskModel
from handoff.fitting.refit import Episode, replayed
from handoff.learning.refit import (
    JUDGED_EPISODES,
    MADE_BY,
    Refit,
    RefitPolicy,
    judged_episodes,
    refitted,
)
from tests.fakes import ANA, LEA, FakeDesk, FakeFeelings, understood

WORRIED = named(
    Policy(PolicyLimits(risk=0.5), risk=RiskModel(1.0, {"repeats": 0.1}, {"repeats": 0.0}))
)
"""Hands everything over: its risk is 0.73 at least, whatever a message says."""

CALM, BAD = "about order {}", "this is bad {}"


class ReadsMany:
    """Many feelings from the desk's fake ones."""

    def __init__(self, one: FakeFeelings) -> None:
        self._one = one

    async def read_many(self, texts: Sequence[str]) -> list[Feelings]:
        return [await self._one.read(text) for text in texts]


class RefitDesk(FakeDesk):
    """A desk with a refit on a small file of conversations."""

    def __init__(self, folder: Path, policy: Policy = WORRIED) -> None:
        super().__init__()
        self.take_turn.configured = policy
        self.tell = TellTruth(self.store, self.clock, self.bell)
        self.file, self.opened = folder / "conversations.jsonl", 0
        self.write_file([[(CALM, 0), ("thanks {}", 0)]] * 8 + [[(CALM, 0), (BAD, 1)]] * 4)
        self.refit = RefitPolicy(
            self.store, self.clock, self.assistant, self._readers, policy, self.file
        )

    def write_file(self, conversations: Sequence[Sequence[tuple[str, int]]]) -> None:
        """Write conversations of (text, needed a person); `{}` becomes a conversation's number."""
        rows = [
            {
                "conversation": str(n),
                "turn": at,
                "text": text.format(n),
                "intent": "x",
                "handoff": y,
            }
            for n, turns in enumerate(conversations)
            for at, (text, y) in enumerate(turns)
        ]
        self.file.write_text("\n".join(json.dumps(row) for row in rows))

    @asynccontextmanager
    async def _readers(self) -> AsyncIterator[tuple]:
        self.opened += 1
        yield self.encoder, ReadsMany(FakeFeelings(self.encoder))

    async def judged(self, needed: bool | None, *texts: str, key: str = "") -> Handoff:
        """Let a customer write until the desk hands over, Ana resolve it, and judge it."""
        self.clock.advance(60)
        key = key or f"customer {self.clock.now()}"
        ids = [(await self.ask(text, key=key)).conversation_id for text in texts]
        await self.claim(ids[-1], ANA)
        await self.say(ids[-1], ANA, "I am Ana.", "1")
        await self.resolve(ids[-1], ANA)
        async with self.store() as work:
            handoff = await work.handoffs.latest(ids[-1])
        assert handoff is not None
        return handoff if needed is None else await self.tell(handoff.id, ANA, needed=needed)

    async def many_judged(self, count: int = JUDGED_EPISODES) -> None:
        """Let every other of so many customers have needed the person they got."""
        for number in range(count):
            needed = bool(number % 2)
            await self.judged(needed, (BAD if needed else CALM).format(number))

    async def episodes(self, policy: Policy = WORRIED) -> list[Episode]:
        async with self.store() as work:
            return await judged_episodes(work, policy)

    async def in_use(self) -> tuple[StoredPolicy | None, StoredPolicy | None]:
        async with self.store() as work:
            return await work.policies.in_use()

    async def of_version_2(self, id: str) -> None:
        """Store a judged handoff with the evidence that was written before version 3."""
        now = self.clock.now()
        async with self.store() as work:
            await work.conversations.add(Conversation(f"c-{id}", "test", id, f"c-{id}", now, now))
            await work.messages.add(
                Message(f"m-{id}", f"c-{id}", 1, 1, Author.CUSTOMER, "old", now)
            )
            evidence = {"intent": "faq", "confidence": 0.4, "signals": {}}
            await work.decisions.add(
                Decision(
                    f"d-{id}", f"m-{id}", f"c-{id}", Action.HAND_OFF, (), evidence, "2", "m", now
                )
            )
            handoff = Handoff(f"h-{id}", f"c-{id}", 1, f"d-{id}", (), now, ended_at=now)
            await work.handoffs.add(replace(handoff, needed=True))
            await work.commit()


@pytest.fixture
def desk(tmp_path: Path) -> RefitDesk:
    return RefitDesk(tmp_path)


# --- judged episodes -----------------------------------------------------------------------------


CAREFUL = named(
    Policy(PolicyLimits(risk=0.5), risk=RiskModel(-2.0, {"negative": 2.0}, {"negative": 0.1}))
)
"""Hands over what is bad."""


async def test_an_episode_is_every_turn_up_to_the_handoff(tmp_path: Path) -> None:
    desk = RefitDesk(tmp_path, CAREFUL)
    handoff = await desk.judged(True, "about one", "about two", "this is bad", key="kim")
    await desk.write("one more thing", key="kim")
    (episode,) = await desk.episodes(CAREFUL)
    assert episode.needed == (False, False, True)
    assert episode.ruled == (False, False, False)
    assert [row["negative"] for row in episode.figures] == [0.1, 0.1, 0.7]
    assert [row["mood"] for row in episode.figures] == pytest.approx([0.1, 0.1, 0.3])
    await desk.tell(handoff.id, ANA, needed=False)
    (episode,) = await desk.episodes(CAREFUL)
    assert episode.needed == (False, False, False)


async def test_what_a_rule_decided_is_told(tmp_path: Path) -> None:
    desk = RefitDesk(tmp_path, CAREFUL)
    await desk.judged(True, "about one", "human please")
    (episode,) = await desk.episodes(CAREFUL)
    assert (episode.ruled, episode.needed) == ((False, True), (False, True))


async def test_a_question_back_is_a_turn_of_its_episode(tmp_path: Path) -> None:
    desk = RefitDesk(tmp_path, CAREFUL)
    torn = understood("track_order", 0.5, ("get_refund", 0.4))
    desk.assistant.parses = {"which one": torn}
    await desk.judged(True, "which one", "this is bad")
    (episode,) = await desk.episodes(CAREFUL)
    assert [row["asked_back"] for row in episode.figures] == [0, 1]
    assert episode.figures[0]["ambiguity"] == pytest.approx(0.8)


async def test_only_what_was_judged_counts_each_stay_by_itself(tmp_path: Path) -> None:
    desk = RefitDesk(tmp_path, CAREFUL)
    await desk.judged(None, "this is bad", key="never judged")
    await desk.judged(True, "this is bad", key="kim")
    await desk.judged(False, "about one", "so bad", key="kim")
    await desk.handed_over("still waits")
    assert [e.needed for e in await desk.episodes(CAREFUL)] == [(True,), (False, False)]


async def test_a_handoff_of_an_assistant_that_was_away_says_nothing(desk: RefitDesk) -> None:
    desk.assistant.down = "it is restarting"
    await desk.judged(True, "hello")
    assert await desk.episodes() == []


async def test_evidence_of_version_2_is_left_out(desk: RefitDesk) -> None:
    await desk.of_version_2("old")
    assert await desk.episodes() == []
    await desk.judged(True, "this is bad")
    assert len(await desk.episodes()) == 1


async def test_an_earlier_turn_without_an_assistant_leaves_the_episode_out(tmp_path: Path) -> None:
    """Its handoff was made then; the one after belongs to an episode of its own."""
    desk = RefitDesk(tmp_path, CAREFUL)
    desk.assistant.down = "it is restarting"
    await desk.judged(True, "hello", key="kim")
    desk.assistant.down = ""
    await desk.judged(True, "this is bad", key="kim")
    assert [e.needed for e in await desk.episodes(CAREFUL)] == [(True,)]


def test_one_episode_is_not_several() -> None:
    few = str(TooFewEpisodes(judged=1, needed=20))
    assert few == "The policy stays as it is: 1 episode has been judged, 20 are needed."


# --- the refit -----------------------------------------------------------------------------------


async def test_too_few_judged_episodes_are_told_and_nothing_is_loaded(desk: RefitDesk) -> None:
    await desk.many_judged(JUDGED_EPISODES - 1)
    await desk.of_version_2("old")
    desk.assistant.down = "it is restarting"
    await desk.judged(True, "hello")
    desk.assistant.down = ""
    with pytest.raises(TooFewEpisodes, match="19 episodes have been judged, 20 are needed"):
        await desk.refit()
    assert desk.opened == 0
    active, shadow = await desk.in_use()
    assert active is not None and (active.id, shadow) == (WORRIED.id, None)


async def test_a_better_policy_runs_in_the_shadow(desk: RefitDesk) -> None:
    await desk.many_judged()
    found = await desk.refit()
    assert found.proposed and found.judged == JUDGED_EPISODES
    active, shadow = await desk.in_use()
    assert active is not None and active.id == WORRIED.id
    assert shadow is not None and shadow.id == found.policy.id
    assert policy_of(shadow) == found.policy
    assert (shadow.made_by, shadow.note) == (MADE_BY, "refitted to 20 judged episodes")
    assert shadow.figures == {"cost_before": found.before.cost, "cost_after": found.after.cost}
    assert found.after.cost < found.before.cost
    assert shadow.id in found.sentence and "shadow" in found.sentence


async def test_costs_are_of_all_episodes_shipped_and_judged(desk: RefitDesk) -> None:
    await desk.many_judged()
    found = await desk.refit()
    assert found.before.conversations == found.after.conversations == 12 + JUDGED_EPISODES
    # The worried policy hands over at once: needless for 8 shipped and 10 judged conversations.
    assert (found.before.needless, found.before.missed) == (8 + 10, 0)
    assert found.before.cost == pytest.approx(18 / 32)
    episodes = [*await desk.refit.shipped_episodes(WORRIED), *await desk.episodes()]
    again = judge_replays(replayed(WORRIED.risk, episodes), WORRIED.limits.risk, WORRIED.costs)
    assert again == found.before


async def test_the_proposed_policy_knows_what_tells_them_apart(desk: RefitDesk) -> None:
    await desk.many_judged()
    policy = (await desk.refit()).policy
    weights = policy.risk.weights
    assert max(weights, key=lambda name: weights[name]) in {"negative", "mood", "mood_fall"}
    assert (policy.desk, policy.costs) == (WORRIED.desk, WORRIED.costs)
    shipped = replace(policy.limits, risk=WORRIED.limits.risk)
    assert shipped == WORRIED.limits  # of the limits only the one of the risk is refitted


@pytest.mark.parametrize(("floor", "ceiling"), [(0.3, 0.31), (0.001, 0.002), (0.9, 0.99)])
async def test_the_limit_stays_between_floor_and_ceiling(
    tmp_path: Path, floor: float, ceiling: float
) -> None:
    limits = PolicyLimits(risk=floor, risk_floor=floor, risk_ceiling=ceiling)
    desk = RefitDesk(tmp_path, named(replace(WORRIED, limits=limits)))
    good = Episode(({"negative": 0.1},), (False,), (False,))
    bad = Episode(({"negative": 0.9},), (True,), (False,))
    policy, _ = refitted(desk.refit.configured, [good, bad] * 15)
    assert floor <= policy.limits.risk <= ceiling
    assert (policy.limits.risk_floor, policy.limits.risk_ceiling) == (floor, ceiling)
    assert named(policy).id == policy.id


async def test_what_is_no_better_is_not_proposed(desk: RefitDesk) -> None:
    await desk.many_judged()
    first = await desk.refit()
    async with desk.store() as work:
        await switch_on_stored(work, first.policy.id, desk.clock.now(), LEA.name)
        await work.commit()
    again = await desk.refit()
    assert not again.proposed
    assert again.after.cost >= again.before.cost * 0.99
    active, shadow = await desk.in_use()
    assert active is not None and (active.id, shadow) == (first.policy.id, None)
    assert again.sentence.startswith("The policy stays as it is: ")


async def test_the_same_night_again_proposes_nothing_new(desk: RefitDesk) -> None:
    await desk.many_judged()
    one, other = await desk.refit(), await desk.refit()
    assert one == other
    async with desk.store() as work:
        stored = await work.policies.latest()
    assert {p.id: p.status for p in stored} == {
        WORRIED.id: PolicyStatus.ACTIVE,
        one.policy.id: PolicyStatus.SHADOW,
    }


async def test_a_new_proposal_retires_the_one_before(desk: RefitDesk) -> None:
    await desk.many_judged()
    first = await desk.refit()
    for number in range(12):  # handoffs of bad news that nobody needed change what is fitted
        await desk.judged(False, f"bad weather {number}")
    second = await desk.refit()
    assert second.proposed and second.policy.id != first.policy.id
    async with desk.store() as work:
        assert (await work.policies.get(first.policy.id)).status is PolicyStatus.RETIRED
    assert (await desk.in_use())[1] is not None


async def test_an_assistant_that_is_away_leaves_everything_as_it_is(desk: RefitDesk) -> None:
    await desk.many_judged()
    desk.assistant.down = "it is restarting"
    with pytest.raises(AssistantUnavailable):
        await desk.refit()
    assert (await desk.in_use())[1] is None


@pytest.mark.parametrize(
    ("conversations", "why"),
    [([[(CALM, 0)], [(BAD, 0)]], "all its turns are labelled the same"), ([], "it holds no rows")],
)
async def test_conversations_that_tell_nothing_are_refused(
    desk: RefitDesk, conversations, why: str
) -> None:
    await desk.many_judged()
    desk.write_file(conversations)
    with pytest.raises(BadData, match=why):
        await desk.refit()


async def test_texts_are_asked_as_the_desk_would_ask(desk: RefitDesk) -> None:
    await desk.many_judged()
    desk.write_file([[("/restart {}", 0), ("", 0)], [(BAD, 1)]] * 4)
    assert isinstance(await desk.refit(), Refit)
    assert {"restart 0", "?"} <= set(desk.assistant.parsed)
