"""Fits the risk model and its limit on messages and conversations labelled by what they needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from handoff.core.risk import SIGNALS, RiskModel, scaled

RIDGE = 1.0
"""Strength of the pull towards the weights of before: half the sum of squared changes counts like
so many messages' log loss. Keeps the weights of signals that say the same from running apart."""

FOLDS = 5

Figures = Mapping[str, float]


def typical_figures(figures: Sequence[Figures], needed: Sequence[bool]) -> dict[str, float]:
    """Return the median figure of every signal over the messages that needed no person."""
    calm = [row for row, need in zip(figures, needed, strict=True) if not need] or list(figures)
    return {
        name: float(np.median(values))
        for name in SIGNALS
        if (values := [row[name] for row in calm if name in row])
    }


def fit_risk(
    figures: Sequence[Figures], needed: Sequence[bool], prior: RiskModel | None = None
) -> RiskModel:
    """Fit a logistic regression in which no signal of trouble can lower the risk.

    Args:
        figures: a message a row, as `core.policy.risk_figures` gives them; a signal that is
            missing says nothing and counts as typical.
        needed: whether the message needed a person.
        prior: the model to stay close to; without one, no weights at all. A signal these messages
            never showed keeps the weight it had.

    Raises:
        ValueError: all messages are labelled the same.
    """
    wanted = np.asarray(needed, dtype=float)
    if len(set(wanted.tolist())) < 2:
        raise ValueError("all messages are labelled the same")
    before = prior or RiskModel(0.0)
    typical = {**before.typical, **typical_figures(figures, needed)}
    names = sorted(typical)
    start = np.array([before.weights.get(name, 0.0) for name in names])
    rows = np.array(
        [
            [scaled(n, row[n]) - scaled(n, typical[n]) if n in row else 0.0 for n in names]
            for row in figures
        ]
    )

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        score = rows @ parameters[:-1] + parameters[-1]
        error = expit(score) - wanted
        value = np.logaddexp(0.0, np.where(wanted == 1.0, -score, score)).sum()
        moved = parameters[:-1] - start
        value += 0.5 * RIDGE * moved @ moved
        return float(value), np.append(rows.T @ error + RIDGE * moved, error.sum())

    bounds = [(0.0, None)] * len(names) + [(None, None)]
    first = np.append(start, before.offset)
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = {n: float(w) for n, w in zip(names, found[:-1], strict=True) if w > 0}
    return RiskModel(float(found[-1]), weights, {name: typical[name] for name in weights})


def held_out_risks(
    figures: Sequence[Figures],
    needed: Sequence[bool],
    groups: Sequence[int],
    prior: RiskModel | None = None,
) -> list[float]:
    """Return the risk of each message by a model that has seen nothing of its conversation.

    Where all others needed the same, that is what it says: 1 or 0.
    """
    wanted, group_of = np.asarray(needed, dtype=bool), np.asarray(groups)
    risks = np.zeros(len(wanted))
    folds = GroupKFold(min(FOLDS, len(set(groups))))
    for train, test in folds.split(wanted, wanted, group_of):
        if wanted[train].all() or not wanted[train].any():
            risks[test] = wanted[train].mean()
            continue
        model = fit_risk([figures[i] for i in train], wanted[train].tolist(), prior)
        risks[test] = [model.risk(model.contributions(figures[i])) for i in test]
    return risks.tolist()
