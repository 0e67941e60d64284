"""Custom actions and form validation, called as the action server calls them."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Optional, Tuple

import pytest

from bot.actions import store
from bot.actions.actions import (
    MOST_TRIES,
    ActionAnswerOrder,
    ActionAskConfirmCancellation,
    ActionCancelOrder,
    ActionResumeOrderTopic,
    ValidateCancelOrderForm,
    ValidateOrderForm,
    chosen_number,
)
from bot.actions.orders import OrderStoreUnavailable, Status
from bot.actions.sample_shop import SampleShop
from bot.tests.conftest import closed_port_url
from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

DOMAIN: Dict[str, Any] = {
    "forms": {
        "order_form": {"required_slots": ["order_number"]},
        "cancel_order_form": {"required_slots": ["order_number", "confirm_cancellation"]},
    }
}


def run(
    action: Action,
    slots: Dict[str, Any],
    intent: str = "track_order",
    numbers: Tuple[str, ...] = (),
    filled: Optional[Dict[str, Any]] = None,
    after_answer: bool = False,
) -> Tuple[List[Dict[str, Any]], Dict[str, Any]]:
    """Runs an action.

    Args:
        action: the action.
        slots: slots before the message.
        intent: intent of the message.
        numbers: order numbers in the message.
        filled: slots Rasa took from the message.
        after_answer: the form comes back after an answer given in between.

    Returns:
        The bot's messages, and the slots set (events without a slot by their event's name).
    """
    entities = [{"entity": "order_number", "value": n} for n in numbers]
    message = {"text": " ".join(numbers), "intent": {"name": intent}, "entities": entities}
    before = "utter_greet" if after_answer else "action_listen"
    form = action.name().replace("validate_", "")
    events: List[Dict[str, Any]] = [{"event": "action", "name": n} for n in (before, form)]
    events += [{"event": "slot", "name": k, "value": v} for k, v in (filled or {}).items()]
    loop = {"name": form} if form.endswith("_form") else {}
    tracker = Tracker(
        "customer", {**slots, **(filled or {})}, message, events, False, None, loop, form
    )
    dispatcher = CollectingDispatcher()
    result = asyncio.run(action.run(dispatcher, tracker, DOMAIN))
    found = {
        e["name"] if e["event"] == "slot" else e["event"]: e.get("value", e.get("name"))
        for e in result
    }
    return dispatcher.messages, found


def responses(messages: List[Dict[str, Any]]) -> List[str]:
    """The names of the responses said."""
    return [m["response"] for m in messages if m.get("response")]


ASKING = {"requested_slot": "order_number", "order_number": None, "order_number_tries": 0}


def test_a_known_number_is_taken(shop: SampleShop) -> None:
    said, slots = run(
        ValidateOrderForm(), ASKING, "inform_order_number", ("10042",), {"order_number": "10042"}
    )
    assert said == [] and slots == {"order_number": "10042", "order_number_tries": 0}


def test_an_unknown_number_is_said_and_counted(shop: SampleShop) -> None:
    said, slots = run(
        ValidateOrderForm(), ASKING, "inform_order_number", ("99999",), {"order_number": "99999"}
    )
    assert responses(said) == ["utter_order_unknown"]
    assert said[0]["unknown_number"] == "99999"
    assert slots == {"order_number": None, "order_number_tries": 1}


def test_asking_comes_to_an_end(shop: SampleShop) -> None:
    _, slots = run(
        ValidateOrderForm(),
        {**ASKING, "order_number_tries": MOST_TRIES - 1},
        "inform_order_number",
        ("99999",),
        {"order_number": "99999"},
    )
    assert slots["order_number_tries"] == MOST_TRIES
    assert "requested_slot" in slots and slots["requested_slot"] is None
    said, after = run(ActionAnswerOrder(), {"order_number": None, "order_topic": "track_order"})
    assert responses(said) == ["utter_without_order_number"]
    assert after == {"order_number_tries": 0}


def test_a_question_in_between_is_left_to_its_rule_and_then_counted(shop: SampleShop) -> None:
    assert run(ValidateOrderForm(), ASKING, "delivery_options") == ([], {})
    _, slots = run(ValidateOrderForm(), ASKING, "delivery_options", after_answer=True)
    assert slots == {"order_number_tries": 1}


def test_a_wish_of_the_other_form_is_left_to_it(shop: SampleShop) -> None:
    _, slots = run(
        ValidateOrderForm(), ASKING, "cancel_order", ("10001",), {"order_number": "10001"}
    )
    assert slots == {"action_execution_rejected": "order_form"}
    _, slots = run(ValidateCancelOrderForm(), ASKING, "get_invoice")
    assert slots == {"action_execution_rejected": "cancel_order_form"}


def test_the_same_wish_again_is_asked_again(shop: SampleShop) -> None:
    _, slots = run(ValidateOrderForm(), ASKING, "track_refund")
    assert slots == {"order_number_tries": 1}


@pytest.mark.parametrize(
    "value, previous, expected",
    [
        ("10042", None, "10042"),
        (["10042", "10042"], None, "10042"),
        (["10043", "10042"], "10042", "10043"),
        (["10042", "10043"], "10042", "10043"),
        (["10042", "10043"], None, None),
        (["10042", "10043"], "10001", None),
    ],
)
def test_which_number_is_meant(value: Any, previous: Optional[str], expected: str) -> None:
    assert chosen_number(value, previous) == expected


def test_two_numbers_are_one_too_many(shop: SampleShop) -> None:
    said, slots = run(
        ValidateOrderForm(), ASKING, "track_order", ("10042", "10043"), {"order_number": "10043"}
    )
    assert responses(said) == ["utter_one_order_at_a_time"] and slots["order_number"] is None


@pytest.mark.parametrize("number, meaning", [("10001", "free"), ("10042", "fee"), ("10045", "no")])
def test_the_cancel_form_knows_what_cancelling_means(
    shop: SampleShop, number: str, meaning: str
) -> None:
    _, slots = run(
        ValidateCancelOrderForm(), {}, "cancel_order", (number,), {"order_number": number}
    )
    assert slots["cancellation"] == meaning
    assert ("requested_slot" in slots) == (meaning == "no")


CONFIRMING = {
    "requested_slot": "confirm_cancellation",
    "order_number": "10001",
    "checked_order_number": "10001",
    "cancellation": "free",
}


def test_a_yes_counts_for_the_order_that_was_asked_about(shop: SampleShop) -> None:
    _, slots = run(
        ValidateCancelOrderForm(), CONFIRMING, "affirm", (), {"confirm_cancellation": True}
    )
    assert slots["confirm_cancellation"] is True
    _, slots = run(
        ValidateCancelOrderForm(),
        CONFIRMING,
        "affirm",
        ("10008",),
        {"order_number": "10008", "confirm_cancellation": True},
    )
    assert slots["order_number"] == "10008" and slots["confirm_cancellation"] is None


def test_the_question_names_the_order_and_remembers_it(shop: SampleShop) -> None:
    said, slots = run(ActionAskConfirmCancellation(), {"order_number": "10042"})
    assert "10042" in said[0]["text"] and "€4.90" in said[0]["text"]
    assert slots == {"checked_order_number": "10042"}


def test_cancelling(shop: SampleShop) -> None:
    said, slots = run(ActionCancelOrder(), {**CONFIRMING, "confirm_cancellation": True})
    found = shop.find("10001")
    assert found is not None and found.status is Status.CANCELLED
    assert said[0]["text"].startswith("Done: order 10001 is cancelled")
    assert slots["last_cancelled"] == "10001"
    assert slots["confirm_cancellation"] is None and slots["cancellation"] is None


def test_not_cancelling(shop: SampleShop) -> None:
    said, _ = run(ActionCancelOrder(), {**CONFIRMING, "confirm_cancellation": False})
    assert responses(said) == ["utter_order_kept"]
    found = shop.find("10001")
    assert found is not None and found.status is Status.PROCESSING


def test_an_order_that_left_meanwhile_is_not_cancelled(shop: SampleShop) -> None:
    slots = {**CONFIRMING, "order_number": "10042", "confirm_cancellation": True}
    said, after = run(ActionCancelOrder(), slots)  # accepted as free, but it is on its way
    assert "in the meantime" in said[0]["text"] and "last_cancelled" not in after
    found = shop.find("10042")
    assert found is not None and found.status is Status.IN_TRANSIT


def test_a_delivered_order_is_returned_instead(shop: SampleShop) -> None:
    said, _ = run(ActionCancelOrder(), {"order_number": "10045", "cancellation": "no"})
    assert "cannot be cancelled" in said[0]["text"] and "Return items" in said[0]["text"]


def test_a_number_by_itself_takes_up_the_last_topic(shop: SampleShop) -> None:
    action = ActionResumeOrderTopic()
    said, slots = run(action, {"order_topic": "get_invoice"}, "inform_order_number", ("10043",))
    assert said == [] and slots == {"followup": "order_form"}
    said, slots = run(
        action,
        {"order_topic": "cancel_order", "last_cancelled": "10001"},
        "inform_order_number",
        ("10008",),
    )
    assert responses(said) == ["utter_cannot_undo"]
    assert slots == {"confirm_cancellation": None, "followup": "cancel_order_form"}
    said, slots = run(action, {}, "inform_order_number")
    assert responses(said) == ["utter_not_an_order_number"] and slots == {}


def test_an_answer_without_a_topic_tells_where_the_order_is(shop: SampleShop) -> None:
    said, slots = run(ActionAnswerOrder(), {"order_number": "10042", "order_topic": None})
    assert "on its way" in said[0]["text"] and slots["order_topic"] == "track_order"


@pytest.mark.parametrize(
    "action, slots",
    [
        (ActionAnswerOrder(), {"order_number": "10042"}),
        (ActionAskConfirmCancellation(), {"order_number": "10042"}),
        (ActionCancelOrder(), {**CONFIRMING, "confirm_cancellation": True}),
    ],
)
def test_without_the_order_store_actions_fail(
    monkeypatch: pytest.MonkeyPatch, action: Action, slots: Dict[str, Any]
) -> None:
    monkeypatch.setenv("ORDER_STORE_URL", closed_port_url())
    store.order_store.cache_clear()
    with pytest.raises(OrderStoreUnavailable):
        run(action, slots)
    with pytest.raises(OrderStoreUnavailable):
        run(ValidateOrderForm(), ASKING, "track_order", ("10042",), {"order_number": "10042"})
    store.order_store.cache_clear()
