"""`python -m agent_console.sandbox` as a process of its own, killed without warning."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.simulation.server import GROUP, Bot, People

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def process(state: Path, log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    command = [sys.executable, "-m", "agent_console.sandbox", "--port", str(port)]
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*command, "--state", str(state), "--limits", "off", "--token", "7:SECRETWORD"],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, child)
        yield url, child
    finally:
        child.kill()
        child.wait(10)


def _wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert child.poll() is None, "the sandbox ended"
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the sandbox did not start")


def test_killed_process_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    state, log = tmp_path / "state.db", tmp_path / "log"
    with process(state, log) as (url, child):
        bot, people = Bot(url, "7:SECRETWORD"), People(url)
        thread = bot.ok("createForumTopic", chat_id=GROUP, name="T")["message_thread_id"]
        for number in range(20):
            people.write(1001, f"m{number}", topic_id=thread)
        child.kill()
        child.wait(10)
    with process(state, log) as (url, child):
        bot, people = Bot(url, "7:SECRETWORD"), People(url)
        texts = [u["message"].get("text") for u in bot.updates()]
        assert texts == [None, *(f"m{number}" for number in range(20))]
        assert len(people.get("messages", chat_id=GROUP, topic_id=thread)) == 21
        child.terminate()
        assert child.wait(10) in (0, -15), "it ends when asked to"
    written = log.read_text()
    assert "Telegram sandbox: http://127.0.0.1:" in written
    assert "SECRETWORD" not in written and "Traceback" not in written
