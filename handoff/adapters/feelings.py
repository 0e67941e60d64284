"""Reads feelings: small linear models over one set of text features.

Trained on messages and conversations written for this project (`training_data/sentiment`,
`training_data/requests`, `training_data/alarms`, `training_data/praise`, `training_data/handoffs`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import sklearn

from handoff.core.model import Feelings
from handoff.core.text import sentences
from handoff.fitting.features import FEATURES_VERSION, TextFeatures, alarms, as_said
from handoff.fitting.labelled import read_conversations, read_flags
from handoff.fitting.text_model import (
    INVERSE_REGULARISATION,
    Panel,
    TextModel,
    fit_text_model,
    topics_of,
)
from handoff.ports import Encoder

REQUEST = "handoff"
"""Name of the model of requests for a person."""

DANGER, LEGAL = "danger", "legal"
"""Names of the models of what calls for a person whatever else a message says."""

PRAISE, IRONY = "praise", "irony"
"""Names of the models of thanks and praise: whether a message reads so, and whether it means the
contrary. The second knows nothing of other messages, and counts only where the first says so."""

MESSAGES = {
    "negative": Path("sentiment/messages.csv"),
    "angry": Path("sentiment/messages.csv"),
    REQUEST: Path("requests/messages.csv"),
    DANGER: Path("alarms/messages.csv"),
    LEGAL: Path("alarms/messages.csv"),
    PRAISE: Path("praise/messages.csv"),
    IRONY: Path("praise/messages.csv"),
}
"""Label of each model and the file of training_data it is learned from."""

CONVERSATIONS = Path("handoffs/conversations.jsonl")
"""File of training_data with conversations that say which turns needed a person; may be missing."""

OF_FEELING = frozenset({"negative", "angry"})
"""Labels that the words of a lexicon say something about by themselves."""

BASE_RATES = {REQUEST: 0.05}
"""How often a label occurs among real messages, where the training texts hold far more of it:
customers who ask for a person were 3 % of the messages of NLU++ banking (Casanueva et al. 2022)."""

BESIDE = 3
"""Every so manieth ordinary message stands beside those written about one thing: without any an
order for a kettle looked like a threat, and with all of them alarms drowned (cross-validated over
their authors)."""

STRENGTHS = {DANGER: (1.0, 3.0), LEGAL: (1.0, 3.0), IRONY: (1.0, 3.0, 10.0)}
"""Values of C for labels whose authors did not see each other's lines: what one author's words tell
of another's was measured, and it is more than with those of `fitting.text_model`."""

PRECEDENT = "precedent"
"""Name of the model of what messages in those conversations needed."""

MOST_SENTENCES = 8
"""Sentences of a message that are read alone, the last ones: what a customer wants is said last."""


@dataclass(slots=True)
class FeelingsModels:
    """Everything that is stored: the features, and a model a label."""

    features: TextFeatures
    models: dict[str, TextModel]


class FeelingsModel:
    """Implements `ports.FeelingsReader`; trained once and stored under its fingerprint."""

    def __init__(self, encoder: Encoder, models: FeelingsModels) -> None:
        self._encoder = encoder
        self._features = models.features
        self._panel = Panel(models.models)

    async def read(self, text: str) -> Feelings:
        """Return the probabilities for one message."""
        return (await self.read_many([text]))[0]

    async def read_many(self, texts: Sequence[str]) -> list[Feelings]:
        """Return the probabilities for each message, in order.

        A request for a person is one wherever it stands, so a message asks for one as much as the
        sentence of it that asks most, and thanks are not meant beside a sentence that is angry.
        Everything else is that of the whole: of sentences read alone, harmless ones often sound
        alarming.
        """
        if not texts:
            return []
        texts = [as_said(text) for text in texts]
        alone = [_read_alone(text) for text in texts]
        parts = sorted({part for parts in alone for part in parts})
        # The messages first: others wait for their vectors, nobody for those of the sentences.
        vectors = [*await self._encoder.encode(texts), *await self._encoder.encode(parts)]
        found = self._panel.predict(self._features.rows([*texts, *parts], np.asarray(vectors)))
        precedent, asking = found.get(PRECEDENT), found[REQUEST]
        row_of = {part: len(texts) + place for place, part in enumerate(parts)}
        spoilt = np.minimum(found[IRONY], found["angry"])
        return [
            Feelings(
                negative=float(found["negative"][i]),
                angry=float(found["angry"][i]),
                asks_for_person=float(max([asking[i], *(asking[row_of[p]] for p in alone[i])])),
                precedent=None if precedent is None else float(precedent[i]),
                danger=float(found[DANGER][i]),
                legal=float(found[LEGAL][i]),
                praise=float(found[PRAISE][i]),
                irony=float(max([found[IRONY][i], *(spoilt[row_of[p]] for p in alone[i])])),
            )
            for i in range(len(texts))
        ]


def _read_alone(text: str) -> list[str]:
    """Return the sentences of a message of several, to be read by themselves."""
    found = sentences(text)
    return found[-MOST_SENTENCES:] if len(found) > 1 else []


def sources_in(training_data: Path, precedents: bool = True) -> list[Path]:
    """Return every file the models are learned from; see `load_feelings`."""
    messages = [training_data / name for name in sorted(set(MESSAGES.values()))]
    conversations = training_data / CONVERSATIONS
    return [*messages, *([conversations] if precedents and conversations.exists() else [])]


def feelings_path(
    training_data: Path, folder: Path, encoder_digest: str, precedents: bool = True
) -> Path:
    """Return where the model of exactly this data, encoder and code is stored."""
    digest = hashlib.sha256(f"{FEATURES_VERSION} {sklearn.__version__} {encoder_digest}".encode())
    for source in sources_in(training_data, precedents):
        digest.update(source.read_bytes())
    return folder / f"feelings-{digest.hexdigest()[:16]}.joblib"


async def load_feelings(
    encoder: Encoder, training_data: Path, folder: Path, precedents: bool = True
) -> FeelingsModel:
    """Load the model, training it first when data, encoder or code have changed.

    Args:
        encoder: gives the vectors.
        training_data: folder with the labelled messages.
        folder: where models are kept.
        precedents: whether precedents are learned from `CONVERSATIONS`, if that file is there.

    Raises:
        BadData: a file is not of its form; the sentence names the file and the row.
    """
    path = feelings_path(training_data, folder, encoder.digest, precedents)
    if not path.exists():
        models = await train_feelings(encoder, training_data, precedents)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        await asyncio.to_thread(joblib.dump, models, part)
        part.replace(path)
    return FeelingsModel(encoder, await asyncio.to_thread(joblib.load, path))


async def train_feelings(
    encoder: Encoder, training_data: Path, precedents: bool = True
) -> FeelingsModels:
    """Train every model on the files of a folder of training data; see `load_feelings`."""
    labelled = _labelled(training_data, precedents)
    texts = sorted({text for own, _ in labelled.values() for text in own})
    vectors = dict(zip(texts, np.asarray(await encoder.encode(texts)), strict=True))
    return await asyncio.to_thread(_fit, labelled, vectors)


def _labelled(training_data: Path, precedents: bool) -> dict[str, tuple[list[str], list[int]]]:
    """Return texts and labels by model; no precedent where no conversation is labelled."""
    found: dict[str, tuple[list[str], list[int]]] = {}
    for label, name in MESSAGES.items():
        texts, flags = read_flags(training_data / name, [label])
        found[label] = ([as_said(text) for text in texts], flags[label])
    _put_ordinary_beside(found)
    path = training_data / CONVERSATIONS
    conversations = read_conversations(path) if precedents and path.exists() else []
    turns = [turn for c in conversations for turn in c.turns if turn.text]
    if {turn.needs_person for turn in turns} == {False, True}:
        found[PRECEDENT] = ([as_said(t.text) for t in turns], [int(t.needs_person) for t in turns])
    return found


def _put_ordinary_beside(found: dict[str, tuple[list[str], list[int]]]) -> None:
    """Add messages written for other labels to those that are only about one thing, in place.

    Requests and moods are about every trade. None of them threatens or tells of danger but those
    that hold such a phrase, and hardly any is thanks; anger is never thanks that are meant. Praise
    and irony threaten as little, and the law heard in none of them is heard in no thanks. They
    stay away from danger: beside them its rarer signs were missed.
    """
    requests, (moods, angry) = found[REQUEST][0], found["angry"]
    thanks = [text for text in found[PRAISE][0] if not any(alarms(text))]
    plain = [text for text in requests if not any(alarms(text))][::BESIDE]
    furious = [text for text, flag in zip(moods, angry, strict=True) if flag][::BESIDE]
    no_praise = [*found[DANGER][0], *[*moods, *requests][::BESIDE]]
    for label, others, flag in (
        (DANGER, plain, 0),
        (LEGAL, [*plain, *thanks], 0),
        (PRAISE, no_praise, 0),
        (IRONY, furious, 1),
    ):
        texts, flags = found[label]
        known = set(texts)
        new = [text for text in others if text not in known]
        found[label] = ([*texts, *new], [*flags, *[flag] * len(new)])


def _fit(
    labelled: Mapping[str, tuple[list[str], list[int]]], vector_of: Mapping[str, np.ndarray]
) -> FeelingsModels:
    features = TextFeatures().fit(sorted(vector_of))
    models = {}
    for label, (texts, flags) in labelled.items():
        vectors = np.array([vector_of[text] for text in texts])
        rows = features.rows(texts, vectors)
        known = features.known_columns(vectors.shape[1]) if label in OF_FEELING else None
        strengths = STRENGTHS.get(label, INVERSE_REGULARISATION)
        models[label] = fit_text_model(
            rows, flags, topics_of(vectors), BASE_RATES.get(label), known, strengths
        ).model
    return FeelingsModels(features, models)
