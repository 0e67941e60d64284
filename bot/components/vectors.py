"""Sentence vectors of the shared encoder as dense features."""

from __future__ import annotations

import json
import logging
from typing import Any, Dict, List, Optional, Text, Type

import numpy as np

from bot.components.encoder_client import (
    BATCH,
    EncoderChanged,
    EncoderClient,
    EncoderUnavailable,
)
from bot.components.intent_model import readable
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.constants import FEATURIZER_CLASS_ALIAS
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, INTENT, TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

logger = logging.getLogger(__name__)
DIGEST_FILE = "encoder.json"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class SentenceVectorFeaturizer(DenseFeaturizer, GraphComponent):
    """Sets one dense sentence feature: the encoder's unit vector of the message's text.

    In training the intent's name, written as words, gets a vector too (on the attribute
    `intent`): a name such as `check refund policy` is as good as one more example. The digest of
    the encoder is stored with the model, and a model meets no other encoder afterwards.
    """

    @classmethod
    def required_components(cls) -> List[Type]:
        """This featurizer reads the text itself and needs no tokenizer."""
        return []

    @staticmethod
    def required_packages() -> List[Text]:
        """Packages besides Rasa's own."""
        return []

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        """Settings; `url` and `token` come from the environment where they are empty."""
        return {
            **DenseFeaturizer.get_default_config(),
            "url": None,
            "token": None,
            "batch_size": BATCH,
            "connect_seconds": 3.0,
            "read_seconds": 30.0,
        }

    def __init__(
        self,
        config: Dict[Text, Any],
        name: Text,
        model_storage: ModelStorage,
        resource: Resource,
        digest: Optional[Text] = None,
    ) -> None:
        """Constructs the featurizer; `digest` is the encoder it was trained with, if any."""
        super().__init__(name, config)
        self._model_storage = model_storage
        self._resource = resource
        self._digest = digest
        self._client = _client(config)

    @classmethod
    def validate_config(cls, config: Dict[Text, Any]) -> None:
        """Nothing to refuse: wrong addresses show when the encoder is asked."""

    @classmethod
    def fingerprint_addon(cls, config: Dict[Text, Any]) -> Optional[Text]:
        """The encoder's digest, so that Rasa's cache never serves another encoder's vectors."""
        try:
            return _client({**cls.get_default_config(), **config}).digest()
        except EncoderUnavailable:
            return None  # training itself will say so, with the address

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "SentenceVectorFeaturizer":
        """Creates an untrained featurizer."""
        return cls(config, execution_context.node_name, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Remembers which encoder is serving.

        Raises:
            EncoderUnavailable: the encoder cannot be reached.
        """
        self._digest = self._client.digest()
        with self._model_storage.write_to(self._resource) as folder:
            (folder / DIGEST_FILE).write_text(json.dumps({"digest": self._digest}))
        return self._resource

    @classmethod
    def load(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "SentenceVectorFeaturizer":
        """Loads the featurizer and compares encoders where the encoder is already up.

        Raises:
            EncoderChanged: another encoder is serving than the one trained with.
        """
        with model_storage.read_from(resource) as folder:
            digest = json.loads((folder / DIGEST_FILE).read_text())["digest"]
        loaded = cls(config, execution_context.node_name, model_storage, resource, digest)
        try:
            loaded._refuse_other_encoder(loaded._client.digest())
        except EncoderUnavailable as error:
            # Processes start in any order; every later answer is checked again.
            logger.warning("%s The model loads without it.", error)
        return loaded

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Adds vectors of texts, and of the intents' names, to the training examples."""
        examples = [e for e in training_data.training_examples if e.get(TEXT)]
        texts = [e.get(TEXT) for e in examples]
        names = [readable(e.get(INTENT)) if e.get(INTENT) else "" for e in examples]
        encoded = self._client.encode(texts + names, batch=self._config["batch_size"])
        if texts:
            self._refuse_other_encoder(encoded.digest)
        for index, example in enumerate(examples):
            self._add(example, encoded.vectors[index], TEXT)
            if names[index]:
                self._add(example, encoded.vectors[len(texts) + index], INTENT)
        return training_data

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds the vector of each message that has text."""
        for message in messages:
            text = message.get(TEXT)
            if text and text.strip():
                encoded = self._client.encode_one(text)
                self._refuse_other_encoder(encoded.digest)
                self._add(message, encoded.vectors[0], TEXT)
        return messages

    def _add(self, message: Message, vector: np.ndarray, attribute: Text) -> None:
        alias = self._config[FEATURIZER_CLASS_ALIAS]
        message.add_features(
            Features(vector.reshape(1, -1), FEATURE_TYPE_SENTENCE, attribute, alias)
        )

    def _refuse_other_encoder(self, serving: Text) -> None:
        if serving != self._digest:
            raise EncoderChanged(
                f"The encoder at {self._client.url} has the digest {serving[:12]}…, the model was "
                f"trained with {(self._digest or 'none')[:12]}…. Train the model again, or serve "
                f"the encoder it was trained with."
            )


def _client(config: Dict[Text, Any]) -> EncoderClient:
    return EncoderClient(
        config.get("url"), config.get("token"), config["connect_seconds"], config["read_seconds"]
    )
