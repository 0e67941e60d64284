"""Rasa's REST channel, so that whatever talks to a Rasa server can talk to the desk.

Faithful to `rasa/core/channels/rest.py` and `CollectingOutputChannel` of Rasa 3.6, with these
differences that the desk needs: a request without a sender is a customer of its own (Rasa would put
all such customers into one conversation), an answer also carries what an agent or the desk has
written since the request before, and a request without words asks for just that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from handoff.app.receive import Inbound
from handoff.app.retrying import retry_stale
from handoff.channels.http import Ascii, read_json
from handoff.channels.turns import Turns
from handoff.channels.watch import for_customer, lines_after
from handoff.channels.widgets import (
    WIDGET_BYTES,
    FromWidget,
    WidgetOptions,
    message_id,
    paragraphs,
)
from handoff.core.model import Message, State, new_id
from handoff.ports import Store

CHANNEL = "rest"
PREFIX = "/webhooks/rest"


class UserMessage(FromWidget):
    """The body Rasa's protocol knows. `metadata.message_id` makes a repeated request harmless."""

    sender: Any = None


@dataclass(slots=True)
class RasaRestChannel:
    """`GET /webhooks/rest/` and `POST /webhooks/rest/webhook`."""

    store: Store
    turns: Turns
    options: WidgetOptions = field(default_factory=WidgetOptions)

    def router(self) -> APIRouter:
        """Return the routes, each with and without a slash at its end, as Rasa's server has it."""
        router = APIRouter(prefix=PREFIX)
        for end in ("", "/"):
            router.add_api_route(end, self.health, methods=["GET"])
            router.add_api_route(f"/webhook{end}", self.webhook, methods=["POST"])
        return router

    async def health(self) -> dict[str, str]:
        """Say that the channel is there."""
        return {"status": "ok"}

    async def webhook(self, request: Request, stream: str = "false") -> Response:
        """Take a turn and answer with every line the customer has not been given yet."""
        subject = self.options.senders.subject(request.headers.get("authorization"))
        body = await read_json(request, UserMessage, WIDGET_BYTES, any_type=True)
        sender = ("" if body.sender is None else str(body.sender)) or subject or new_id()
        key, context = self.options.senders.key(sender, subject), body.context
        client_id = message_id(context, CHANNEL)
        inbound = Inbound(CHANNEL, key, body.words, client_id, context=context)
        lines, wrote = await self._lines(inbound)
        answer = list(as_rasa(sender, lines))
        if not answer and wrote and await self._with_people(inbound):
            answer = [{"recipient_id": sender, "text": self.options.acknowledgement}]
        if stream.lower() == "true":
            written = (json.dumps(message) + "\n" for message in answer)
            return StreamingResponse(written, media_type="text/event-stream")
        return Ascii(answer)

    async def _lines(self, inbound: Inbound) -> tuple[list[Message], bool]:
        """Take the turn, or greet, or neither where there are no words; return what to answer, and
        whether the customer has written."""
        greeting = await self.turns.greet(inbound)
        if greeting is not None:
            await asyncio.shield(greeting)
        if greeting is not None or not inbound.text:
            async with self.store() as work:
                found = await work.conversations.find(CHANNEL, inbound.customer_key)
            return await self._undelivered(found.id) if found else [], False
        received = await self.turns.receive(inbound)
        turn = self.turns.start(received)
        if turn is not None:
            # Shielded: a customer who hangs up does not stop the turn.
            await asyncio.shield(turn)
        # A repeated request starts behind its own message: a lost answer is given again.
        again = received.message.seq if received.known else None
        return await self._undelivered(received.conversation_id, again), True

    async def _undelivered(self, conversation_id: str, again: int | None = None) -> list[Message]:
        """Return the lines not given yet, or those after `again`, and move the mark, in one unit
        of work."""

        async def attempt() -> list[Message]:
            async with self.store() as work:
                conversation = await work.conversations.get(conversation_id)
                start = conversation.delivered_seq
                if again is not None:
                    start = min(start, again)
                lines = await lines_after(work, conversation.id, start)
                if lines and lines[-1].seq > conversation.delivered_seq:
                    conversation.delivered_seq = lines[-1].seq
                    await work.conversations.save(conversation)
                    await work.commit()
            return [line for line in lines if for_customer(line)]

        return await retry_stale(attempt)

    async def _with_people(self, inbound: Inbound) -> bool:
        """Say whether a customer who hears nothing is owed the word that a person has it."""
        if not self.options.acknowledgement:
            return False
        async with self.store() as work:
            found = await work.conversations.find(CHANNEL, inbound.customer_key)
        return found is not None and found.state in (State.WAITING, State.AGENT)


def as_rasa(recipient: str, lines: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """Return lines as Rasa's collecting channel does: a message a paragraph, the rest apart."""
    for line in lines:
        if line.buttons:
            buttons = [{"title": b.title, "payload": b.payload} for b in line.buttons]
            yield {"recipient_id": recipient, "text": line.text, "buttons": buttons}
        else:
            for paragraph in paragraphs(line.text):
                yield {"recipient_id": recipient, "text": paragraph}
        if line.image:
            yield {"recipient_id": recipient, "image": line.image}
        for name, value in (line.extra or {}).items():
            yield {"recipient_id": recipient, name: value}
