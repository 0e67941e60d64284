"""Which messages only hand over an order number."""

from __future__ import annotations

import pytest

from bot.components.order_number_reply import INFORM, OrderNumberReply, order_numbers_only
from rasa.shared.nlu.training_data.message import Message


@pytest.mark.parametrize(
    "text",
    [
        "10042",
        "#10042",
        "it's 10042",
        "It’s 10042!",
        "my order number is 10042 please",
        "no sorry, I meant 10043",
        "oops typo, 10043 instead of 10042",
        "Hi, order no. 10042, thanks",
        "123",
        "10042?",
    ],
)
def test_numbers(text: str) -> None:
    assert order_numbers_only(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "where is 10042",
        "cancel 10042",
        "10042 never arrived",
        "it cost 100.50",
        "it was 1,500",
        "12",
        "order 10042 and 7 more",
        "1234567890123456",
        "yes " * 13 + "10042",
    ],
)
def test_everything_else(text: str) -> None:
    assert not order_numbers_only(text)


def test_it_overrules_the_classifier_and_nothing_else() -> None:
    ranking = [{"name": "track_order", "confidence": 0.4}, {"name": "deny", "confidence": 0.3}]
    number = Message({"text": "10042", "intent_ranking": ranking, "novelty": 0.8})
    other = Message({"text": "where is it", "intent": ranking[0], "intent_ranking": ranking})
    OrderNumberReply().process([number, other])
    assert number.get("intent") == {"name": INFORM, "confidence": 1.0}
    assert [r["name"] for r in number.get("intent_ranking")] == [INFORM, "track_order", "deny"]
    assert number.get("novelty") == 0.0
    assert other.get("intent") == ranking[0]
