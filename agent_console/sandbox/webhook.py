"""Pushes updates to the bot's webhook: in order within a queue, again until it answers 2xx."""

from __future__ import annotations

import asyncio

import httpx

from .server import Sandbox
from .state import Webhook

LONGEST_WAIT = 60.0
"""Seconds between two tries of one update, at most."""
ANSWER_TIMEOUT = 60.0
"""Seconds the webhook has to answer."""


class WebhookSender:
    """Delivers pending updates while a webhook is set."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._current: Webhook | None = None
        self._free = asyncio.Semaphore(1)

    async def run(self) -> None:
        """Start a worker for each queue with something to deliver; ends only by cancellation."""
        world = self._sandbox.world
        while not world.webhook.url:
            await self._sandbox.signal.wait()
        # Made only now: it loads the certificate store, and most sandboxes never push.
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT) as client:
            try:
                while True:
                    change = self._sandbox.signal.wait()
                    await self._follow(world.webhook)
                    if world.webhook.url:
                        for queue in {update.queue for update in world.pending_updates()}:
                            self._start(client, queue, world.webhook)
                    await change
            finally:
                await self._stop_workers()

    async def _follow(self, webhook: Webhook) -> None:
        """Drop the workers of an earlier webhook; what they had in flight stays pending."""
        if webhook is not self._current:
            await self._stop_workers()
            self._current = webhook
            self._free = asyncio.Semaphore(webhook.max_connections)

    async def _stop_workers(self) -> None:
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _start(self, client: httpx.AsyncClient, queue: str, webhook: Webhook) -> None:
        worker = self._workers.get(queue)
        if worker is None or worker.done():
            deliver = self._deliver_queue(client, queue, webhook)
            self._workers[queue] = asyncio.create_task(deliver)

    async def _deliver_queue(self, client: httpx.AsyncClient, queue: str, webhook: Webhook) -> None:
        failures, last = 0, 0
        while True:
            waiting = [u for u in self._sandbox.world.pending_updates() if u.queue == queue]
            if not waiting:
                return
            update = waiting[0]
            failures = failures if update.id == last else 0
            last = update.id
            async with self._free:
                error = await _deliver(client, webhook, update.body())
            if error is None:
                self._sandbox.world.drop_update(update.id)
            else:
                failures += 1
                self._note_error(webhook, error)
            self._sandbox.save()
            if error is not None:
                wait = 0.0 if failures == 1 else min(LONGEST_WAIT, 2.0 ** (failures - 1))
                await asyncio.sleep(wait * self._sandbox.settings.webhook_retry)

    def _note_error(self, webhook: Webhook, error: str) -> None:
        webhook.last_error_date = self._sandbox.world.today()
        webhook.last_error_message = error
        self._sandbox.world.touch("meta", "webhook")


async def _deliver(
    client: httpx.AsyncClient, webhook: Webhook, body: dict[str, object]
) -> str | None:
    """Post one update; None when it was taken, else Telegram's words for the failure."""
    secret = webhook.secret_token
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
    try:
        answer = await client.post(webhook.url, json=body, headers=headers)
    except httpx.TimeoutException:
        return "Read timeout expired"
    except httpx.TransportError:
        return "Connection refused"
    if answer.is_success:
        return None
    return f"Wrong response from the webhook: {answer.status_code} {answer.reason_phrase}"
