"""Trains and measures the shipped Rasa pipeline on anybody's labelled messages."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from handoff.app.understand import parse_all
from handoff.core.errors import BadData
from handoff.core.learning import neutralise
from handoff.core.model import Parse
from handoff.core.policy import Desk
from handoff.core.text import plain_for_assistant
from handoff.evals.baselines import judge_by_vectors
from handoff.evals.metrics import (
    BOOTSTRAP_SAMPLES,
    Judged,
    accuracy,
    bootstrap,
    calibration,
    in_scope_accuracy,
    intent_figures,
    oos_auroc,
    oos_recall,
    tune_threshold,
)
from handoff.evals.notes import intent_notes
from handoff.fitting.labelled import Labelled, read_intents
from handoff.ports import Assistant, Encoder

ENCODED_AT_ONCE = 256
"""Texts given to the encoder in one call when its cache is warmed."""

RESERVED = Desk().unknown_intents | {"(background)"}
"""Names with a meaning of their own in the shipped pipeline: the intent for everything else, Rasa's
fallback, and what the intent model calls messages that no assistant is for."""

Progress = Callable[[str], None]


class TrainsNlu(Protocol):
    """Trains the shipped pipeline; `handoff.learning.trainer.Trainer` does."""

    async def train_nlu(
        self, examples: Mapping[str, Sequence[str]], out: Path, progress: Progress = ...
    ) -> Path:
        """Train on examples by intent and return the model file `out`."""
        ...


Serves = Callable[[Path], AbstractAsyncContextManager[Assistant]]
"""Serves a model file and yields the assistant that talks to it."""


def _quiet(sentence: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class IntentSets:
    """Labelled messages to train on, to tune on (there may be none) and to measure on.

    `oos_labels` mean out of scope; `names` holds Rasa's name of every label that is trained.
    """

    train: Sequence[Labelled]
    valid: Sequence[Labelled]
    test: Sequence[Labelled]
    oos_labels: Sequence[str]
    names: Mapping[str, str]


def read_intent_sets(
    train: Path, valid: Path | None, test: Path, oos_labels: Sequence[str]
) -> IntentSets:
    """Read CSV files `text,intent`; rows of `train` with an out-of-scope label are not trained on.

    Raises:
        BadData: a file is not of that form, an out-of-scope label occurs nowhere, or nothing is
            left to train on.
    """
    own = read_intents(train), read_intents(valid) if valid else [], read_intents(test)
    known = {message.intent for messages in own for message in messages}
    for label in oos_labels:
        if label not in known:
            raise BadData(path=test, why=f"no row is labelled “{label}” in this or the other files")
    names = rasa_names(m.intent for m in own[0] if m.intent not in set(oos_labels))
    if not names:
        raise BadData(path=train, why="every row is out of scope: nothing is left to train on")
    return IntentSets(*own, oos_labels, names)


async def evaluate_intents(
    sets: IntentSets,
    *,
    trainer: TrainsNlu,
    serve: Serves,
    encoder: Encoder | None = None,
    progress: Progress = _quiet,
    samples: int = BOOTSTRAP_SAMPLES,
) -> dict[str, Any]:
    """Train on `train`, tune the threshold on `valid`, measure on `test`.

    Args:
        sets: the messages; without out-of-scope ones in `valid` no threshold is tuned.
        trainer: trains the shipped pipeline.
        serve: serves the trained model.
        encoder: where given, its cache is warmed in batches while Rasa starts.
        progress: called with a sentence now and then.
        samples: resamples of each interval.

    Returns:
        `accuracy` (best intent, in-scope messages), `threshold`, `in_scope_accuracy` and
        `oos_recall` at it, `auroc` by out-of-scope label, `ece`, `train_seconds` (all of
        `rasa train nlu`, encoding included), `baselines` (a plain logistic regression on the same
        vectors; only where an encoder is given), `intervals` (95 %, bootstrap over test messages),
        `counts` and `notes`. None where a figure cannot be computed; `notes` say why.

    Raises:
        TrainingFailed: with Rasa's last lines.
        AssistantUnavailable: the trained model cannot be served or asked.
    """
    oos_labels = sets.oos_labels
    with tempfile.TemporaryDirectory(prefix="handoff-eval-") as folder:
        started = time.perf_counter()
        examples = examples_by_intent(sets.train, sets.names)
        learned = [neutralise(text) for texts in examples.values() for text in texts]
        async with warming(encoder, learned):
            model = await trainer.train_nlu(examples, Path(folder) / "model.tar.gz", progress)
        train_seconds = time.perf_counter() - started
        texts = [plain_for_assistant(m.text) for m in (*sets.valid, *sets.test)]
        started = time.perf_counter()
        answers = await _understand(serve(model), texts, encoder, progress)
        parse_seconds = time.perf_counter() - started
    split = len(sets.valid)
    tuning = _judge(sets.valid, answers[:split], sets)
    judged = _judge(sets.test, answers[split:], sets)
    threshold = tune_threshold(tuning)
    baselines = await _baselines(sets, encoder) if encoder else {}
    return {
        **intent_figures(judged, threshold, oos_labels),
        "train_seconds": train_seconds,
        "parse_seconds": parse_seconds,
        "baselines": baselines,
        "intervals": await asyncio.to_thread(_intervals, judged, threshold, oos_labels, samples),
        "counts": _counts(sets, judged),
        "notes": intent_notes(tuning, judged, threshold, oos_labels),
    }


async def _baselines(sets: IntentSets, encoder: Encoder) -> dict[str, Any]:
    """Return the same figures for a plain logistic regression on the same vectors."""
    known = [m for m in sets.train if m.intent in sets.names]
    learned = np.asarray(await encoder.encode([neutralise(message.text) for message in known]))
    intents = [message.intent for message in known]

    async def judged(messages: Sequence[Labelled]) -> Judged:
        vectors = await encoder.encode([plain_for_assistant(m.text) for m in messages])
        labels, oos_labels = [m.intent for m in messages], sets.oos_labels
        test = np.asarray(vectors)
        return await asyncio.to_thread(judge_by_vectors, learned, intents, test, labels, oos_labels)

    threshold = tune_threshold(await judged(sets.valid)) if sets.valid else None
    return intent_figures(await judged(sets.test), threshold, sets.oos_labels)


def rasa_names(labels: Iterable[str]) -> dict[str, str]:
    """Return for each label a name Rasa takes as it is; all names differ.

    Rasa reads `a/b` as a retrieval intent `a` and gives back only `a`. A label that happens to be
    called like one of `RESERVED` is an ordinary one, and must not take on the meaning of that name.
    """
    names: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        plain = neutralise(label).replace("/", "_")
        name, number = plain, 1
        while name in RESERVED or name in names.values():
            number += 1
            name = f"{plain}_{number}"
        names[label] = name
    return names


def examples_by_intent(
    messages: Sequence[Labelled], names: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the texts to train on by Rasa's intent name; messages of other labels are left out."""
    examples: defaultdict[str, list[str]] = defaultdict(list)
    for message in messages:
        if message.intent in names:
            examples[names[message.intent]].append(message.text)
    return dict(examples)


async def _understand(
    server: AbstractAsyncContextManager[Assistant],
    texts: Sequence[str],
    encoder: Encoder | None,
    progress: Progress,
) -> list[Parse]:
    """Have every text understood, encoded in batches while the server starts."""
    async with warming(encoder, texts) as warmed, server as assistant:
        await warmed
        return await parse_all(assistant, texts, progress)


@asynccontextmanager
async def warming(encoder: Encoder | None, texts: Sequence[str]) -> AsyncIterator[Awaitable[None]]:
    """Fill the encoder's cache in the background for as long as the block lasts, at most."""
    task = asyncio.create_task(_warm(encoder, texts))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _warm(encoder: Encoder | None, texts: Sequence[str]) -> None:
    """Have every text encoded in batches, shortest first: a batch is as slow as its longest."""
    if encoder is None:
        return
    ordered = sorted(set(texts), key=len)
    for start in range(0, len(ordered), ENCODED_AT_ONCE):
        await encoder.encode(ordered[start : start + ENCODED_AT_ONCE])


def _judge(messages: Sequence[Labelled], answers: Sequence[Parse], sets: IntentSets) -> Judged:
    """Put labels and answers together; an intent that was not trained is nobody's label."""
    label_of = {name: label for label, name in sets.names.items()}
    return Judged.of(
        [message.intent for message in messages],
        [label_of.get(answer.best.intent, "") for answer in answers],
        [answer.best.confidence for answer in answers],
        sets.oos_labels,
        [answer.novelty for answer in answers],
    )


def _intervals(
    judged: Judged, threshold: float | None, oos_labels: Sequence[str], samples: int
) -> dict[str, Any]:
    """Return the bootstrap interval of each figure, in the shape of the figures themselves."""

    def interval(measure: Callable[[Judged], float | None]) -> tuple[float, float] | None:
        return bootstrap(lambda rows: measure(judged.take(rows)), len(judged), samples)

    found: dict[str, Any] = {"accuracy": interval(accuracy), "ece": interval(calibration)}
    for name, figure in (("in_scope_accuracy", in_scope_accuracy), ("oos_recall", oos_recall)):
        found[name] = None if threshold is None else interval(partial(figure, threshold=threshold))
    found["auroc"] = {label: interval(partial(oos_auroc, oos_label=label)) for label in oos_labels}
    return found


def _counts(sets: IntentSets, judged: Judged) -> dict[str, Any]:
    """Return how many messages the figures rest on, and what a reader should know about them."""
    trained = [m for m in sets.train if m.intent in sets.names]
    texts = {m.text for m in trained}
    in_scope = judged.label[judged.in_scope]
    return {
        "train": len(trained),
        "intents": len(sets.names),
        "valid": len(sets.valid),
        "test_in_scope": len(in_scope),
        "test_out_of_scope": len(judged) - len(in_scope),
        "test_texts_in_train": sum(m.text in texts for m in sets.test),
        "test_untrained_intents": sorted(set(in_scope) - set(sets.names)),
    }
