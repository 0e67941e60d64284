"""An assistant whose team wrote no examples of what it cannot do: the shop without its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bot.components.intent_model import Background
from handoff.adapters.encoder import SentenceEncoder
from handoff.core.policy import Policy
from handoff.learning.gate import read_golden
from tests.conftest import TRAINING_DATA
from tests.evals.in_process import UNKNOWN, IntentsInProcess, examples_shipped

FILE = TRAINING_DATA.parent / "bot" / "components" / "background.txt"

AUROC = 0.98
"""Smallest area under the ROC curve of novelty on the golden messages; measured was 0.989, and
0.983 without the background."""

LEAST_GAIN = 0.1
"""By how much larger a share of the golden messages out of scope is noticed at least; measured were
0.757 with the background and 0.578 without."""


@pytest.fixture
async def background(encoder: SentenceEncoder) -> Background:
    texts = FILE.read_text().splitlines()
    return Background(np.asarray(await encoder.encode(texts)), texts)


def test_every_line_is_a_message_of_its_own() -> None:
    lines = FILE.read_text().splitlines()
    assert len(lines) == 1000 == len({line.strip().lower() for line in lines if line.strip()})


async def test_the_background_shows_a_shop_what_it_cannot_answer(
    encoder: SentenceEncoder, background: Background
) -> None:
    examples = {intent: own for intent, own in examples_shipped().items() if intent != UNKNOWN}
    golden = read_golden(TRAINING_DATA / "golden")
    strange = np.array([not message.intent for message in golden])
    noticed: dict[str, float] = {}
    areas: dict[str, float] = {}
    limit = Policy().limits.confidence
    for name, given in {"without": None, "with": background}.items():
        model = IntentsInProcess(encoder, given)
        await model.train_nlu(examples, Path())
        found = [await model.parse(message.text) for message in golden]
        areas[name] = float(roc_auc_score(strange, [one.novelty for one in found]))
        doubted = np.array([one.best.confidence < limit for one in found])
        noticed[name] = float(doubted[strange].mean())
        print(f"{name}: AUROC {areas[name]:.4f}, noticed {noticed[name]:.3f}")
    assert areas["with"] >= AUROC
    assert noticed["with"] >= noticed["without"] + LEAST_GAIN
