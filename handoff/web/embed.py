"""`POST /v1/embed`: the shared encoder over HTTP, for Rasa's featurizer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import Field

from handoff.channels.http import HANDLERS, Strict, WrongField, read_json
from handoff.core.limits import MESSAGE_CHARACTERS
from handoff.ports import Encoder
from handoff.web.guard import Guard

BODY_BYTES = 4 * 1024 * 1024
"""Largest body of a request for vectors, in bytes."""

TEXTS = 256
"""Most texts in one request."""

Text = Annotated[str, Field(min_length=1, max_length=MESSAGE_CHARACTERS)]


class EmbedRequest(Strict):
    """Texts to encode, and how the vectors shall be written."""

    texts: list[Text] = Field(min_length=1, max_length=TEXTS)
    encoding_format: Literal["float", "base64"] = "float"


@dataclass(slots=True)
class EmbedEndpoint:
    """Encodes texts for those the guard lets in. `model` names the encoder in the answer."""

    encoder: Encoder
    guard: Guard
    model: str

    def router(self) -> APIRouter:
        """Return the route, a plain one: by FastAPI's own a fetch takes a tenth longer."""
        router = APIRouter()
        router.add_route("/v1/embed", self.embed, methods=["POST"])
        return router

    async def embed(self, request: Request) -> Response:
        """Return a unit vector (float32) a text, as lists or as base64 of little-endian rows."""
        self.guard(request)
        body = await read_json(request, EmbedRequest, BODY_BYTES)
        _refuse_unreadable(body.texts)
        vectors = np.asarray(await self.encoder.encode(body.texts), dtype="<f4")
        compact = body.encoding_format == "base64"
        answer = {
            "model": self.model,
            "digest": self.encoder.digest,
            "dimension": int(vectors.shape[1]),
            "encoding_format": body.encoding_format,
            "vectors": base64.b64encode(vectors.tobytes()).decode()
            if compact
            else vectors.tolist(),
        }
        return Response(json.dumps(answer), media_type="application/json")


def create_embed_app(encoder: Encoder, token: str, model: str) -> FastAPI:
    """Return an application that serves the encoder alone, for training without a gateway."""
    app = FastAPI(exception_handlers=HANDLERS, openapi_url=None)  # type: ignore[arg-type]
    app.include_router(EmbedEndpoint(encoder, Guard(token), model).router())
    return app


def _refuse_unreadable(texts: list[str]) -> None:
    for index, text in enumerate(texts):
        if not text.strip():
            raise WrongField(field=f"texts.{index}", why="a text must not be empty")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise WrongField(field=f"texts.{index}", why="it is not valid Unicode text")
