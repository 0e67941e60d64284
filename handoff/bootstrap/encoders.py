"""Which encoder the settings mean, its export for ONNX Runtime, and the feelings read with it."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

from handoff.adapters.encoder import Model, SentenceEncoder
from handoff.adapters.feelings import MESSAGES, FeelingsModel, feelings_path, load_feelings
from handoff.adapters.onnx_export import LOSS_POINTS, Examples, Manifest
from handoff.learning.gate import read_golden
from handoff.learning.training_files import shipped_examples
from handoff.settings import PROJECT, Settings
from handoff.supervisor import Say

EXPORT_SECONDS = 5.0
"""What takes longer is told, in seconds: an export, or waiting for somebody else's."""


def encoder_model(settings: Settings) -> Model:
    """Return the model the settings mean."""
    examples = partial(examples_in, settings.training_data)
    return Model(settings.encoder, settings.encoder_backend, settings.encoder_folder, examples)


def open_encoder(settings: Settings, workers: int = 1) -> SentenceEncoder:
    """Return the encoder the settings mean, not loaded yet; `workers` are threads that encode."""
    return SentenceEncoder(encoder_model(settings), workers)


async def open_feelings(settings: Settings, encoder: SentenceEncoder) -> FeelingsModel:
    """Return the reader of feelings on a loaded encoder, trained first when something changed."""
    return await load_feelings(encoder, *_feelings(settings))


def feelings_are_trained(settings: Settings) -> bool:
    """Say whether there is a reader of feelings of exactly this data and encoder."""
    digest = encoder_model(settings).digest()
    data, folder, precedents = _feelings(settings)
    return feelings_path(data, folder, digest, precedents).exists()


def _feelings(settings: Settings) -> tuple[Path, Path, bool]:
    """Return the training data of the feelings, the folder of their models, and whether precedents
    are among them.

    Anger sounds the same everywhere, so the shipped messages serve where the owner has none. What
    messages needed is another matter with every assistant: before another than the shop's there
    are no precedents.
    """
    data, shipped = settings.training_data, PROJECT / "training_data"
    whole = all((data / name).is_file() for name in MESSAGES.values())
    precedents = settings.is_shop and settings.assistant != "foreign"
    return data if whole else shipped, settings.var / "models", precedents


def examples_in(training_data: Path) -> Examples:
    """Return the messages that the accuracy of an exported encoder is measured on."""
    golden = training_data / "golden"
    known = read_golden(golden) if (golden / "out_of_scope.csv").is_file() else []
    return Examples(
        [(text, intent) for intent, text in shipped_examples(training_data)],
        [(message.text, message.intent) for message in known if message.intent],
    )


async def prepare_encoder(settings: Settings, say: Say, only_news: bool = False) -> None:
    """Export the encoder for ONNX Runtime unless that was done before; say what is served.

    With `only_news` nothing is said of an export that was found at once.
    """
    model = encoder_model(settings)
    began = time.monotonic()
    export = await asyncio.to_thread(model.export)
    took = time.monotonic() - began
    if only_news and export is not None and took < EXPORT_SECONDS:
        return
    if export is None:
        say("The encoder is served by torch.")
        return
    if took >= EXPORT_SECONDS:
        say(f"  exported and measured after {took:.0f} s")
    chosen = "int8" if model.int8(export) else "fp32"
    say(f"The encoder is served by ONNX Runtime in {chosen}. {in_words(export.manifest)}")


def in_words(manifest: Manifest) -> str:
    """Return what was measured about an export, as the command prints it."""
    if manifest.accuracy is None or manifest.int8_accuracy is None:
        return f"There are too few messages to measure int8 on ({manifest.judged})."
    return (
        f"fp32 against torch: cosine {manifest.cosine:.6f} or more. "
        f"int8 against fp32: cosine {manifest.int8_cosine:.3f}, accuracy on {manifest.judged} "
        f"messages {manifest.int8_accuracy:.1f} % against {manifest.accuracy:.1f} % "
        f"(a loss of {manifest.loss_points:.2f} points; {LOSS_POINTS:g} are allowed)."
    )
