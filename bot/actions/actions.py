"""Custom actions and form validation.

When the order store cannot be asked these actions raise. Rasa then says nothing at all, and the
gateway hands the conversation to a person: better than a machine that apologises.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import date
from typing import Any, Dict, FrozenSet, List, Optional, Text

from rasa_sdk import Action, FormValidationAction, Tracker
from rasa_sdk.events import ActionExecutionRejected, EventType, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.forms import REQUESTED_SLOT
from rasa_sdk.types import DomainDict

from bot.actions import answers
from bot.actions.orders import (
    RECALL_FEE_CENTS,
    CancellationRefused,
    Order,
    cancellation_fee_cents,
)
from bot.actions.store import order_store

#: Turns in which a form may ask for the number and get none, before it lets go.
MOST_TRIES = 3
CANCEL = "cancel_order"
#: Intents that one of the forms serves.
TOPICS: FrozenSet[Text] = frozenset({*answers.TOPICS, CANCEL})


async def find_order(number: str) -> Optional[Order]:
    """Looks up an order without blocking the server; see `OrderStore.find`."""
    return await asyncio.get_running_loop().run_in_executor(None, order_store().find, number)


def numbers_in_message(tracker: Tracker) -> List[str]:
    """The order numbers the latest message names, each once, in their order."""
    entities = (tracker.latest_message or {}).get("entities") or []
    found = [str(e["value"]) for e in entities if e.get("entity") == "order_number"]
    return list(dict.fromkeys(found))


def chosen_number(value: Any, previous: Optional[str]) -> Optional[str]:
    """The number meant by what was said; nothing where several could be.

    "not 10042 but 10043" names the one already talked about only to replace it.
    """
    numbers = [str(v) for v in value] if isinstance(value, list) else [str(value)]
    unique = list(dict.fromkeys(numbers))
    if len(unique) > 1:
        unique = [number for number in unique if number != previous]
    return unique[0] if len(unique) == 1 else None


def follows_the_customer(tracker: Tracker) -> bool:
    """Whether the form runs right after a message, not after an answer given in between.

    Rasa adds the form itself as the last action executed.
    """
    actions = [e["name"] for e in tracker.events if e.get("event") == "action"]
    return actions[-2:-1] == ["action_listen"]


class OrderFormValidation(FormValidationAction, ABC):
    """What both forms share: the number is looked up, and asking comes to an end."""

    #: Intents this form serves.
    topics: FrozenSet[Text] = frozenset()

    @abstractmethod
    def name(self) -> Text:
        """Named by each form; the SDK registers no class that is still abstract."""

    async def required_slots(
        self,
        domain_slots: List[Text],
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: DomainDict,
    ) -> List[Text]:
        """Nothing more is required once the number was asked for often enough."""
        if (tracker.get_slot("order_number_tries") or 0) >= MOST_TRIES:
            return []
        return list(domain_slots)

    async def get_validation_events(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> List[EventType]:
        """Validates what the message holds, and counts the turns that asked in vain.

        A message that answers nothing gets no event: Rasa then lets another rule answer it, and
        runs the form again after that answer, when asking once more is counted. A wish that
        belongs to the other form is left to it, even when it brings a number.
        """
        asked = tracker.get_slot(REQUESTED_SLOT) in self.domain_slots(domain)
        answering = follows_the_customer(tracker)
        intent = ((tracker.latest_message or {}).get("intent") or {}).get("name")
        if asked and answering and intent in TOPICS - self.topics:
            return [ActionExecutionRejected(self.form_name())]
        tries = (tracker.get_slot("order_number_tries") or 0) if asked else 0
        tracker.slots["order_number_tries"] = 0
        events = await super().get_validation_events(dispatcher, tracker, domain)
        if asked and not events and answering and intent not in self.topics:
            tracker.slots["order_number_tries"] = tries
            return []
        in_vain = asked and tracker.get_slot("order_number") is None
        return [*events, SlotSet("order_number_tries", tries + 1 if in_vain else 0)]

    async def validate_order_number(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> Dict[Text, Any]:
        """Takes a number that exists; says so where it does not."""
        if value is None:
            return {"order_number": None}
        said = numbers_in_message(tracker) or value
        number = chosen_number(said, tracker.get_slot("checked_order_number"))
        if number is None:
            dispatcher.utter_message(response="utter_one_order_at_a_time")
            return {"order_number": None}
        order = await find_order(number)
        if order is None:
            dispatcher.utter_message(response="utter_order_unknown", unknown_number=number)
            return {"order_number": None}
        return {"order_number": number, **self.about(order)}

    def about(self, order: Order) -> Dict[Text, Any]:
        """Further slots that follow from the order."""
        return {}


class ValidateOrderForm(OrderFormValidation):
    """The form of every question about an order."""

    topics = frozenset(answers.TOPICS)

    def name(self) -> Text:
        """The name Rasa calls."""
        return "validate_order_form"


class ValidateCancelOrderForm(OrderFormValidation):
    """The form that asks for the number, and whether to cancel."""

    topics = frozenset({CANCEL})

    def name(self) -> Text:
        """The name Rasa calls."""
        return "validate_cancel_order_form"

    async def required_slots(
        self,
        domain_slots: List[Text],
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: DomainDict,
    ) -> List[Text]:
        """An order that cannot be cancelled needs no confirmation."""
        slots = await super().required_slots(domain_slots, dispatcher, tracker, domain)
        known = tracker.get_slot("order_number") is not None
        if known and tracker.get_slot("cancellation") == "no":
            return [slot for slot in slots if slot != "confirm_cancellation"]
        return slots

    def about(self, order: Order) -> Dict[Text, Any]:
        """What cancelling would mean."""
        fee = cancellation_fee_cents(order)
        return {"cancellation": "no" if fee is None else "fee" if fee else "free"}

    async def validate_confirm_cancellation(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> Dict[Text, Any]:
        """Takes a yes or no to the order that was asked about, never to another one."""
        number = tracker.get_slot("order_number")
        if number is None or number != tracker.get_slot("checked_order_number"):
            return {"confirm_cancellation": None}
        return {"confirm_cancellation": value}


class ActionAskConfirmCancellation(Action):
    """Asks whether to cancel the order, naming its items and the fee."""

    def name(self) -> Text:
        """The name Rasa calls."""
        return "action_ask_cancel_order_form_confirm_cancellation"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> List[EventType]:
        """Asks, and remembers which order the question was about."""
        number = str(tracker.get_slot("order_number"))
        order = await find_order(number)
        if order is None:
            raise LookupError(f"order {number} vanished from the order store")
        dispatcher.utter_message(text=answers.cancellation_question(order))
        return [SlotSet("checked_order_number", number)]


class ActionAnswerOrder(Action):
    """Answers the question the customer had about an order."""

    def name(self) -> Text:
        """The name Rasa calls."""
        return "action_answer_order"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> List[EventType]:
        """Says the answer, or lets go of a question without a number."""
        number = tracker.get_slot("order_number")
        if number is None:
            dispatcher.utter_message(response="utter_without_order_number")
            return [SlotSet("order_number_tries", 0)]
        order = await find_order(str(number))
        if order is None:
            raise LookupError(f"order {number} vanished from the order store")
        topic = tracker.get_slot("order_topic")
        topic = topic if topic in answers.TOPICS else "track_order"
        dispatcher.utter_message(text=answers.answer(topic, order, date.today()))
        return [SlotSet("checked_order_number", order.number), SlotSet("order_topic", topic)]


class ActionCancelOrder(Action):
    """Cancels what the customer confirmed, or says why not."""

    def name(self) -> Text:
        """The name Rasa calls."""
        return "action_cancel_order"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> List[EventType]:
        """Cancels at most the order, and at most for the fee, that was asked about."""
        number = tracker.get_slot("order_number")
        clean = [SlotSet(name, None) for name in ("confirm_cancellation", "cancellation")]
        if number is None:
            dispatcher.utter_message(response="utter_without_order_number")
            return [*clean, SlotSet("order_number_tries", 0)]
        number = str(number)
        clean.append(SlotSet("checked_order_number", number))
        if tracker.get_slot("cancellation") == "no":
            return [*clean, *await self._refuse(number, dispatcher)]
        if not tracker.get_slot("confirm_cancellation"):
            dispatcher.utter_message(response="utter_order_kept")
            return clean
        return [*clean, *await self._cancel(number, dispatcher, tracker)]

    async def _refuse(self, number: str, dispatcher: CollectingDispatcher) -> List[EventType]:
        order = await find_order(number)
        if order is None:
            raise LookupError(f"order {number} vanished from the order store")
        dispatcher.utter_message(text=answers.cancellation_refusal(order, date.today()))
        return []

    async def _cancel(
        self, number: str, dispatcher: CollectingDispatcher, tracker: Tracker
    ) -> List[EventType]:
        accepted = RECALL_FEE_CENTS if tracker.get_slot("cancellation") == "fee" else 0
        before = await find_order(number)
        fee = (cancellation_fee_cents(before) if before else None) or 0
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, order_store().cancel, number, accepted)
        except CancellationRefused as refused:
            text = answers.cancellation_refusal(refused.order, date.today())
            dispatcher.utter_message(text=text)
            return []
        dispatcher.utter_message(text=answers.cancellation_done(number, fee))
        return [SlotSet("last_cancelled", number)]


class ActionResumeOrderTopic(Action):
    """A number out of the blue: a late answer, or a correction. Takes up the last topic with it."""

    def name(self) -> Text:
        """The name Rasa calls."""
        return "action_resume_order_topic"

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> List[EventType]:
        """Starts the form of the last topic again, now with this number."""
        numbers = numbers_in_message(tracker)
        if not numbers:
            dispatcher.utter_message(response="utter_not_an_order_number")
            return []
        if tracker.get_slot("order_topic") != CANCEL:
            return [FollowupAction("order_form")]
        cancelled = tracker.get_slot("last_cancelled")
        if cancelled and cancelled not in numbers:
            dispatcher.utter_message(response="utter_cannot_undo", cancelled_number=cancelled)
        return [SlotSet("confirm_cancellation", None), FollowupAction("cancel_order_form")]
