"""The embedded sample shop: sixty orders in an SQLite file, the same on every machine.

Its dates count from today. When the file is opened on a later day, the dates of orders no
customer has touched move along, so that the shop never looks abandoned.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from bot.actions.orders import (
    CancellationRefused,
    Item,
    Order,
    OrderStoreUnavailable,
    Status,
    cancellation_fee_cents,
)

FIRST_NUMBER = 10001
LAST_NUMBER = 10060
#: The order of the states; order 10042 is in transit by it, 10043 still being processed.
_STATES = (
    Status.PROCESSING,
    Status.DISPATCHED,
    Status.DELIVERED,
    Status.CANCELLED,
    Status.REFUND_PENDING,
    Status.REFUNDED,
    Status.IN_TRANSIT,
)
_CARRIERS = (("DHL", "00340434"), ("DPD", "0150"), ("UPS", "1Z9F7"))
_ITEMS = (
    "oak desk lamp",
    "linen cushion cover",
    "enamel teapot",
    "wool throw",
    "set of four soup bowls",
    "wall clock",
    "cork bath mat",
    "glass carafe",
    "folding side table",
    "jute basket",
    "cotton bath towel",
    "brass candle holder",
)
_DATES = (
    "ordered_on",
    "expected_on",
    "dispatched_on",
    "delivered_on",
    "cancelled_on",
    "refund_requested_on",
    "refunded_on",
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS shop (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    number TEXT PRIMARY KEY, status TEXT NOT NULL, paid INTEGER NOT NULL,
    carrier TEXT, tracking_number TEXT, touched INTEGER NOT NULL DEFAULT 0,
    {", ".join(f"{name} TEXT" for name in _DATES)});
CREATE TABLE IF NOT EXISTS items (
    order_number TEXT NOT NULL REFERENCES orders (number), position INTEGER NOT NULL,
    name TEXT NOT NULL, quantity INTEGER NOT NULL, PRIMARY KEY (order_number, position));
"""


class SampleShop:
    """An `OrderStore` in one SQLite file, created and filled at first use.

    Args:
        path: the file; its folder is created where missing.
        today: tells the day, exchanged in tests.
    """

    def __init__(self, path: Path, today: Callable[[], date] = date.today) -> None:
        self._path = Path(path)
        self._today = today

    def find(self, number: str) -> Optional[Order]:
        """See `OrderStore.find`."""
        with self._open() as connection:
            return _read(connection, number)

    def cancel(self, number: str, accepted_fee_cents: int) -> Order:
        """See `OrderStore.cancel`."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            order = _read(connection, number)
            if order is None:
                raise KeyError(number)
            if order.status is Status.CANCELLED:
                return order
            fee = cancellation_fee_cents(order)
            if fee is None or fee > accepted_fee_cents:
                raise CancellationRefused(order)
            connection.execute(
                "UPDATE orders SET status = ?, cancelled_on = ?, touched = 1 WHERE number = ?",
                (Status.CANCELLED.value, self._today().isoformat(), number),
            )
            connection.commit()
            cancelled = _read(connection, number)
            assert cancelled is not None
            return cancelled

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=5.0)) as connection:
                connection.row_factory = sqlite3.Row
                self._prepare(connection)
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise OrderStoreUnavailable(f"the sample shop at {self._path}: {error}") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Fills an empty file, and moves the dates of untouched orders up to today."""
        today = self._today()
        if _seeded_on(connection) == today:
            return
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        seeded_on = _seeded_on(connection)  # again: another process may have been quicker
        if seeded_on is None:
            for order in sample_orders(today):
                _insert(connection, order)
        elif seeded_on != today:
            shift = f"{(today - seeded_on).days:+d} days"
            moves = ", ".join(f"{name} = date({name}, :shift)" for name in _DATES)
            connection.execute(f"UPDATE orders SET {moves} WHERE touched = 0", {"shift": shift})
        connection.execute(
            "INSERT OR REPLACE INTO shop VALUES ('seeded_on', ?)", (today.isoformat(),)
        )
        connection.commit()


def _seeded_on(connection: sqlite3.Connection) -> Optional[date]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'shop'").fetchone()
    row = (
        connection.execute("SELECT value FROM shop WHERE name = 'seeded_on'").fetchone()
        if known
        else None
    )
    return date.fromisoformat(row["value"]) if row else None


def sample_orders(today: date) -> List[Order]:
    """The sixty orders, as they stand on a day."""
    return [_sample_order(number, today) for number in range(FIRST_NUMBER, LAST_NUMBER + 1)]


def _sample_order(number: int, today: date) -> Order:
    random = Random(number)
    status = _STATES[(number - FIRST_NUMBER) % len(_STATES)]
    ordered, days = _sample_days(status, random)
    carrier, prefix = random.choice(_CARRIERS)
    names = random.sample(_ITEMS, random.randint(1, 3))
    sent = "dispatched_on" in days
    return Order(
        number=str(number),
        status=status,
        paid=random.random() < 0.85,
        ordered_on=today - timedelta(days=ordered),
        expected_on=today + timedelta(days=4 - ordered if ordered < 4 else 1),
        items=tuple(Item(name, random.randint(1, 2)) for name in names),
        carrier=carrier if sent else None,
        tracking_number=f"{prefix}{random.randint(10**9, 10**10 - 1)}" if sent else None,
        **{name: today - timedelta(days=ago) for name, ago in days.items()},
    )


def _sample_days(status: Status, random: Random) -> Tuple[int, Dict[str, int]]:
    """How many days ago the order was placed, and each of its later dates."""
    if status is Status.PROCESSING:
        return random.randint(0, 1), {}
    if status is Status.DISPATCHED:
        return 2, {"dispatched_on": 0}
    if status is Status.IN_TRANSIT:
        return 3, {"dispatched_on": 1}
    if status is Status.CANCELLED:
        ago = random.randint(2, 9)
        return ago + 1, {"cancelled_on": ago}
    delivered = random.randint(1, 40) if status is Status.DELIVERED else random.randint(12, 25)
    days = {"dispatched_on": delivered + 2, "delivered_on": delivered}
    if status in (Status.REFUND_PENDING, Status.REFUNDED):
        days["refund_requested_on"] = random.randint(2, 4)
    if status is Status.REFUNDED:
        days["refund_requested_on"] = random.randint(7, 10)
        days["refunded_on"] = random.randint(1, 5)
    return delivered + 4, days


def _insert(connection: sqlite3.Connection, order: Order) -> None:
    columns = ("number", "status", "paid", "carrier", "tracking_number", *_DATES)
    values = [
        order.number,
        order.status.value,
        int(order.paid),
        order.carrier,
        order.tracking_number,
    ]
    for name in _DATES:
        day: Optional[date] = getattr(order, name)
        values.append(day.isoformat() if day else None)
    marks = ", ".join("?" for _ in columns)
    connection.execute(f"INSERT INTO orders ({', '.join(columns)}) VALUES ({marks})", values)
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?)",
        [(order.number, index, item.name, item.quantity) for index, item in enumerate(order.items)],
    )


def _read(connection: sqlite3.Connection, number: str) -> Optional[Order]:
    row = connection.execute("SELECT * FROM orders WHERE number = ?", (number,)).fetchone()
    if row is None:
        return None
    items = connection.execute(
        "SELECT name, quantity FROM items WHERE order_number = ? ORDER BY position", (number,)
    ).fetchall()
    days = {name: date.fromisoformat(row[name]) for name in _DATES if row[name]}
    return Order(
        number=row["number"],
        status=Status(row["status"]),
        paid=bool(row["paid"]),
        items=tuple(Item(item["name"], item["quantity"]) for item in items),
        carrier=row["carrier"],
        tracking_number=row["tracking_number"],
        **days,
    )
