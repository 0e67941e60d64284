"""What encoding costs: torch, ONNX Runtime in fp32 and in int8, turn about in one run."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median

from handoff.adapters.encoder import Model, SentenceEncoder
from handoff.adapters.encoder_backends import Backend
from handoff.bootstrap.encoders import encoder_model, examples_in
from handoff.settings import load_settings
from tests.bench.stopwatch import milliseconds

PROJECT = Path(__file__).resolve().parents[2]
WARM_UP, MESSAGES, LIST = 10, 200, 1000
CORES = 2


def encoding() -> dict[str, float]:
    """Compare the backends on one core, and measure the served one on long lists."""
    model = encoder_model(load_settings(_env_file=None))
    export = model.export()
    assert export is not None, "ONNX Runtime does not serve, so there is nothing to compare"
    backends: dict[str, Backend] = {
        "torch": Model().open(),
        "fp32": export.open(int8=False),
        "int8": export.open(int8=True),
    }
    examples = examples_in(PROJECT / "training_data")
    figures = _one_at_a_time(backends, [text for text, _ in examples.golden][:MESSAGES])
    texts = [text for text, _ in examples.training][:LIST]
    for workers in (1, CORES):
        seconds = asyncio.run(_long_list(model, workers, texts))
        figures[f"encode_list_{workers}_threads_per_s"] = len(texts) / seconds
    return figures


def _one_at_a_time(backends: dict[str, Backend], texts: list[str]) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in backends}
    for text in texts:
        for name, backend in backends.items():
            took[name].append(milliseconds(lambda b=backend, t=text: b.encode([t])))
    middle = {name: median(values[WARM_UP:]) for name, values in took.items()}
    figures = {f"encode_{name}_p50_ms": value for name, value in middle.items()}
    for name in ("fp32", "int8"):
        figures[f"encode_{name}_to_torch_ratio"] = middle[name] / middle["torch"]
    return figures


async def _long_list(model: Model, workers: int, texts: list[str]) -> float:
    encoder = SentenceEncoder(model, workers)
    await encoder.load()
    began = time.perf_counter()
    await encoder.encode(texts)
    encoder.close()
    return time.perf_counter() - began
