"""A whole desk for a story: `handoff up` as a real process, and the people who use it.

Everything here talks HTTP: the customer through the page's channel, the people at the desk through
the simulator's `/sim`. Nothing looks into the database.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parents[2]
GROUP = -1001000000001
ANA, BO, RITA, LEA, SAM = 1001, 1002, 1003, 1004, 1005
READY_SECONDS = 400.0
"""First start of a desk: it trains its model, on two busy cores."""

STEP_SECONDS = 60.0
"""Longest wait for anything a person would wait for."""


def free_ports(count: int) -> list[int]:
    """Return different ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def until(look: Callable[[], Any], what: str, seconds: float = STEP_SECONDS) -> Any:
    """Return the first true answer of `look`, or fail saying what did not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"within {seconds:g} s this did not happen: {what}")


class Desk:
    """A running desk with folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.rasa_port, self.actions_port, self.sandbox_port = free_ports(4)
        self.url = f"http://127.0.0.1:{self.port}"
        self.sim_url = f"http://127.0.0.1:{self.sandbox_port}"
        self.training_data = folder / "training_data"
        shutil.copytree(PROJECT / "training_data", self.training_data)
        shutil.rmtree(self.training_data / "learned", ignore_errors=True)
        self.process: subprocess.Popen[bytes] | None = None
        self._printed = 0

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every process of this desk."""
        return {
            **os.environ,
            "HANDOFF_PORT": str(self.port),
            "RASA_URL": f"http://127.0.0.1:{self.rasa_port}",
            "ACTIONS_PORT": str(self.actions_port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "HANDOFF_VAR": str(self.folder / "var"),
            "HANDOFF_TRAINING_DATA": str(self.training_data),
            "TELEGRAM_PER_MINUTE": "600",
        }

    def start(self) -> float:
        """Start everything; return the seconds until a customer could come in."""
        began = time.monotonic()
        self._printed = len(self._up_log())
        log = (self.folder / "up.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "handoff", "up"],
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self.ready, f"the desk is ready\n{self.output()}", READY_SECONDS)
        return time.monotonic() - began

    def _up_log(self) -> str:
        path = self.folder / "up.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def output_since_start(self) -> str:
        """Return what `handoff up` printed since the last start."""
        return self._up_log()[self._printed :]

    def children(self) -> list[int]:
        """Return the numbers of all processes below `handoff up`."""
        assert self.process
        found, todo = [], [self.process.pid]
        while todo:
            number = todo.pop()
            for task in Path(f"/proc/{number}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
            found.append(number)
        return found[1:]

    def send(self, command: str, number: signal.Signals) -> None:
        """Send a signal to the part of the desk whose command line holds `command`."""
        found = [child for child in self.children() if command in _command(child)]
        assert found, f"there is no process {command}"
        os.kill(found[0], number)

    def ready(self) -> bool:
        """Say whether a customer could come in; fail when the desk has ended."""
        assert self.process and self.process.poll() is None, f"the desk ended:\n{self.output()}"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def output(self) -> str:
        """Return what the desk has printed, and the ends of its logs."""
        texts = [self._up_log()]
        for path in sorted((self.folder / "var" / "logs").glob("*.log")):
            texts.append(f"--- {path.name}\n" + path.read_text(errors="replace")[-3000:])
        return "\n".join(texts)

    def stop(self) -> None:
        """End it as Ctrl-C does; every process it started must be gone."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise
        self.process = None

    def run(self, *command: str) -> str:
        """Run `handoff COMMAND` beside the desk and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "handoff", *command],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def model(self) -> str:
        """Return the name of the model Rasa has in use."""
        status = httpx.get(f"http://127.0.0.1:{self.rasa_port}/status").json()
        return Path(status["model_file"]).name

    def customer(self) -> Customer:
        """Open a chat on the page."""
        return Customer(self.url)

    def person(self, number: int) -> Person:
        """Return someone at the console."""
        return Person(self.sim_url, number)


def _command(number: int) -> str:
    """Return the command line of a process, or nothing when it has ended."""
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def running_desk(folder: Path) -> Iterator[Desk]:
    """Start a desk and end it whatever happens."""
    desk = Desk(folder)
    try:
        desk.start()
        yield desk
    finally:
        desk.stop()


class Customer:
    """Someone on the shop page."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self.session = self._http.post("/v1/chat/sessions").json()["session"]
        self.seen = 0
        self._sent = 0

    def write(self, text: str) -> None:
        """Send a message."""
        self._sent += 1
        answer = self._http.post(
            f"/v1/chat/{self.session}/messages",
            json={"text": text, "client_id": f"m{self._sent}"},
        )
        assert answer.status_code == 202, answer.text

    def lines(self, after: int = 0) -> list[dict[str, Any]]:
        """Return all lines after a number."""
        answer = self._http.get(f"/v1/chat/{self.session}/messages", params={"after": after})
        return answer.json()["messages"]

    def owner(self) -> dict[str, Any]:
        """Return who has the conversation."""
        return self._http.get(f"/v1/chat/{self.session}/messages").json()["owner"]

    def reads(self, *authors: str, contains: str = "") -> str:
        """Wait for the next unseen line by one of `authors` that contains a text; return it."""

        def look() -> str | None:
            for line in self.lines(self.seen):
                if line["author"] in authors and contains.casefold() in line["text"].casefold():
                    self.seen = line["seq"]
                    return line["text"]
            return None

        what = f"a line by {authors} with “{contains}”; there is {self.lines(self.seen)}"
        return until(look, what)

    def asks(self, text: str) -> str:
        """Write and return what the bot answers, or the desk says."""
        self.seen = max([self.seen, *(line["seq"] for line in self.lines(self.seen))])
        self.write(text)
        return self.reads("bot", "system")


class Person:
    """Someone at the console, played through the simulator."""

    def __init__(self, url: str, number: int) -> None:
        self._http = httpx.Client(base_url=f"{url}/sim", timeout=70)
        self.number = number

    def topics(self) -> list[dict[str, Any]]:
        """Return the topics of the group."""
        chats = self._http.get("/chats").json()
        return next(chat for chat in chats if chat["chat_id"] == GROUP)["topics"]

    def topic(self, name: str) -> int:
        """Wait for the topic whose name contains a text; return its number."""

        def look() -> int | None:
            wanted = name.casefold()
            found = [t["topic_id"] for t in self.topics() if wanted in t["name"].casefold()]
            return found[-1] if found else None

        return until(look, f"a topic named “{name}”; there is {self.topics()}")

    def messages(self, topic: int) -> list[dict[str, Any]]:
        """Return the messages of a topic."""
        found = self._http.get("/messages", params={"chat_id": GROUP, "topic_id": topic})
        assert found.status_code == 200, found.text
        return found.json()

    def sees(self, topic: int, contains: str, seconds: float = STEP_SECONDS) -> dict[str, Any]:
        """Wait for a message (as it now stands) that contains a text; return the latest."""

        def look() -> dict[str, Any] | None:
            found = [m for m in self.messages(topic) if contains in m["text"]]
            return found[-1] if found else None

        def what() -> str:
            return "\n".join(m["text"] for m in self.messages(topic))

        try:
            return until(look, "", seconds)
        except AssertionError:
            raise AssertionError(f"no “{contains}” in topic {topic}:\n{what()}") from None

    def write(self, topic: int, text: str) -> int:
        """Write into a topic; return the number of the message."""
        body = {"user_id": self.number, "chat_id": GROUP, "topic_id": topic, "text": text}
        answer = self._http.post("/messages", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["message_id"]

    def press(self, message: dict[str, Any], button: str) -> dict[str, Any]:
        """Press the button whose text contains `button`; return the bot's answer."""
        rows = message["buttons"]
        wanted = button.casefold()
        texts = [b["text"] for row in rows for b in row if wanted in b["text"].casefold()]
        assert texts, f"no button “{button}” among {rows}"
        body = {
            "user_id": self.number,
            "chat_id": GROUP,
            "message_id": message["message_id"],
            "button": texts[0],
            "wait": 20,
        }
        answer = self._http.post("/press", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()
