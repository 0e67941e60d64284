"""Conversations as the policy sees them, and the refit on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from handoff.core.costs import Costs, Replay, best_limit, judge_replays
from handoff.core.model import Feelings, IntentScore, Parse
from handoff.core.policy import Policy, answers_the_bot
from handoff.core.risk import RiskModel
from handoff.fitting.labelled import CustomerTurn, LabelledConversation
from handoff.fitting.refit import Episode, episodes_of, fit_precedents, refit, replayed
from handoff.fitting.understood import Understood, signals_of, understand
from tests.encoder_server import HashingEncoder

SURE = Parse((IntentScore("track", 0.9), IntentScore("refund", 0.05)), novelty=0.02)
POLICY = Policy(
    risk=RiskModel(-2.0, {"negative": 1.0, "repeats": 0.5}, {"negative": 0.1, "repeats": 0.0})
)


class ByWords:
    """Reads feelings from two words."""

    async def read_many(self, texts):
        return [
            Feelings(0.8 if "bad" in text else 0.1, 0.95 if "furious" in text else 0.05, 0.01, 0.5)
            for text in texts
        ]


async def understood(*conversations: list[tuple[str, bool]]) -> Understood:
    """Return conversations of (text, needed a person) with everything the policy looks at."""
    labelled = [
        LabelledConversation(str(n), tuple(CustomerTurn(t, "track", need) for t, need in turns))
        for n, turns in enumerate(conversations)
    ]
    parses = {turn.text: SURE for one in labelled for turn in one.turns}
    return await understand(labelled, parses, HashingEncoder(), ByWords())


async def test_signals_are_gathered_turn_by_turn() -> None:
    known = await understood(
        [("where is it", False), ("this is bad", False), ("where is it", True)],
        [("where is it", False), ("it caught fire, says my lawyer", True)],
    )
    one, two, three, other, danger = signals_of(known, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), POLICY)
    assert (one.mood, two.mood, three.mood, other.mood) == ((), (0.1,), (0.1, 0.8), ())
    assert [s.repeats for s in (one, two, three, other, danger)] == [0, 0, 1, 0, 0]
    assert [s.feelings.precedent for s in (one, three, danger)] == [0.1, 0.3, 0.5]
    assert (danger.safety, danger.legal) == (("caught fire",), ("lawyer",))
    assert one.parse == SURE and not answers_the_bot(one, POLICY.desk)


async def test_risks_go_back_to_their_conversations() -> None:
    known = await understood([("a", False), ("b", True)], [("c", False)])
    assert known.replays([0.1, 0.2, 0.3]) == [
        Replay((0.1, 0.2), (False, True)),
        Replay((0.3,), (False,)),
    ]


async def test_episodes_hold_figures_labels_and_what_a_rule_decided() -> None:
    known = await understood([("hello", False), ("I am furious", True)], [("my lawyer", True)])
    first, second = episodes_of(known, np.array([0.1, 0.2, 0.3]), POLICY)
    assert (first.needed, first.ruled) == ((False, True), (False, True))
    assert (second.needed, second.ruled) == ((True,), (True,))
    assert [row["precedent"] for row in first.figures] == [0.1, 0.2]
    assert first.figures[1]["anger"] == 0.95


def test_a_rule_is_a_risk_of_one() -> None:
    episode = Episode(({}, {}, {}), (False, True, True), (False, True, False))
    assert episode.replay([0.2, 0.3, 0.4]) == Replay((0.2, 1.0, 0.4), (False, True, True))


def test_episodes_are_replayed_with_the_risks_of_a_model() -> None:
    calm, upset = {"negative": 0.1, "repeats": 0.0}, {"negative": 0.9, "repeats": 0.0}
    episodes = [
        Episode((calm, upset), (False, True), (False, False)),
        Episode((upset,), (False,), (True,)),
    ]
    one, other = replayed(POLICY.risk, episodes)
    expected = [POLICY.risk.risk(POLICY.risk.contributions(row)) for row in (calm, upset)]
    assert one.risks == tuple(expected)
    assert other.risks == (1.0,)


def clear(count: int, figures: dict[str, float], need: bool, ruled: bool = False) -> list[Episode]:
    return [Episode((figures,), (need,), (ruled,))] * count


CALM, UPSET = {"mood": 0.1}, {"mood": 0.9}


def test_a_refit_tells_apart_what_can_be_told_apart() -> None:
    episodes = clear(30, CALM, False) + clear(10, UPSET, True)
    fitted = refit(episodes, POLICY)
    assert set(fitted.risk.weights) == {"mood"}
    assert len(fitted.replays) == len(episodes)
    outcome = judge_replays(fitted.replays, fitted.limit, POLICY.costs)
    assert (outcome.missed, outcome.needless, outcome.cost) == (0, 0, 0)
    assert fitted.limit == best_limit(fitted.replays, POLICY.costs)


def test_dear_misses_lower_the_limit_of_a_refit() -> None:
    mixed = clear(30, CALM, False) + clear(6, CALM, True) + clear(8, UPSET, False)
    episodes = mixed + clear(10, UPSET, True)
    limits = [
        refit(episodes, replace(POLICY, costs=Costs(missed=missed))).limit for missed in (0.5, 50)
    ]
    assert limits[1] < limits[0]


def test_what_a_rule_decided_is_replayed_as_decided() -> None:
    episodes = clear(20, CALM, False) + clear(10, UPSET, True) + clear(5, CALM, True, ruled=True)
    fitted = refit(episodes, POLICY)
    assert [one.risks for one in fitted.replays[-5:]] == [(1.0,)] * 5


def test_the_same_episodes_give_the_same_refit() -> None:
    episodes = clear(15, CALM, False) + clear(5, CALM, True) + clear(9, UPSET, True)
    assert refit(episodes, POLICY) == refit(episodes, POLICY)


def test_episodes_that_all_needed_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="labelled the same"):
        refit(clear(10, CALM, True), POLICY)


async def test_precedents_are_what_messages_needed_elsewhere() -> None:
    talks = [
        [(f"track order number {i}", False), (f"warranty claim for order {i}", True)]
        for i in range(12)
    ]
    known = await understood(*talks)
    precedents = fit_precedents(known)
    needed = np.array(known.needed)
    assert precedents.held_out[needed].min() > 0.5 > precedents.held_out[~needed].max()
    texts = ["a warranty claim", "track my order"]
    vectors = np.asarray(await HashingEncoder().encode(texts))
    claim, track = precedents.of(texts, vectors)
    assert claim > 0.5 > track


async def test_a_precedent_never_comes_from_ones_own_conversation() -> None:
    """Every conversation has a word of its own and a label drawn by lot: only a leak tells it."""
    drawn = np.random.default_rng(2).integers(0, 2, 40).astype(bool)
    talks = [[(f"item{n} item{n}", need)] * 2 for n, need in enumerate(drawn.tolist())]
    known = await understood(*talks)
    precedents = fit_precedents(known)
    assert roc_auc_score(known.needed, precedents.of(known.texts, known.vectors)) > 0.95
    assert roc_auc_score(known.needed, precedents.held_out) < 0.65


async def test_precedents_need_both_labels() -> None:
    with pytest.raises(ValueError, match="the same"):
        fit_precedents(await understood([("one thing", False)], [("one more thing", False)]))
