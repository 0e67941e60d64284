"""A network between a client and a server that can die in the ways real networks do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Network:
    """Forwards connections. What has died stays open at both ends and carries nothing."""

    def __init__(self, target: str) -> None:
        self._host, self._port = urlsplit(target).hostname, urlsplit(target).port
        self._dead: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self.opened = 0

    def die(self) -> None:
        """Swallow from now on whatever the connections open at this moment carry."""
        self._dead |= self._open

    def reset(self) -> None:
        """Cut the connections open at this moment."""
        for writer in list(self._open):
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection both ways until either end closes it."""
        self.opened += 1
        there, back = await asyncio.open_connection(self._host, self._port)
        both = {writer, back}
        self._open |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back))
                group.create_task(self._pass_on(there, writer))
        except* OSError:
            pass  # an end has gone away: what a network is for
        finally:
            self._open -= both
            self._dead -= both
            for end in both:
                end.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if sink not in self._dead:
                sink.write(data)
                await sink.drain()
        raise ConnectionResetError


@asynccontextmanager
async def network(target: str) -> AsyncIterator[tuple[Network, str]]:
    """Put a network before the server at `target`; yield it and the address of its near end."""
    between = Network(target)
    server = await asyncio.start_server(between.carry, "127.0.0.1", 0)
    try:
        yield between, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        between.reset()
