"""Recognises messages that only hand over an order number.

"10042", "it's #10042 please" and "no sorry, I meant 10043" name no wish of their own: as sentences
they resemble everything that was ever said about orders, so no classifier can be sure of them.
What they are is plain all the same: an order number and nothing but filler words around it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, List, Optional, Text, Type

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import INTENT, INTENT_RANKING_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message

#: The intent of such a message.
INFORM = "inform_order_number"
#: Digits that could be meant as an order number, right or wrong; prices and years of a sentence
#: never stand alone between filler words.
NUMBER = re.compile(r"(?<![\d.,])\d{3,12}(?![\d]|[.,]\d)")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
FILLERS: FrozenSet[Text] = frozenset(
    """a about actually ah and another asked be bought but correct correction different for
    from get give given goes got has have hello here here's hey hi hm hmm i i'm i've id in
    instead is it it's its just made maybe me mean meant mine mistake mistyped my nah no no.
    nope not nr nr. num number numbers of oh ok okay one one's oooops oops or order order's
    ordered orders other our please pls plz rather ref reference right said say see should
    sir so sorry sry sure thank thanks that that's the then there this to try typed typo uh
    uhm um umm wait was we well with wrong yeah yep yes you your""".split()
)


def order_numbers_only(text: Text) -> bool:
    """Whether a text hands over one or more numbers and says nothing else.

    At most a dozen filler words may stand around the number: longer messages tell a story.
    """
    if not NUMBER.search(text):
        return False
    rest = NUMBER.sub(" ", text)
    if re.search(r"\d", rest):
        return False
    words = [word.casefold().replace("’", "'") for word in WORD.findall(rest)]
    return len(words) <= 12 and all(word in FILLERS for word in words)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=False)
class OrderNumberReply(IntentClassifier, GraphComponent):
    """Gives such messages the intent `inform_order_number`, with certainty."""

    @classmethod
    def required_components(cls) -> List[Type]:
        """The classifier whose answer is overruled comes before."""
        return [IntentClassifier]

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "OrderNumberReply":
        """Creates the component; it has no settings."""
        return cls()

    def process(self, messages: List[Message]) -> List[Message]:
        """Puts the intent before the ranking of such messages, which fills what is left: 0."""
        for message in messages:
            text: Optional[Text] = message.get(TEXT)
            if not text or not order_numbers_only(text):
                continue
            certain = {"name": INFORM, "confidence": 1.0}
            others = [{**entry, "confidence": 0.0} for entry in message.get(INTENT_RANKING_KEY, [])]
            message.set(INTENT, certain, add_to_output=True)
            message.set(INTENT_RANKING_KEY, [certain, *others[:9]], add_to_output=True)
            message.set("novelty", 0.0, add_to_output=True)
        return messages
