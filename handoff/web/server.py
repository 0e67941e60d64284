"""The HTTP server that stops at once, although browsers keep event streams open for hours."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI


class DeskServer(uvicorn.Server):
    """Ends streams and sockets itself before it waits for requests to finish.

    uvicorn tells an application of the shutdown only after its last request, which for an event
    stream never ends: it would wait for `timeout_graceful_shutdown` and then log a traceback.
    """

    def __init__(
        self, config: uvicorn.Config, once_up: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        super().__init__(config)
        self._once_up = once_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then call `once_up`: what it does may need this very server (the encoder)."""
        await super().startup(sockets)
        if self._once_up is not None and not self.should_exit:
            await self._once_up()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hang up, then shut down as usual."""
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "hang_up"):
            await app.state.hang_up()
        await super().shutdown(sockets)
