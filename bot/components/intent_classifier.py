"""Intent classifier on sentence vectors whose confidence falls for unfamiliar messages."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Text, Type

import numpy as np

from bot.components import (
    intent_calibration,
    intent_model,
    intent_scores,
    intent_views,
    neighbours,
    softmax_regression,
    word_bayes,
)
from bot.components.encoder_client import EncoderClient
from bot.components.intent_model import Background, IntentModel, wants_background
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.featurizers.featurizer import Featurizer
from rasa.shared.nlu.constants import (
    INTENT,
    INTENT_NAME_KEY,
    INTENT_RANKING_KEY,
    PREDICTED_CONFIDENCE_KEY,
    TEXT,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

logger = logging.getLogger(__name__)
#: Where the method is written down.
_METHOD = (
    intent_calibration,
    intent_model,
    intent_scores,
    intent_views,
    neighbours,
    softmax_regression,
    word_bayes,
)
#: One message a line: what people type that no assistant is for. See BACKGROUND.md.
BACKGROUND_FILE = Path(__file__).with_name("background.txt")
#: Output property beside the intent: 0 for a familiar message, 1 for one unlike anything trained.
NOVELTY = "novelty"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class SentenceVectorIntentClassifier(IntentClassifier, GraphComponent):
    """Ranks intents by `bot.components.intent_model.IntentModel`."""

    @classmethod
    def required_components(cls) -> List[Type]:
        """A featurizer has to come before."""
        return [Featurizer]

    @staticmethod
    def required_packages() -> List[Text]:
        """Packages besides Rasa's own."""
        return ["sklearn"]

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        """The settings.

        `ranking_length`: how many intents `intent_ranking` names, at least one.
        `unknown_intent`: the intent, if trained at all, that stands for everything else.
        `background`: whether messages no assistant is for stand beside its examples while few.
        `url`, `token`: of the encoder; they come from the environment where they are empty.
        """
        return {
            "ranking_length": 10,
            "unknown_intent": "out_of_scope",
            "background": True,
            "url": None,
            "token": None,
        }

    def __init__(
        self,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        model: Optional[IntentModel] = None,
        model_id: Optional[Text] = None,
    ) -> None:
        """Constructs the classifier; without a model it knows no intent."""
        self._config = config
        self._model_storage = model_storage
        self._resource = resource
        self._model = model
        self._model_id = model_id

    @classmethod
    def validate_config(cls, config: Dict[Text, Any]) -> None:
        """Refuses a ranking that would name nobody."""
        if int(config.get("ranking_length", 10)) < 1:
            raise ValueError("ranking_length of SentenceVectorIntentClassifier must be 1 or more")

    @classmethod
    def fingerprint_addon(cls, config: Dict[Text, Any]) -> Optional[Text]:
        """Digest of the model's source, so that a changed method is not served from the cache."""
        files = [*(Path(str(module.__file__)) for module in _METHOD), BACKGROUND_FILE]
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "SentenceVectorIntentClassifier":
        """Creates an untrained classifier."""
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Trains on the examples that have an intent and a vector, and stores the model.

        Raises:
            EncoderUnavailable: the background is wanted, and the encoder cannot be reached.
        """
        examples = [e for e in training_data.intent_examples if _vector(e, TEXT) is not None]
        if not examples:
            logger.warning("No intent example has a vector: the classifier stays untrained.")
            return self._resource
        labels = [str(e.get(INTENT)) for e in examples]
        unknown = self._config["unknown_intent"]
        wanted = self._config["background"] and wants_background(labels, unknown)
        self._model = IntentModel.train(
            np.vstack([_vector(e, TEXT) for e in examples]),
            labels,
            [str(e.get(TEXT)) for e in examples],
            _name_vectors(examples),
            unknown,
            self._background_beside(examples[0]) if wanted else None,
        )
        with self._model_storage.write_to(self._resource) as folder:
            self._model.save(folder)
        return self._resource

    def _background_beside(self, example: Message) -> Optional[Background]:
        """The background, unless its vectors are of another kind than an example's."""
        texts = BACKGROUND_FILE.read_text(encoding="utf-8").splitlines()
        client = EncoderClient(self._config["url"], self._config["token"])
        vectors = client.encode([example.get(TEXT), *texts]).vectors
        own = _vector(example, TEXT)[0]
        if own.shape != vectors[0].shape or not np.allclose(own, vectors[0], atol=1e-4):
            logger.warning(
                "The messages have other vectors than the encoder at %s gives, so that the "
                "classifier trains without a background. Give it the `url` of the featurizer, or "
                "set `background: false`.",
                client.url,
            )
            return None
        return Background(vectors[1:], texts)

    @classmethod
    def load(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "SentenceVectorIntentClassifier":
        """Loads a trained classifier.

        Raises:
            ValueError: the stored model is missing or of another version.
        """
        with model_storage.read_from(resource) as folder:
            model = IntentModel.load(folder)
        return cls(config, model_storage, resource, model, execution_context.model_id)

    def process(self, messages: List[Message]) -> List[Message]:
        """Sets `intent`, `intent_ranking` and `novelty` of each message.

        And `model_id`, Rasa's own id of the model: its parse does not say which one judged.
        """
        for message in messages:
            message.set("model_id", self._model_id, add_to_output=True)
            vector = _vector(message, TEXT)
            if vector is None or self._model is None:
                _set(message, [], 1.0)
                continue
            found = self._model.predict(vector, [message.get(TEXT)])[0]
            best = found.ranking[: self._config["ranking_length"]]
            _set(message, [_entry(name, confidence) for name, confidence in best], found.novelty)
        return messages


def _vector(message: Message, attribute: Text) -> Optional[np.ndarray]:
    """The message's sentence vector as one row, or nothing."""
    if not message.get(attribute):
        return None
    features = message.get_dense_features(attribute=attribute)[1]
    return None if features is None else np.asarray(features.features, dtype=np.float32)


def _name_vectors(examples: List[Message]) -> Dict[Text, np.ndarray]:
    found: Dict[Text, np.ndarray] = {}
    for example in examples:
        vector = _vector(example, INTENT)
        if vector is not None:
            found[str(example.get(INTENT))] = vector
    return found


def _entry(name: Optional[Text], confidence: float) -> Dict[Text, Any]:
    return {INTENT_NAME_KEY: name, PREDICTED_CONFIDENCE_KEY: confidence}


def _set(message: Message, ranking: List[Dict[Text, Any]], novelty: float) -> None:
    message.set(INTENT, ranking[0] if ranking else _entry(None, 0.0), add_to_output=True)
    message.set(INTENT_RANKING_KEY, ranking, add_to_output=True)
    message.set(NOVELTY, novelty, add_to_output=True)
