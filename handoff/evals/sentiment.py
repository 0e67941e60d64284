"""Measures feelings and requests for a person on labelled messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from handoff.core.limits import PolicyLimits
from handoff.evals.baselines import asks_by_keyword, keywords, negative_by_lexicon
from handoff.evals.metrics import BOOTSTRAP_SAMPLES, auroc, average_precision, bootstrap, f1
from handoff.evals.notes import ranking_notes
from handoff.fitting.labelled import read_flags
from handoff.fitting.understood import ReadsMany

Flagged = tuple[list[str], dict[str, list[int]]]
"""Messages, and by column whether (1) or not (0) each of them is what the column says."""


def read_sentiment(path: Path) -> Flagged:
    """Read a CSV `text,negative[,angry]`; raise `BadData` when the file is not of that form."""
    return read_flags(path, ["negative"], ["angry"])


def read_requests(path: Path) -> Flagged:
    """Read a CSV `text,handoff`; raise `BadData` when the file is not of that form."""
    return read_flags(path, ["handoff"])


async def evaluate_sentiment(
    data: Flagged, feelings: ReadsMany, samples: int = BOOTSTRAP_SAMPLES
) -> dict[str, Any]:
    """Measure on what `read_sentiment` returned.

    Returns:
        `auroc` and `average_precision` of negative, `angry` with the same where the data has that
        column, `baselines` (VADER's compound score), `intervals`, `counts` and `notes`. None where
        only one class is there; `notes` say so.
    """
    texts, flags = data
    read = await feelings.read_many(texts)
    scores = {
        "negative": np.array([one.negative for one in read]),
        "angry": np.array([one.angry for one in read]),
    }
    figures, notes, lexicon = {}, list[str](), negative_by_lexicon(texts)
    for name, own in flags.items():
        wanted = np.array(own) == 1
        figures[name] = {
            **_ranking(wanted, scores[name], samples),
            "baselines": _ranks(wanted, lexicon),
        }
        notes += ranking_notes(name, sum(own), len(own))
    return {
        **figures.pop("negative"),
        **figures,
        "counts": {"messages": len(texts), **{name: sum(own) for name, own in flags.items()}},
        "notes": notes,
    }


async def evaluate_requests(
    data: Flagged,
    feelings: ReadsMany,
    limits: PolicyLimits | None = None,
    samples: int = BOOTSTRAP_SAMPLES,
) -> dict[str, Any]:
    """Measure on what `read_requests` returned how well requests for a person are recognised.

    Returns:
        `f1` at `threshold` (the limit the policy uses), `average_precision`, `auroc`, `baselines`
        (`f1` of keywords, the other two of how many there are), `intervals`, `counts` and `notes`.
        None where a figure cannot be computed; `notes` say why.
    """
    threshold = (limits or PolicyLimits()).asks_for_person
    texts, flags = data
    asked = np.array([one.asks_for_person for one in await feelings.read_many(texts)])
    wanted = np.array(flags["handoff"]) == 1
    figures = _ranking(wanted, asked, samples)
    figures["intervals"]["f1"] = bootstrap(
        lambda rows: f1(wanted[rows], asked[rows] >= threshold), len(texts), samples
    )
    found = f1(wanted, asked >= threshold)
    notes = ranking_notes("handoff", int(wanted.sum()), len(texts))
    if found is None:
        notes.append(
            "No f1, since no message asks for a person and none is taken for one that does."
        )
    return {
        "f1": found,
        "threshold": threshold,
        **figures,
        "baselines": {"f1": f1(wanted, asks_by_keyword(texts)), **_ranks(wanted, keywords(texts))},
        "counts": {"messages": len(texts), "handoff": int(wanted.sum())},
        "notes": notes,
    }


def _ranks(positive: np.ndarray, score: np.ndarray) -> dict[str, float | None]:
    """Return how well a score ranks the positive messages first."""
    return {
        "auroc": auroc(positive, score),
        "average_precision": average_precision(positive, score),
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
