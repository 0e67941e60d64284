"""Any Rasa assistant, through Rasa's own HTTP API and REST channel and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from json import loads
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp

from handoff.core.assistant import AssistantDomain, domain_from
from handoff.core.errors import AssistantUnavailable
from handoff.core.limits import PARSE_SECONDS, TURN_SECONDS
from handoff.core.model import BotLine, Button, IntentScore, Parse

RANKING = 10
"""How many intents of the ranking are kept as evidence."""

SWAP_SECONDS = 120.0
"""Longest wait for Rasa to swap its model, in seconds (34 s with Rasa's default pipeline)."""

CONNECT_SECONDS = 2.0
"""Longest wait for a connection, in seconds; `_call` limits the whole."""

DOMAIN_SECONDS = 10.0
"""How long what the assistant told of itself is kept, in seconds."""

EXTRA = ("custom", "attachment", "json_message")
"""What an answer may hold besides text, buttons and image, by Rasa's names."""

JSON_WANTED = {"Accept": "application/json"}
"""Rasa gives its domain in no form but the one that is named."""

IDLE_SECONDS = 4.0
"""How long an unused connection is kept, in seconds. Rasa's server closes its after five: a request
sent in that very moment would be lost."""


class RasaAssistant:
    """Implements `ports.Assistant`. Its error sentences name the fault, never the token."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._opened: aiohttp.ClientSession | None = None
        self._told: AssistantDomain | None = None
        self._told_until = 0.0

    async def __aenter__(self) -> RasaAssistant:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()

    def _session(self) -> aiohttp.ClientSession:
        """Return the connections to Rasa, which belong to the event loop that first asks.

        No proxy of the environment is used (aiohttp's default), no cookie kept.
        """
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS),
            )
        return self._opened

    async def parse(self, text: str) -> Parse:
        """Ask `POST /model/parse`."""
        found = await self._call("POST", "/model/parse", PARSE_SECONDS, json={"text": text})
        with _documented("parse"):
            return _parse_of(found)

    async def respond(
        self, sender: str, text: str, metadata: Mapping[str, Any] | None = None
    ) -> list[BotLine]:
        """Take a turn through `POST /webhooks/rest/webhook`."""
        body: dict[str, Any] = {"sender": sender, "message": text}
        if metadata:
            body["metadata"] = dict(metadata)
        said = await self._call("POST", "/webhooks/rest/webhook", TURN_SECONDS, json=body)
        if not isinstance(said, list):
            raise AssistantUnavailable(why="its turn is not of the documented form")
        with _documented("turn"):
            lines = [_line_of(entry) for entry in said]
        return [line for line in lines if line.text or line.image or line.buttons or line.extra]

    async def awaiting_slot(self, sender: str) -> str | None:
        """Read `requested_slot` from the tracker."""
        path = f"/conversations/{quote(sender, safe='')}/tracker"
        tracker = await self._call("GET", path, PARSE_SECONDS, params={"include_events": "NONE"})
        with _documented("tracker"):
            slot = tracker.get("slots", {}).get("requested_slot")
        return str(slot) if slot else None

    async def domain(self) -> AssistantDomain:
        """Ask `GET /domain`, again after `DOMAIN_SECONDS`: the model may have been swapped."""
        if self._told is not None and time.monotonic() < self._told_until:
            return self._told
        before = self._told
        # One asks at a time; whoever comes meanwhile goes on with what was told last.
        self._told_until = time.monotonic() + DOMAIN_SECONDS
        try:
            model = await self.status()
            told = await self._call("GET", "/domain", PARSE_SECONDS, headers=JSON_WANTED)
            with _documented("domain"):
                self._told = domain_from(told, model)
        except AssistantUnavailable:
            if before is None:
                raise
            self._told = before
        return self._told

    async def status(self) -> str:
        """Return the name of the model file in use."""
        found = await self._call("GET", "/status", 2.0)
        with _documented("status"):
            return Path(found["model_file"]).name

    async def load_model(self, path: Path) -> None:
        """Swap the model through `PUT /model`."""
        await self._call("PUT", "/model", SWAP_SECONDS, json={"model_file": str(path.resolve())})
        self._told = None

    async def _call(
        self,
        method: str,
        path: str,
        seconds: float,
        json: Any = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        params = {**(params or {}), **({"token": self._token} if self._token else {})}
        try:
            async with (
                asyncio.timeout(seconds),
                self._session().request(
                    method,
                    self._url + path,
                    json=json,
                    params=params,
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                status, content = answer.status, await answer.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise AssistantUnavailable(why=f"ConnectError at {path}") from None
        except TimeoutError:
            raise AssistantUnavailable(why=f"no answer within {seconds:g} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            raise AssistantUnavailable(why=f"{type(error).__name__} at {path}") from None
        if status >= 300:  # Rasa sends nobody elsewhere
            raise AssistantUnavailable(why=f"status {status} at {path}")
        try:
            # Rasa writes NaN where an action said so; no database and no browser takes it.
            return loads(content, parse_constant=lambda _: None) if content else None
        except ValueError:
            raise AssistantUnavailable(why=f"no JSON at {path}") from None


@contextmanager
def _documented(what: str) -> Iterator[None]:
    """Around reading an answer: one of another form counts as none."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        raise AssistantUnavailable(why=f"its {what} is not of the documented form") from None


def _parse_of(found: Any) -> Parse:
    ranking = tuple(
        IntentScore(str(entry["name"]), float(entry["confidence"]))
        for entry in found.get("intent_ranking", [])[:RANKING]
    )
    best = found.get("intent") or {}
    if not ranking and best.get("name"):
        ranking = (IntentScore(str(best["name"]), float(best.get("confidence", 0.0))),)
    novelty = found.get("novelty")
    return Parse(
        ranking=ranking,
        entities=tuple(
            {"entity": str(e.get("entity")), "value": e.get("value")}
            for e in found.get("entities", [])
        ),
        novelty=float(novelty) if isinstance(novelty, int | float) else None,
        model=str(found.get("model_id") or ""),
    )


def _line_of(entry: Any) -> BotLine:
    """Return one entry of Rasa's collecting channel; text of nothing but white space is none."""
    text = str(entry.get("text") or "")
    image = entry.get("image")
    return BotLine(
        text=text if text.strip() else "",
        buttons=tuple(
            Button(str(b.get("title", "")), str(b.get("payload") or b.get("title", "")))
            for b in entry.get("buttons") or ()
        ),
        image=str(image) if image else None,
        extra={name: entry[name] for name in EXTRA if entry.get(name)} or None,
    )
