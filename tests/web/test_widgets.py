"""What Rasa's channels take from widgets: other origins, openings, tokens, addresses, protocols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import jwt
import pytest
import socketio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from socketio.exceptions import ConnectionError as NotConnected

from handoff.channels.widgets import Senders, WidgetOptions
from handoff.core.model import BotLine, Button, State
from handoff.web.app import create_app
from tests.fakes import ANA, FakeDesk
from tests.web.conftest import serving

REST = "/webhooks/rest/webhook"
SOCKET = "/socket.io/"
KEY = "a key of the tests, longer than thirty-two bytes"
SHOP = "https://shop.example"


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.assistant.intents = frozenset({"greet", "track_order"})
    return made


@asynccontextmanager
async def client_of(desk: FakeDesk, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(desk.services(widgets=WidgetOptions(**options)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


# --- other origins -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [REST, f"{REST}/", SOCKET, "/socket.io"])
@pytest.mark.parametrize(
    ("origins", "origin", "let_in"),
    [
        (("*",), SHOP, True),
        (("*",), "null", True),
        (("https://a.example", SHOP), SHOP, True),
        ((SHOP,), "https://other.example", False),
        ((SHOP,), "http://shop.example", False),
        ((SHOP,), "https://shop.example.evil.example", False),
        ((), SHOP, False),
    ],
)
async def test_a_browser_lets_in_the_pages_the_owner_named(desk, path, origins, origin, let_in):
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-mine",
    }
    query = "?EIO=4&transport=polling" if path.startswith("/socket.io") else ""
    async with client_of(desk, origins=origins) as client:
        before = await client.options(path, headers=asks)
        if query:
            answer = await client.get(path + query, headers={"Origin": origin})
        else:
            body = {"sender": "kim", "message": "hi"}
            answer = await client.post(path, json=body, headers={"Origin": origin})
    assert answer.status_code == 200
    for response in (before, answer):
        headers = response.headers
        assert headers.get("access-control-allow-origin") == (origin if let_in else None)
        if let_in:
            assert headers["access-control-allow-credentials"] == "true"
            assert "origin" in headers["vary"].lower()
    if let_in:
        assert before.status_code == 200
        allowed = before.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in ("authorization", "content-type", "x-mine"))


async def test_a_refusal_can_be_read_by_the_page_too(desk):
    async with client_of(desk, origins=("*",)) as client:
        response = await client.post(REST, content=b"{", headers={"Origin": SHOP})
    assert response.status_code == 400
    assert response.headers["access-control-allow-origin"] == SHOP


@pytest.mark.parametrize("path", ["/v1/embed", "/metrics", "/readyz"])
async def test_nothing_but_the_channels_is_opened(desk, path):
    async with client_of(desk, origins=("*",)) as client:
        response = await client.get(path, headers={"Origin": SHOP})
    assert "access-control-allow-origin" not in response.headers


async def test_a_websocket_from_another_origin_is_taken_as_in_rasa(desk):
    async with serving(create_app(desk.services())) as address, widget(address, SHOP) as page:
        await page.say("hello")
        assert (await page.heard())["text"] == "About “hello”: yes."


# --- addresses and protocols ---------------------------------------------------------------------


class Widget:
    """A client that asks for a session and hears what the bot says."""

    def __init__(self, session: str | None) -> None:
        self.io = socketio.AsyncClient(reconnection=False)
        self.session = session
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.confirmed: asyncio.Queue[Any] = asyncio.Queue()
        self.io.on("bot_uttered", self.said.put)
        self.io.on("session_confirm", self.confirmed.put)

    async def say(self, text: str, **fields: Any) -> None:
        body = {"message": text, "session_id": self.session, **fields}
        await self.io.emit("user_uttered", body)

    async def heard(self) -> Any:
        async with asyncio.timeout(5):
            return await self.said.get()


@asynccontextmanager
async def widget(
    address: str, origin: str = "", session: str | None = "mine", **connect: Any
) -> AsyncIterator[Widget]:
    made = Widget(session)
    headers = {"Origin": origin} if origin else {}
    await made.io.connect(address, headers, transports=["websocket"], **connect)
    try:
        await made.io.emit("session_request", {"session_id": session})
        async with asyncio.timeout(5):
            await made.confirmed.get()
        yield made
    finally:
        await made.io.disconnect()


@pytest.mark.parametrize("path", ["/socket.io", "/socket.io/"])
async def test_a_slash_at_the_end_of_the_address_makes_no_difference(desk, path):
    async with serving(create_app(desk.services())) as address, aiohttp.ClientSession() as http:
        async with http.get(f"{address}{path}?EIO=4&transport=polling") as polled:
            assert (await polled.text()).startswith('0{"sid"')
        async with http.ws_connect(f"{address}{path}?EIO=4&transport=websocket") as socket:
            assert (await socket.receive_str()).startswith('0{"sid"')
        async with http.get(f"{address}/socket.iox?EIO=4&transport=polling") as other:
            assert other.status == 404


async def test_the_protocol_before_version_4_is_refused_as_in_rasa(desk):
    """Rasa 3.6 stands on the same Engine.IO server, which speaks to socket.io-client 3 and 4."""
    async with client_of(desk) as client:
        response = await client.get(SOCKET, params={"EIO": "3", "transport": "polling"})
    assert response.status_code == 400
    assert "unsupported version" in response.text


# --- openings ------------------------------------------------------------------------------------

HELLO = BotLine("Hello!", (Button("Track", "/track_order"),))


@pytest.mark.parametrize("payload", ["/greet", '/greet{"language": "de"}', " /greet "])
async def test_an_opening_over_rest_greets_each_time_until_something_is_written(desk, payload):
    desk.assistant.answers |= {text: [HELLO] for text in ("/greet", '/greet{"language": "de"}')}
    async with client_of(desk) as client:
        for _ in range(2):
            opened = await client.post(REST, json={"sender": "kim", "message": payload})
            assert [m["text"] for m in opened.json()] == ["Hello!"]
        await client.post(REST, json={"sender": "kim", "message": "/track_order"})
        assert desk.assistant.heard[-1][1] == "/track_order"
        again = await client.post(REST, json={"sender": "kim", "message": payload})
        assert again.json() == []
    assert await desk.handoffs() == []


async def test_an_opening_is_given_what_people_wrote_meanwhile(desk):
    async with client_of(desk) as client:
        await client.post(REST, json={"sender": "kim", "message": "human please"})
        async with desk.store() as work:
            (conversation,) = await work.conversations.in_state([State.WAITING])
        await desk.claim(conversation.id, ANA)
        opened = await client.post(REST, json={"sender": "kim", "message": "/greet"})
        assert opened.json()[0]["text"].startswith("Ana has joined")
        opened = await client.post(REST, json={"sender": "kim", "message": "/greet"})
        assert opened.json() == []


async def test_an_opening_over_socketio_greets(desk):
    desk.assistant.answers["/greet"] = [HELLO]
    async with serving(create_app(desk.services())) as address, widget(address) as page:
        await page.say("/get_started")  # this assistant does not know it
        await page.say("/greet", customData={"language": "en"})
        hello = await page.heard()
        assert hello["quick_replies"][0]["payload"] == "/track_order"
        await page.say("/track_order")
        assert (await page.heard())["text"] == "About “/track_order”: yes."
    assert [text for _, text in desk.assistant.heard] == ["/greet", "/track_order"]


async def test_no_other_intent_can_be_named(desk):
    async with client_of(desk, openings=frozenset({"welcome"})) as client:
        for text in ("/greet", "/restart", "/cancel_order{}", "//welcome"):
            await client.post(REST, json={"sender": "kim", "message": text})
    assert [text.startswith("/") for _, text in desk.assistant.heard] == [False] * 4


# --- tokens --------------------------------------------------------------------------------------


def signed(key: str = KEY, **claims: Any) -> str:
    return jwt.encode(claims, key, "HS256")


BAD_TOKENS = {
    "none": None,
    "empty": "",
    "no token": "no.token.at.all",
    "another key": signed("another key of the tests, just as long as it"),
    "expired": signed(exp=int(time.time()) - 60),
    "unsigned": jwt.encode({"sub": "kim"}, None, "none"),  # type: ignore[arg-type]
    "another way": jwt.encode({"sub": "kim"}, KEY, "HS512"),
    "odd": "\u00e9",
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS)
async def test_without_a_valid_token_nobody_comes_in(desk, token, caplog):
    options = WidgetOptions(senders=Senders(KEY))
    headers = {} if token is None else {b"Authorization": f"Bearer {token}".strip().encode()}
    async with serving(create_app(desk.services(widgets=options))) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            body = {"sender": "kim", "message": "hi"}
            refused = await client.post(REST, json=body, headers=headers)
        assert (refused.status_code, set(refused.json())) == (401, {"error"})
        auth: Any
        for auth in ({"token": token}, {}, None, [token], {"token": {"a": 1}}):
            with pytest.raises(NotConnected):
                async with widget(address, auth=auth):
                    raise AssertionError("it was let in")
    async with desk.store() as work:
        assert await work.conversations.in_state(list(State)) == []
    assert KEY not in caplog.text and (not token or token not in caplog.text)


@pytest.mark.parametrize("prefix", ["", "Bearer "])
async def test_a_valid_token_opens_both_channels(desk, prefix):
    options = WidgetOptions(senders=Senders(KEY))
    token = signed(exp=int(time.time()) + 60)
    async with serving(create_app(desk.services(widgets=options))) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            headers = {"Authorization": f"Bearer {token}"}
            body = {"sender": "kim", "message": "hi"}
            answer = await client.post(REST, json=body, headers=headers)
        assert answer.json() == [{"recipient_id": "kim", "text": "About “hi”: yes."}]
        async with widget(address, auth={"token": prefix + token}) as page:
            await page.say("hello")
            assert (await page.heard())["text"] == "About “hello”: yes."


@pytest.mark.parametrize("claims", [{"sub": "lou"}, {"user": {"username": "lou", "role": "user"}}])
async def test_a_token_that_names_a_subject_opens_nobody_elses_conversation(desk, claims):
    options = WidgetOptions(senders=Senders(KEY))
    kim = {"Authorization": f"Bearer {signed(sub='kim')}"}
    lou = {"Authorization": f"Bearer {signed(**claims)}"}
    secret = {"sender": "kim", "message": "human please, about my secret"}
    async with (
        serving(create_app(desk.services(widgets=options))) as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        await client.post(REST, json=secret, headers=kim)
        async with desk.store() as work:
            (conversation,) = await work.conversations.in_state([State.WAITING])
        assert conversation.customer_key == "kim"
        await desk.claim(conversation.id, ANA)
        await desk.say(conversation.id, ANA, "the secret is 42", "s1")
        for sender in ("kim", "lou:kim", "", None):
            spied = await client.post(REST, json={**secret, "sender": sender}, headers=lou)
            assert "42" not in spied.text and "Ana" not in spied.text
        async with widget(address, session="kim", auth={"token": signed(**claims)}) as page:
            await page.say("what is it?")
            assert "42" not in str(await page.heard())
        mine = await client.post(REST, json={"message": "and?", "sender": "kim"}, headers=kim)
        nameless = await client.post(REST, json={"message": "and?"}, headers=kim)
    assert "the secret is 42" in mine.text
    assert nameless.json()[0]["recipient_id"] == "kim"


async def test_senders_of_one_subject_stay_apart(desk):
    """A token that all visitors of a site share must not make them one customer."""
    headers = {"Authorization": f"Bearer {signed(sub='website')}"}
    async with client_of(desk, senders=Senders(KEY)) as client:
        for sender in ("a", "b"):
            body = {"sender": sender, "message": "hi"}
            assert len((await client.post(REST, json=body, headers=headers)).json()) == 1
    async with desk.store() as work:
        found = await work.conversations.in_state([State.BOT])
    assert sorted(c.customer_key for c in found) == ["website:a", "website:b"]


async def test_a_connection_without_a_session_belongs_to_its_subject(desk):
    options = WidgetOptions(senders=Senders(KEY))
    async with serving(create_app(desk.services(widgets=options))) as address:
        io = socketio.AsyncClient(reconnection=False)
        await io.connect(address, auth={"token": signed(sub="kim")}, transports=["websocket"])
        await io.call("user_uttered", {"message": "hello"})
        await io.disconnect()
    async with desk.store() as work:
        assert await work.conversations.find("socketio", "kim") is not None


def test_keys_of_subjects_and_senders_never_meet():
    senders = Senders(KEY)
    names = ("a", "b", "a:b", "a%3Ab", "", "x" * 300, "\n", "sha256:", '["a","b"]', "\ud800")
    keys = [senders.key(n, s) for s in names for n in names if n not in ("", s)]
    keys += [senders.key(s, s) for s in names if s]
    assert len(set(keys)) == len(keys)
    assert all(0 < len(key) <= 255 and key.isprintable() for key in keys)
    assert senders.key("", "a") == senders.key("a", "a")


async def test_a_token_of_an_asymmetric_key(desk):
    private = rsa.generate_private_key(65537, 2048)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    senders = Senders(public, "RS256")
    senders.check()
    forged = jwt.encode({"sub": "kim"}, "x", "HS256")
    body = {"sender": "kim", "message": "hi"}
    async with client_of(desk, senders=senders) as client:
        for token, status in ((jwt.encode({}, private, "RS256"), 200), (forged, 401)):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await client.post(REST, json=body, headers=headers)).status_code == status


@pytest.mark.parametrize(("key", "way"), [("no key", "RS256"), ("no key", "ES256")])
def test_a_key_that_is_none_is_refused_without_being_told(key, way):
    with pytest.raises(ValueError, match=f"no key that {way} checks tokens with") as refusal:
        Senders(key, way).check()
    assert key not in str(refusal.value).replace("it is no key", "")
    assert key not in repr(Senders(key, way))
