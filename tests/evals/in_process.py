"""The bot's intent model without Rasa around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from bot.components.intent_model import IntentModel, readable
from handoff.adapters.encoder import SentenceEncoder
from handoff.core.model import BotLine, IntentScore, Parse
from handoff.evals.intents import Progress
from handoff.ports import Assistant

RANKED = 10
"""Intents that the bot names for a message (`ranking_length`)."""


class IntentsInProcess:
    """Trains and serves the bot's intent model in this process: both `TrainsNlu` and `Serves`.

    For examples that hold `out_of_scope`, as the shop's do; no background stands in for it.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
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
            "out_of_scope",
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

    async def respond(self, sender: str, text: str) -> list[BotLine]:
        raise AssertionError("an evaluation never lets the bot speak")

    async def awaiting_slot(self, sender: str) -> str | None:
        raise AssertionError("an evaluation asks for no slot")

    async def status(self) -> str:
        return "in process"

    async def load_model(self, path: Path) -> None:
        raise AssertionError("an evaluation swaps no model")
