"""Updates reach the bot at least once; limits and faults are what a test asks for."""

from __future__ import annotations

import concurrent.futures
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_console.sandbox.clock import Clock
from agent_console.sandbox.limits import LIMITS, Limits, Meter, changed_limits
from tests.simulation.server import GROUP, TOKEN, Bot, People, start_sandbox

TERMINATED = (
    "Conflict: terminated by other getUpdates request; "
    "make sure that only one bot instance is running"
)


def texts(updates: list[dict[str, Any]]) -> list[str]:
    return [update["message"]["text"] for update in updates]


def test_updates_come_again_until_the_offset_passes_them(bot: Bot, people: People) -> None:
    for number in range(5):
        people.write(1001, f"m{number}")
    first = bot.updates(limit=2)
    assert texts(first) == ["m0", "m1"]
    # A bot that was killed here asks again without an offset, and has lost nothing.
    assert bot.updates(limit=2) == first
    assert texts(bot.updates(offset=first[1]["update_id"])) == ["m1", "m2", "m3", "m4"]
    assert texts(bot.updates()) == ["m1", "m2", "m3", "m4"]
    assert texts(bot.updates(offset=-1)) == ["m4"]
    assert texts(bot.updates()) == ["m4"]


def test_updates_expire(bot: Bot, people: People) -> None:
    people.write(1001, "old")
    people.do("clock", advance=24 * 3600 + 1)
    assert bot.updates() == []


def test_allowed_updates_are_kept_when_left_out(bot: Bot, people: People) -> None:
    message_id = people.write(1001, "hi")["message_id"]
    react = {"user_id": 1002, "chat_id": GROUP, "message_id": message_id}
    people.do("react", **react, emoji="👍")
    assert [u for u in bot.updates() if "message_reaction" in u] == []
    bot.updates(allowed_updates=["message_reaction"])
    people.do("react", **react, emoji="👀")
    people.write(1001, "not wanted now")
    last = bot.updates()[-1]["message_reaction"]
    assert last["old_reaction"] == [{"type": "emoji", "emoji": "👍"}]
    assert last["new_reaction"] == [{"type": "emoji", "emoji": "👀"}]
    assert len(bot.updates()) == 2


def test_long_poll_wakes_up(url: str, bot: Bot, people: People) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(Bot(url).updates, timeout=30)
        people.write(1001, "ring")
        assert texts(waiting.result(timeout=10)) == ["ring"]


def test_second_poller_ends_the_first(url: str, people: People) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(Bot(url).call, "getUpdates", timeout=30)
        # Asked again until the first is really waiting: only then is there anything to end.
        second = Bot(url)
        while not first.done():
            second.call("getUpdates", timeout=0)
        answer = first.result()
    assert (answer["error_code"], answer["description"]) == (409, TERMINATED)


def test_a_poller_that_hung_up_is_no_conflict(url: str, bot: Bot, people: People) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/bot{TOKEN}/getUpdates", params={"timeout": 30}, timeout=0.2)
    people.write(1001, "for the next one")
    assert texts(bot.updates(timeout=5)) == ["for the next one"]
    assert [c for c in people.get("calls") if c["status"] == 409] == []


class _Hook:
    """A webhook that refuses the first `failures` requests."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.bodies: list[dict[str, Any]] = []
        self.secrets: set[str | None] = set()
        self.taken = threading.Semaphore(0)

    def answer(self, body: dict[str, Any], secret: str | None) -> int:
        self.bodies.append(body)
        self.secrets.add(secret)
        if len(self.bodies) <= self.failures:
            return 500
        self.taken.release()
        return 200


@contextmanager
def hook(failures: int = 0) -> Iterator[tuple[str, _Hook]]:
    seen = _Hook(failures)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = seen.answer(body, self.headers["X-Telegram-Bot-Api-Secret-Token"])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_webhook_delivers_in_order_and_again_until_taken() -> None:
    with start_sandbox(webhook_retry=0.01) as url, hook(failures=3) as (address, seen):
        bot, people = Bot(url), People(url)
        for number in range(3):
            people.write(1001, f"m{number}")
        bot.ok("setWebhook", url=address, secret_token="s3cret")
        for _ in range(3):
            assert seen.taken.acquire(timeout=10)
        assert texts(seen.bodies) == ["m0"] * 4 + ["m1", "m2"]
        assert seen.secrets == {"s3cret"}
        info = bot.ok("getWebhookInfo")
        assert info["last_error_message"] == (
            "Wrong response from the webhook: 500 Internal Server Error"
        )
        refused = bot.call("getUpdates")
        assert refused["error_code"] == 409 and "webhook is active" in refused["description"]
        people.write(1001, "live")
        assert seen.taken.acquire(timeout=10)
        assert bot.ok("deleteWebhook") is True
        people.write(1001, "polled")
        assert texts(bot.updates(timeout=5))[-1] == "polled"


def test_dropping_what_waits(bot: Bot, people: People) -> None:
    people.write(1001, "gone")
    bot.ok("deleteWebhook", drop_pending_updates=True)
    assert bot.updates() == []
    assert bot.refused("setWebhook", url="http://127.0.0.1:1/", secret_token="ä").startswith(
        "Bad Request: secret token"
    )


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    with start_sandbox(state=state) as url:
        bot, people = Bot(url), People(url)
        thread = bot.ok("createForumTopic", chat_id=GROUP, name="Kept")["message_thread_id"]
        keys = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
        message = bot.ok(
            "sendMessage", chat_id=GROUP, message_thread_id=thread, text="a", reply_markup=keys
        )
        people.write(1001, "b", topic_id=thread)
        press = {"user_id": 1001, "chat_id": GROUP, "message_id": message["message_id"]}
        query = people.do("press", **press, button="Go", wait=0)["query_id"]
        people.do("delete", user_id=1001, chat_id=GROUP, message_id=people.write(1001, "c")[
            "message_id"
        ])  # fmt: skip
        before = people.get("messages", chat_id=GROUP, topic_id=thread)
        pending = bot.updates()
    with start_sandbox(state=state) as url:
        bot, people = Bot(url), People(url)
        assert people.get("messages", chat_id=GROUP, topic_id=thread) == before
        assert people.get("messages", chat_id=GROUP) == []
        assert [u["id"] for u in people.get("users")] == [1001, 1002, 1003, 1004, 1005]
        assert bot.updates() == pending
        assert bot.ok("answerCallbackQuery", callback_query_id=query) is True
        newer = bot.ok("sendMessage", chat_id=GROUP, message_thread_id=thread, text="d")
        assert newer["message_id"] > max(m["message_id"] for m in before)
    with (
        pytest.raises(ValueError, match="belongs to bot 1"),
        start_sandbox(state=state, token="2:SIM"),
    ):
        raise AssertionError("a state file of another bot was taken")


# --- limits ----------------------------------------------------------------------------------


def accepted_in_a_row(meter: Meter, chat_id: int) -> int:
    count = 0
    while meter.wait_needed(chat_id) == 0 and count < 1000:
        meter.record(chat_id)
        count += 1
    return count


def test_meter_burst_rate_and_window() -> None:
    clock = Clock(lambda: 1000.0)
    meter = Meter(LIMITS["telegram"], clock)
    assert accepted_in_a_row(meter, 5) == 3
    assert meter.wait_needed(5) == 1
    clock.advance(1)
    assert accepted_in_a_row(meter, 5) == 1
    group = Meter(Limits(chat_per_second=None), clock)
    assert accepted_in_a_row(group, -5) == 20
    assert group.wait_needed(-5) == 60
    assert group.wait_needed(5) == 0
    clock.advance(60)
    assert group.wait_needed(-5) == 0
    overall = Meter(Limits(chat_per_second=None, group_per_minute=None), clock)
    assert sum(accepted_in_a_row(overall, chat) for chat in range(1, 9)) == 30
    assert accepted_in_a_row(Meter(LIMITS["off"], clock), -5) == 1000


BAD_LIMITS = [
    {"speed": 1},
    {"chat_burst": 0},
    {"chat_burst": None},
    {"group_per_minute": 1.5},
    {"chat_per_second": True},
]


@pytest.mark.parametrize("change", BAD_LIMITS)
def test_bad_limits(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        changed_limits(LIMITS["telegram"], change)


def test_group_limit_counts_edits_and_topics() -> None:
    with start_sandbox(limits="telegram", clock=Clock(lambda: 1_700_000_000.0)) as url:
        bot, people = Bot(url), People(url)
        people.do("limits", chat_per_second=None, group_per_minute=4)
        thread = bot.ok("createForumTopic", chat_id=GROUP, name="T")["message_thread_id"]
        message = bot.ok("sendMessage", chat_id=GROUP, message_thread_id=thread, text="a")
        edit = {"chat_id": GROUP, "message_id": message["message_id"]}
        bot.ok("editMessageText", **edit, text="b")
        # Refused calls, reactions and answers do not use up the budget.
        assert "not modified" in bot.refused("editMessageText", **edit, text="b")
        bot.ok("setMessageReaction", **edit, reaction=[{"type": "emoji", "emoji": "👀"}])
        bot.ok("sendMessage", chat_id=GROUP, text="in another topic")
        answer = bot.call("sendMessage", chat_id=GROUP, text="too many")
        assert answer == {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 60",
            "parameters": {"retry_after": 60},
        }
        people.do("clock", advance=60)
        bot.ok("sendMessage", chat_id=GROUP, text="now")
        statuses = [c["status"] for c in people.get("calls", method="sendMessage")]
        assert statuses == [200, 200, 429, 200]


# --- faults ----------------------------------------------------------------------------------


def test_accepted_but_not_answered(bot: Bot, people: People) -> None:
    people.do("faults", kind="accept_timeout", methods=["sendMessage"])
    bot.ok("getMe")
    with pytest.raises(httpx.RemoteProtocolError):
        bot.call("sendMessage", chat_id=GROUP, text="did it go?")
    assert people.get("wait", contains="did it go?", timeout=1)["from"]["is_bot"] is True
    assert bot.ok("sendMessage", chat_id=GROUP, text="next")["text"] == "next"


def test_accepted_and_held_until_the_client_gives_up(url: str, people: People) -> None:
    people.do("faults", kind="accept_timeout", hold=30)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{url}/bot{TOKEN}/sendMessage", json={"chat_id": GROUP, "text": "x"}, timeout=0.3
        )
    assert len(people.get("messages", chat_id=GROUP)) == 1


def test_dropped_refused_and_flooded(bot: Bot, people: People) -> None:
    send = {"chat_id": GROUP, "text": "x"}
    people.do("faults", kind="drop")
    people.do("faults", kind="error", count=2, status=503)
    people.do("faults", kind="flood", retry_after=7)
    with pytest.raises(httpx.RemoteProtocolError):
        bot.call("sendMessage", **send)
    for _ in range(2):
        assert bot.call("sendMessage", **send)["error_code"] == 503
    assert bot.call("sendMessage", **send)["parameters"] == {"retry_after": 7}
    assert bot.updates() == [] and people.get("messages", chat_id=GROUP) == []
    bot.ok("sendMessage", **send)
    people.do("faults", kind="drop", count=9)
    people.clear_faults()
    bot.ok("sendMessage", **send)


def test_command_line_says_what_is_wrong(tmp_path: Path, capsys: Any) -> None:
    from agent_console.sandbox.__main__ import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert f"cannot listen on port {port}" in capsys.readouterr().err
    assert main(["--token", "nonsense"]) == 2
    assert "the token must look like 123456:secret" in capsys.readouterr().err
    broken = tmp_path / "state.db"
    broken.write_bytes(b"this is no database, it is a text file of some length" * 20)
    assert main(["--state", str(broken)]) == 2
    assert "not a database" in capsys.readouterr().err


def test_raw_bodies(url: str) -> None:
    base = f"{url}/bot{TOKEN}"
    form = httpx.post(f"{base}/sendMessage", data={"chat_id": str(GROUP), "text": "a&b=c +"})
    assert form.json()["result"]["text"] == "a&b=c +"
    query = httpx.get(f"{base}/sendMessage", params={"chat_id": GROUP, "text": "q"})
    assert query.json()["result"]["text"] == "q"
    json_type = {"content-type": "application/json"}
    for body in (b"{broken", b"[1]", b'"x"'):
        answer = httpx.post(f"{base}/sendMessage", content=body, headers=json_type)
        assert answer.status_code == 400 and answer.json()["ok"] is False
    lone = httpx.post(
        f"{base}/sendMessage",
        content=b'{"chat_id": -1001000000001, "text": "\\ud800"}',
        headers=json_type,
    )
    assert lone.json()["description"] == "Bad Request: strings must be encoded in UTF-8"
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{base}/sendPhoto", content=b"nothing", headers=multipart)
    assert answer.json()["description"] == "Bad Request: can't parse multipart request body"
    assert httpx.put(f"{base}/getMe").status_code == 405
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as raw:
        head = f"POST /bot{TOKEN}/sendDocument HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{head}Content-Length: 99999999\r\n\r\n".encode())
        assert b"413" in raw.recv(100)
