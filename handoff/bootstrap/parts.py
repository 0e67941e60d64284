"""What every command of the desk opens: logs, database, assistant, encoder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.logs import configure_logging
from handoff.adapters.rasa import RasaAssistant
from handoff.bootstrap.encoders import open_encoder
from handoff.core.errors import BadSetting
from handoff.learning.training_files import intents_in
from handoff.ports import Store
from handoff.settings import Settings
from handoff.web.embed import create_embed_app

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def log_to_stderr(settings: Settings, level: int = logging.INFO) -> None:
    """Log from `level` on, with every secret of the settings blotted out."""
    secrets = [
        settings.bot_token,
        settings.internal_token.get_secret_value(),
        settings.rasa_token.get_secret_value(),
        settings.order_store_token.get_secret_value(),
    ]
    configure_logging(secrets, level)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Bring the database up to date and open it."""
    await upgrade(settings.database)
    engine = make_engine(settings.database)
    try:
        yield DatabaseStore(engine)
    finally:
        await engine.dispose()


def open_assistant(settings: Settings) -> RasaAssistant:
    """Return the live assistant."""
    return RasaAssistant(settings.rasa_url, settings.rasa_token.get_secret_value())


def known_intents(settings: Settings) -> list[str]:
    """Return every intent the training files name, shipped and learned."""
    return intents_in(settings.training_data)


def check_exposure(settings: Settings) -> None:
    """Refuse to open the encoder and the metrics to a network without a token."""
    if settings.host not in LOOPBACK and not settings.internal_token.get_secret_value():
        why = f"it must be set when HANDOFF_HOST is {settings.host}, which others can reach"
        raise BadSetting(name="HANDOFF_INTERNAL_TOKEN", why=why)


@asynccontextmanager
async def encoder_service(
    settings: Settings, encoder: SentenceEncoder | None = None
) -> AsyncIterator[str]:
    """Yield the address of an encoder: the running gateway's, or one served while needed.

    With an `encoder` given, that one is loaded and served, whatever else runs.
    """
    if encoder is None and await _gateway_runs(settings):
        yield settings.local_url
        return
    encoder = encoder or open_encoder(settings, os.cpu_count() or 1)
    await encoder.load()
    token = settings.internal_token.get_secret_value()
    # asyncio switches Nagle's algorithm off only where the protocol is named: 44 ms → 1 ms a call.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        app = create_embed_app(encoder, token, encoder.name)
        server = QuietServer(uvicorn.Config(app, log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
            encoder.close()


async def _gateway_runs(settings: Settings) -> bool:
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        try:
            return (await client.get(f"{settings.local_url}/healthz")).status_code == 200
        except httpx.HTTPError:
            return False


class QuietServer(uvicorn.Server):
    """A server inside a command: signals belong to the command, not to the server."""

    @contextlib.contextmanager
    def capture_signals(self):
        """Leave the signal handlers alone."""
        yield
