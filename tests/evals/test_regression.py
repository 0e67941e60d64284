"""The evaluations on the project's own small samples: nothing may get clearly worse unseen.

The real encoder, the real feelings and the real intent model (`bot/components`, trained in this
process), without Rasa around it. The floors lie below what was measured on 2026-11-21 by what so
few messages may vary; they are no aim.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import CONVERSATIONS, FeelingsModel
from handoff.core.model import Feelings, IntentScore, Parse, Reason
from handoff.core.policy import Policy, Signals, rules_of
from handoff.evals.handoff import evaluate_handoff, read_conversation_sets
from handoff.evals.sentiment import (
    evaluate_requests,
    evaluate_sentiment,
    read_requests,
    read_sentiment,
)
from handoff.learning.training_files import shipped_examples
from tests.conftest import TRAINING_DATA
from tests.evals.in_process import UNKNOWN, IntentsInProcess, examples_shipped

GOLDEN = TRAINING_DATA / "golden"

SENTIMENT = {
    "negative": {"auroc": 0.865, "average_precision": 0.885},
    "angry": {"auroc": 0.87, "average_precision": 0.80},
}
"""Floors; measured were 0.907 and 0.925, 0.918 and 0.870, over 188 messages."""

REQUESTS = {"f1": 0.89, "average_precision": 0.965}
"""Floors; measured were 0.946 and 0.995, over 78 messages."""

ALARMS = (0.83, 0.94)
"""Floors of precision and recall of danger or the law; measured were 0.875 and 0.980, over 400."""

COURTESIES = (
    "ok thank you", "okay, thank you", "thank you bye", "no thank you", "yes thank you", "thank u",
    "that is all thank you", "nothing else thank you", "thank you, that's all I needed", "thx",
    "thank you for your help", "thank you for the information", "Thank you for your reply",
    "Thank you for getting back to me", "thank you for your quick response", "Thank you in advance",
    "thank you dear", "thank you sir", "many thanks", "ty", "tysm", "thankyou", "noted",
    "much appreciated",
    "that's all", "i will think about it", "we'll see", "i'll get back to you", "let me check",
    "will do", "hello there", "good evening", "have a nice day", "ok", "sure", "right", "got it",
    "one moment", "hold on", "maybe", "are you human?", "who are you?", "kind regards",
    "nothing else to say", "nothing at the moment", "my wife", "internet down", "Screen is black",
    "it was not so good", "not much", "nobody else", "in the garden", "could be faster",
)  # fmt: skip
"""Short replies and answers to a bot's question that tell of nothing. None of them stands in the
training data as it is here."""

LAW_IN_PRAISE = 3
"""Ceiling of how many messages of `golden/praise.csv` are taken for a threat with the law. Measured
was none of 300."""

PRAISE_ANSWERED, IRONY_HEARD, ANGER_HEARD = 0.81, 0.48, 0.86
"""Floors of the shares of thanks and praise in which no displeasure is heard, and of irony and of
swearing in which it is. Measured were 0.867, 0.589 and 0.967, over 150, 90 and 30 messages."""

WORDING_RIGHT, WORDING_SURE, WORDING_UNKNOWN = 0.915, 0.90, 0.055
"""Floors of the shares of messages rightly understood, and rightly and surely; ceiling of the share
taken for out of scope. Measured were 0.935, 0.923 and 0.041, over 810."""

REPLAY_COST, REPLAY_RATIO = 0.45, 0.83
"""Ceilings of the cost a conversation and of its ratio to the best baseline. Measured were 0.365
and 0.676 (never: 2.3, always: 0.54, Rasa's fallback: 2.06), over 100 conversations."""


async def test_sentiment(shipped: FeelingsModel) -> None:
    figures = await evaluate_sentiment(read_sentiment(GOLDEN / "sentiment.csv"), shipped, samples=1)
    for label, found in {"negative": figures, "angry": figures["angry"]}.items():
        for name, floor in SENTIMENT[label].items():
            print(f"{label} {name} {found[name]:.3f}, VADER {found['baselines'][name]:.3f}")
            assert found[name] >= floor > found["baselines"][name]


async def test_requests(shipped: FeelingsModel) -> None:
    figures = await evaluate_requests(read_requests(GOLDEN / "handoff.csv"), shipped, samples=1)
    for name, floor in REQUESTS.items():
        print(f"requests {name} {figures[name]:.3f}")
        assert figures[name] >= floor
    assert REQUESTS["f1"] > figures["baselines"]["f1"]


def golden(name: str) -> list[dict[str, str]]:
    """Return the rows of a file of the golden set."""
    with (GOLDEN / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reasons(read: Feelings) -> set[Reason]:
    """Return the rules that call a person for what was read of a message, if it is clear."""
    known = Signals(Parse((IntentScore("faq", 0.95),), novelty=0.02), read)
    return {finding.reason for finding in rules_of(known, Policy())}


async def test_alarms(shipped: FeelingsModel) -> None:
    rows = golden("alarms.csv")
    read = await shipped.read_many([row["text"] for row in rows])
    alarmed = [bool(reasons(one) & {Reason.SAFETY, Reason.LEGAL}) for one in read]
    wanted = ["1" in (row["danger"], row["legal"]) for row in rows]
    right = sum(a and w for a, w in zip(alarmed, wanted, strict=True))
    precision, recall = right / sum(alarmed), right / sum(wanted)
    print(f"alarms: precision {precision:.3f}, recall {recall:.3f}")
    assert (len(rows), sum(wanted)) == (400, 200)
    assert precision >= ALARMS[0] and recall >= ALARMS[1]


async def test_courtesy_and_praise_are_no_alarm(shipped: FeelingsModel) -> None:
    taken = [
        (text, read.danger, read.legal)
        for text, read in zip(COURTESIES, await shipped.read_many(COURTESIES), strict=True)
        if reasons(read) & {Reason.SAFETY, Reason.LEGAL}
    ]
    assert taken == []
    praise = await shipped.read_many([row["text"] for row in golden("praise.csv")])
    threats = sum(Reason.LEGAL in reasons(read) for read in praise)
    print(f"law heard in praise and irony: {threats} of {len(praise)}")
    assert threats <= LAW_IN_PRAISE


async def test_praise_and_irony(shipped: FeelingsModel) -> None:
    rows, policy = golden("praise.csv"), Policy()
    read = await shipped.read_many([row["text"] for row in rows])
    heard: dict[str, list[bool]] = defaultdict(list)
    for row, one in zip(rows, read, strict=True):
        thanks = Signals(Parse((IntentScore("thank", 0.95),), novelty=0.02), one)
        displeased = {Reason.NOT_MEANT, Reason.ANGRY} & {f.reason for f in rules_of(thanks, policy)}
        heard[row["kind"]].append(bool(displeased))
    shares = {kind: sum(own) / len(own) for kind, own in heard.items()}
    print(f"displeasure heard: {shares}")
    kind_ones = heard["swearing_praise"] + heard["sincere_thanks"]
    assert 1 - sum(kind_ones) / len(kind_ones) >= PRAISE_ANSWERED
    assert shares["sarcastic_thanks"] >= IRONY_HEARD
    assert shares["swearing_anger"] >= ANGER_HEARD


async def test_wording_of_others(encoder: SentenceEncoder, tmp_path: Path) -> None:
    model, rows = IntentsInProcess(encoder), golden("wording.csv")
    await model.train_nlu(examples_shipped(), tmp_path)
    best = [(await model.parse(row["text"])).best for row in rows]
    right = [one for one, row in zip(best, rows, strict=True) if one.intent == row["intent"]]
    sure = [one for one in right if one.confidence >= Policy().limits.confidence]
    unknown = [one for one in best if one.intent == UNKNOWN]
    shares = [len(found) / len(rows) for found in (right, sure, unknown)]
    print("right {:.3f}, right and sure {:.3f}, taken for out of scope {:.3f}".format(*shares))
    assert shares[0] >= WORDING_RIGHT and shares[1] >= WORDING_SURE
    assert shares[2] <= WORDING_UNKNOWN


@pytest.fixture
def intents(tmp_path: Path) -> Path:
    """Return the shipped examples as conversations of one turn that needs nobody."""
    rows = [
        {"conversation": str(number), "turn": 0, "text": text, "intent": intent, "handoff": 0}
        for number, (intent, text) in enumerate(shipped_examples(TRAINING_DATA))
    ]
    path = tmp_path / "intents.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


async def test_replay(shipped: FeelingsModel, encoder: SentenceEncoder, intents: Path) -> None:
    model = IntentsInProcess(encoder)
    sets = read_conversation_sets(intents, TRAINING_DATA / CONVERSATIONS, GOLDEN / "handoffs.jsonl")
    # Under their own names, so that the intent for everything else keeps its meaning.
    figures = await evaluate_handoff(
        replace(sets, examples=examples_shipped()),
        trainer=model,
        serve=model.serve,
        encoder=encoder,
        feelings=shipped,
        policy=Policy(),
        progress=print,
        samples=0,
    )
    shown = ("cost", "missed", "needless", "turns_late", "f1", "limit", "baselines", "weights")
    print({name: figures[name] for name in shown})
    assert figures["counts"]["test_conversations"] == 100
    assert figures["cost"] <= REPLAY_COST < min(figures["baselines"].values())
    assert figures["cost_ratio_to_best_baseline"] <= REPLAY_RATIO
