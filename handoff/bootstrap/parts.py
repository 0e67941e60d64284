"""What every command of the desk opens: logs, database, assistant, encoder."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.logs import configure_logging
from handoff.addresses import is_loopback
from handoff.bootstrap.encoders import open_encoder
from handoff.core.errors import BadSetting
from handoff.ports import Store
from handoff.settings import Settings
from handoff.web.embed import create_embed_app

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""This machine, as people write it."""


def log_to_stderr(settings: Settings, level: int = logging.INFO) -> None:
    """Log from `level` on, with every secret of the settings blotted out."""
    secrets = [
        settings.bot_token,
        settings.internal_token.get_secret_value(),
        settings.rasa_token.get_secret_value(),
        settings.order_store_token.get_secret_value(),
        settings.jwt_key.get_secret_value(),
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


def check_start(settings: Settings) -> None:
    """Refuse settings that a desk must not start with, whatever else it needs."""
    check_exposure(settings)
    _ = settings.database  # A wrong one is refused here, before minutes of training.


def check_exposure(settings: Settings) -> None:
    """Refuse to open the encoder and the metrics to a network without a token."""
    if not is_loopback(settings.host) and not settings.internal_token.get_secret_value():
        why = f"it must be set when HANDOFF_HOST is {settings.host}, which others can reach"
        raise BadSetting(name="HANDOFF_INTERNAL_TOKEN", why=why)


def check_listening(settings: Settings) -> None:
    """Refuse an address of the gateway that nothing can listen on, and a port that is taken."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as error:
        why = f"this machine does not know the host {settings.host} ({error.strerror})"
        raise BadSetting(name="HANDOFF_HOST", why=why) from None
    for family, *_, place in found:
        check_port("HANDOFF_PORT", settings.port, family, place, "HANDOFF_HOST")


def check_port(name: str, port: int, family: int, place: Any, host_from: str = "") -> None:
    """Refuse the setting `name` when nothing can listen at a place, as `bind` takes it.

    Where the host stands in another setting than the port, `host_from` names that.
    """
    try:
        with _bound(family, place):
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} is taken; perhaps the desk is running already"
            raise BadSetting(name=name, why=why) from None
        if error.errno == errno.EACCES:
            why = f"port {port} needs more rights than this user has; take one above 1023"
            raise BadSetting(name=name, why=why) from None
        why = f"{place[0]} is not an address of this machine ({error.strerror})"
        raise BadSetting(name=host_from or name, why=why) from None


def _bound(family: int, place: Any) -> socket.socket:
    """Return a socket that is bound as the servers' own are, `::` for IPv4 as well."""
    # asyncio switches Nagle's algorithm off only where the protocol is named: 44 ms → 1 ms a call.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port that is only cooling down is free.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place[0] != "::")
        made.bind(place)
    except OSError:
        made.close()
        raise
    return made


def sockets_of(settings: Settings) -> list[socket.socket] | None:
    """Return what the gateway listens on, or None where its host and port say all.

    The event loop takes `::` for IPv6 alone; whoever writes it means every address.
    """
    return [_bound(socket.AF_INET6, ("::", settings.port))] if settings.host == "::" else None


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
    with _bound(socket.AF_INET, ("127.0.0.1", 0)) as listener:
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
