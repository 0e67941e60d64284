"""Rasa's REST channel, so that whatever talks to a Rasa server can talk to the desk.

Faithful to `rasa/core/channels/rest.py` and `CollectingOutputChannel` of Rasa 3.6, with two
differences that the desk needs: a request without a sender is refused (Rasa would put all such
customers into one conversation), and an answer also carries what an agent or the desk has written
since the request before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from handoff.app.receive import Inbound, Received
from handoff.app.retrying import retry_stale
from handoff.channels.http import Strict, read_json
from handoff.channels.turns import Turns
from handoff.channels.watch import for_customer, lines_after
from handoff.core.model import Message
from handoff.core.text import check_key
from handoff.ports import Store

CHANNEL = "rest"


class UserMessage(Strict):
    """The body Rasa's protocol knows. `metadata.message_id` makes a repeated request harmless."""

    sender: str | int
    message: str
    metadata: dict[str, Any] | None = None
    input_channel: str | None = None


@dataclass(slots=True)
class RasaRestChannel:
    """`GET /webhooks/rest/` and `POST /webhooks/rest/webhook`."""

    store: Store
    turns: Turns

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix="/webhooks/rest")
        router.add_api_route("/", self.health, methods=["GET"])
        router.add_api_route("/webhook", self.webhook, methods=["POST"])
        return router

    async def health(self) -> dict[str, str]:
        """Say that the channel is there."""
        return {"status": "ok"}

    async def webhook(self, request: Request, stream: str = "false") -> Response:
        """Take a turn and answer with every line the customer has not been given yet."""
        body = await read_json(request, UserMessage)
        sender = str(body.sender)
        client_id = message_id(body.metadata, CHANNEL)
        inbound = Inbound(CHANNEL, sender, body.message, client_id)
        received = await self.turns.receive(inbound)
        turn = self.turns.start(received)
        if turn is not None:
            # Shielded: a customer who hangs up does not stop the turn.
            await asyncio.shield(turn)
        answer = list(as_rasa(sender, await self._undelivered(received)))
        if stream.lower() == "true":
            lines = (json.dumps(message) + "\n" for message in answer)
            return StreamingResponse(lines, media_type="text/event-stream")
        return JSONResponse(answer)

    async def _undelivered(self, received: Received) -> list[Message]:
        """Return the lines not given yet and move the mark, in one unit of work.

        A repeated request starts behind its own message, so that a lost answer is given again.
        """

        async def attempt() -> list[Message]:
            async with self.store() as work:
                conversation = await work.conversations.get(received.conversation_id)
                start = conversation.delivered_seq
                if received.known:
                    start = min(start, received.message.seq)
                lines = await lines_after(work, conversation.id, start)
                if lines and lines[-1].seq > conversation.delivered_seq:
                    conversation.delivered_seq = lines[-1].seq
                    await work.conversations.save(conversation)
                    await work.commit()
            return [line for line in lines if for_customer(line)]

        return await retry_stale(attempt)


def message_id(metadata: dict[str, Any] | None, channel: str) -> str | None:
    """Return the sender's own identifier of a message, in the name space of its channel."""
    given = (metadata or {}).get("message_id")
    if given is None or isinstance(given, bool) or not isinstance(given, str | int):
        return None
    return f"{channel}:{check_key(str(given), 'metadata.message_id')}"


def as_rasa(recipient: str, lines: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """Return lines as Rasa's collecting channel does: a message a paragraph, images apart."""
    for line in lines:
        if line.buttons:
            buttons = [{"title": b.title, "payload": b.payload} for b in line.buttons]
            yield {"recipient_id": recipient, "text": line.text, "buttons": buttons}
        elif line.text:
            for paragraph in line.text.strip().split("\n\n"):
                yield {"recipient_id": recipient, "text": paragraph}
        if line.image:
            yield {"recipient_id": recipient, "image": line.image}
