"""The bot's intent model without Rasa around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from bot.components.intent_model import Background, IntentModel, readable
from handoff.adapters.encoder import SentenceEncoder
from handoff.core.model import IntentScore, Parse
from handoff.evals.intents import Progress
from handoff.learning.training_files import shipped_examples
from handoff.ports import Assistant
from tests.conftest import TRAINING_DATA
from tests.fakes import OnlyParses

UNKNOWN = "out_of_scope"

RANKED = 10
"""Intents that the bot names for a message (`ranking_length`)."""


def examples_shipped() -> dict[str, list[str]]:
    """Return the shipped examples by intent."""
    examples: defaultdict[str, list[str]] = defaultdict(list)
    for intent, text in shipped_examples(TRAINING_DATA):
        examples[intent].append(text)
    return dict(examples)


class IntentsInProcess(OnlyParses):
    """Trains and serves the bot's intent model in this process: both `TrainsNlu` and `Serves`.

    A `background` stands in where the examples hold no `out_of_scope`, as the bot's own does.
    """

    def __init__(self, encoder: SentenceEncoder, background: Background | None = None) -> None:
        self._encoder = encoder
        self._background = background
        self._model: IntentModel | None = None

    async def train_nlu(
        self, examples: Mapping[str, Sequence[str]], out: Path, progress: Progress = print
    ) -> Path:
        texts = [text for own in examples.values() for text in own]
        labels = [intent for intent, own in examples.items() for _ in own]
        names = await self._encoder.encode([readable(name) for name in examples])
        self._model = IntentModel.train(
            np.asarray(await self._encoder.encode(texts)),
            labels,
            texts,
            dict(zip(examples, names, strict=True)),
            UNKNOWN,
            self._background,
        )
        return out

    @asynccontextmanager
    async def serve(self, model: Path) -> AsyncIterator[Assistant]:
        yield self

    async def parse(self, text: str) -> Parse:
        assert self._model is not None
        (found,) = self._model.predict(np.asarray(await self._encoder.encode([text])), [text])
        ranking = tuple(IntentScore(*score) for score in found.ranking[:RANKED])
        return Parse(ranking, novelty=found.novelty)
