"""Figures over labelled predictions. Pure: arrays in, numbers out; None where nothing was measured.

Out-of-scope detection follows the literature. Larson et al. 2019 (CLINC150, EMNLP, section 4)
report two figures at one threshold on the confidence: the accuracy on in-scope messages, where a
message held for out of scope counts as wrong, and the recall on out-of-scope messages. The
threshold is tuned on the validation set as a budget: it notices as much out of scope as it can
while withholding the right answer from at most `AFFORDABLE_LOSS` of the in-scope messages. The sum
of both figures (Zhang et al. 2022, NLP4ConvAI, section 3) gives up any number of right answers for
as great a share of strangers noticed; plain accuracy would leave the threshold to the share of
out-of-scope messages a data set happens to hold (100 of 3 100 in CLINC150's).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

CALIBRATION_BINS = 15
"""Equal-width bins of the expected calibration error (Guo et al. 2017 use 15)."""

AFFORDABLE_LOSS = 0.01
"""Share of in-scope messages, 0 to 1, that may lose their right answer to the threshold."""

BOOTSTRAP_SAMPLES = 1000
BOOTSTRAP_LEVEL = 0.95
SEED = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model said about labelled messages; one entry a message in each array.

    `label` is the true label, `intent` the best intent, `confidence` the model's in it (0 to 1),
    `in_scope` whether the label is an intent rather than a kind of out of scope, `novelty` how far
    the model takes the message for none of its intents (0 to 1; lack of confidence where it does
    not say).
    """

    label: np.ndarray
    intent: np.ndarray
    confidence: np.ndarray
    in_scope: np.ndarray
    novelty: np.ndarray

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        intents: Sequence[str],
        confidences: Sequence[float],
        oos_labels: Sequence[str] = (),
        novelty: Sequence[float | None] | None = None,
    ) -> Judged:
        """Build it from lists; every label of `oos_labels` is out of scope."""
        label = np.asarray(labels, dtype=object)
        in_scope = np.asarray([name not in set(oos_labels) for name in labels], dtype=bool)
        confidence = np.asarray(confidences, dtype=float)
        told = np.asarray(novelty if novelty is not None else [None] * len(labels), dtype=float)
        strange = np.where(np.isnan(told), 1.0 - confidence, told)
        return cls(label, np.asarray(intents, dtype=object), confidence, in_scope, strange)

    def __len__(self) -> int:
        return len(self.label)

    @property
    def right(self) -> np.ndarray:
        """Say for each message whether the best intent is the true one."""
        return self.label == self.intent

    def take(self, rows: np.ndarray) -> Judged:
        """Return the messages of these rows."""
        return Judged(
            self.label[rows],
            self.intent[rows],
            self.confidence[rows],
            self.in_scope[rows],
            self.novelty[rows],
        )


def accuracy(judged: Judged) -> float | None:
    """Return the share of in-scope messages whose best intent is right, however unsure."""
    return _mean(judged.right[judged.in_scope])


def in_scope_accuracy(judged: Judged, threshold: float) -> float | None:
    """Return the share of in-scope messages understood rightly with confidence ≥ `threshold`."""
    sure = judged.confidence >= threshold
    return _mean((judged.right & sure)[judged.in_scope])


def oos_recall(judged: Judged, threshold: float) -> float | None:
    """Return the share of out-of-scope messages with confidence below `threshold`."""
    return _mean((judged.confidence < threshold)[~judged.in_scope])


def tune_threshold(judged: Judged, affordable: float = AFFORDABLE_LOSS) -> float | None:
    """Return the threshold that notices most out of scope at an affordable loss.

    The loss is in-scope accuracy without a threshold less in-scope accuracy at it. Tried are all
    that tell the messages apart, each midway between two neighbouring confidences. Of those with
    the same recall the one with the least loss is taken, and of equally good ones the middle one,
    which is the least dependent on single messages. None without in-scope or without out-of-scope
    messages.

    Args:
        judged: the messages of the validation set.
        affordable: the greatest loss allowed, as a share of the in-scope messages, 0 to 1.
    """
    if judged.in_scope.all() or not judged.in_scope.any():
        return None
    levels = np.unique(judged.confidence)
    tried = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    known = np.sort(judged.confidence[judged.in_scope & judged.right])
    novel = np.sort(judged.confidence[~judged.in_scope])
    lost = np.searchsorted(known, tried, side="left")
    noticed = np.searchsorted(novel, tried, side="left")
    allowed = lost <= affordable * judged.in_scope.sum() + 1e-9
    most = allowed & (noticed == noticed[allowed].max())
    best = np.flatnonzero(most & (lost == lost[most].min()))
    return float(tried[best[len(best) // 2]])


def auroc(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Return the area under the ROC curve; None unless both classes are there."""
    if not positive.any() or positive.all():
        return None
    return float(roc_auc_score(positive, score))


def oos_auroc(judged: Judged, oos_label: str) -> float | None:
    """Return how well novelty tells messages of this label from in-scope ones.

    Not lack of confidence, which also falls for a message between two known intents.
    """
    rows = judged.in_scope | (judged.label == oos_label)
    return auroc(~judged.in_scope[rows], judged.novelty[rows])


def average_precision(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Return the average precision; None without a positive."""
    return float(average_precision_score(positive, score)) if positive.any() else None


def f1(positive: np.ndarray, predicted: np.ndarray) -> float | None:
    """Return the harmonic mean of precision and recall; None where neither side has a positive."""
    both = int(positive.sum() + predicted.sum())
    return 2 * int((positive & predicted).sum()) / both if both else None


def expected_calibration_error(
    confidence: np.ndarray, right: np.ndarray, bins: int = CALIBRATION_BINS
) -> float | None:
    """Return the mean gap between confidence and share right, over equal-width bins (0 to 1).

    Each bin counts by its messages; a confidence of exactly 1 lies in the last one.
    """
    if not len(confidence):
        return None
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def calibration(judged: Judged) -> float | None:
    """Return the expected calibration error over the in-scope messages."""
    rows = judged.in_scope
    return expected_calibration_error(judged.confidence[rows], judged.right[rows])


def bootstrap(
    measure: Callable[[np.ndarray], float | None],
    messages: int,
    samples: int = BOOTSTRAP_SAMPLES,
    level: float = BOOTSTRAP_LEVEL,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """Return the percentile interval of a figure over resampled messages.

    Args:
        measure: the figure for an array of row numbers (with repetitions).
        messages: how many rows there are.
        samples: how many resamples.
        level: share of resamples the interval holds.
        seed: of the random numbers; the same seed gives the same interval.
    """
    if not messages:
        return None
    random = np.random.default_rng(seed)
    drawn = (measure(random.integers(messages, size=messages)) for _ in range(samples))
    found = np.array([value for value in drawn if value is not None])
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def intent_figures(judged: Judged, threshold: float | None, oos: Sequence[str]) -> dict[str, Any]:
    """Return every figure of the intent evaluation, None where it cannot be computed."""
    tuned = threshold is not None
    return {
        "accuracy": accuracy(judged),
        "threshold": threshold,
        "in_scope_accuracy": in_scope_accuracy(judged, threshold) if tuned else None,
        "oos_recall": oos_recall(judged, threshold) if tuned else None,
        "auroc": {name: oos_auroc(judged, name) for name in oos},
        "ece": calibration(judged),
    }


def _mean(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None
