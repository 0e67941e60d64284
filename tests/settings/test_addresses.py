"""Any address is usable by every part of the desk, or refused in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import httpx
import pytest
import requests
import uvicorn
import yarl
from fastapi import FastAPI
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url

from agent_console.console import ConsoleBot
from handoff.adapters.db.engine import make_engine
from handoff.adapters.rasa import RasaAssistant
from handoff.addresses import bind_host, database_address, http_address, is_loopback
from handoff.bootstrap.parts import check_exposure, check_listening, sockets_of
from handoff.bootstrap.processes import check_ports, own_assistant, processes
from handoff.core.errors import BadSetting
from handoff.learning.rasa_server import free_port
from handoff.learning.schedule import make_scheduler
from handoff.settings import Settings, load_settings
from handoff.web.server import DeskServer

SECRET = "sesame-9911"


def settings_of(**changes: Any) -> Settings:
    return load_settings(_env_file=None, **changes)


# --- HTTP addresses ------------------------------------------------------------------------------

NAMES = (
    "localhost rasa rasa_1 Desk.Example.ORG bücher.example 日本.jp faß.de a..b -a a- xn--a a%41 a."
)
NUMBERS = "127.0.0.1 10.0.0.7 256.1.1.1 127.1 0 [::1] ::1 [fe80::1%25eth0] [:: [::ffff:127.0.0.1]"
hosts = st.one_of(
    st.sampled_from([*NAMES.split(), *NUMBERS.split(), "", ".", "a b"]),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.text(max_size=70),
)
logins = st.one_of(st.just(""), st.just(f"user:{SECRET}@"), st.text(max_size=5).map("{}@".format))
ports = st.one_of(
    st.just(""), st.integers(-1, 70000).map(":{}".format), st.sampled_from([":", ":x", ":٣"])
)
paths = st.one_of(
    st.sampled_from(["", "/", "//", "/a/", "/a//b", "/a/../b", "/ä", "/%zz", "/{token}", "/a b"]),
    st.text(max_size=20).map("/{}".format),
)
rests = st.sampled_from(["", "", "", "?", "?a=b", "#", "#x", "\n", " "])
schemes = st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "", "http:", "http:///"])
written = st.builds("{}{}{}{}{}{}".format, schemes, logins, hosts, ports, paths, rests)


@given(st.one_of(written, st.text(max_size=40)))
@example(f"http://user:{SECRET}@rasa:5005")
@example(f"http://user:{SECRET}@[:x")
@example("http://bücher.example/ä/")
@example("https://[::1]:8443//")
def test_an_http_address_means_the_same_to_every_library_or_is_refused(text: str) -> None:
    try:
        address = http_address(text)
    except ValueError as refusal:
        sentence = str(refusal)
        assert "\n" not in sentence.replace(text, "") and SECRET not in sentence
        return
    assert http_address(address) == address and address.isascii() and not address.endswith("/")
    for called in (f"{address}/status", f"{address}/bot1:X/getMe", f"{address}/orders/10042"):
        by_httpx, by_aiohttp = httpx.URL(called), yarl.URL(called)
        by_requests = urlsplit(requests.Request("GET", called).prepare().url or "")
        by_hand = urlsplit(called)
        port = by_hand.port or {"http": 80, "https": 443}[by_hand.scheme]
        assert {by_httpx.raw_host.decode(), by_aiohttp.raw_host, by_requests.hostname} == {
            by_hand.hostname
        }
        default = {"http": 80, "https": 443}[by_hand.scheme]
        assert {by_httpx.port or default, by_aiohttp.port, by_requests.port or default} == {port}
        assert {by_httpx.raw_path.decode(), by_aiohttp.raw_path, by_requests.path} == {by_hand.path}
        http.client.HTTPConnection(by_hand.hostname or "", port)


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers Rasa's status, getMe and orders below the path `/desk/ä`."""

    def do_GET(self) -> None:
        known = {
            "/status": {"model_file": "m", "model_id": "1"},
            "/bot1:X/getMe": {"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "B"}},
            "/orders/10042": {"number": "10042"},
        }
        body = known.get(self.path.removeprefix(quote("/desk/ä")).partition("?")[0])
        content = json.dumps(body).encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server6(http.server.ThreadingHTTPServer):
    """The same over IPv6."""

    address_family = socket.AF_INET6


@pytest.fixture(params=["127.0.0.1", "::1"])
def served(request: pytest.FixtureRequest) -> Iterator[str]:
    kind = Server6 if ":" in request.param else http.server.ThreadingHTTPServer
    with kind((request.param, 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        host = f"[{request.param}]" if ":" in request.param else request.param
        yield f"{host}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_every_client_reaches_an_address_with_a_path(served: str) -> None:
    """Rasa's client, the console's bot, and what the order store and the supervisor use."""
    wanted = f" HTTP://{served}/desk/ä/ "
    settings = settings_of(RASA_URL=wanted, TELEGRAM_API_URL=wanted, ORDER_STORE_URL=wanted)
    async with RasaAssistant(settings.rasa_url, "to&ken#%") as assistant:
        assert await assistant.status()
    async with ConsoleBot("1:X", base_url=f"{settings.bot_api_url}/bot") as bot:
        assert bot.id == 1
    session = requests.Session()
    session.trust_env = False
    found = await asyncio.to_thread(session.get, f"{settings.order_store_url}/orders/10042")
    assert found.json() == {"number": "10042"}
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{settings.rasa_url}/status")).status_code == 200
    async with aiohttp.ClientSession() as client, client.get(f"{settings.rasa_url}/status") as got:
        assert got.status == 200


@pytest.mark.parametrize("name", ["RASA_URL", "TELEGRAM_API_URL", "ORDER_STORE_URL"])
def test_a_password_in_an_address_is_refused_and_not_shown(name: str) -> None:
    for form in ("http://user:{}@host:5005", "http://user:{}@[", "http://us er:{}@host"):
        with pytest.raises(BadSetting, match=name) as refusal:
            settings_of(**{name: form.format(SECRET)})
        assert SECRET not in str(refusal.value)


# --- which Rasa is started -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:5005", True),
        ("http://localhost:5005/", True),
        ("http://[::1]:5005", True),
        ("http://127.0.0.1:5005/rasa", False),
        ("https://127.0.0.1:5005", False),
        ("http://rasa.example:5005", False),
        ("http://[2001:db8::7]:5005", False),
    ],
)
def test_rasa_is_started_where_the_address_is_one_of_its_own(url: str, here: bool) -> None:
    async def model() -> tuple[str, ...]:
        return ()

    settings = settings_of(RASA_URL=url, RASA_TOKEN="a&b#c")
    parts = {part.name: part for part in processes(settings, model)}
    assert own_assistant(settings) == here == ("rasa" in parts) == ("actions" in parts)
    if here:
        health, command = urlsplit(parts["rasa"].health), list(parts["rasa"].command)
        assert health.query == "token=a%26b%23c" and health.path == "/status"
        assert command[command.index("-p") + 1] == str(health.port)
        assert command[command.index("-i") + 1] in (health.hostname, "127.0.0.1")


def test_one_port_for_two_parts_is_refused() -> None:
    port = free_port()
    with pytest.raises(BadSetting, match=f"ACTIONS_PORT.*{port} is the one of HANDOFF_PORT"):
        check_ports(
            settings_of(
                HANDOFF_PORT=port, ACTIONS_PORT=port, RASA_URL=f"http://127.0.0.1:{free_port()}"
            )
        )


# --- the gateway's own address -------------------------------------------------------------------

OWN_HOSTS = ["127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "0.0.0.0", "0", "", "::", "[::]"]
OWN_HOSTS += ["::1", "[::1]", " 127.0.0.1 ", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"]


def interface_addresses() -> list[str]:
    """Return the machine's name and its address in a network, where it has them."""
    with contextlib.suppress(OSError):
        return [socket.gethostname(), socket.gethostbyname(socket.gethostname())]
    return []


@contextlib.asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[None]:
    """Serve an application where the settings say, as the gateway does."""
    app = FastAPI()
    app.add_api_route("/healthz", lambda: {"status": "ok"}, methods=["GET"])
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, log_config=None, access_log=False
    )
    up = asyncio.Event()

    async def once_up() -> None:
        up.set()

    server = DeskServer(config, once_up)
    serving = asyncio.create_task(server._serve(sockets_of(settings)))
    try:
        async with asyncio.timeout(20):
            await up.wait()
        yield
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("host", [*OWN_HOSTS, *interface_addresses()])
async def test_every_part_finds_the_gateway_where_it_listens(host: str) -> None:
    settings = settings_of(HANDOFF_HOST=host, HANDOFF_PORT=free_port())
    check_listening(settings)
    async with gateway(settings), httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{settings.local_url}/healthz")).status_code == 200
        parts = urlsplit(settings.local_url)
        # As Rasa's encoder client does.
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        await asyncio.to_thread(connection.request, "GET", "/healthz")
        assert (await asyncio.to_thread(connection.getresponse)).status == 200
        connection.close()
        with pytest.raises(BadSetting, match=r"HANDOFF_PORT.* is taken; perhaps the desk"):
            check_listening(settings)


async def test_every_address_means_those_of_ipv4_too() -> None:
    settings = settings_of(HANDOFF_HOST="::", HANDOFF_PORT=free_port())
    async with gateway(settings), httpx.AsyncClient(trust_env=False) as client:
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{settings.port}/healthz"
            assert (await client.get(url)).status_code == 200


@given(st.one_of(hosts, st.text(max_size=20), st.sampled_from(OWN_HOSTS)))
@example("http://127.0.0.1")
@example("127.0.0.1:8000")
@example("fe80::1%eth0")
@example("*")
def test_a_host_is_one_that_addresses_can_hold_or_is_refused(text: str) -> None:
    try:
        host = bind_host(text)
    except ValueError as refusal:
        assert "127.0.0.1" in str(refusal)
        return
    assert bind_host(host) == host and "[" not in host
    settings = settings_of(HANDOFF_HOST=text, HANDOFF_INTERNAL_TOKEN="")
    assert http_address(settings.local_url) == settings.local_url
    if not is_loopback(host):
        with pytest.raises(BadSetting, match="HANDOFF_INTERNAL_TOKEN"):
            check_exposure(settings)


@pytest.mark.parametrize("host", ["192.0.2.77", "2001:db8::77", "no-such-host.invalid"])
def test_a_host_that_is_not_of_this_machine_is_named(host: str) -> None:
    with pytest.raises(BadSetting, match=f"HANDOFF_HOST.*{host}"):
        check_listening(settings_of(HANDOFF_HOST=host, HANDOFF_PORT=free_port()))


# --- databases -----------------------------------------------------------------------------------

odd = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(odd, odd, odd)
def test_odd_characters_of_a_database_arrive(user: str, password: str, name: str) -> None:
    # The name stands at the end of the setting, where white space is taken for none.
    assume(name == name.strip())
    written = URL.create("postgresql", user, password, "db", database=name)
    for driver in ("postgresql", "postgres", "postgresql+psycopg"):
        text = written.render_as_string(hide_password=False)
        address = settings_of(DATABASE_URL=text.replace("postgresql", driver, 1)).database
        found = make_engine(address).url
        assert found.drivername == "postgresql+psycopg"
        assert (found.username, found.password, found.database) == (user, password, name)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1))
def test_any_folder_can_hold_the_database(name: str) -> None:
    path = Path("/srv") / f"x{name}" / "handoff.db"
    address = settings_of(HANDOFF_VAR=path.parent).database
    assert make_url(address).database == str(path) == make_url(database_address(address)).database


def test_a_file_is_found_by_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wanted = {
        "sqlite:///desk.db": tmp_path / "desk.db",
        "sqlite:///./a b/ü.db": tmp_path / "a b" / "ü.db",
        f"sqlite:///{tmp_path}/x.db": tmp_path / "x.db",
        "sqlite:///~/desk.db": tmp_path / "home" / "desk.db",
        "sqlite+aiosqlite:///y.db": tmp_path / "y.db",
    }
    for text, path in wanted.items():
        settings = settings_of(DATABASE_URL=text)
        assert make_engine(settings.database).url.database == str(path)
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "elsewhere")  # a part that is started from another folder
        monkeypatch.chdir(tmp_path)
        scheduler = make_scheduler(settings)
        scheduler.start(paused=True)
        scheduler.shutdown()
        assert path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite://desk.db",
        "desk.db",
        "17",
        f"mysql://desk:{SECRET}@db/desk",
        f"postgresql+asyncpg://desk:{SECRET}@db/desk",
        f"postgresql://desk:{SECRET}@more@db/desk",
        f"postgresql://desk:{SECRET}@db:port/desk",
        f"postgresql://desk:{SECRET}@db:99999/desk",
    ],
)
def test_what_no_part_can_use_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(BadSetting, match="DATABASE_URL") as refusal:
        _ = settings_of(DATABASE_URL=text).database
    assert SECRET not in str(refusal.value) and "\n" not in str(refusal.value)
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__


@given(st.one_of(st.text(max_size=60), odd.map("postgresql://{0}:{0}@{0}/{0}".format)))
def test_a_database_address_is_usable_or_refused(text: str) -> None:
    try:
        address = settings_of(DATABASE_URL=text).database
    except BadSetting:
        return
    assert database_address(address) == address
    assert make_url(address).drivername in ("sqlite", "postgresql")
