"""The HTTP side: the Bot API under /bot…, the people under /sim, the page at /."""

from __future__ import annotations

import asyncio
import hmac
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from . import bot_updates
from .bot_messages import refuse_too_large
from .errors import ApiError, SimError, too_many_requests
from .faults import Fault
from .params import UPLOAD_LIMIT, Params, read_params
from .server import Sandbox, Settings
from .sim import SimRoutes, hang_up
from .webhook import WebhookSender

PAGE = Path(__file__).parent / "page"
_REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
            504: "Gateway Timeout"}  # fmt: skip
_PAGE_POLICY = "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; base-uri 'none'"


def create_sandbox(**settings: Any) -> Starlette:
    """The simulator as an ASGI application.

    Arguments are the fields of `server.Settings`. The Sandbox itself is at `app.state.sandbox`.
    Raises ValueError on a malformed token, unknown limits, or a state file of another bot.
    """
    sandbox = Sandbox(Settings(**settings))
    bot = BotApi(sandbox)

    @asynccontextmanager
    async def lifespan(app: Starlette):
        sender = asyncio.create_task(WebhookSender(sandbox).run())
        yield
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender
        if sandbox.file:
            sandbox.file.close()

    app = Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Mount("/page", StaticFiles(directory=PAGE)),
            Route("/bot{token}/{method}", bot.handle, methods=["GET", "POST"]),
            Route("/file/bot{token}/{path:path}", bot.download, methods=["GET"]),
            *SimRoutes(sandbox).routes(),
        ],
        exception_handlers={SimError: _sim_error, HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one. Raises OSError.

    asyncio switches Nagle's delay off only for sockets that name their protocol; without that
    every answer with head and body in two packets waits 40 ms for the peer's acknowledgement.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(f"cannot listen on port {port}: {error}") from None
    return listener


async def page(request: Request) -> Response:
    """The browser client."""
    headers = {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}
    return FileResponse(PAGE / "index.html", headers=headers)


def _sim_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SimError)
    return JSONResponse({"error": error.sentence}, error.status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith("/bot"):
        return JSONResponse(ApiError(error.status_code, error.detail).body(), error.status_code)
    sentence = f"{error.detail}: {request.method} {request.url.path}."
    return JSONResponse({"error": sentence}, error.status_code, headers=error.headers)


@dataclass
class BotApi:
    """Answers Bot API calls over HTTP."""

    sandbox: Sandbox

    async def handle(self, request: Request) -> Response:
        """One call: token, parameters, faults, the method, the answer."""
        method = request.path_params["method"]
        if not self._token_fits(request):
            return _refusal(ApiError(401, "Unauthorized"))
        try:
            params = await _read(request)
        except ApiError as error:
            return _refusal(error)
        fault = self.sandbox.faults.take(method.lower())
        if fault is not None and fault.kind != "accept_timeout":
            return await self._refused_by_fault(request, fault, params)
        response = await self._answer(request, method, params)
        self.sandbox.save()
        if fault is not None:
            await _withhold(request, fault.hold)
        return response

    def _token_fits(self, request: Request) -> bool:
        given = request.path_params["token"].encode()
        return hmac.compare_digest(given, self.sandbox.settings.token.encode())

    async def _answer(self, request: Request, method: str, params: Params) -> Response:
        try:
            result, words = await self._run(request, method, params)
        except ApiError as error:
            self.sandbox.log_call(method, params, error.code, {"description": error.description})
            return _refusal(error)
        brief = result if method.lower() != "getupdates" else {"updates": len(result)}
        self.sandbox.log_call(method, params, 200, {"result": brief})
        body = {"ok": True, "result": result}
        return JSONResponse({**body, "description": words} if words else body)

    async def _run(self, request: Request, method: str, params: Params) -> tuple[Any, str]:
        """The result, and the description that setWebhook and deleteWebhook add."""
        world, name = self.sandbox.world, method.lower()
        if name == "getupdates":
            return await self.sandbox.get_updates(params, hang_up(request)), ""
        if name == "setwebhook":
            words = bot_updates.set_webhook(world, params)
            if world.webhook.url:
                self.sandbox.end_poll("Conflict: terminated by setWebhook request")
            self.sandbox.signal.notify()
            return True, words
        if name == "deletewebhook":
            words = bot_updates.delete_webhook(world, params)
            self.sandbox.signal.notify()
            return True, words
        return self.sandbox.run(name, params), ""

    async def _refused_by_fault(self, request: Request, fault: Fault, params: Params) -> Response:
        method = request.path_params["method"]
        if fault.kind == "drop":
            self.sandbox.log_call(method, params, 0, {"description": "connection dropped"})
            await _withhold(request, 0)
        if fault.kind == "flood":
            error = too_many_requests(fault.retry_after)
        else:
            error = ApiError(fault.status, _REASONS.get(fault.status, "Server Error"))
        self.sandbox.log_call(method, params, error.code, {"description": error.description})
        return _refusal(error)

    async def download(self, request: Request) -> Response:
        """A file by the `file_path` that getFile gave."""
        if not self._token_fits(request):
            return _refusal(ApiError(401, "Unauthorized"))
        path, world = request.path_params["path"], self.sandbox.world
        for stored in world.files.values():
            if stored.path == path:
                return Response(world.blobs[stored.id], media_type="application/octet-stream")
        return _refusal(ApiError(404, "Not Found"))


async def _read(request: Request) -> Params:
    refuse_too_large(int(request.headers.get("content-length", 0)), UPLOAD_LIMIT)
    body = await request.body()
    refuse_too_large(len(body), UPLOAD_LIMIT)
    return read_params(request.url.query, request.headers.get("content-type", ""), body)


def _refusal(error: ApiError) -> Response:
    return JSONResponse(error.body(), error.code)


async def _withhold(request: Request, seconds: float) -> None:
    """Keep the connection open for `seconds`, then close it without an answer.

    ASGI has no message for this; uvicorn's request object, whose bound method `receive` is, has
    the transport. Raises RuntimeError under another server, which could only answer 500.
    """
    waiting = asyncio.create_task(hang_up(request))
    await asyncio.wait({waiting}, timeout=seconds)
    transport = getattr(getattr(request.receive, "__self__", None), "transport", None)
    if transport is None:
        waiting.cancel()
        raise RuntimeError("closing a connection without an answer needs uvicorn")
    transport.abort()
    await waiting
