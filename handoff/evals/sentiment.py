"""Measures feelings and requests for a person on labelled messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from handoff.core.limits import PolicyLimits
from handoff.evals.baselines import asks_by_keyword, negative_by_lexicon
from handoff.evals.metrics import BOOTSTRAP_SAMPLES, auroc, average_precision, bootstrap, f1
from handoff.fitting.labelled import has_column, read_flags
from handoff.fitting.understood import ReadsMany


async def evaluate_sentiment(
    path: Path, feelings: ReadsMany, samples: int = BOOTSTRAP_SAMPLES
) -> dict[str, Any]:
    """Measure on a CSV `text,negative[,angry]`.

    Returns:
        `auroc` and `average_precision` of negative, `angry` with the same where the file has that
        column, `baselines` (VADER's compound score), `intervals` and `counts`. None where only one
        class is there.

    Raises:
        BadData: the file is not of that form.
    """
    columns = ["negative", *(["angry"] if has_column(path, "angry") else [])]
    texts, flags = read_flags(path, columns)
    read = await feelings.read_many(texts)
    scores = {
        "negative": np.array([one.negative for one in read]),
        "angry": np.array([one.angry for one in read]),
    }
    figures, lexicon = {}, negative_by_lexicon(texts)
    for name in columns:
        wanted = np.array(flags[name]) == 1
        baseline = {"auroc": auroc(wanted, lexicon)}
        baseline["average_precision"] = average_precision(wanted, lexicon)
        figures[name] = {**_ranking(wanted, scores[name], samples), "baselines": baseline}
    return {
        **figures.pop("negative"),
        **figures,
        "counts": {"messages": len(texts), **{name: sum(flags[name]) for name in columns}},
    }


async def evaluate_requests(
    path: Path,
    feelings: ReadsMany,
    limits: PolicyLimits | None = None,
    samples: int = BOOTSTRAP_SAMPLES,
) -> dict[str, Any]:
    """Measure on a CSV `text,handoff` how well requests for a person are recognised.

    Returns:
        `f1` at `threshold` (the limit the policy uses), `average_precision`, `auroc`, `baselines`
        (`f1` of keywords), `intervals` and `counts`.

    Raises:
        BadData: the file is not of that form.
    """
    threshold = (limits or PolicyLimits()).asks_for_person
    texts, flags = read_flags(path, ["handoff"])
    asked = np.array([one.asks_for_person for one in await feelings.read_many(texts)])
    wanted = np.array(flags["handoff"]) == 1
    figures = _ranking(wanted, asked, samples)
    figures["intervals"]["f1"] = bootstrap(
        lambda rows: f1(wanted[rows], asked[rows] >= threshold), len(texts), samples
    )
    return {
        "f1": f1(wanted, asked >= threshold),
        "threshold": threshold,
        **figures,
        "baselines": {"f1": f1(wanted, asks_by_keyword(texts))},
        "counts": {"messages": len(texts), "handoff": int(wanted.sum())},
    }


def _ranking(positive: np.ndarray, score: np.ndarray, samples: int) -> dict[str, Any]:
    """Return how well a score ranks the positive messages first, with intervals."""
    measures = {"auroc": auroc, "average_precision": average_precision}
    return {
        **{name: measure(positive, score) for name, measure in measures.items()},
        "intervals": {
            name: bootstrap(
                lambda rows, m=measure: m(positive[rows], score[rows]), len(score), samples
            )
            for name, measure in measures.items()
        },
    }
