"""Orders kept by a shop's own service, over HTTP; the protocol is in README.md beside this file."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Dict, Optional

import requests

from bot.actions.orders import CancellationRefused, Item, Order, OrderStoreUnavailable, Status

_DATES = (
    "ordered_on",
    "expected_on",
    "dispatched_on",
    "delivered_on",
    "cancelled_on",
    "refund_requested_on",
    "refunded_on",
)


class HttpOrderStore:
    """An `OrderStore` behind an HTTP address.

    Args:
        url: address without the final `/orders`.
        token: sent as bearer token where given.
        timeout_seconds: the longest wait for a connection, and again for an answer.
    """

    def __init__(self, url: str, token: str = "", timeout_seconds: float = 4.0) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = timeout_seconds

    def find(self, number: str) -> Optional[Order]:
        """See `OrderStore.find`."""
        answer = self._ask("GET", number, "")
        if answer.status_code == 404:
            return None
        return self._read(answer, 200)

    def cancel(self, number: str, accepted_fee_cents: int) -> Order:
        """See `OrderStore.cancel`."""
        body = {"accepted_fee_cents": accepted_fee_cents}
        answer = self._ask("POST", number, "/cancel", body)
        if answer.status_code == 404:
            raise KeyError(number)
        if answer.status_code == 409:
            raise CancellationRefused(self._read(answer, 409))
        return self._read(answer, 200)

    def _ask(
        self, method: str, number: str, rest: str, body: Optional[Dict[str, Any]] = None
    ) -> requests.Response:
        if not re.fullmatch(r"[0-9A-Za-z-]{1,32}", number):
            raise ValueError("an order number is made of letters, digits and hyphens")
        try:
            return requests.request(
                method,
                f"{self._url}/orders/{number}{rest}",
                json=body,
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise OrderStoreUnavailable(
                f"the order store at {self._url} cannot be reached ({type(error).__name__})"
            ) from error

    def _read(self, answer: requests.Response, expected: int) -> Order:
        if answer.status_code != expected:
            raise OrderStoreUnavailable(
                f"the order store at {self._url} answered {answer.status_code}"
            )
        try:
            return _order(answer.json())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OrderStoreUnavailable(
                f"the order store at {self._url} sent an order of another shape: {error}"
            ) from error


def _order(body: Dict[str, Any]) -> Order:
    days = {name: date.fromisoformat(body[name]) for name in _DATES if body.get(name)}
    return Order(
        number=str(body["number"]),
        status=Status(body["status"]),
        paid=bool(body["paid"]),
        items=tuple(Item(str(item["name"]), int(item["quantity"])) for item in body["items"]),
        carrier=body.get("carrier"),
        tracking_number=body.get("tracking_number"),
        **days,
    )
