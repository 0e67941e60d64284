"""From the views of a message to confidences, by figures that calibration has measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List

import numpy as np
from scipy.special import expit, softmax

from bot.components.intent_views import Views

_EPSILON = 1e-12


@dataclass
class Calibration:
    """Everything measured by cross-validation; plain numbers, stored as JSON."""

    #: of the regression, the words and the neighbours; where too little is trained to measure
    #: them, these, of which the neighbours decide
    view_weights: List[float] = field(default_factory=lambda: [0.7, 0.1, 5.0])
    platt_slope: float = 1.0
    platt_offset: float = 0.0
    novelty_weights: List[float] = field(default_factory=list)
    novelty_offset: float = 0.0
    head_start: Dict[str, float] = field(default_factory=dict)


def stacked(views: Views) -> np.ndarray:
    """The scores of all views: view × message × intent."""
    return np.stack([views.regression, views.words, views.neighbours])


def blended(views: Views, calibration: Calibration) -> np.ndarray:
    """The weighted sum of the views, one column an intent, not yet a probability."""
    total = np.tensordot(calibration.view_weights, stacked(views), axes=1)
    for name, start in calibration.head_start.items():
        total[:, views.classes == name] += start
    return total


def probabilities_of(views: Views, calibration: Calibration) -> np.ndarray:
    """Probability of each intent, supposing that the message has one of them."""
    return softmax(blended(views, calibration), axis=1)


def shared_out(views: Views, probabilities: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    """Probabilities once novelty is taken into account.

    What a message loses by being unlike anything trained goes to the intent for everything
    else, where one may be named; otherwise the figures of a message add up to less than one.
    """
    shared = probabilities * (1.0 - novelty)[:, None]
    if not views.real.all():
        shared[:, ~views.real] = total_novelty(views, probabilities, novelty)[:, None]
    shared[:, ~views.named] = 0.0
    return shared


def total_novelty(views: Views, probabilities: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    """Probability, 0…1, that none of the real intents is meant."""
    return 1.0 - probabilities[:, views.real].sum(axis=1).clip(0.0, 1.0) * (1.0 - novelty)


def confidences_of(
    views: Views, probabilities: np.ndarray, novelty: np.ndarray, calibration: Calibration
) -> np.ndarray:
    """How often an intent of such a probability, in a message of such novelty, is right.

    The first intent gets the figure measured on held-out messages. The others share what it
    leaves in proportion, and never overtake it.
    """
    shared = shared_out(views, probabilities, novelty)
    rows, best = np.arange(len(shared)), shared.argmax(axis=1)
    first = shared[rows, best]
    top = expit(calibration.platt_slope * logit(first) + calibration.platt_offset)
    factor = (1.0 - top) / np.maximum(1.0 - first, _EPSILON)
    result = np.minimum(shared * factor[:, None], top[:, None])
    result[rows, best] = top
    return result


def novelty_features(views: Views, probabilities: np.ndarray) -> np.ndarray:
    """What falls when a message is of a kind never trained.

    How near it is to its best intent by that intent's own measure, the highest score any intent
    has in the regression, how well its words tell the best intent from the others, and how much
    of what it is written of the best intent's examples hold too.
    """
    real = np.where(views.real, probabilities, -1.0)
    rows, best = np.arange(len(real)), real.argmax(axis=1)
    return np.column_stack(
        [
            views.familiarity[rows, best],
            views.energy,
            views.words[rows, best],
            views.coverage[rows, best],
        ]
    )


def novelty_of(views: Views, probabilities: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Probability, 0…1, that a message belongs to no trained intent."""
    features = novelty_features(views, probabilities)
    return expit(features @ np.asarray(calibration.novelty_weights) + calibration.novelty_offset)


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds, those of 0 and 1 made finite."""
    clipped = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return np.log(clipped) - np.log1p(-clipped)
