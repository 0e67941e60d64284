"""Reads feelings: small linear models on sentence vectors, n-grams and a few surface features.

Trained on messages written for this project (`training_data/sentiment`, `training_data/requests`).
The vectors carry the meaning; the n-grams carry swearing, negation and spelling that an encoder
trained on clean prose smooths away; the surface features carry capitals and punctuation.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from handoff.core.errors import BadData
from handoff.core.model import Feelings
from handoff.ports import Encoder

FEATURES_VERSION = "1"
"""Grows with every change of the features, so that a stored model of before is trained anew."""

LABELS = {"negative": "sentiment", "angry": "sentiment", "handoff": "requests"}
"""Label of each model and the folder of training_data it is learned from."""

SURFACE_WEIGHT = 0.5
"""Weight of the surface features against the unit-length sentence vector."""

INVERSE_REGULARISATION = (1.0, 3.0, 10.0)
"""Values of C that cross-validation chooses from, by log loss, which rewards calibration."""


def surface(text: str) -> list[float]:
    """Return what vectors do not see, each 0 to 1: capitals, `!`, `?`, pile-ups, trailing dots."""
    letters = [character for character in text if character.isalpha()]
    capitals = sum(character.isupper() for character in letters) / max(1, len(letters))
    return [
        capitals if len(letters) > 3 else 0.0,
        min(text.count("!"), 3) / 3,
        min(text.count("?"), 3) / 3,
        float("??" in text or "?!" in text or "!?" in text),
        float("..." in text or "…" in text),
    ]


@dataclass(slots=True)
class TextModel:
    """One binary classifier over vector, word and character n-grams, and surface features."""

    words: TfidfVectorizer
    characters: TfidfVectorizer
    classifier: LogisticRegression

    @classmethod
    def fit(cls, texts: Sequence[str], vectors: np.ndarray, labels: Sequence[int]) -> TextModel:
        """Train on texts with their unit vectors (n × dimension) and labels 0 or 1."""
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts)
        characters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2
        ).fit(texts)
        features = _features(words, characters, texts, vectors)
        search = GridSearchCV(
            LogisticRegression(max_iter=3000),
            {"C": list(INVERSE_REGULARISATION)},
            scoring="neg_log_loss",
            cv=5,
        )
        search.fit(features, np.asarray(labels))
        return cls(words, characters, search.best_estimator_)

    def predict(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Return the probability of label 1 for each text."""
        features = _features(self.words, self.characters, texts, vectors)
        return self.classifier.predict_proba(features)[:, 1]


def _features(
    words: TfidfVectorizer, characters: TfidfVectorizer, texts: Sequence[str], vectors: np.ndarray
) -> Any:
    extra = np.array([surface(text) for text in texts]) * SURFACE_WEIGHT
    return hstack(
        [
            csr_matrix(vectors),
            csr_matrix(extra),
            words.transform(texts),
            characters.transform(texts),
        ]
    ).tocsr()


def read_labelled(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV with `text` and 0/1 columns; raise `BadData` naming the file and the row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(path=path, why=f"cannot be read as UTF-8 ({error})") from None
    if not rows:
        raise BadData(path=path, why="holds no rows")
    for number, row in enumerate(rows, start=2):
        if not (row.get("text") or "").strip():
            raise BadData(path=path, why=f"row {number} has no text")
        for column in columns:
            if row.get(column) not in ("0", "1"):
                raise BadData(path=path, why=f"row {number}: {column} must be 0 or 1")
    return rows


class FeelingsModel:
    """Implements `ports.FeelingsReader`; trained once and stored under its fingerprint."""

    def __init__(self, encoder: Encoder, models: dict[str, TextModel]) -> None:
        self._encoder = encoder
        self._models = models

    async def read(self, text: str) -> Feelings:
        """Return the probabilities for one message."""
        return (await self.read_many([text]))[0]

    async def read_many(self, texts: Sequence[str]) -> list[Feelings]:
        """Return the probabilities for each message, in order."""
        if not texts:
            return []
        vectors = np.asarray(await self._encoder.encode(texts))
        found = {label: m.predict(texts, vectors) for label, m in self._models.items()}
        return [
            Feelings(
                negative=float(found["negative"][i]),
                angry=float(found["angry"][i]),
                asks_for_person=float(found["handoff"][i]),
            )
            for i in range(len(texts))
        ]


def feelings_path(training_data: Path, folder: Path, encoder_digest: str) -> Path:
    """Return where the model of exactly this data, encoder and code is stored."""
    digest = hashlib.sha256(f"{FEATURES_VERSION} {sklearn.__version__} {encoder_digest}".encode())
    for source in sorted(set(LABELS.values())):
        digest.update((training_data / source / "messages.csv").read_bytes())
    return folder / f"feelings-{digest.hexdigest()[:16]}.joblib"


async def load_feelings(encoder: Encoder, training_data: Path, folder: Path) -> FeelingsModel:
    """Load the model, training it first when data, encoder or code have changed."""
    path = feelings_path(training_data, folder, encoder.digest)
    if not path.exists():
        models = {
            label: await _train(encoder, training_data / source / "messages.csv", label)
            for label, source in LABELS.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        await asyncio.to_thread(joblib.dump, models, part)
        part.replace(path)
    return FeelingsModel(encoder, await asyncio.to_thread(joblib.load, path))


async def _train(encoder: Encoder, path: Path, label: str) -> TextModel:
    rows = read_labelled(path, [label])
    texts = [row["text"] for row in rows]
    vectors = np.asarray(await encoder.encode(texts))
    return await asyncio.to_thread(TextModel.fit, texts, vectors, [int(r[label]) for r in rows])
