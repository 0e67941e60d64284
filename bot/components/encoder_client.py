"""Asks the shared sentence encoder for vectors over HTTP."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections import OrderedDict
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Dict, List, NamedTuple, Optional, Sequence, Text, Tuple
from urllib.parse import urlsplit

import numpy as np

from rasa.shared.exceptions import RasaException

URL_VARIABLE = "HANDOFF_ENCODER_URL"
TOKEN_VARIABLE = "HANDOFF_INTERNAL_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8000"
#: The encoder refuses more texts in one request.
MOST_TEXTS = 256
#: Texts in one request of many: few, so that a large encoder on a busy core answers them within the
#: time a request has.
BATCH = 32
#: Vectors kept in memory, about 1.5 kB each: a message is parsed once for the decision and once
#: more for the answer.
REMEMBERED = 512


class EncoderUnavailable(RasaException):
    """The shared encoder could not be reached, or gave no usable answer."""


class EncoderChanged(RasaException):
    """The encoder serving now is another than the one the model was trained with."""


class Encoded(NamedTuple):
    """Vectors, one a row, and the digest of the encoder they come from."""

    vectors: np.ndarray
    digest: Text


class _Connection:
    """A keep-alive connection for POST requests to one address.

    One small request a customer's message: `requests` takes 0.58 ms of the processor for it, the
    standard library 0.15. No proxy of the environment comes between. For one thread at a time, as
    Rasa runs its graph.
    """

    def __init__(self, url: Text, connect_seconds: float, read_seconds: float) -> None:
        self._url = url
        self._seconds = (connect_seconds, read_seconds)
        self._open: Optional[HTTPConnection] = None

    def post(self, path: Text, content: bytes, headers: Dict[Text, Text]) -> Tuple[int, bytes]:
        """Status and body of the answer to JSON.

        A server closes a connection that was idle for some seconds, which shows only when it is
        used again; the request, which must bear being sent twice, is then sent once more.

        Raises:
            OSError: no connection, no answer in time, or one that broke off.
            ValueError: the address is none.
            HTTPException: the answer is not HTTP, or not whole.
        """
        if self._open is not None:
            try:
                return self._exchange(self._open, path, content, headers)
            except (ConnectionError, ssl.SSLError):
                pass  # idle for too long: a new connection is opened below
        self._open = self._connected()
        return self._exchange(self._open, path, content, headers)

    def _connected(self) -> HTTPConnection:
        parts = urlsplit(self._url)
        kind = {"http": HTTPConnection, "https": HTTPSConnection}.get(parts.scheme)
        if kind is None or not parts.hostname:
            raise ValueError("no address of a server")
        connect_seconds, read_seconds = self._seconds
        port = parts.port or kind.default_port
        connection = kind(parts.hostname, port, timeout=connect_seconds)
        connection.connect()
        connection.sock.settimeout(read_seconds)
        return connection

    def _exchange(
        self, connection: HTTPConnection, path: Text, content: bytes, headers: Dict[Text, Text]
    ) -> Tuple[int, bytes]:
        sent = {**headers, "Content-Type": "application/json"}
        try:
            connection.request("POST", urlsplit(self._url).path + path, content, sent)
            answer = connection.getresponse()
            found = answer.status, answer.read()
        except BaseException:
            self._close(connection)
            raise
        if connection.sock is None:  # the server takes no other request on it
            self._close(connection)
        return found

    def _close(self, connection: HTTPConnection) -> None:
        self._open = None
        connection.close()


class EncoderClient:
    """One keep-alive connection to `POST {url}/v1/embed`.

    Args:
        url: address of the encoder; without it the environment's `HANDOFF_ENCODER_URL`.
        token: sent as bearer token; without it the environment's `HANDOFF_INTERNAL_TOKEN`.
        connect_seconds: the longest wait for a connection.
        read_seconds: the longest wait for an answer.
    """

    def __init__(
        self,
        url: Optional[Text] = None,
        token: Optional[Text] = None,
        connect_seconds: float = 3.0,
        read_seconds: float = 30.0,
    ) -> None:
        self.url = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
        self._token = token or os.environ.get(TOKEN_VARIABLE) or ""
        self._connection = _Connection(self.url, connect_seconds, read_seconds)
        self._remembered: "OrderedDict[Text, np.ndarray]" = OrderedDict()
        self._digest: Optional[Text] = None

    def encode(self, texts: Sequence[Text], batch: int = BATCH) -> Encoded:
        """Vectors of texts, in their order; each different text is asked for once.

        Raises:
            EncoderUnavailable: no connection, an error status, or an answer of another shape.
            EncoderChanged: the encoder changed between two batches.
        """
        unique = list(OrderedDict.fromkeys(texts))
        found: Dict[Text, np.ndarray] = {}
        digests = set()
        step = min(batch, MOST_TEXTS)
        for start in range(0, len(unique), step):
            part = self._ask(unique[start : start + step])
            digests.add(part.digest)
            found.update(zip(unique[start : start + step], part.vectors))
        if len(digests) > 1:
            raise EncoderChanged(f"The encoder at {self.url} changed while it was being asked.")
        rows = np.vstack([found[text] for text in texts]) if texts else np.zeros((0, 0))
        return Encoded(rows, digests.pop() if digests else "")

    def encode_one(self, text: Text) -> Encoded:
        """The vector of one text as a row, from memory where it was asked for lately."""
        if text in self._remembered and self._digest is not None:
            self._remembered.move_to_end(text)
            return Encoded(self._remembered[text], self._digest)
        answer = self._ask([text])
        if answer.digest != self._digest:
            self._remembered.clear()
            self._digest = answer.digest
        self._remembered[text] = answer.vectors
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return answer

    def digest(self) -> Text:
        """Digest of the encoder serving now."""
        return self._ask(["digest"]).digest

    def _ask(self, texts: List[Text]) -> Encoded:
        body = json.dumps({"texts": texts, "encoding_format": "base64"}).encode()
        if not (self._token.isascii() and self._token.isprintable()):
            raise EncoderUnavailable(f"{TOKEN_VARIABLE} holds characters that cannot be sent.")
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            status, content = self._connection.post("/v1/embed", body, headers)
        except (OSError, ValueError, HTTPException) as error:
            raise EncoderUnavailable(
                f"The sentence encoder at {self.url} cannot be reached "
                f"({type(error).__name__}). Start it, or set {URL_VARIABLE}."
            ) from error
        if status != 200:
            raise EncoderUnavailable(
                f"The sentence encoder at {self.url} answered {status}"
                + (f"; check {TOKEN_VARIABLE}." if status in (401, 403) else ".")
            )
        return self._read(content, len(texts))

    def _read(self, content: bytes, count: int) -> Encoded:
        try:
            body = json.loads(content)
            raw, dimension = body["vectors"], int(body["dimension"])
            flat = (
                np.frombuffer(base64.b64decode(raw), dtype="<f4")
                if isinstance(raw, str)
                else np.asarray(raw, dtype="<f4")
            )
            return Encoded(flat.reshape(count, dimension).astype(np.float32), str(body["digest"]))
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderUnavailable(
                f"The sentence encoder at {self.url} gave an answer of another shape "
                f"({type(error).__name__}: {error})."
            ) from error
