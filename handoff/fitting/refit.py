"""Fits the policy to labelled conversations: what messages needed, the risk, and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handoff.core.costs import Replay, best_limit
from handoff.core.policy import Policy, risk_figures, rules_of
from handoff.core.risk import RiskModel
from handoff.fitting.features import TextFeatures
from handoff.fitting.risk import Figures, fit_risk, held_out_risks
from handoff.fitting.text_model import INVERSE_REGULARISATION, TextModel, fit_text_model
from handoff.fitting.understood import Understood, signals_of


@dataclass(frozen=True, slots=True)
class Episode:
    """A conversation as the risk model sees it: a turn's figures, its label, and whether a rule
    decided about it."""

    figures: tuple[Figures, ...]
    needed: tuple[bool, ...]
    ruled: tuple[bool, ...]

    def replay(self, risks: Sequence[float]) -> Replay:
        """Return it with the risk of each turn, 1 where a rule decides by itself."""
        decided = (1.0 if rule else risk for rule, risk in zip(self.ruled, risks, strict=True))
        return Replay(tuple(decided), self.needed)


@dataclass(frozen=True, slots=True)
class Precedents:
    """What messages needed in labelled conversations, for messages to come.

    `held_out` is what a model says of each text it was fitted on, had it not seen the conversation.
    """

    features: TextFeatures
    model: TextModel
    held_out: np.ndarray

    def of(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Return the probability, 0 to 1, that each message needs a person."""
        return self.model.predict(self.features.rows(texts, vectors))


@dataclass(frozen=True, slots=True)
class Refitted:
    """A risk model with its limit, and every episode judged by a model that had not seen it."""

    risk: RiskModel
    limit: float
    replays: list[Replay]


def fit_precedents(
    known: Understood, strengths: Sequence[float] = INVERSE_REGULARISATION
) -> Precedents:
    """Learn what messages needed; raise `ValueError` where all needed the same.

    `strengths` are the values of C to choose from: `IN_THE_FIELD` for texts of real customers.
    """
    features = TextFeatures().fit(known.texts)
    labels = [int(need) for need in known.needed]
    rows = features.rows(known.texts, known.vectors)
    fitted = fit_text_model(rows, labels, np.asarray(known.group), strengths=strengths)
    return Precedents(features, fitted.model, fitted.held_out)


def episodes_of(of: Understood, precedents: np.ndarray, policy: Policy) -> list[Episode]:
    """Return conversations as the risk model sees them."""
    signals, found, at = signals_of(of, precedents, policy), [], 0
    for conversation in of.conversations:
        end = at + len(conversation.turns)
        own = signals[at:end]
        found.append(
            Episode(
                tuple(risk_figures(one, policy) for one in own),
                tuple(of.needed[at:end]),
                tuple(bool(rules_of(one, policy)) for one in own),
            )
        )
        at = end
    return found


def replayed(model: RiskModel, episodes: Sequence[Episode]) -> list[Replay]:
    """Return the episodes with the risks a model sees in them."""
    return [
        episode.replay([model.risk(model.contributions(row)) for row in episode.figures])
        for episode in episodes
    ]


def refit(episodes: Sequence[Episode], policy: Policy, prior: RiskModel | None = None) -> Refitted:
    """Fit risk and limit at the policy's costs, staying close to a risk model of before.

    Raises:
        ValueError: all turns needed the same.
    """
    figures = [row for episode in episodes for row in episode.figures]
    needed = [need for episode in episodes for need in episode.needed]
    groups = [number for number, e in enumerate(episodes) for _ in e.figures]
    held_out, replays, at = held_out_risks(figures, needed, groups, prior), [], 0
    for episode in episodes:
        end = at + len(episode.figures)
        replays.append(episode.replay(held_out[at:end]))
        at = end
    limit = best_limit(replays, policy.costs)
    return Refitted(fit_risk(figures, needed, prior), limit, replays)
