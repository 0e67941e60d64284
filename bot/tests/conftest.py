"""A small encoder and a small shop, for tests of the assistant."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
import pytest

from bot.actions import store
from bot.actions.sample_shop import SampleShop

DIMENSION = 64


def word_vectors(texts: List[str]) -> np.ndarray:
    """Unit vectors: the sum of a fixed random direction for every word."""
    rows = []
    for text in texts:
        row = np.zeros(DIMENSION)
        for word in re.findall(r"[a-z]+", text.lower()) or ["?"]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            row += np.random.RandomState(seed).normal(size=DIMENSION)
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, dtype="<f4")


class FakeServer:
    """An HTTP server whose answers a function gives; it remembers what it was asked."""

    def __init__(self, reply: Callable[[str, str, Any], Any]) -> None:
        """`reply` gets method, path and body, and returns a status and a body."""
        self.requests: List[Dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append({"path": self.path, "body": body, "headers": headers})
                status, answer = reply(self.command, self.path, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _serve

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops the server; its port refuses connections afterwards."""
        self._server.shutdown()
        self._server.server_close()


class FakeEncoder(FakeServer):
    """The shared encoder's protocol on `word_vectors`."""

    def __init__(self) -> None:
        """Starts serving with the digest `first`."""
        self.digest = "first"
        self.status = 200
        self.as_list = False
        super().__init__(self._embed)

    def _embed(self, method: str, path: str, body: Any) -> Any:
        if self.status != 200 or path != "/v1/embed":
            return self.status if self.status != 200 else 404, {}
        vectors = word_vectors(body["texts"])
        packed: Any = base64.b64encode(vectors.tobytes()).decode()
        return 200, {
            "model": "words",
            "digest": self.digest,
            "dimension": DIMENSION,
            "encoding_format": "float" if self.as_list else "base64",
            "vectors": vectors.tolist() if self.as_list else packed,
        }


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEncoder]:
    """A serving encoder, named by the environment."""
    server = FakeEncoder()
    monkeypatch.setenv("HANDOFF_ENCODER_URL", server.url)
    monkeypatch.setenv("HANDOFF_INTERNAL_TOKEN", "secret")
    yield server
    server.close()


@pytest.fixture
def shop(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SampleShop]:
    """The sample shop in a file of its own, used by the actions."""
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.db"))
    monkeypatch.delenv("ORDER_STORE_URL", raising=False)
    store.order_store.cache_clear()
    yield SampleShop(tmp_path / "shop.db")
    store.order_store.cache_clear()


def closed_port_url() -> str:
    """An address at which nobody listens."""
    server = FakeServer(lambda method, path, body: (200, {}))
    server.close()
    return server.url


def first(items: List[Any], **wanted: Any) -> Optional[Any]:
    """The first dictionary that has the wanted values."""
    return next((i for i in items if all(i.get(k) == v for k, v in wanted.items())), None)
