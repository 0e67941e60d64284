"""The sample shop, the shop over HTTP, and what is said about an order."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Dict

import pytest

from bot.actions import answers
from bot.actions.http_store import HttpOrderStore
from bot.actions.orders import (
    RECALL_FEE_CENTS,
    CancellationRefused,
    Item,
    Order,
    OrderStoreUnavailable,
    Status,
    cancellation_fee_cents,
)
from bot.actions.sample_shop import SampleShop, sample_orders
from bot.tests.conftest import FakeServer, closed_port_url

TODAY = date(2026, 3, 4)  # a Wednesday


def order(status: Status, **days: date) -> Order:
    """An order of some state."""
    return Order(
        "10042", status, TODAY - timedelta(days=5), TODAY, (Item("clock", 1),), True, **days
    )


def test_the_sample_shop_is_the_same_everywhere_and_has_every_state(tmp_path: Path) -> None:
    shops = [SampleShop(tmp_path / name, lambda: TODAY) for name in ("a/b/one.db", "two.db")]
    numbers = [str(n) for n in range(10001, 10061)]
    one, two = ([shop.find(n) for n in numbers] for shop in shops)
    assert one == two == sample_orders(TODAY)
    assert {o.status for o in one if o} == set(Status)
    assert one[41] is not None and one[41].status is Status.IN_TRANSIT
    assert shops[0].find("10061") is None and shops[0].find("10042; --") is None


def test_sample_dates_make_sense() -> None:
    for o in sample_orders(TODAY):
        past = [o.ordered_on, o.dispatched_on, o.delivered_on, o.refund_requested_on, o.refunded_on]
        days = [day for day in past if day]
        assert days == sorted(days) and days[-1] <= TODAY, o
        assert (o.carrier is None) == (o.dispatched_on is None)
        if o.status in (Status.PROCESSING, Status.DISPATCHED, Status.IN_TRANSIT):
            assert TODAY < o.expected_on <= TODAY + timedelta(days=4)


def test_dates_move_along_but_not_those_of_touched_orders(tmp_path: Path) -> None:
    day = [TODAY]
    shop = SampleShop(tmp_path / "shop.db", lambda: day[0])
    shop.cancel("10001", 0)
    day[0] += timedelta(days=9)
    moved, touched = shop.find("10042"), shop.find("10001")
    assert moved == sample_orders(day[0])[41]
    assert touched is not None and touched.cancelled_on == TODAY


def test_cancelling_costs_at_most_what_was_accepted(tmp_path: Path) -> None:
    shop = SampleShop(tmp_path / "shop.db", lambda: TODAY)
    assert shop.cancel("10001", 0).status is Status.CANCELLED
    assert shop.cancel("10001", 0).cancelled_on == TODAY  # twice changes nothing
    with pytest.raises(CancellationRefused) as refused:
        shop.cancel("10042", 0)
    assert refused.value.order.status is Status.IN_TRANSIT
    assert shop.find("10042") == refused.value.order
    assert shop.cancel("10042", RECALL_FEE_CENTS).status is Status.CANCELLED
    with pytest.raises(CancellationRefused):
        shop.cancel("10045", RECALL_FEE_CENTS)
    with pytest.raises(KeyError):
        shop.cancel("10061", 0)


def test_many_open_an_empty_shop_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(6)

    def ask(_: int) -> Any:
        start.wait(5)
        return SampleShop(tmp_path / "shop.db", lambda: TODAY).find("10042")

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, range(6))) == {sample_orders(TODAY)[41]}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(OrderStoreUnavailable, match=str(path)):
        SampleShop(path).find("10042")
    assert issubclass(sqlite3.DatabaseError, sqlite3.Error)


BODY: Dict[str, Any] = {
    "number": "10042",
    "status": "in_transit",
    "paid": True,
    "ordered_on": "2026-03-01",
    "expected_on": "2026-03-05",
    "dispatched_on": "2026-03-03",
    "carrier": "DPD",
    "tracking_number": "0150",
    "items": [{"name": "clock", "quantity": 1}],
    "customer": {"name": "never said"},
}


def service(status: int, body: Any) -> FakeServer:
    """A shop that always answers the same."""
    return FakeServer(lambda method, path, sent: (status, body))


def test_the_http_store_reads_and_cancels() -> None:
    server = service(200, BODY)
    found = HttpOrderStore(server.url + "/", "key").find("10042")
    assert found is not None and found.status is Status.IN_TRANSIT
    assert found.items == (Item("clock", 1),) and found.delivered_on is None
    HttpOrderStore(server.url).cancel("10042", 490)
    server.close()
    assert [r["path"] for r in server.requests] == ["/orders/10042", "/orders/10042/cancel"]
    assert server.requests[0]["headers"]["authorization"] == "Bearer key"
    assert server.requests[1]["body"] == {"accepted_fee_cents": 490}


def test_the_http_store_knows_refusals() -> None:
    missing, refused = service(404, {}), service(409, BODY)
    assert HttpOrderStore(missing.url).find("1") is None
    with pytest.raises(KeyError):
        HttpOrderStore(missing.url).cancel("1", 0)
    with pytest.raises(CancellationRefused) as error:
        HttpOrderStore(refused.url).cancel("10042", 0)
    assert error.value.order.number == "10042"
    missing.close()
    refused.close()


@pytest.mark.parametrize(
    "status, body",
    [
        (500, {}),
        (302, {}),
        (200, b"<html>"),
        (200, []),
        (200, {**BODY, "status": "lost"}),
        (200, {k: v for k, v in BODY.items() if k != "items"}),
        (200, {**BODY, "ordered_on": None}),
    ],
)
def test_a_bad_answer_fails(status: int, body: Any) -> None:
    server = service(status, body)
    with pytest.raises(OrderStoreUnavailable, match=server.url):
        HttpOrderStore(server.url).find("10042")
    server.close()


def test_a_dead_or_silent_service_fails() -> None:
    with pytest.raises(OrderStoreUnavailable):
        HttpOrderStore(closed_port_url()).find("10042")
    release = threading.Event()
    slow = FakeServer(lambda method, path, sent: (release.wait(10) and 200, BODY))
    with pytest.raises(OrderStoreUnavailable, match="Timeout"):
        HttpOrderStore(slow.url, timeout_seconds=0.2).find("10042")
    release.set()
    slow.close()


@pytest.mark.parametrize("number", ["../admin", "1/2", "", "1?x=1", "a" * 33, "1 2"])
def test_a_number_cannot_lead_elsewhere(number: str) -> None:
    with pytest.raises(ValueError):
        HttpOrderStore("http://127.0.0.1:1").find(number)


@pytest.mark.parametrize("topic", answers.TOPICS)
def test_every_topic_has_a_whole_answer_in_every_state(topic: str) -> None:
    said = set()
    for o in sample_orders(TODAY):
        text = answers.answer(topic, o, TODAY)
        assert o.number in text and text[-1] in ".”"
        assert "None" not in text and "do not know" not in text
        said.add((o.status, text.split(o.number)[-1][:12]))
    assert len({status for status, _ in said}) == len(Status)


def test_days_are_spoken() -> None:
    assert answers.spoken(TODAY, TODAY) == "today"
    assert answers.spoken(TODAY + timedelta(days=1), TODAY) == "tomorrow"
    assert answers.spoken(TODAY - timedelta(days=1), TODAY) == "yesterday"
    assert answers.spoken(TODAY + timedelta(days=2), TODAY) == "Friday 6 March"


def test_the_last_day_of_a_return_still_counts() -> None:
    last = order(Status.DELIVERED, delivered_on=TODAY - timedelta(days=30))
    late = order(Status.DELIVERED, delivered_on=TODAY - timedelta(days=31))
    assert "until today" in answers.answer("get_refund", last, TODAY)
    assert "are over" in answers.answer("get_refund", late, TODAY)


def test_refunds_take_working_days() -> None:
    pending = order(Status.REFUND_PENDING, refund_requested_on=TODAY)
    assert "by Wednesday 11 March" in answers.answer("track_refund", pending, TODAY)


@pytest.mark.parametrize("status", list(Status))
def test_cancelling_asks_or_refuses(status: Status) -> None:
    o = order(status, delivered_on=TODAY, cancelled_on=TODAY, refunded_on=TODAY)
    fee = cancellation_fee_cents(o)
    if fee is None:
        assert "10042" in answers.cancellation_refusal(o, TODAY)
    else:
        question = answers.cancellation_question(o)
        assert question.endswith("?") and ("€4.90" in question) == (fee > 0)
        assert ("€4.90" in answers.cancellation_done("10042", fee)) == (fee > 0)
