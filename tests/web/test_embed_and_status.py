"""The encoder over HTTP, and what operators ask: up, ready, and how much."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest

from handoff.core.model import Obstacle
from handoff.web.app import create_app
from tests.fakes import understood
from tests.web.conftest import serving

TEXTS = ["where is my order", "hello", "where is my order"]


PROXIES = (
    *("Forwarded", "Via", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Forwarded-Server", "X-Forwarded-Port", "X-Forwarded-Prefix"),
    *("X-Forwarded-By", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Original-Forwarded-For"),
    *("X-Original-Host", "X-Original-URL", "X-Original-URI", "X-Real-IP", "X-Client-IP"),
    *("X-Cluster-Client-IP", "X-ProxyUser-IP", "X-Remote-IP", "X-Remote-Addr", "X-Host"),
    *("X-Scheme", "X-URL-Scheme", "X-Request-ID", "X-Request-Start"),
    *("X-Envoy-External-Address", "X-Envoy-Expected-Rq-Timeout-Ms", "X-Amzn-Trace-Id"),
    *("X-Azure-ClientIP", "X-Azure-SocketIP", "X-AppEngine-User-IP", "X-Cloud-Trace-Context"),
    *("CF-Connecting-IP", "CF-Ray", "CF-Visitor", "CDN-Loop", "True-Client-IP"),
    *("Fastly-Client-IP", "Front-End-Https", "Client-IP", "Proxy-Client-IP"),
    *("WL-Proxy-Client-IP", "Max-Forwards", "Surrogate-Capability", "Tailscale-User-Login"),
    *("Ngrok-Auth-User-Email", "X-Whatever-Comes-Next"),
)

PLAIN_CLIENTS: list[dict[str, str]] = [
    {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
    {"User-Agent": "python-requests/2.32", "Accept-Encoding": "gzip", "Connection": "keep-alive"},
    {"User-Agent": "Prometheus/2.42.0", "X-Prometheus-Scrape-Timeout-Seconds": "10"},
    {"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    {"Accept-Language": "de", "Upgrade-Insecure-Requests": "1", "Sec-Fetch-Mode": "navigate"},
]


@asynccontextmanager
async def client_of(desk, token="", host="127.0.0.1"):
    transport = httpx.ASGITransport(create_app(desk.services(token)), client=(host, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def test_vectors_as_lists_and_as_base64_are_the_same(client, desk):
    plain = (await client.post("/v1/embed", json={"texts": TEXTS})).json()
    packed = (
        await client.post("/v1/embed", json={"texts": TEXTS, "encoding_format": "base64"})
    ).json()
    assert plain["dimension"] == packed["dimension"] == 384
    assert plain["digest"] == "fake-encoder"
    assert plain["encoding_format"] == "float"
    rows = np.frombuffer(base64.b64decode(packed["vectors"]), dtype="<f4").reshape(3, 384)
    assert np.array_equal(rows, np.asarray(plain["vectors"], dtype="<f4"))
    assert np.allclose(rows, await desk.encoder.encode(TEXTS), atol=1e-6)


async def test_a_dead_encoder_is_a_503_with_its_reason(client, desk):
    desk.encoder.down = "it is not loaded"
    response = await client.post("/v1/embed", json={"texts": ["a"]})
    assert response.status_code == 503
    assert response.json() == {"error": "The sentence encoder cannot be used: it is not loaded."}


@pytest.mark.parametrize(
    ("token", "host", "headers", "status"),
    [
        ("", "127.0.0.1", {}, 200),
        ("", "127.8.8.8", {}, 200),
        ("", "::1", {}, 200),
        ("", "::ffff:127.0.0.1", {}, 200),
        ("", "192.168.1.7", {}, 403),
        ("", "::ffff:192.168.1.7", {}, 403),
        ("", "testclient", {}, 403),
        ("", "127.0.0.1", {"Host": "localhost"}, 200),
        ("", "127.0.0.1", {"Host": "LOCALHOST:8000"}, 200),
        ("", "127.0.0.1", {"Host": "[::1]:8000"}, 200),
        ("", "127.0.0.1", {"Host": "127.8.8.8:1"}, 200),
        ("", "127.0.0.1", {"Host": "desk.example"}, 403),
        ("", "127.0.0.1", {"Host": "desk.example:8000"}, 403),
        ("", "127.0.0.1", {"Host": "localhost.example"}, 403),
        ("", "127.0.0.1", {"Host": "127.0.0.1.example"}, 403),
        ("", "127.0.0.1", {"Host": "localhost@desk.example"}, 403),
        ("", "127.0.0.1", {"Host": "desk.example#localhost"}, 403),
        ("", "127.0.0.1", {"Host": "[::1"}, 403),
        ("", "127.0.0.1", {"Host": ""}, 403),
        ("", "127.0.0.1", {"Host": "0.0.0.0"}, 403),
        *[("", "127.0.0.1", {name: "127.0.0.1"}, 403) for name in PROXIES],
        *[("", "127.0.0.1", headers, 200) for headers in PLAIN_CLIENTS],
        ("s3cret", "192.168.1.7", {"Authorization": "Bearer s3cret"}, 200),
        ("s3cret", "127.0.0.1", {}, 401),
        ("s3cret", "127.0.0.1", {"Authorization": "Bearer s3cre"}, 401),
        ("s3cret", "127.0.0.1", {"Authorization": "Basic s3cret"}, 401),
        ("s3cret", "127.0.0.1", {"Authorization": "Bearer "}, 401),
    ],
)
@pytest.mark.parametrize("path", ["/v1/embed", "/metrics"])
async def test_who_may_come_in(desk, path, token, host, headers, status):
    async with client_of(desk, token, host) as client:
        if path == "/metrics":
            response = await client.get(path, headers=headers)
        else:
            response = await client.post(path, headers=headers, json={"texts": ["a"]})
    assert response.status_code == status
    if status != 200:
        assert set(response.json()) == {"error"}
        assert "s3cret" not in response.text


async def test_nginx_without_a_word_of_its_own_is_told_by_its_protocol(desk):
    """As `proxy_pass` does where nothing else is configured."""
    async with serving(create_app(desk.services())) as address:
        port = int(address.rpartition(":")[2])
        answers = []
        for version in ("1.1", "1.0"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET /metrics HTTP/{version}\r\nHost: 127.0.0.1:{port}\r\nConnection: close"
            writer.write(f"{head}\r\n\r\n".encode())
            answers.append((await reader.readline()).split()[1])
            writer.close()
    assert answers == [b"200", b"403"]


async def test_health(client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_ready_when_every_part_answers(client):
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["parts"] == {"database": "ok", "encoder": "ok", "assistant": "ok"}


async def test_not_ready_names_the_parts_without_details(client, desk):
    desk.assistant.down = "http://10.0.0.1 refused"
    desk.encoder.down = "cannot load /secret/path"
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "error": "Not ready: no answer from the encoder and the assistant.",
        "parts": {"database": "ok", "encoder": "unavailable", "assistant": "unavailable"},
    }


@pytest.mark.parametrize("blocks", [True, False])
async def test_ready_says_why_people_cannot_be_reached(desk, blocks):
    services = desk.services()
    services.obstacle = lambda: Obstacle("The group has no topics", blocks)
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        response = await client.get("/readyz")
        desk.encoder.down = "out of memory"
        worse = await client.get("/readyz")
    body = response.json()
    assert body["console"] == "The group has no topics."
    assert response.status_code == (503 if blocks else 200)
    assert body.get("error", "") == ("Not ready: The group has no topics." if blocks else "")
    assert body["parts"]["console"] == ("unavailable" if blocks else "ok")
    assert worse.status_code == 503
    assert worse.json()["error"].startswith("Not ready: no answer from the encoder.")
    assert ("The group has no topics." in worse.json()["error"]) == blocks


async def test_metrics_count_what_happened(client, app, desk):
    desk.assistant.parses["the thing"] = understood("faq", 0.5, ("delivery", 0.4))
    for text in ("hello", "the thing", "human please"):
        body = {"sender": "kim", "message": text, "metadata": {"message_id": text}}
        for _ in range(2):
            assert (await client.post("/webhooks/rest/webhook", json=body)).status_code == 200
    await app.state.turns.drain()
    shown = (await client.get("/metrics")).text.splitlines()
    assert 'handoff_messages_total{channel="rest"} 3.0' in shown
    assert 'handoff_decisions_total{action="answer",reason=""} 1.0' in shown
    assert 'handoff_decisions_total{action="clarify",reason="ambiguous"} 1.0' in shown
    assert 'handoff_decisions_total{action="hand_off",reason="person_requested"} 1.0' in shown
    assert "handoff_turn_seconds_count 3.0" in shown
    assert 'handoff_conversations{state="waiting"} 1.0' in shown
    async with desk.store() as work:
        waiting = await work.outbox.waiting()
    assert waiting > 0
    assert f"handoff_outbox_waiting {float(waiting)}" in shown
