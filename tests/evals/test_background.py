"""An assistant whose team wrote no examples of what it cannot do: the shop without its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bot.components.intent_model import Background, IntentModel, readable
from handoff.adapters.encoder import SentenceEncoder
from handoff.core.policy import Policy
from handoff.learning.gate import read_golden
from handoff.learning.training_files import shipped_examples
from tests.conftest import TRAINING_DATA

FILE = TRAINING_DATA.parent / "bot" / "components" / "background.txt"

UNKNOWN = "out_of_scope"

AUROC = 0.98
"""Smallest area under the ROC curve of novelty on the golden messages; measured was 0.989, and
0.983 without the background."""

LEAST_GAIN = 0.1
"""By how much larger a share of the golden messages out of scope is noticed at least; measured were
0.757 with the background and 0.578 without."""


async def encoded(encoder: SentenceEncoder, texts: Sequence[str]) -> np.ndarray:
    return np.asarray(await encoder.encode(texts))


@pytest.fixture
async def background(encoder: SentenceEncoder) -> Background:
    texts = FILE.read_text().splitlines()
    return Background(await encoded(encoder, texts), texts)


def test_every_line_is_a_message_of_its_own() -> None:
    lines = FILE.read_text().splitlines()
    assert len(lines) == 1000 == len({line.strip().lower() for line in lines if line.strip()})


async def test_the_background_shows_a_shop_what_it_cannot_answer(
    encoder: SentenceEncoder, background: Background
) -> None:
    own = [(intent, text) for intent, text in shipped_examples(TRAINING_DATA) if intent != UNKNOWN]
    texts = [text for _, text in own]
    vectors, labels = await encoded(encoder, texts), [intent for intent, _ in own]
    golden = read_golden(TRAINING_DATA / "golden")
    asked = [message.text for message in golden]
    seen = await encoded(encoder, asked)
    strange = np.array([not message.intent for message in golden])
    names = sorted(set(labels))
    named = dict(zip(names, await encoded(encoder, [readable(n) for n in names]), strict=True))
    noticed: dict[str, float] = {}
    areas: dict[str, float] = {}
    limit = Policy().limits.confidence
    for name, given in {"without": None, "with": background}.items():
        model = IntentModel.train(vectors, labels, texts, named, UNKNOWN, given)
        found = model.predict(seen, asked)
        areas[name] = float(roc_auc_score(strange, [one.novelty for one in found]))
        doubted = np.array([one.ranking[0][1] < limit for one in found])
        noticed[name] = float(doubted[strange].mean())
        print(f"{name}: AUROC {areas[name]:.4f}, noticed {noticed[name]:.3f}")
    assert areas["with"] >= AUROC
    assert noticed["with"] >= noticed["without"] + LEAST_GAIN
