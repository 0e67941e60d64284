"""Starting, watching and ending processes, with tiny ones of our own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from handoff import supervisor
from handoff.supervisor import Part, PartFailed, Supervisor, python_module, stop_on_signals

SERVES = """
import http.server, os, pathlib, subprocess, sys
port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
with (folder / "starts").open("a") as file:
    print(os.getpid(), *sys.argv[3:], file=file)
if "family" in sys.argv:
    child = subprocess.Popen(["sleep", "600"])
    (folder / "child").write_text(str(child.pid))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer.allow_reuse_address = True
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""A process that can be asked for its health; `family` gives it a child of its own."""

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES

DIES = "import sys; print('first words'); print('the port is taken', file=sys.stderr); sys.exit(3)"


def alive(number: int) -> bool:
    """Say whether a process is running; one that has ended and waits to be reaped is not."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def until(look: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own time limit ends a wait in vain."""
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 - other processes cannot set an event
            await asyncio.sleep(0.02)


class Ward:
    """A supervisor with a folder of its own, running as a task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.ready = asyncio.Event()
        self.supervisor: Supervisor | None = None
        self.running: asyncio.Task[None] | None = None

    def part(self, name: str, code: str = SERVES, *words: str, path: str = "/health") -> Part:
        """Return a part that runs `code` with a port, its folder and `words`."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        folder = self.folder / name
        folder.mkdir()
        command = [sys.executable, "-c", code, str(port), str(folder), *words]
        return Part(name, command, f"http://127.0.0.1:{port}{path}")

    async def start(self, *parts: Part) -> None:
        """Start, and wait until all are ready; raise what the start raises."""
        self.supervisor = Supervisor(parts, self.folder / "logs", self.said.append)
        self.running = asyncio.create_task(self.supervisor.run(self.ready.set))
        ready = asyncio.create_task(self.ready.wait())
        try:
            both: set[asyncio.Task] = {self.running, ready}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if self.running.done():
                self.running.result()
        finally:
            ready.cancel()

    def starts(self, name: str) -> list[list[str]]:
        """Return (number of the process, its further words) of each start of a part."""
        path = self.folder / name / "starts"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def number(self, name: str) -> int:
        """Return the number of the process started last."""
        return int(self.starts(name)[-1][0])

    def child(self, name: str) -> int:
        """Return the number of the child that a part with `family` has."""
        return int((self.folder / name / "child").read_text())

    async def stop(self) -> None:
        """Stop and wait for the end."""
        assert self.supervisor and self.running
        self.supervisor.stop()
        await self.running


@pytest.fixture
async def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ward]:
    """Yield a ward; nothing it started survives the test, whatever happens."""
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", (0.05, 0.1))
    made = Ward(tmp_path)
    yield made
    if made.running and not made.running.done():
        await made.stop()
    for path in (*tmp_path.glob("*/starts"), *tmp_path.glob("*/child")):
        for line in path.read_text().splitlines():
            if alive(int(line.split()[0])):
                os.kill(int(line.split()[0]), signal.SIGKILL)


async def test_all_are_ready_when_their_health_says_so(ward: Ward) -> None:
    await ward.start(ward.part("one"), ward.part("two"))
    assert sorted(line.split(" ready")[0].strip() for line in ward.said) == ["one", "two"]
    assert alive(ward.number("one")) and alive(ward.number("two"))
    await ward.stop()
    assert not alive(ward.number("one")) and not alive(ward.number("two"))


async def test_listening_alone_is_not_ready(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "READY_SECONDS", 1.0)
    with pytest.raises(PartFailed, match=r"slow was not ready in time.*listening"):
        await ward.start(ward.part("slow", SERVES, path="/other"))
    assert not ward.ready.is_set() and not alive(ward.number("slow"))


async def test_one_that_dies_at_once_fails_the_start_with_its_last_lines(ward: Ward) -> None:
    with pytest.raises(PartFailed) as failure:
        await ward.start(ward.part("fine", SERVES, "family"), ward.part("bad", DIES))
    assert str(failure.value).startswith("bad ended at once.")
    assert "the port is taken" in str(failure.value) and "bad.log" in str(failure.value)
    assert not ward.ready.is_set()
    assert not [start for start in ward.starts("fine") if alive(int(start[0]))]


async def test_one_that_dies_later_is_started_again(ward: Ward) -> None:
    await ward.start(ward.part("one"), ward.part("two"))
    first, other = ward.number("one"), ward.number("two")
    os.kill(first, signal.SIGKILL)
    await until(lambda: len(ward.starts("one")) == 2)
    assert any("one ended with code -9; starting it again" in line for line in ward.said)
    assert ward.number("one") != first and alive(ward.number("one"))
    assert ward.number("two") == other and alive(other)
    await ward.stop()
    assert not alive(ward.number("one"))


async def test_one_that_keeps_dying_is_started_after_longer_pauses(ward: Ward) -> None:
    await ward.start(ward.part("one"))
    for starts in (1, 2, 3):
        await until(lambda wanted=starts: len(ward.starts("one")) == wanted)
        os.kill(ward.number("one"), signal.SIGKILL)
    await until(lambda: len(ward.starts("one")) == 4)
    pauses = [line.split(" in ")[1] for line in ward.said if "starting it again" in line]
    assert pauses == ["0.05 s", "0.1 s", "0.1 s"]


async def test_the_end_of_the_command_line_is_asked_for_at_each_start(ward: Ward) -> None:
    """So Rasa starts again with the model in use by then, not with that of the first start."""
    asked = 0

    async def words() -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ("--model", f"model-{asked}")

    part = ward.part("one")
    part.last_words = words
    await ward.start(part)
    os.kill(ward.number("one"), signal.SIGKILL)
    await until(lambda: len(ward.starts("one")) == 2)
    assert [start[1:] for start in ward.starts("one")] == [
        ["--model", "model-1"],
        ["--model", "model-2"],
    ]


async def test_one_that_cannot_be_started_again_is_tried_again(ward: Ward) -> None:
    """The model in use is asked of a database that may be locked: Rasa must come back later."""
    asked = 0

    async def words() -> Sequence[str]:
        nonlocal asked
        asked += 1
        if asked in (2, 3):
            raise OSError("the database is locked")
        return ()

    part = ward.part("one")
    part.last_words = words
    await ward.start(part)
    os.kill(ward.number("one"), signal.SIGKILL)
    await until(lambda: len(ward.starts("one")) == 2)
    assert sum("one could not be started: OSError" in line for line in ward.said) == 2


async def test_what_a_dead_part_leaves_behind_ends_with_it(ward: Ward) -> None:
    """A gateway killed while it learns: nobody would end its learning run on Ctrl-C."""
    await ward.start(ward.part("one", SERVES, "family"))
    child = ward.child("one")
    os.kill(ward.number("one"), signal.SIGKILL)
    await until(lambda: len(ward.starts("one")) == 2)
    await until(lambda: not alive(child))


async def test_stopping_ends_children_of_children(ward: Ward) -> None:
    await ward.start(ward.part("one", SERVES, "family"))
    child = ward.child("one")
    assert alive(child)
    await ward.stop()
    assert not alive(ward.number("one"))
    await until(lambda: not alive(child))


async def test_one_that_will_not_end_is_killed(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    await ward.start(ward.part("one", STUBBORN, "family"), ward.part("two"))
    await ward.stop()
    assert not alive(ward.number("one")) and not alive(ward.number("two"))
    await until(lambda: not alive(ward.child("one")))


async def test_stopping_while_starting_ends_everything(ward: Ward) -> None:
    made = Supervisor([ward.part("one", SERVES, path="/never")], ward.folder / "logs", print)
    ward.supervisor = made
    ward.running = asyncio.create_task(made.run(ward.ready.set))
    await until(lambda: bool(ward.starts("one")))
    await ward.stop()
    assert not ward.ready.is_set() and not alive(ward.number("one"))


async def test_stopping_during_a_pause_starts_nothing_more(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", (600.0,))
    await ward.start(ward.part("one"))
    os.kill(ward.number("one"), signal.SIGKILL)
    await until(lambda: any("starting it again in 600 s" in line for line in ward.said))
    await ward.stop()
    assert len(ward.starts("one")) == 1


async def test_what_a_process_that_failed_the_start_left_behind_ends(ward: Ward) -> None:
    leaves = """
import pathlib, subprocess, sys
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[2], "child").write_text(str(child.pid))
sys.exit(3)
"""
    with pytest.raises(PartFailed):
        await ward.start(ward.part("bad", leaves))
    await until(lambda: not alive(ward.child("bad")))


async def test_a_part_gets_none_of_the_variables_hidden_from_it(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:telegram")
    shows = f"import os; print(os.environ.get('TELEGRAM_BOT_TOKEN'), flush=True)\n{SERVES}"
    open_part, hidden_part = ward.part("open", shows), ward.part("hidden", shows)
    hidden_part.hidden = frozenset({"TELEGRAM_BOT_TOKEN"})
    await ward.start(open_part, hidden_part)
    await ward.stop()
    said = {n: (ward.folder / "logs" / f"{n}.log").read_text() for n in ("open", "hidden")}
    assert said["open"].startswith("1:telegram\n") and said["hidden"].startswith("None\n")


async def test_stopping_in_the_middle_of_a_start_leaves_nothing(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, begun = asyncio.create_subprocess_exec, asyncio.Event()

    async def slow(*command: str, **options: Any) -> asyncio.subprocess.Process:
        process = await spawn(*command, **options)
        begun.set()
        await asyncio.sleep(0.2)
        return process

    await ward.start(ward.part("one"))
    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    os.kill(ward.number("one"), signal.SIGKILL)
    await begun.wait()
    await ward.stop()
    await until(lambda: not [start for start in ward.starts("one") if alive(int(start[0]))])


async def test_what_a_part_says_goes_to_its_log(ward: Ward) -> None:
    await ward.start(ward.part("one"))
    await ward.stop()
    assert (ward.folder / "logs" / "one.log").read_text() == "listening\n"


async def test_environment_and_folder_of_a_part(ward: Ward, tmp_path: Path) -> None:
    shows = f"import os; print(os.getcwd(), os.environ['OWN'], flush=True)\n{SERVES}"
    part = ward.part("one", shows)
    part.environment, part.folder = {"OWN": "value"}, tmp_path
    await ward.start(part)
    await ward.stop()
    said = (ward.folder / "logs" / "one.log").read_text()
    assert said.startswith(f"{tmp_path} value\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_end_the_desk(ward: Ward, number: signal.Signals) -> None:
    """Ctrl-C, `kill`, and a terminal that goes away."""
    await ward.start(ward.part("one"))
    assert ward.supervisor and ward.running
    stop_on_signals(ward.supervisor)
    try:
        os.kill(os.getpid(), number)
        await ward.running
    finally:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(each)
    assert not alive(ward.number("one"))


def test_a_module_runs_in_this_environment() -> None:
    command = python_module("platform", "--terse")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert command[0] == sys.executable and done.returncode == 0 and done.stdout.strip()


async def test_a_large_log_is_put_aside_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 10)
    log = tmp_path / "one.log"
    log.write_text("an old line that is long")
    running = Supervisor([], tmp_path, print)
    with running._log(Part("one", [], "")) as file:
        file.write(b"new")
    assert log.read_text() == "new"
    assert (tmp_path / "one.log.1").read_text() == "an old line that is long"
    with running._log(Part("one", [], "")) as file:
        file.write(b"er")
    assert log.read_text() == "newer"
