"""What an order is, what the shop's rules make of it, and the port to where orders are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Optional, Protocol, Tuple

#: Fee for calling back a parcel that has left the warehouse, in euro cents.
RECALL_FEE_CENTS = 490
#: Days after delivery in which an order can be returned.
RETURN_DAYS = 30


class Status(str, Enum):
    """Where an order stands."""

    PROCESSING = "processing"
    DISPATCHED = "dispatched"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"


@dataclass(frozen=True)
class Item:
    """A line of an order."""

    name: str
    quantity: int


@dataclass(frozen=True)
class Order:
    """An order as far as its number alone may reveal it: no name, address, e-mail or price."""

    number: str
    status: Status
    ordered_on: date
    expected_on: date
    items: Tuple[Item, ...]
    paid: bool
    dispatched_on: Optional[date] = None
    delivered_on: Optional[date] = None
    cancelled_on: Optional[date] = None
    refund_requested_on: Optional[date] = None
    refunded_on: Optional[date] = None
    carrier: Optional[str] = None
    tracking_number: Optional[str] = None


class OrderStoreUnavailable(Exception):
    """The order store cannot be asked. The action fails, and the customer gets a person."""


class CancellationRefused(Exception):
    """The order can no longer be cancelled on the terms the customer agreed to."""

    def __init__(self, order: Order) -> None:
        """`order` is how it stands now."""
        super().__init__(f"order {order.number} is {order.status.value}")
        self.order = order


class OrderStore(Protocol):
    """Where orders are kept."""

    def find(self, number: str) -> Optional[Order]:
        """The order of that number, or nothing.

        Raises:
            OrderStoreUnavailable: the store cannot be asked.
        """
        ...

    def cancel(self, number: str, accepted_fee_cents: int) -> Order:
        """Cancels an order if that costs no more than the customer accepted.

        Cancelling a cancelled order again changes nothing.

        Raises:
            CancellationRefused: it would cost more, or it is too late.
            KeyError: there is no such order.
            OrderStoreUnavailable: the store cannot be asked.
        """
        ...


def cancellation_fee_cents(order: Order) -> Optional[int]:
    """What cancelling costs now, in euro cents; nothing where it is impossible."""
    if order.status is Status.PROCESSING:
        return 0
    if order.status in (Status.DISPATCHED, Status.IN_TRANSIT):
        return RECALL_FEE_CENTS
    return None
