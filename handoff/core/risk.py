"""One calibrated risk out of all signals: the probability that this message needs a person. Pure.

A logistic regression whose every term can be read: the weight of a signal times how far it lies
from what is typical. No signal of trouble has a negative weight, so more anger or more doubt can
never keep a customer with the bot. Probabilities enter as log-odds, cut at `ODDS_CUT`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from handoff.core.model import Reason

ODDS_CUT = 6.0
"""Log-odds beyond which a probability says no more: 0.9975 and 0.0025."""

SIGNALS: Mapping[str, Reason] = {
    "precedent": Reason.PRECEDENT,
    "novelty": Reason.OUT_OF_SCOPE,
    "doubt": Reason.NOT_UNDERSTOOD,
    "ambiguity": Reason.AMBIGUOUS,
    "anger": Reason.ANGRY,
    "negative": Reason.NEGATIVE,
    "mood": Reason.MOOD_BAD,
    "mood_fall": Reason.MOOD_FALLING,
    "asks": Reason.MAY_ASK_FOR_PERSON,
    "repeats": Reason.CUSTOMER_REPEATS,
    "asked_back": Reason.ASKED_BACK,
}
"""Every signal the risk is made of, with the reason it gives."""

UNDERSTANDING = frozenset({"novelty", "doubt", "ambiguity"})
"""Signals that a question to the customer can settle."""

PROBABILITIES = frozenset({"precedent", "novelty", "doubt", "anger", "negative", "asks"})
"""Signals that enter as log-odds."""


def log_odds(probability: float) -> float:
    """Return ln(p / (1 - p)), cut at ±`ODDS_CUT`."""
    if probability <= 0.0:
        return -ODDS_CUT
    if probability >= 1.0:
        return ODDS_CUT
    return min(ODDS_CUT, max(-ODDS_CUT, math.log(probability) - math.log1p(-probability)))


def sigmoid(score: float) -> float:
    """Return 1 / (1 + e^-score)."""
    return 1.0 / (1.0 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))


def scaled(name: str, figure: float) -> float:
    """Return a signal as the model sees it: log-odds for probabilities, else the figure itself."""
    return log_odds(figure) if name in PROBABILITIES else figure


@dataclass(frozen=True, slots=True)
class RiskModel:
    """The log-odds of a typical message, and per signal its weight and its typical figure.

    Weights are log-odds per unit of the scaled signal, never negative. A signal without a weight
    counts nothing.
    """

    offset: float
    weights: Mapping[str, float] = field(default_factory=dict)
    typical: Mapping[str, float] = field(default_factory=dict)

    def contributions(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return per signal how much it adds to the log-odds of a typical message."""
        return {
            name: weight * (scaled(name, figures[name]) - scaled(name, self.typical[name]))
            for name, weight in self.weights.items()
            if name in figures
        }

    def risk(self, contributions: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, that follows from these contributions."""
        return sigmoid(self.offset + sum(contributions.values()))
