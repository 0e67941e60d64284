"""Stands in for Duckling, the server of dates and numbers that two of the assistants ask.

Duckling is a Haskell program that is not packaged for Python; Rasa's own component asks this one
instead, through `RASA_DUCKLING_HTTP_URL`. It knows e-mail addresses, numbers, amounts in dollars,
“today” and “tomorrow”, which is what the conversations here say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from tests.json_server import JsonHandler, served

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
MONEY = re.compile(r"\$\s?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*(?:dollars|bucks|usd)\b", re.IGNORECASE)
NUMBER = re.compile(r"(?<![\w@.$])\d+(?:\.\d+)?(?![\w@])")
DAY = re.compile(r"\b(today|tomorrow)\b", re.IGNORECASE)


def found_in(text: str) -> list[dict[str, Any]]:
    """Return what Duckling's `POST /parse` would of these kinds."""
    found = [_match(m, "email", {"value": m[0]}) for m in EMAIL.finditer(text)]
    for m in MONEY.finditer(text):
        value = {"type": "value", "value": float(m[1] or m[2]), "unit": "$"}
        found.append(_match(m, "amount-of-money", value))
    numbers = (m for m in NUMBER.finditer(text))
    found += [_match(m, "number", {"type": "value", "value": int(float(m[0]))}) for m in numbers]
    for m in DAY.finditer(text):
        day = datetime.now(UTC) + timedelta(days=m[1].lower() == "tomorrow")
        value = {"type": "value", "value": day.strftime("%Y-%m-%dT00:00:00.000+00:00")}
        found.append(_match(m, "time", {**value, "grain": "day"}))
    return found


def _match(match: re.Match[str], kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"body": match[0], "start": match.start(), "end": match.end(), "dim": kind,
            "latent": False, "value": value}  # fmt: skip


class _Handler(JsonHandler):
    def do_POST(self) -> None:
        form = parse_qs(self.body().decode())
        wanted = json.loads(form["dims"][0]) if "dims" in form else None
        found = found_in(form["text"][0])
        self.send(200, [f for f in found if not wanted or f["dim"] in wanted])


@contextmanager
def duckling() -> Iterator[str]:
    """Serve on a free port and yield the address."""
    with served(_Handler) as address:
        yield address
