"""The encoder's client and the featurizer, against an encoder over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, List, Sequence, Tuple

import numpy as np
import pytest

from bot.components.encoder_client import (
    TOKEN_VARIABLE,
    EncoderChanged,
    EncoderClient,
    EncoderUnavailable,
)
from bot.components.vectors import SentenceVectorFeaturizer
from bot.tests.conftest import FakeEncoder, closed_port_url, word_vectors
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData


def featurizer(folder: Path, **config: object) -> SentenceVectorFeaturizer:
    """An untrained featurizer."""
    return SentenceVectorFeaturizer.create(
        {**SentenceVectorFeaturizer.get_default_config(), **config},
        LocalModelStorage(folder),
        Resource("vectors"),
        ExecutionContext(GraphSchema({}), node_name="vectors"),
    )


def reloaded(folder: Path) -> SentenceVectorFeaturizer:
    """What a new process loads."""
    return SentenceVectorFeaturizer.load(
        SentenceVectorFeaturizer.get_default_config(),
        LocalModelStorage(folder),
        Resource("vectors"),
        ExecutionContext(GraphSchema({}), node_name="vectors"),
    )


def examples(texts: List[str]) -> TrainingData:
    """Training data of one intent."""
    return TrainingData([Message.build(text, "check_it") for text in texts])


@pytest.mark.parametrize("as_list", [False, True])
def test_each_text_is_asked_for_once_in_batches(encoder: FakeEncoder, as_list: bool) -> None:
    encoder.as_list = as_list
    texts = [f"text number {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300)]
    found = EncoderClient().encode(texts + texts, batch=128)
    asked = [len(r["body"]["texts"]) for r in encoder.requests]
    assert asked == [128, 128, 44]
    np.testing.assert_allclose(found.vectors, word_vectors(texts + texts), atol=1e-6)
    assert {r["headers"]["authorization"] for r in encoder.requests} == {"Bearer secret"}
    assert found.digest == "first"


def test_settings_override_the_environment(encoder: FakeEncoder) -> None:
    other = FakeEncoder()
    EncoderClient(other.url + "/", "own").encode(["a"])
    other.close()
    assert not encoder.requests
    assert other.requests[0]["headers"]["authorization"] == "Bearer own"


def test_an_unreachable_encoder_is_named() -> None:
    url = closed_port_url()
    with pytest.raises(EncoderUnavailable, match=f"{url}.*HANDOFF_ENCODER_URL"):
        EncoderClient(url).encode(["a"])


def test_a_refused_token_is_named(encoder: FakeEncoder) -> None:
    encoder.status = 401
    with pytest.raises(EncoderUnavailable, match="401; check HANDOFF_INTERNAL_TOKEN"):
        EncoderClient().encode_one("a")


VECTOR = json.dumps({"digest": "d", "dimension": 1, "vectors": [[1.0]]}).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(VECTOR), VECTOR)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
    len(VECTOR),
    VECTOR,
)


class Scripted:
    """A server that gives each connection the raw answers of one list, and then hangs up."""

    def __init__(self, *connections: List[bytes]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.heads: List[str] = []
        self._thread = threading.Thread(target=self._serve, args=(connections,), daemon=True)
        self._thread.start()

    def _serve(self, connections: Sequence[List[bytes]]) -> None:
        for answers in connections:
            stream, _ = self._socket.accept()
            with stream, stream.makefile("rb") as lines:
                for answer in answers:
                    self.heads.append(self._request(lines))
                    stream.sendall(answer)

    @staticmethod
    def _request(lines: BinaryIO) -> str:
        head: List[str] = []
        while not head or head[-1] != "\r\n":
            line = lines.readline().decode()
            assert line, "the client has hung up"
            head.append(line)
        lines.read(int("".join(head).lower().split("content-length: ")[1].split()[0]))
        return "".join(head)

    def hung_up(self) -> None:
        """Returns once every connection is closed."""
        self._thread.join(5)
        assert not self._thread.is_alive()

    def close(self) -> None:
        """Stops listening."""
        self._socket.close()


@contextmanager
def scripted(*connections: List[bytes]) -> Iterator[Scripted]:
    """A server of raw answers."""
    server = Scripted(*connections)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
def test_one_connection_carries_many_requests(answer: bytes) -> None:
    with scripted([answer, answer, answer]) as server:
        client = EncoderClient(server.url + "/below")
        for text in ("a", "b", "c"):
            np.testing.assert_array_equal(client.encode_one(text).vectors, [[1.0]])
        server.hung_up()
    assert {head.split("\r\n")[0] for head in server.heads} == {"POST /below/v1/embed HTTP/1.1"}
    assert len(server.heads) == 3


def test_after_the_server_has_hung_up_it_is_asked_on_a_new_connection() -> None:
    with scripted([WHOLE], [WHOLE]) as server:
        client = EncoderClient(server.url)
        for text in ("a", "b"):
            np.testing.assert_array_equal(client.encode_one(text).vectors, [[1.0]])


def test_a_server_that_takes_one_request_a_connection_is_obeyed() -> None:
    last = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    with scripted([last], [last]) as server:
        client = EncoderClient(server.url)
        for text in ("a", "b"):
            np.testing.assert_array_equal(client.encode_one(text).vectors, [[1.0]])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "RemoteDisconnected"),
        (WHOLE[:-3], "IncompleteRead"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "BadStatusLine"),
    ],
)
def test_an_answer_that_breaks_off_or_is_no_http(answer: bytes, why: str) -> None:
    with scripted([answer], [WHOLE]) as server:
        client = EncoderClient(server.url)
        with pytest.raises(EncoderUnavailable, match=f"cannot be reached .{why}"):
            client.encode_one("a")
        np.testing.assert_array_equal(client.encode_one("a").vectors, [[1.0]])


def test_a_silent_server_is_waited_for_so_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EncoderUnavailable, match="cannot be reached .(timeout|TimeoutError)"):
            EncoderClient(url, read_seconds=0.05).encode_one("a")


@pytest.mark.parametrize(
    "url", ["somewhere", "ftp://127.0.0.1", "http://", "http://a:b", "http://["]
)
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(EncoderUnavailable, match="HANDOFF_ENCODER_URL"):
        EncoderClient(url).encode_one("a")


@pytest.mark.parametrize("token", ["secret\r\nX-Other: yes", "secret\n", "sécret"])
def test_a_token_that_cannot_be_sent_is_named_and_not_shown(token: str) -> None:
    with scripted() as server, pytest.raises(EncoderUnavailable, match=TOKEN_VARIABLE) as refusal:
        EncoderClient(server.url, token, read_seconds=0.5).encode_one("a")
    assert "cret" not in str(refusal.value)
    assert refusal.value.__cause__ is refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "port"), [("http://[::1]", 80), ("https://[::1]", 443), ("http://[::1]:8001", 8001)]
)
def test_the_port_is_the_addresss_or_the_usual_one(
    url: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(address: Tuple[str, int], *_: object, **__: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(EncoderUnavailable, match="cannot be reached"):
        EncoderClient(url).encode_one("a")
    assert asked == [("::1", port)]


def test_a_message_parsed_twice_is_asked_for_once(encoder: FakeEncoder) -> None:
    client = EncoderClient()
    one, two = client.encode_one("hello"), client.encode_one("hello")
    assert len(encoder.requests) == 1
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_training_gives_texts_and_names_a_vector(encoder: FakeEncoder, tmp_path: Path) -> None:
    component = featurizer(tmp_path)
    data = examples(["one thing", "another thing", ""])
    component.train(data)
    component.process_training_data(data)
    features = data.training_examples[0].get_dense_features(TEXT)[1]
    name = data.training_examples[0].get_dense_features(INTENT)[1]
    assert features is not None and name is not None
    np.testing.assert_allclose(features.features, word_vectors(["one thing"]), atol=1e-6)
    np.testing.assert_allclose(name.features, word_vectors(["check it"]), atol=1e-6)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_message_without_text_gets_none(encoder: FakeEncoder, tmp_path: Path, text: str) -> None:
    component = featurizer(tmp_path)
    component.train(examples(["a"]))
    message = Message({TEXT: text})
    component.process([message])
    assert message.get_dense_features(TEXT) == (None, None)


def test_another_encoder_is_refused_at_load_and_at_parse(
    encoder: FakeEncoder, tmp_path: Path
) -> None:
    featurizer(tmp_path).train(examples(["a"]))
    loaded = reloaded(tmp_path)
    loaded.process([Message({TEXT: "fine"})])
    encoder.digest = "second"
    with pytest.raises(EncoderChanged, match="second.*first.*Train the model again"):
        loaded.process([Message({TEXT: "not any more"})])
    with pytest.raises(EncoderChanged):
        reloaded(tmp_path)


def test_a_model_loads_before_its_encoder(encoder: FakeEncoder, tmp_path: Path) -> None:
    featurizer(tmp_path).train(examples(["a"]))
    encoder.status = 503
    loaded = reloaded(tmp_path)
    encoder.status = 200
    message = Message({TEXT: "hello"})
    loaded.process([message])
    assert message.get_dense_features(TEXT)[1] is not None


def test_the_cache_knows_the_encoder(encoder: FakeEncoder) -> None:
    assert SentenceVectorFeaturizer.fingerprint_addon({}) == "first"
    encoder.digest = "second"
    assert SentenceVectorFeaturizer.fingerprint_addon({}) == "second"
