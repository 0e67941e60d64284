"""The encoder's client and the featurizer, against an encoder over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import pytest

from bot.components.encoder_client import EncoderChanged, EncoderClient, EncoderUnavailable
from bot.components.vectors import SentenceVectorFeaturizer
from bot.tests.conftest import FakeEncoder, closed_port_url, word_vectors
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData


def featurizer(folder: Path, **config: object) -> SentenceVectorFeaturizer:
    """An untrained featurizer."""
    return SentenceVectorFeaturizer.create(
        {**SentenceVectorFeaturizer.get_default_config(), **config},
        LocalModelStorage(folder),
        Resource("vectors"),
        ExecutionContext(GraphSchema({}), node_name="vectors"),
    )


def reloaded(folder: Path) -> SentenceVectorFeaturizer:
    """What a new process loads."""
    return SentenceVectorFeaturizer.load(
        SentenceVectorFeaturizer.get_default_config(),
        LocalModelStorage(folder),
        Resource("vectors"),
        ExecutionContext(GraphSchema({}), node_name="vectors"),
    )


def examples(texts: List[str]) -> TrainingData:
    """Training data of one intent."""
    return TrainingData([Message.build(text, "check_it") for text in texts])


@pytest.mark.parametrize("as_list", [False, True])
def test_each_text_is_asked_for_once_in_batches(encoder: FakeEncoder, as_list: bool) -> None:
    encoder.as_list = as_list
    texts = [f"text number {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300)]
    found = EncoderClient().encode(texts + texts, batch=128)
    asked = [len(r["body"]["texts"]) for r in encoder.requests]
    assert asked == [128, 128, 44]
    np.testing.assert_allclose(found.vectors, word_vectors(texts + texts), atol=1e-6)
    assert {r["headers"]["authorization"] for r in encoder.requests} == {"Bearer secret"}
    assert found.digest == "first"


def test_settings_override_the_environment(encoder: FakeEncoder) -> None:
    other = FakeEncoder()
    EncoderClient(other.url + "/", "own").encode(["a"])
    other.close()
    assert not encoder.requests
    assert other.requests[0]["headers"]["authorization"] == "Bearer own"


def test_an_unreachable_encoder_is_named() -> None:
    url = closed_port_url()
    with pytest.raises(EncoderUnavailable, match=f"{url}.*HANDOFF_ENCODER_URL"):
        EncoderClient(url).encode(["a"])


def test_a_refused_token_is_named(encoder: FakeEncoder) -> None:
    encoder.status = 401
    with pytest.raises(EncoderUnavailable, match="401; check HANDOFF_INTERNAL_TOKEN"):
        EncoderClient().encode_one("a")


def test_a_message_parsed_twice_is_asked_for_once(encoder: FakeEncoder) -> None:
    client = EncoderClient()
    one, two = client.encode_one("hello"), client.encode_one("hello")
    assert len(encoder.requests) == 1
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_training_gives_texts_and_names_a_vector(encoder: FakeEncoder, tmp_path: Path) -> None:
    component = featurizer(tmp_path)
    data = examples(["one thing", "another thing", ""])
    component.train(data)
    component.process_training_data(data)
    features = data.training_examples[0].get_dense_features(TEXT)[1]
    name = data.training_examples[0].get_dense_features(INTENT)[1]
    assert features is not None and name is not None
    np.testing.assert_allclose(features.features, word_vectors(["one thing"]), atol=1e-6)
    np.testing.assert_allclose(name.features, word_vectors(["check it"]), atol=1e-6)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_message_without_text_gets_none(encoder: FakeEncoder, tmp_path: Path, text: str) -> None:
    component = featurizer(tmp_path)
    component.train(examples(["a"]))
    message = Message({TEXT: text})
    component.process([message])
    assert message.get_dense_features(TEXT) == (None, None)


def test_another_encoder_is_refused_at_load_and_at_parse(
    encoder: FakeEncoder, tmp_path: Path
) -> None:
    featurizer(tmp_path).train(examples(["a"]))
    loaded = reloaded(tmp_path)
    loaded.process([Message({TEXT: "fine"})])
    encoder.digest = "second"
    with pytest.raises(EncoderChanged, match="second.*first.*Train the model again"):
        loaded.process([Message({TEXT: "not any more"})])
    with pytest.raises(EncoderChanged):
        reloaded(tmp_path)


def test_a_model_loads_before_its_encoder(encoder: FakeEncoder, tmp_path: Path) -> None:
    featurizer(tmp_path).train(examples(["a"]))
    encoder.status = 503
    loaded = reloaded(tmp_path)
    encoder.status = 200
    message = Message({TEXT: "hello"})
    loaded.process([message])
    assert message.get_dense_features(TEXT)[1] is not None


def test_the_cache_knows_the_encoder(encoder: FakeEncoder) -> None:
    assert SentenceVectorFeaturizer.fingerprint_addon({}) == "first"
    encoder.digest = "second"
    assert SentenceVectorFeaturizer.fingerprint_addon({}) == "second"
