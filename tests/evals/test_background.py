"""The shop as a team has it that wrote few examples of what its assistant cannot do, or none."""

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

AUROC = 0.986
"""Smallest area under the ROC curve of novelty on the golden messages; measured were 0.989 twice,
and 0.984 and 0.986 without the background."""

LEAST_GAIN = {0: 0.1, 3: 0.03}
"""By how much larger a share of the golden messages out of scope is noticed at least, by the number
of the team's own examples; measured were 0.682 instead of 0.474 with none, and 0.902 instead of
0.855 with three, since more hands have written the shop's examples."""


@pytest.fixture
async def background(encoder: SentenceEncoder) -> Background:
    texts = FILE.read_text().splitlines()
    return Background(np.asarray(await encoder.encode(texts)), texts)


def test_every_line_is_a_message_of_its_own() -> None:
    lines = FILE.read_text().splitlines()
    assert len(lines) == 1000 == len({line.strip().lower() for line in lines if line.strip()})


@pytest.mark.parametrize(("own", "least_gain"), LEAST_GAIN.items())
async def test_the_background_shows_a_shop_what_it_cannot_answer(
    encoder: SentenceEncoder, background: Background, own: int, least_gain: float
) -> None:
    examples = examples_shipped()
    foreign = examples.pop(UNKNOWN)[:own]
    if foreign:
        examples[UNKNOWN] = foreign
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
        doubted = [one.best.intent == UNKNOWN or one.best.confidence < limit for one in found]
        noticed[name] = float(np.array(doubted)[strange].mean())
        print(f"{own} own, {name}: AUROC {areas[name]:.4f}, noticed {noticed[name]:.3f}")
    assert areas["with"] >= AUROC
    assert noticed["with"] >= noticed["without"] + least_gain
