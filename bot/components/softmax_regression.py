"""Multinomial logistic regression on sentence vectors, in single precision.

scikit-learn's computes in double precision and to more digits than the intents differ by: on
8 000 examples of 77 intents this one was as accurate in less than half the time (2.4 s for 5.8 s),
and an intent model is fitted seven times or more to be calibrated.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
from scipy.optimize import minimize

#: Inverse regularisation. Unit vectors have small coordinates, so the usual 1 under-fits them.
INVERSE_REGULARISATION = 10.0
#: The search ends when the mean loss falls by less than this share of itself.
LEAST_GAIN = 1e-6
MOST_STEPS = 200


def fit(
    vectors: np.ndarray, labels: np.ndarray, count: int, weight: Optional[np.ndarray] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """Fits a plane to each label, 0 … `count` - 1.

    Args:
        vectors: one example a row.
        labels: the label of each row.
        count: how many labels there are.
        weight: how much each row counts; without it every row is 1.

    Returns:
        Coefficients, one column a label, and offsets; `vectors @ coefficients + offsets` are
        log odds up to one constant a row. The offsets are not regularised.
    """
    rows = np.hstack([vectors, np.ones((len(vectors), 1))]).astype(np.float32)
    each = (np.ones(len(rows)) if weight is None else weight).astype(np.float32)
    total = float(each.sum(dtype=np.float64))
    shape, at = (rows.shape[1], count), np.arange(len(rows))

    def loss(parameters: np.ndarray) -> Tuple[float, np.ndarray]:
        scores = rows @ parameters.reshape(shape).astype(np.float32)
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[at, labels]
        np.exp(scores, out=scores)
        summed = scores.sum(axis=1)
        value = float((each * (np.log(summed) - own)).sum(dtype=np.float64)) / total
        scores *= (each / total / summed)[:, None]
        scores[at, labels] -= each / total
        penalised = parameters.reshape(shape) / (INVERSE_REGULARISATION * total)
        penalised[-1] = 0.0
        gradient = (rows.T @ scores).astype(np.float64) + penalised
        return value + 0.5 * float((penalised * parameters.reshape(shape)).sum()), gradient.ravel()

    start = np.zeros(shape[0] * shape[1])
    limits = {"maxiter": MOST_STEPS, "ftol": LEAST_GAIN, "gtol": 1e-6}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=limits)
    planes = found.x.reshape(shape).astype(np.float32)
    return planes[:-1], planes[-1]
