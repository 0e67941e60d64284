"""A Rasa server of one's own, for measuring a model before anybody talks to it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType

import httpx

from handoff.core.errors import AssistantUnavailable
from handoff.learning import rasa_process
from handoff.learning.project import Project

START_SECONDS = 300.0
"""Longest wait for a server to answer, in seconds: 9 s alone, half a minute with TensorFlow, more
on a busy machine."""

POLL_SECONDS = 0.2
"""Pause between two looks at a server that is starting, in seconds."""

NO_MODEL = 409
"""Rasa's status when it runs and could not load its model."""

NO_ACTIONS = "http://127.0.0.1:9/webhook"
"""Address of an action server that is not there; measuring what is understood needs none."""


class RasaServer:
    """`rasa run` on a free port of this machine: `async with RasaServer(…) as server`.

    `url` and `token` tell how to reach it. The tracker store is a file in a temporary folder.

    Args:
        model: the model file to serve.
        bot: the assistant's project (components, `endpoints.yml`, `credentials.yml`).
        rasa_venv: Rasa's environment.
        encoder_url: where the components find the shared encoder.
        internal_token: opens the encoder.
        action_endpoint_url: the action server.
    """

    def __init__(
        self,
        model: Path,
        bot: Path,
        rasa_venv: Path,
        encoder_url: str,
        internal_token: str,
        action_endpoint_url: str = NO_ACTIONS,
    ) -> None:
        self._model = model.resolve()
        self._bot = bot.resolve()
        self._venv = rasa_venv.absolute()
        self._encoder = (encoder_url, internal_token)
        self._actions = action_endpoint_url
        self._stack = contextlib.AsyncExitStack()
        self.token = secrets.token_hex(16)
        self.url = ""

    async def __aenter__(self) -> RasaServer:
        """Start the server; raise `AssistantUnavailable` with its last lines when it dies."""
        async with self._stack as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handoff-rasa-")))
        if not rasa_process.python_of(self._venv).exists():
            raise AssistantUnavailable(why=f"there is no Rasa environment at {self._venv}")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        log = folder / "rasa.log"
        with log.open("wb") as output:
            process = await rasa_process.start(
                self._venv,
                self._arguments(port, folder),
                self._environment(folder),
                folder,
                output.fileno(),
            )
        stack.push_async_callback(rasa_process.stop, process)
        await self._until_ready(process, log)

    def _arguments(self, port: int, folder: Path) -> list[str]:
        arguments = ["run", "--enable-api", "-i", "127.0.0.1", "-p", str(port)]
        arguments += ["--model", str(self._model), "--auth-token", self.token]
        return arguments + Project(self._bot, self._bot).serving(folder)

    def _environment(self, folder: Path) -> dict[str, str]:
        return {
            **rasa_process.environment(self._bot, *self._encoder),
            "ACTION_ENDPOINT_URL": self._actions,
            "RASA_TRACKER_DB": str(folder / "tracker.db"),
        }

    async def _until_ready(self, process: asyncio.subprocess.Process, log: Path) -> None:
        """Return once `/status` names a model."""
        deadline = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient(base_url=self.url, timeout=5.0, trust_env=False) as client:
            while time.monotonic() < deadline:
                if process.returncode is not None:
                    raise AssistantUnavailable(why=f"it ended: {self._last_words(log)}")
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get("/status", params={"token": self.token})
                    if answer.status_code == 200:
                        return
                    if answer.status_code == NO_MODEL:  # it loads before it listens
                        raise AssistantUnavailable(why=f"no model: {self._last_words(log)}")
                await asyncio.sleep(POLL_SECONDS)
        raise AssistantUnavailable(
            why=f"not ready within {START_SECONDS:g} seconds: {self._last_words(log)}"
        )

    def _last_words(self, log: Path) -> str:
        lines = log.read_text("utf-8", errors="replace").splitlines()
        return rasa_process.last_words(lines, self._encoder[1]).replace(self.token, "…")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
