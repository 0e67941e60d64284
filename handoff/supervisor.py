"""Starts and watches every process of the desk on one machine: `handoff up`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from handoff.core.errors import DeskError

STOP_SECONDS = 10.0
"""How long a process may take to end by itself before it is killed, in seconds."""

READY_SECONDS = 120.0
"""How long a process may take to get ready, in seconds."""

RESTART_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Pauses before a process that died is started again; the last one repeats."""

STEADY_SECONDS = 60.0
"""A process that lived this long, in seconds, starts again with the first pause."""

LOG_BYTES = 20_000_000
"""A log larger than this, in bytes, is put aside when its process starts."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Part:
    """One process: its name, command line, what is added to the environment, and its health URL.

    `last_words` gives the end of the command line anew at each start (the model in use, say).
    `hidden` are variables of this process that the part does not get.
    """

    name: str
    command: Sequence[str]
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    last_words: Callable[[], Awaitable[Sequence[str]]] | None = None
    hidden: Collection[str] = ()


class PartFailed(DeskError):
    """{part} {what}. {last_lines}"""

    status = 503


class Supervisor:
    """Runs parts in process groups of their own, restarts those that die, and ends all of them."""

    def __init__(self, parts: Sequence[Part], logs: Path, say: Say) -> None:
        self._parts = parts
        self._logs = logs
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        """Start all, call `ready` once all are, and watch until `stop` is called."""
        self._logs.mkdir(parents=True, exist_ok=True)
        watchers: list[asyncio.Task[None]] = []
        try:
            for part in self._parts:
                await self._start(part)
            starting = [asyncio.create_task(self._wait_ready(part)) for part in self._parts]
            stop = asyncio.create_task(self._stopping.wait())
            await _first_failure_or(starting, stop)
            if not self._stopping.is_set():
                ready()
                watchers = [asyncio.create_task(self._watch(part)) for part in self._parts]
                await self._stopping.wait()
        finally:
            for task in watchers:
                task.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            await self._end_all()

    def stop(self) -> None:
        """Ask `run` to end everything and return."""
        self._stopping.set()

    async def _start(self, part: Part) -> None:
        last = await part.last_words() if part.last_words else ()
        inherited = {name: v for name, v in os.environ.items() if name not in part.hidden}
        with self._log(part) as log:
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(
                    *part.command,
                    *last,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**inherited, **part.environment},
                    cwd=part.folder,
                    start_new_session=True,
                )
            )
            try:
                self._running[part.name] = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # Stopped half way: what has begun is noted first, so that it is ended too.
                self._running[part.name] = await starting
                raise

    def _log(self, part: Part) -> IO[bytes]:
        """Open a part's log; one that has grown large is put aside, in place of the one before."""
        path = self._logs / f"{part.name}.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    async def _wait_ready(self, part: Part) -> None:
        started = time.monotonic()
        process = self._running[part.name]
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while time.monotonic() - started < READY_SECONDS:
                if process.returncode is not None:
                    # What it left behind would hold ports; its own number is still its group's.
                    _signal_group(process, signal.SIGKILL)
                    raise self._failure(part, "ended at once")
                try:
                    if (await client.get(part.health)).status_code == 200:
                        self._say(f"  {part.name} ready in {time.monotonic() - started:.0f} s")
                        return
                except httpx.HTTPError:
                    pass  # Not up yet: that is what is being waited for.
                await asyncio.sleep(0.2)
        raise self._failure(part, "was not ready in time")

    def _failure(self, part: Part, what: str) -> PartFailed:
        return PartFailed(part=part.name, what=what, last_lines=self._last_lines(part))

    def _last_lines(self, part: Part) -> str:
        path = self._logs / f"{part.name}.log"
        lines = path.read_text(errors="replace").splitlines()[-5:]
        return f"Last lines of {path}:\n    " + "\n    ".join(lines)

    async def _watch(self, part: Part) -> None:
        deaths = 0
        while True:
            started = time.monotonic()
            dead = self._running[part.name]
            code = await dead.wait()
            # As Ctrl-C would: a learning run of a dead gateway ends its own processes then.
            _signal_group(dead, signal.SIGINT)
            deaths = 0 if time.monotonic() - started > STEADY_SECONDS else deaths
            pause = RESTART_SECONDS[min(deaths, len(RESTART_SECONDS) - 1)]
            deaths += 1
            self._say(f"! {part.name} ended with code {code}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            await self._start_again(part)

    async def _start_again(self, part: Part) -> None:
        """Start a part, however often that takes: nobody else would."""
        while True:
            try:
                return await self._start(part)
            except Exception as error:
                pause = RESTART_SECONDS[-1]
                why = f"{type(error).__name__}: {error}"
                self._say(f"! {part.name} could not be started: {why}; again in {pause:g} s")
                await asyncio.sleep(pause)

    async def _end_all(self) -> None:
        alive = [p for p in self._running.values() if p.returncode is None]
        for process in alive:
            _signal_group(process, signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in alive]
        if waits:
            await asyncio.wait(waits, timeout=STOP_SECONDS)
        for process in alive:
            # Also what a process left behind in its group.
            _signal_group(process, signal.SIGKILL)
        await asyncio.gather(*waits)


async def _first_failure_or(tasks: Sequence[asyncio.Task[None]], stop: asyncio.Task[bool]) -> None:
    """Wait for all tasks, raise the first failure at once, or return when `stop` is done."""
    pending: set[asyncio.Task] = set(tasks)
    try:
        while pending and not stop.done():
            both: set[asyncio.Task] = {*pending, stop}
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done & set(tasks):
                task.result()
            pending -= done
    finally:
        everything: list[asyncio.Task] = [*tasks, stop]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def stop_on_signals(supervisor: Supervisor) -> None:
    """End the desk on Ctrl-C, on `kill`, and when its terminal goes away."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stop)


def python_module(name: str, *arguments: str) -> list[str]:
    """Return the command line of a module of this environment."""
    return [sys.executable, "-m", name, *arguments]
