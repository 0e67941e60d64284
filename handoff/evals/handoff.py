"""Replays labelled conversations turn by turn: when would this desk have called a person?

The assistant learns the intents of `train` and nothing of what needed a person there. On `dev` the
policy's own refit runs: what messages needed, how the signals add up to a risk, and the limit with
the least cost, each judged on conversations that were left out. Then `test` is replayed once, the
first turn at or above the limit ends a conversation. A question to the customer cannot be
replayed, since nobody answers it: the set of likely intents is left out, and its signals are part
of the risk.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from handoff.app.understand import parse_all
from handoff.core.costs import Costs, Outcome, Replay, best_limit, judge_replay
from handoff.core.errors import BadData
from handoff.core.model import Parse
from handoff.core.policy import Policy
from handoff.core.text import plain_for_assistant
from handoff.evals.intents import (
    Progress,
    Serves,
    TrainsNlu,
    examples_by_intent,
    rasa_names,
    warming,
)
from handoff.evals.metrics import BOOTSTRAP_SAMPLES, bootstrap
from handoff.evals.notes import replay_notes
from handoff.fitting.labelled import Labelled, LabelledConversation, read_conversations
from handoff.fitting.refit import episodes_of, fit_precedents, refit, replayed
from handoff.fitting.text_model import IN_THE_FIELD
from handoff.fitting.understood import ReadsMany, Understood, understand
from handoff.ports import Encoder

FALLBACK_THRESHOLD, FALLBACK_AMBIGUITY = 0.3, 0.1
"""Defaults of Rasa's FallbackClassifier: it falls back below this confidence, and where the two
best intents are nearer to each other than that."""

COMPARED = ("never", "always", "fallback")
"""Baselines that the cost is compared with: what a desk has without looking at `dev`."""


@dataclass(frozen=True, slots=True)
class ConversationSets:
    """Labelled conversations to tune on and to replay; `examples` to train on, by Rasa's intent.

    `train` are the conversations that the examples are from.
    """

    train: Sequence[LabelledConversation]
    dev: Sequence[LabelledConversation]
    test: Sequence[LabelledConversation]
    examples: Mapping[str, Sequence[str]]


def read_conversation_sets(train: Path, dev: Path, test: Path) -> ConversationSets:
    """Read JSON Lines `conversation, turn, text, intent, handoff`.

    Only the turns of `train` that needed no person are learned from, as examples of their intents.

    Raises:
        BadData: a file is not of that form, one label is missing from `dev`, or nothing is left to
            learn from.
    """
    learned, tuned, replays = (read_conversations(path) for path in (train, dev, test))
    if len({conversation.needs_person for conversation in tuned}) < 2:
        raise BadData(path=dev, why="it needs conversations with a handoff and without one")
    return ConversationSets(learned, tuned, replays, _in_scope(learned, train))


async def evaluate_handoff(
    sets: ConversationSets,
    *,
    trainer: TrainsNlu,
    serve: Serves,
    encoder: Encoder,
    feelings: ReadsMany,
    policy: Policy,
    progress: Progress,
    samples: int = BOOTSTRAP_SAMPLES,
) -> dict[str, Any]:
    """Train on `train`, tune by cost on `dev`, replay `test`.

    Args:
        sets: the conversations.
        trainer: trains the shipped pipeline.
        serve: serves the trained model.
        encoder: the desk's encoder.
        feelings: the desk's feelings, shipped models.
        policy: whose costs and fixed limits count; its intents mean nothing in foreign data.
        progress: called with a sentence now and then.
        samples: resamples of each interval; 0 for none.

    Returns:
        `missed`, `needless`, `turns_late` and `cost`, each a conversation, `f1` of handing a
        conversation over, `baselines` (cost of `never`, `always`, Rasa's `fallback` and one `tuned`
        confidence threshold), `cost_ratio_to_best_baseline` (of the first three), `limit`, `rules`
        (share of conversations ended by a rule), `weights`, `intervals`, `counts` and
        `notes`. None where a figure cannot be computed; `notes` say why.

    Raises:
        TrainingFailed: with Rasa's last lines.
        AssistantUnavailable: the trained model cannot be served or asked.
    """
    progress(f"learning {len(sets.examples)} intents")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="handoff-eval-") as folder:
        async with warming(encoder, [text for texts in sets.examples.values() for text in texts]):
            model = await trainer.train_nlu(sets.examples, Path(folder) / "model.tar.gz", progress)
        train_seconds = time.perf_counter() - started
        turns = [t.text for c in (*sets.dev, *sets.test) for t in c.turns]
        async with warming(encoder, [plain_for_assistant(text) for text in turns]) as warm:
            await warm
            async with serve(model) as assistant:
                plain = [plain_for_assistant(text) for text in turns]
                parses = dict(zip(turns, await parse_all(assistant, plain, progress), strict=True))
    tuning = await understand(sets.dev, parses, encoder, feelings)
    testing = await understand(sets.test, parses, encoder, feelings)
    desk = replace(
        policy.desk,
        person_intents=frozenset[str](),
        human_intents=frozenset[str](),
        unknown_intents=frozenset[str](),
        courtesy_intents=frozenset[str](),
    )
    own = replace(policy, desk=desk)
    found = await asyncio.to_thread(_measure, tuning, testing, own, samples)
    seen = {
        f"test_conversations_in_{name}": _also_in(sets.test, other)
        for name, other in (("train", sets.train), ("dev", sets.dev))
    }
    best = min(found["baselines"][name] for name in COMPARED)
    return {
        **found,
        "counts": {**found["counts"], **seen},
        "notes": replay_notes(best, found["f1"], len(sets.test), *seen.values()),
        "train_seconds": train_seconds,
    }


def _also_in(
    conversations: Sequence[LabelledConversation], others: Sequence[LabelledConversation]
) -> int:
    """Return how many of the conversations stand among the others, word for word."""
    known = {tuple(turn.text for turn in other.turns) for other in others}
    return sum(tuple(turn.text for turn in one.turns) in known for one in conversations)


def _in_scope(conversations: Sequence[LabelledConversation], path: Path) -> dict[str, list[str]]:
    """Return the texts to train on by intent: the turns that needed no person."""
    turns = [
        Labelled(turn.text, turn.intent, 0)
        for conversation in conversations
        for turn in conversation.turns
        if turn.text and not turn.needs_person
    ]
    if not turns:
        raise BadData(path=path, why="every turn is a handoff: no intent is left to learn")
    return examples_by_intent(turns, rasa_names(turn.intent for turn in turns))


def _measure(
    tuning: Understood, testing: Understood, policy: Policy, samples: int
) -> dict[str, Any]:
    """Refit the policy on one set of conversations, and replay the other."""
    precedents = fit_precedents(tuning, IN_THE_FIELD)
    fitted = refit(episodes_of(tuning, precedents.held_out, policy), policy)
    new = episodes_of(testing, precedents.of(testing.texts, testing.vectors), policy)
    limit = fitted.limit
    own = _judged(replayed(fitted.risk, new), limit)
    baselines = _baselines(tuning, testing, policy.costs)
    outcome = _outcome(own, policy.costs)
    compared = [baselines[name] for name in COMPARED]
    return {
        "cost": outcome.cost,
        **_rates(outcome),
        "f1": outcome.f1,
        "baselines": {name: _outcome(one, policy.costs).cost for name, one in baselines.items()},
        "cost_ratio_to_best_baseline": _ratio(own, compared, policy.costs),
        "limit": limit,
        "rules": sum(any(episode.ruled) for episode in new) / len(new),
        "weights": dict(fitted.risk.weights),
        "intervals": _intervals(own, compared, policy.costs, samples),
        "counts": _counts(tuning, testing),
    }


def _judged(replays: Sequence[Replay], limit: float) -> np.ndarray:
    """Return missed, needless, turns late and caught, a row a conversation."""
    return np.array([judge_replay(replay, limit) for replay in replays])


def _outcome(judged: np.ndarray, costs: Costs) -> Outcome:
    missed, needless, late, caught = judged.sum(axis=0).tolist()
    return Outcome(len(judged), missed, needless, late, caught, costs)


def _ratio(own: np.ndarray, compared: Sequence[np.ndarray], costs: Costs) -> float | None:
    """Return the cost against that of the best baseline; None where that one costs nothing."""
    best = min(_outcome(other, costs).cost for other in compared)
    return _outcome(own, costs).cost / best if best else None


def _rates(outcome: Outcome) -> dict[str, float]:
    count = max(1, outcome.conversations)
    return {
        "missed": outcome.missed / count,
        "needless": outcome.needless / count,
        "turns_late": outcome.turns_late / count,
    }


def _baselines(tuning: Understood, testing: Understood, costs: Costs) -> dict[str, np.ndarray]:
    """Return how simpler policies do on the same conversations and the same parses."""

    def judged(risks: Sequence[float], limit: float) -> np.ndarray:
        return _judged(testing.replays(risks), limit)

    nothing = [0.0] * len(testing.texts)
    doubts = [_doubt(parse) for parse in tuning.parses]
    threshold = best_limit(tuning.replays(doubts), costs)
    return {
        "never": judged(nothing, 1.0),
        "always": judged(nothing, 0.0),
        "fallback": judged([float(_falls_back(parse)) for parse in testing.parses], 1.0),
        "tuned": judged([_doubt(parse) for parse in testing.parses], threshold),
    }


def _doubt(parse: Parse) -> float:
    return 1.0 - parse.best.confidence


def _falls_back(parse: Parse) -> bool:
    first, second = (*(score.confidence for score in parse.ranking[:2]), 0.0, 0.0)[:2]
    return first < FALLBACK_THRESHOLD or first - second < FALLBACK_AMBIGUITY


def _intervals(
    own: np.ndarray, compared: Sequence[np.ndarray], costs: Costs, samples: int
) -> dict[str, Any]:
    """Return the bootstrap interval of each figure over resampled conversations.

    The baselines are judged on the same conversations each time: their costs vary with them.
    """

    def interval(figure: Callable[[np.ndarray], float | None]) -> tuple[float, float] | None:
        return bootstrap(figure, len(own), samples) if samples else None

    def of(figure: Callable[[Outcome], float | None]) -> tuple[float, float] | None:
        return interval(lambda rows: figure(_outcome(own[rows], costs)))

    return {
        "cost": of(lambda outcome: outcome.cost),
        **{name: of(partial(_rate, name)) for name in ("missed", "needless", "turns_late")},
        "f1": of(lambda outcome: outcome.f1),
        "cost_ratio_to_best_baseline": interval(
            lambda rows: _ratio(own[rows], [other[rows] for other in compared], costs)
        ),
    }


def _rate(name: str, outcome: Outcome) -> float:
    return _rates(outcome)[name]


def _counts(tuning: Understood, testing: Understood) -> dict[str, Any]:
    return {
        "dev_conversations": len(tuning.conversations),
        "dev_handoffs": sum(c.needs_person for c in tuning.conversations),
        "test_conversations": len(testing.conversations),
        "test_handoffs": sum(c.needs_person for c in testing.conversations),
        "test_turns": len(testing.texts),
    }
