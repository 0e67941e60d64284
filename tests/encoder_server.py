"""A tiny deterministic sentence encoder behind the `/v1/embed` contract, for tests.

Vectors are hashed bags of words of unit length: texts that share words are similar, and nothing
has to be loaded. The contract: `POST /v1/embed {"texts": […], "encoding_format": "base64"|"float"}`
answers `{"model", "digest", "dimension", "encoding_format", "vectors"}`, where base64 holds
little-endian float32, row by row.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.json_server import JsonHandler, served

DIMENSION = 128
MODEL = "hashed-words"
DIGEST = hashlib.sha256(f"{MODEL} {DIMENSION}".encode()).hexdigest()


def vectors_of(texts: Sequence[str]) -> np.ndarray:
    """Return one unit vector a text (float32, n × `DIMENSION`)."""
    rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in re.findall(r"\w+", text.lower()) or [""]:
            digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
            row[int.from_bytes(digest[:4], "big") % DIMENSION] += 1 if digest[4] % 2 else -1
        if not row.any():
            row[0] = 1
        row /= np.linalg.norm(row)
    return rows


class HashingEncoder:
    """Implements `ports.Encoder` with the same vectors."""

    digest = DIGEST

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        """Return one unit vector a text."""
        return list(vectors_of(texts))


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Return what the encoder answers to a request's body."""
    encoding, rows = body.get("encoding_format", "float"), vectors_of(body["texts"])
    packed = base64.b64encode(rows.astype("<f4").tobytes()).decode()
    return {
        "model": MODEL,
        "digest": DIGEST,
        "dimension": DIMENSION,
        "encoding_format": encoding,
        "vectors": packed if encoding == "base64" else rows.tolist(),
    }


class _Handler(JsonHandler):
    protocol_version = "HTTP/1.1"
    token = ""

    def do_POST(self) -> None:
        body = self.body()
        if self.path != "/v1/embed":
            self.send(404, {"error": "not found"})
        elif self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            self.send(401, {"error": "not authorised"})
        else:
            self.send(200, answer(json.loads(body)))


@contextmanager
def encoder_server(token: str = "") -> Iterator[str]:
    """Serve the encoder on a free port and yield its address; `token` must be sent as bearer."""
    with served(type("Handler", (_Handler,), {"token": token})) as address:
        yield address
