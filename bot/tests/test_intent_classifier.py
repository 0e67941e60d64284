"""The classifier as a component: when it trains beside the background."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest

from bot.components.encoder_client import EncoderUnavailable
from bot.components.intent_classifier import BACKGROUND_FILE, SentenceVectorIntentClassifier
from bot.components.intent_model import ENOUGH_UNKNOWN
from bot.tests.conftest import FakeEncoder, word_vectors
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, INTENT, TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

GREETINGS = [("hello there", "greet"), ("good morning", "greet"), ("hello friend", "greet")]
ORDERS = [("where is my parcel", "track"), ("track my order", "track")]
LETTERS = string.ascii_lowercase
OTHERS = [(f"{a} {b}", "out_of_scope") for a in LETTERS for b in LETTERS][:ENOUGH_UNKNOWN]


def with_vector(message: Message, width: int = 64) -> Message:
    """The message with the vector the encoder gives, cut to a width."""
    vector = word_vectors([message.get(TEXT)])[:, :width]
    message.add_features(Features(vector, FEATURE_TYPE_SENTENCE, TEXT, "vectors"))
    return message


def training_data(examples: List[Tuple[str, str]], width: int = 64) -> TrainingData:
    """Messages with vectors of a width."""
    return TrainingData([with_vector(Message({TEXT: t, INTENT: i}), width) for t, i in examples])


def trained(folder: Path, data: TrainingData, **config: Any) -> SentenceVectorIntentClassifier:
    """The classifier after training."""
    usual = SentenceVectorIntentClassifier.get_default_config()
    storage = LocalModelStorage(folder)
    classifier = SentenceVectorIntentClassifier({**usual, **config}, storage, Resource("intents"))
    classifier.train(data)
    return classifier


def asked(encoder: FakeEncoder) -> List[str]:
    """Every text the encoder was asked for."""
    return [text for request in encoder.requests for text in request["body"]["texts"]]


@pytest.mark.parametrize("others", [[], OTHERS[:-1]])
def test_the_background_stands_beside_few_examples_of_everything_else(
    encoder: FakeEncoder, tmp_path: Path, others: List[Tuple[str, str]]
) -> None:
    classifier = trained(tmp_path, training_data([*GREETINGS, *ORDERS, *others]))
    assert asked(encoder) == ["hello there", *BACKGROUND_FILE.read_text().splitlines()]
    stray = Message({TEXT: "who painted the ceiling of that chapel"})
    (found,) = classifier.process([with_vector(stray)])
    named = {"greet", "track"} | {intent for _, intent in others}
    assert {entry["name"] for entry in found.get("intent_ranking")} == named


@pytest.mark.parametrize(
    ("examples", "config"),
    [([*GREETINGS, *ORDERS, *OTHERS], {}), ([*GREETINGS, *ORDERS], {"background": False})],
)
def test_with_enough_of_them_or_switched_off_nobody_is_asked(
    encoder: FakeEncoder, tmp_path: Path, examples: List[Tuple[str, str]], config: Any
) -> None:
    trained(tmp_path, training_data(examples), **config)
    assert asked(encoder) == []


@pytest.mark.parametrize("kind", ["narrower", "other"])
def test_vectors_of_another_encoder_are_not_mixed_in(
    encoder: FakeEncoder,
    tmp_path: Path,
    kind: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = training_data([*GREETINGS, *ORDERS], width=32 if kind == "narrower" else 64)
    if kind == "other":
        monkeypatch.setattr("bot.tests.conftest.word_vectors", lambda t: -np.array(word_vectors(t)))
    classifier = trained(tmp_path, data)
    assert "trains without a background" in caplog.text and "`background: false`" in caplog.text
    assert classifier._model is not None and classifier._model.intents == ["greet", "track"]
    assert classifier._model._scorers.named.all()


def test_each_message_says_which_model_judged_it(encoder: FakeEncoder, tmp_path: Path) -> None:
    trained(tmp_path, training_data([*GREETINGS, *ORDERS]), background=False)
    loaded = SentenceVectorIntentClassifier.load(
        SentenceVectorIntentClassifier.get_default_config(),
        LocalModelStorage(tmp_path),
        Resource("intents"),
        ExecutionContext(GraphSchema({}), model_id="night-1"),
    )
    (found,) = loaded.process([with_vector(Message({TEXT: "hello there"}))])
    assert found.as_dict(only_output_properties=True)["model_id"] == "night-1"


def test_an_encoder_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="cannot be reached"):
        trained(tmp_path, training_data([*GREETINGS, *ORDERS]), url="http://127.0.0.1:1")
