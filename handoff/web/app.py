"""The ASGI application: everything that HTTP clients reach."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI

from handoff.app.greet import Greet
from handoff.app.receive import Receive
from handoff.app.take_turn import TakeTurn
from handoff.channels.cors import Cors
from handoff.channels.http import HANDLERS
from handoff.channels.meters import Meters
from handoff.channels.page import PREFIX as CHAT
from handoff.channels.page import HideSessions, PageChannel
from handoff.channels.rasa_rest import RasaRestChannel
from handoff.channels.rasa_socketio import PATH as SOCKET_PATH
from handoff.channels.rasa_socketio import RasaSocketChannel
from handoff.channels.turns import Turns
from handoff.channels.widgets import WidgetOptions
from handoff.core.model import Obstacle
from handoff.ports import Assistant, Clock, Doorbell, Encoder, Store
from handoff.web.embed import EmbedEndpoint
from handoff.web.guard import Guard
from handoff.web.status import StatusEndpoints

WEBHOOKS = "/webhooks/"
"""Beginning of the addresses of Rasa's channels but Socket.IO."""

Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing: the default of the hooks."""


@dataclass(slots=True)
class WebServices:
    """What the web application needs.

    `internal_token` opens `/v1/embed` and `/metrics`; empty, only this machine may call them.
    `widgets` is how Rasa's channels are opened. `encoder_name` is told to whoever asks for vectors,
    `obstacle` what keeps people from being reached. `startup` and `shutdown` run around the
    application's life, in the server's event loop.
    """

    store: Store
    clock: Clock
    bell: Doorbell
    receive: Receive
    take_turn: TakeTurn
    encoder: Encoder
    assistant: Assistant
    internal_token: str = ""
    widgets: WidgetOptions = field(default_factory=WidgetOptions)
    encoder_name: str = "sentence-encoder"
    obstacle: Callable[[], Obstacle | None] | None = None
    startup: Hook = nothing
    shutdown: Hook = nothing


def create_app(services: WebServices) -> FastAPI:
    """Return the application with every channel and endpoint mounted."""
    meters = Meters()
    store, clock, bell, widgets = services.store, services.clock, services.bell, services.widgets
    take_turn = services.take_turn
    greet = Greet(store, clock, bell, services.assistant, take_turn, widgets.openings)
    turns = Turns(store, bell, services.receive, take_turn, greet, meters)
    page = PageChannel(store, clock, bell, turns)
    rest = RasaRestChannel(store, turns, widgets)
    sockets = RasaSocketChannel(store, bell, turns, widgets)
    guard = Guard(services.internal_token)
    embed = EmbedEndpoint(services.encoder, guard, services.encoder_name)
    status = StatusEndpoints(
        services.store, services.encoder, services.assistant, meters, guard, services.obstacle
    )

    async def hang_up() -> None:
        page.hang_up()
        await sockets.hang_up()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        access_log = logging.getLogger("uvicorn.access")
        hide = HideSessions()
        access_log.addFilter(hide)
        await services.startup()
        try:
            yield
        finally:
            await sockets.close()
            await turns.drain()
            await services.shutdown()
            access_log.removeFilter(hide)

    app = FastAPI(
        title="Handoff Desk",
        lifespan=lifespan,
        exception_handlers=HANDLERS,  # type: ignore[arg-type]
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(sockets.around)  # type: ignore[arg-type]
    rasa = (WEBHOOKS, SOCKET_PATH)
    app.add_middleware(Cors, chat=CHAT, rasa=rasa, origins=widgets.origins)
    for part in (page, rest, sockets, embed, status):
        app.include_router(part.router())
    app.state.turns, app.state.sockets = turns, sockets
    app.state.hang_up = hang_up
    return app
