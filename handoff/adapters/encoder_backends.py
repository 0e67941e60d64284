"""What computes the vectors behind the shared encoder: torch, or ONNX Runtime.

A backend turns texts into unit vectors (float32), one a row. It is called from threads and keeps
nothing between two calls.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from handoff.core.errors import EncoderUnavailable

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a transformer is given; some models know no token types."""

SUMMED = 64
"""Products a sum of `quantisation.write_probe` has."""


class Backend(Protocol):
    """Computes vectors. `digest` identifies them: one digest, one vector for a text."""

    digest: str

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one unit vector (float32) a text, row by row; `texts` is not empty."""
        ...


class TorchBackend:
    """sentence-transformers on torch. Raises `EncoderUnavailable` when `path` cannot be loaded."""

    def __init__(self, path: str, digest: str) -> None:
        self.digest = digest
        self._model = load_torch_model(path)
        self._lock = Lock()  # the tokeniser of transformers is not made for two threads at once

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one unit vector a text."""
        with self._lock:
            return self._model.encode(
                list(texts),
                batch_size=len(texts),
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            ).astype(np.float32)


class OnnxBackend:
    """One ONNX graph from tokens to unit vectors, computed on one thread.

    Args:
        model: the graph.
        tokenizer: its `tokenizer.json`, which also says where long texts are cut.
        digest: what identifies the vectors.
        alone: give the graph one text at a time. A quantised graph needs that: it takes the scale
            of its activations from everything it is given at once, so that the neighbours in a
            batch would change a text's vector.
    """

    def __init__(self, model: Path, tokenizer: Path, digest: str, alone: bool) -> None:
        self.digest = digest
        self._alone = alone
        self._session = _opened(model)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._pad = int((self._tokenizer.padding or {}).get("pad_id", 0))
        self._names = {given.name for given in self._session.get_inputs()}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one unit vector a text."""
        # One by one: the tokeniser's own batches would start a thread for every core.
        tokens = [self._tokenizer.encode(text) for text in texts]
        batches = [[one] for one in tokens] if self._alone else [tokens]
        return np.vstack([self._run(batch) for batch in batches])

    def values(self, texts: Sequence[str], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return what the graph computes under each name for a batch of texts."""
        tokens = [self._tokenizer.encode(text) for text in texts]
        found = self._session.run(list(names), self._given(tokens))
        return {name: np.asarray(value) for name, value in zip(names, found, strict=True)}

    def _run(self, batch: Sequence[Any]) -> np.ndarray:
        return np.asarray(self._session.run(None, self._given(batch))[0], dtype=np.float32)

    def _given(self, batch: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the graph's inputs for tokenised texts, padded to the longest."""
        shape = (len(batch), max(len(tokens.ids) for tokens in batch))
        fill = dict(zip(INPUTS, (self._pad, 0, 0), strict=True))
        given = {name: np.full(shape, fill[name], dtype=np.int64) for name in INPUTS}
        for row, tokens in enumerate(batch):
            columns = (tokens.ids, tokens.attention_mask, tokens.type_ids)
            for name, values in zip(INPUTS, columns, strict=True):
                given[name][row, : len(values)] = values
        return {name: values for name, values in given.items() if name in self._names}


def multiplies_exactly(probe: Path) -> bool:
    """Say whether this processor multiplies unsigned by signed 8 bits without cutting off sums.

    `probe` is what `quantisation.write_probe` wrote. One row and several take different ways
    through ONNX Runtime.
    """
    session = _opened(probe)
    rows = [np.full((count, SUMMED), 255, np.uint8) for count in (1, 16)]
    found = [np.asarray(session.run(None, {"activations": given})[0]) for given in rows]
    return all(bool((products == 255 * 127 * SUMMED).all()) for products in found)


def _opened(graph: Path) -> onnxruntime.InferenceSession:
    """Return a graph ready to be run, on one thread."""
    options = onnxruntime.SessionOptions()
    # Threads that fight for two cores make one sentence take a quarter of a second (FACTS).
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def load_torch_model(path: str, **options: Any) -> Any:
    """Return a sentence-transformers model on one thread of torch.

    Raises `EncoderUnavailable` with the reason when it cannot be loaded.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch

    torch.set_num_threads(1)
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        return SentenceTransformer(path, device="cpu", **options)
    except (OSError, ValueError) as error:
        raise EncoderUnavailable(why=f"cannot load {path}: {error}") from error
