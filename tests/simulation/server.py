"""Starts the Bot API simulator for a test: in a thread of its own, on a free port."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from agent_console.sandbox.app import create_sandbox, listen
from agent_console.sandbox.server import Sandbox

TOKEN = "1:SIM"
GROUP = -1001000000001
START_SECONDS = 10.0


@contextmanager
def start_sandbox(**settings: Any) -> Iterator[str]:
    """Run the simulator and yield its base URL, such as http://127.0.0.1:54321.

    Settings are those of `agent_console.sandbox.server.Settings`; limits are off unless given.
    Raises RuntimeError when it does not start.
    """
    with running_sandbox(**settings) as (url, _):
        yield url


@contextmanager
def running_sandbox(**settings: Any) -> Iterator[tuple[str, Sandbox]]:
    """Like `start_sandbox`, and yields the Sandbox too; touch it only to read."""
    app = create_sandbox(**{"token": TOKEN, "limits": "off", **settings})
    with listen(0) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            if not server.ready.wait(START_SECONDS):
                raise RuntimeError("the sandbox did not start")
            yield f"http://127.0.0.1:{port}", app.state.sandbox
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        # As uvicorn's, but it looks ten times as often whether the test is over.
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864000
            await asyncio.sleep(0.01)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class Bot:
    """Calls the Bot API with plain HTTP, as a bot without a library would."""

    def __init__(self, url: str, token: str = TOKEN) -> None:
        # Plain http: without `verify=False` every client would load the certificate store first.
        self._http = httpx.Client(base_url=f"{url}/bot{token}/", timeout=30, verify=False)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer, refused or not, with the HTTP status checked against it."""
        answer = self._http.post(method, json=params)
        body = answer.json()
        assert answer.status_code == (200 if body["ok"] else body["error_code"])
        return body

    def ok(self, method: str, **params: Any) -> Any:
        """The result of a call that must succeed."""
        body = self.call(method, **params)
        assert body["ok"], body
        return body["result"]

    def refused(self, method: str, **params: Any) -> str:
        """The description of a call that must be refused."""
        body = self.call(method, **params)
        assert not body["ok"], body
        return body["description"]

    def updates(self, **params: Any) -> list[dict[str, Any]]:
        """getUpdates without waiting, unless `timeout` is given."""
        return self.ok("getUpdates", **params)


class People:
    """Plays people through /sim."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/sim/", timeout=70, verify=False)

    def get(self, path: str, **params: Any) -> Any:
        """A GET that must succeed."""
        answer = self._http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, path: str, **body: Any) -> Any:
        """A POST that must succeed."""
        answer = self._http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, **body: Any) -> tuple[int, str]:
        """Status and sentence of a POST that must be refused."""
        answer = self._http.post(path, json=body)
        assert 400 <= answer.status_code < 500, answer.text
        return answer.status_code, answer.json()["error"]

    def write(self, user_id: int, text: str, chat_id: int = GROUP, **more: Any) -> dict[str, Any]:
        """Write a message and return its view."""
        return self.do("messages", user_id=user_id, chat_id=chat_id, text=text, **more)

    def clear_faults(self) -> None:
        """Forget all faults still to come."""
        assert self._http.delete("faults").status_code == 200


def run_async(coroutine: Any) -> Any:
    """Run a coroutine in a fresh event loop."""
    return asyncio.run(coroutine)
