"""What the bot says about an order: pure functions from an order and a day to sentences."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Callable, Dict, Optional

from bot.actions.orders import RECALL_FEE_CENTS, RETURN_DAYS, Order, Status, cancellation_fee_cents

RECALL_FEE = f"€{RECALL_FEE_CENTS / 100:.2f}"
#: Working days a refund takes to reach the customer, once approved.
REFUND_DAYS = 5
ORDERS_PAGE = "My account > Orders"


def spoken(day: Optional[date], today: date) -> str:
    """A day as one says it: `today`, `tomorrow`, `Friday 27 November`."""
    if day is None:
        return "a day I do not know"
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}
    return near.get((day - today).days) or f"{day:%A} {day.day} {day:%B}"


def items_of(order: Order) -> str:
    """The items in words: `2 × wool throw and 1 × wall clock`."""
    lines = [f"{item.quantity} × {item.name}" for item in order.items]
    return lines[0] if len(lines) == 1 else f"{', '.join(lines[:-1])} and {lines[-1]}"


def answer(topic: str, order: Order, today: date) -> str:
    """The answer to a question of some topic about an order.

    Raises:
        KeyError: there is no such topic.
    """
    return _ANSWERS[topic](order, today)


def _track_order(order: Order, today: date) -> str:
    head = f"Order {order.number} ({items_of(order)})"
    parcel = f"with {order.carrier}, tracking number {order.tracking_number}"
    expected = spoken(order.expected_on, today)
    return {
        Status.PROCESSING: f"{head} is being packed. It should reach you by {expected}; "
        "you get an e-mail with the tracking link as soon as it leaves.",
        Status.DISPATCHED: f"{head} left our warehouse {spoken(order.dispatched_on, today)} "
        f"{parcel}. It should arrive by {expected}.",
        Status.IN_TRANSIT: f"{head} is on its way {parcel}. It should arrive by {expected}.",
        Status.DELIVERED: f"{head} was delivered {_on(order.delivered_on, today)} by "
        f"{order.carrier}, tracking number {order.tracking_number}. If you cannot find it, look "
        "for a card from the driver or ask your neighbours.",
        Status.CANCELLED: f"{head} was cancelled {_on(order.cancelled_on, today)}, so nothing is "
        "on its way.",
        Status.REFUND_PENDING: f"{head} was delivered {_on(order.delivered_on, today)}; "
        f"a refund was requested {_on(order.refund_requested_on, today)} and is being checked.",
        Status.REFUNDED: f"{head} was refunded {_on(order.refunded_on, today)}.",
    }[order.status]


def _change_order(order: Order, today: date) -> str:
    if order.status is Status.PROCESSING:
        return (
            f"Order {order.number} has not left yet, so you can still change it: open "
            f"{ORDERS_PAGE} > {order.number} > Change items, adjust and save. A difference "
            "in price is charged or paid back the same way you paid."
        )
    if order.status in (Status.DISPATCHED, Status.IN_TRANSIT):
        return (
            f"Order {order.number} has already left our warehouse, so its items are fixed. "
            f"You can send back what you do not want within {RETURN_DAYS} days of delivery, "
            "free of charge, and order the rest anew."
        )
    return _settled(order, today, "it can no longer be changed")


def _change_shipping_address(order: Order, today: date) -> str:
    if order.status is Status.PROCESSING:
        return (
            f"Order {order.number} has not left yet. Open {ORDERS_PAGE} > {order.number} > "
            "Delivery address, choose or enter the new one and save: it applies at once."
        )
    if order.status in (Status.DISPATCHED, Status.IN_TRANSIT):
        return (
            f"Order {order.number} is already with {order.carrier}. On their tracking page, "
            f"under number {order.tracking_number}, choose Redirect: another address in the "
            "same town, a neighbour or a pick-up point are free."
        )
    return _settled(order, today, "the address can no longer be changed")


def _get_refund(order: Order, today: date) -> str:
    if order.status is Status.PROCESSING:
        return (
            f"Order {order.number} has not left yet, so cancelling is quicker than a refund: "
            "it is free and the money goes back at once. Just write “cancel the order”."
        )
    if order.status in (Status.DISPATCHED, Status.IN_TRANSIT):
        return (
            f"Order {order.number} is still on its way. Refuse the parcel at the door, or "
            f"accept it and return it within {RETURN_DAYS} days; either way you get the full "
            "price back."
        )
    if order.status is Status.DELIVERED and order.delivered_on is not None:
        return _return_of_delivered(order, order.delivered_on, today)
    return _track_refund(order, today)


def _return_of_delivered(order: Order, delivered_on: date, today: date) -> str:
    last_day = delivered_on + timedelta(days=RETURN_DAYS)
    if today > last_day:
        return (
            f"Order {order.number} was delivered {_on(delivered_on, today)}, and the "
            f"{RETURN_DAYS} days for a return are over. If an item is faulty, the two-year "
            f"warranty still applies: {ORDERS_PAGE} > {order.number} > Report a fault."
        )
    return (
        f"You can return order {order.number} until {spoken(last_day, today)}. Open "
        f"{ORDERS_PAGE} > {order.number} > Return items, print the free label and drop the "
        f"parcel off. The money is back within {REFUND_DAYS} working days of its arrival."
    )


def _track_refund(order: Order, today: date) -> str:
    if order.status is Status.REFUND_PENDING and order.refund_requested_on is not None:
        latest = _working_days_after(max(order.refund_requested_on, today), REFUND_DAYS)
        return (
            f"The refund for order {order.number} was requested "
            f"{_on(order.refund_requested_on, today)} and is being checked. The money goes "
            f"back the way you paid, by {spoken(latest, today)} at the latest."
        )
    if order.status is Status.REFUNDED:
        return (
            f"The refund for order {order.number} was sent {_on(order.refunded_on, today)}, "
            "the same way you paid. Banks take up to two working days to show it."
        )
    if order.status is Status.CANCELLED:
        return (
            f"Order {order.number} was cancelled {_on(order.cancelled_on, today)}. What you "
            f"paid is back within {REFUND_DAYS} working days of that, the same way you paid."
        )
    return (
        f"No refund has been requested for order {order.number}. To ask for one, open "
        f"{ORDERS_PAGE} > {order.number} > Return items."
    )


def _get_invoice(order: Order, today: date) -> str:
    if order.status is Status.CANCELLED:
        return (
            f"Order {order.number} was cancelled {_on(order.cancelled_on, today)}; in place "
            f"of an invoice you find the credit note under {ORDERS_PAGE} > {order.number} > "
            "Documents."
        )
    return (
        f"The invoice for order {order.number} is under {ORDERS_PAGE} > {order.number} > "
        "Documents > Invoice (PDF). “Send again” there mails it to the address on the order."
    )


def _check_invoice(order: Order, today: date) -> str:
    issued = f"The invoice for order {order.number} was issued {_on(order.ordered_on, today)}"
    lists = f" and lists {items_of(order)}."
    paid = (
        " It is paid."
        if order.paid
        else f" It is still open: pay it under {ORDERS_PAGE} > {order.number} > Pay now."
    )
    look = f" You find it under {ORDERS_PAGE} > {order.number} > Documents."
    if order.status is Status.CANCELLED:
        paid = " As the order was cancelled, nothing is left to pay."
    return issued + lists + paid + look


def cancellation_question(order: Order) -> str:
    """Asks whether to cancel, and says what that costs."""
    head = f"Order {order.number} ({items_of(order)})"
    if cancellation_fee_cents(order) == 0:
        return f"{head} has not left yet, so cancelling is free. Shall I cancel it?"
    return (
        f"{head} has already left our warehouse. I can call the parcel back for {RECALL_FEE}, "
        "which is kept from the refund. Shall I cancel it for that fee?"
    )


def cancellation_refusal(order: Order, today: date) -> str:
    """Why an order cannot be cancelled, and what can be done instead."""
    if order.status is Status.DELIVERED and order.delivered_on is not None:
        return (
            f"Order {order.number} was delivered {_on(order.delivered_on, today)}, so it "
            f"cannot be cancelled. {_return_of_delivered(order, order.delivered_on, today)}"
        )
    if order.status in (Status.DISPATCHED, Status.IN_TRANSIT):
        return (
            f"Order {order.number} has left our warehouse in the meantime, so I have not "
            f"cancelled it. Cancelling now costs {RECALL_FEE}: write “cancel the order” "
            "once more if you want that."
        )
    return _settled(order, today, "there is nothing left to cancel")


def cancellation_done(number: str, fee_cents: int) -> str:
    """Confirms a cancellation."""
    fee = f" minus the fee of {RECALL_FEE}" if fee_cents else ""
    return (
        f"Done: order {number} is cancelled. Your money{fee} goes back the way you paid, "
        f"within {REFUND_DAYS} working days."
    )


def _settled(order: Order, today: date, so: str) -> str:
    how = {
        Status.DELIVERED: f"was delivered {_on(order.delivered_on, today)}",
        Status.CANCELLED: f"was cancelled {_on(order.cancelled_on, today)}",
        Status.REFUND_PENDING: "is being refunded",
        Status.REFUNDED: f"was refunded {_on(order.refunded_on, today)}",
    }[order.status]
    return f"Order {order.number} {how}, so {so}."


def _on(day: Optional[date], today: date) -> str:
    said = spoken(day, today)
    return said if said in ("yesterday", "today", "tomorrow") else f"on {said}"


def _working_days_after(day: date, count: int) -> date:
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


_ANSWERS: Dict[str, Callable[[Order, date], str]] = {
    "track_order": _track_order,
    "change_order": _change_order,
    "change_shipping_address": _change_shipping_address,
    "get_refund": _get_refund,
    "track_refund": _track_refund,
    "get_invoice": _get_invoice,
    "check_invoice": _check_invoice,
}
TOPICS = tuple(_ANSWERS)
