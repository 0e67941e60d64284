"""Labelled conversations with everything the policy looks at, turn by turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from handoff.core.costs import Replay
from handoff.core.model import Feelings, Parse
from handoff.core.policy import Policy, Signals
from handoff.core.words import phrases_in
from handoff.fitting.labelled import LabelledConversation
from handoff.ports import Encoder


class ReadsMany(Protocol):
    """Reads feelings from many messages; `handoff.adapters.feelings.FeelingsModel` does."""

    async def read_many(self, texts: Sequence[str]) -> list[Feelings]:
        """Return the probabilities for each message, in order."""
        ...


@dataclass(slots=True)
class Understood:
    """A set of conversations with everything the policy looks at, turn by turn."""

    conversations: Sequence[LabelledConversation]
    texts: list[str]
    needed: list[bool]
    group: list[int]
    parses: list[Parse]
    feelings: list[Feelings]
    vectors: np.ndarray

    def replays(self, risks: Sequence[float]) -> list[Replay]:
        """Return each conversation with its share of the risks."""
        found, at = [], 0
        for conversation in self.conversations:
            end = at + len(conversation.turns)
            found.append(Replay(tuple(risks[at:end]), tuple(self.needed[at:end])))
            at = end
        return found


async def understand(
    conversations: Sequence[LabelledConversation],
    parses: Mapping[str, Parse],
    encoder: Encoder,
    feelings: ReadsMany,
) -> Understood:
    """Put conversations together with what was understood of each text, feelings and vectors."""
    texts = [turn.text for c in conversations for turn in c.turns]
    return Understood(
        conversations,
        texts,
        [turn.needs_person for c in conversations for turn in c.turns],
        [number for number, c in enumerate(conversations) for _ in c.turns],
        [parses[text] for text in texts],
        await feelings.read_many(texts),
        np.asarray(await encoder.encode(texts)),
    )


def signals_of(of: Understood, precedents: np.ndarray, policy: Policy) -> list[Signals]:
    """Return what the policy would look at, turn by turn, as `app.take_turn` gathers it."""
    found: list[Signals] = []
    start = 0
    for conversation in of.conversations:
        rows = range(start, start + len(conversation.turns))
        for row in rows:
            earlier = rows[: row - start]
            cosines = of.vectors[list(earlier)] @ of.vectors[row] if earlier else np.zeros(0)
            found.append(
                Signals(
                    parse=of.parses[row],
                    feelings=replace(of.feelings[row], precedent=float(precedents[row])),
                    mood=tuple(of.feelings[i].negative for i in earlier),
                    repeats=int((cosines >= policy.limits.same_cosine).sum()),
                    safety=phrases_in(of.texts[row], policy.desk.safety_phrases),
                    legal=phrases_in(of.texts[row], policy.desk.legal_phrases),
                )
            )
        start += len(rows)
    return found
