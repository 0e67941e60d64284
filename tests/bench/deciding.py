"""What a decision costs: one message encoded, parsed and decided, everything on one core.

The machine's speed changes by half from one minute to the next, so torch encodes messages on the
same core in between, which says what the figure would be elsewhere.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import uvloop

from handoff.adapters.encoder import Model
from handoff.adapters.encoder_backends import Backend
from handoff.adapters.feelings import FeelingsModel
from handoff.bootstrap.encoders import examples_in, open_encoder, open_feelings
from handoff.bootstrap.jobs import serve_beside, trainer_for
from handoff.bootstrap.parts import encoder_service
from handoff.core.policy import Policy, Signals, decide
from handoff.ports import Assistant
from handoff.settings import Settings, load_settings
from tests.bench.stopwatch import milliseconds

BLOCK, BLOCKS = 20, 15
"""Messages in a row, and how often; the first blocks warm up."""

WARM_UP = 2

CORE = 0

_torch: list[Backend] = []


def deciding() -> dict[str, float]:
    """Measure new messages one at a time; the encoder, Rasa and this process share one core."""
    settings = load_settings(_env_file=None)
    cores = os.sched_getaffinity(0)
    spawn = multiprocessing.get_context("spawn")
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, mp_context=spawn, initializer=_load_torch) as torch,
        ):
            return uvloop.run(_measure(settings, Path(folder), torch))
    finally:
        os.sched_setaffinity(0, cores)


async def _measure(
    settings: Settings, folder: Path, torch: ProcessPoolExecutor
) -> dict[str, float]:
    encoder = open_encoder(settings)
    async with encoder_service(settings, encoder) as url:
        feelings = await open_feelings(settings, encoder)
        trainer = trainer_for(settings, url)
        model = await trainer.train(folder / "none", folder / "model.tar.gz")
        # Of this process every thread, and of Rasa all, as a child is where its parent was.
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), {CORE})
        async with serve_beside(settings, url, model) as assistant:
            texts = [text for text, _ in examples_in(settings.training_data).golden]
            decided: list[float] = []
            encoded: list[float] = []
            for start in range(0, BLOCK * BLOCKS, BLOCK):
                block = texts[start : start + BLOCK]
                decided += await _decided(block, assistant, feelings, settings.policy())
                encoded += await asyncio.wrap_future(torch.submit(_encoded_by_torch, block))
    cut = BLOCK * WARM_UP
    message, alone = median(decided[cut:]), median(encoded[cut:])
    return {
        "encoded_parsed_decided_p50_ms": message,
        "encoded_by_torch_between_p50_ms": alone,
        "encoded_parsed_decided_to_torch_ratio": message / alone,
    }


async def _decided(
    texts: Sequence[str], assistant: Assistant, feelings: FeelingsModel, policy: Policy
) -> list[float]:
    """Return how long each message took, in milliseconds."""
    took: list[float] = []
    for text in texts:
        began = time.perf_counter()
        signals = Signals(await assistant.parse(text), await feelings.read(text))
        decide(signals, policy)
        took.append((time.perf_counter() - began) * 1000)
    return took


def _load_torch() -> None:
    os.sched_setaffinity(0, {CORE})
    _torch.append(Model().open())


def _encoded_by_torch(texts: Sequence[str]) -> list[float]:
    """Return how long the encoding of each message alone took, in milliseconds."""
    return [milliseconds(lambda t=text: _torch[0].encode([t])) for text in texts]
