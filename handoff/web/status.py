"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from handoff.channels.meters import Meters
from handoff.core.model import Obstacle, State
from handoff.ports import Assistant, Encoder, Store
from handoff.web.guard import Guard

PART_SECONDS = 3.0
"""Longest wait for the sign of life of one part, in seconds."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class StatusEndpoints:
    """Is the process up, can it serve, and what has it done?

    `obstacle` says what keeps people from being reached; without it nobody works behind this desk.
    """

    store: Store
    encoder: Encoder
    assistant: Assistant
    meters: Meters
    guard: Guard
    obstacle: Callable[[], Obstacle | None] | None = None

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        router.add_api_route("/healthz", self.health, methods=["GET"])
        router.add_api_route("/readyz", self.ready, methods=["GET"])
        router.add_api_route("/metrics", self.metrics, methods=["GET"])
        return router

    async def health(self) -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    async def ready(self) -> JSONResponse:
        """Ask database, encoder and assistant for a sign of life, and whether people are reached.

        503 says in a sentence what is missing. What people should see to although they are
        reached stands under `console` beside a 200.
        """
        names = ("database", "encoder", "assistant")
        checks = (self._waiting(), self.encoder.encode(["ready?"]), self.assistant.status())
        alive = await asyncio.gather(*(_alive(n, c) for n, c in zip(names, checks, strict=True)))
        parts = {n: "ok" if ok else "unavailable" for n, ok in zip(names, alive, strict=True)}
        missing = " and ".join(f"the {n}" for n, ok in zip(names, alive, strict=True) if not ok)
        wrong = [f"Not ready: no answer from {missing}."] if missing else []
        found = self.obstacle() if self.obstacle else None
        if self.obstacle is not None:
            parts["console"] = "unavailable" if found and found.blocks else "ok"
        if found is not None and found.blocks:
            wrong.append(f"Not ready: {found.sentence}.")
        told = {"console": f"{found.sentence}."} if found else {}
        if wrong:
            return JSONResponse({"error": " ".join(wrong), "parts": parts, **told}, 503)
        return JSONResponse({"status": "ok", "parts": parts, **told})

    async def metrics(self, request: Request) -> Response:
        """Return the figures in Prometheus' text format."""
        self.guard(request)
        self.meters.outbox_waiting.set(await self._waiting())
        async with self.store() as work:
            for state in (State.WAITING, State.AGENT):
                number = len(await work.conversations.in_state([state]))
                self.meters.conversations.labels(state.value).set(number)
        return Response(generate_latest(self.meters.registry), media_type=CONTENT_TYPE_LATEST)

    async def _waiting(self) -> int:
        async with self.store() as work:
            return await work.outbox.waiting()


async def _alive(name: str, check: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(PART_SECONDS):
            await check
    except Exception as error:
        # Whatever is wrong with a part, the answer is that it is not ready; the log says why.
        log.warning("%s is not ready: %s", name, type(error).__name__)
        return False
    return True
