"""Which pages of other origins a browser lets talk to the desk.

The desk's own chat is open to any: it has no cookie that could be abused. What speaks Rasa's
protocols is opened by the owner, as Rasa's is by `--cors`.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

ANY = "*"
"""The origin that stands for every one, as in Rasa."""


class Cors:
    """Answers preflights and adds the headers, each part of the desk by its own rule.

    Args:
        app: what answers the requests themselves.
        chat: beginning of the addresses that pages of any origin may use.
        rasa: beginnings of the addresses that pages of `origins` may use.
        origins: such as `https://shop.example`; `*` is any, none at all opens nothing.
    """

    def __init__(
        self, app: ASGIApp, chat: str, rasa: Sequence[str], origins: Sequence[str]
    ) -> None:
        self._app, self._chat, self._rasa = app, chat, tuple(rasa)
        self._for_chat = CORSMiddleware(
            app,
            allow_origins=[ANY],
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "Last-Event-ID"],
            max_age=86_400,
        )
        # A client may ask with credentials, as older ones always do, and then a browser wants its
        # own origin named: an expression that matches all of them does that.
        self._for_rasa = CORSMiddleware(
            app,
            allow_origins=[origin for origin in origins if origin != ANY],
            allow_origin_regex=".*" if ANY in origins else None,
            allow_methods=["GET", "POST", "OPTIONS"],
            allow_headers=[ANY],
            allow_credentials=True,
            max_age=86_400,
        )
        self._opened = bool(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith(self._chat):
                app = self._for_chat
            elif self._opened and path.startswith(self._rasa):
                app = self._for_rasa
        await app(scope, receive, send)
