"""Rasa as a child process: its environment, its last words, and its end by its own handle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

STOP_SECONDS = 5.0
"""How long a Rasa process may take to end after SIGTERM before it is killed, in seconds."""

LAST_LINES = 12
"""How many of Rasa's last lines an error quotes."""

SECRETS = frozenset({"TELEGRAM_BOT_TOKEN", "DATABASE_URL", "RASA_TOKEN"})
"""Variables of the desk that no Rasa process gets."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s+[A-Z]+\s+\S+\s+-\s+")
_NOISE = re.compile(r"Deprecat\w*Warning:|^  +\S.*|^declare_namespace\(")


def python_of(venv: Path) -> Path:
    """Return the interpreter of an environment."""
    return venv / "bin" / "python"


def environment(bot: Path, encoder_url: str, internal_token: str) -> dict[str, str]:
    """Return the variables every Rasa process gets on top of what it inherits.

    TensorFlow and BLAS are kept to one thread: threads that fight for two cores make everything
    slower. Rasa's training cache is off: every workspace is new. So is its server's log of
    requests, whose lines are made but shown nowhere. Secrets Rasa needs not know are left out,
    since its YAML reader expands variables.
    """
    return {
        **{name: value for name, value in os.environ.items() if name not in SECRETS},
        # The shipped project is a package; an owner's holds packages of its own.
        "PYTHONPATH": os.pathsep.join((str(bot.resolve().parent), str(bot.resolve()))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "RASA_TELEMETRY_ENABLED": "false",
        "RASA_MAX_CACHE_SIZE": "0",
        "SANIC_ACCESS_LOG": "false",
        "HANDOFF_ENCODER_URL": encoder_url,
        "HANDOFF_INTERNAL_TOKEN": internal_token,
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    }


async def start(
    venv: Path, arguments: list[str], env: Mapping[str, str], cwd: Path, output: int
) -> asyncio.subprocess.Process:
    """Start `python -m rasa …` in a process group of its own; `output` takes both its streams.

    Cancelled half way, asyncio would kill the process alone and leave its children behind;
    therefore the start is finished first and the whole group ended then.
    """
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            str(python_of(venv)),
            "-m",
            "rasa",
            *arguments,
            cwd=cwd,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await stop(await starting)
        raise


async def stop(process: asyncio.subprocess.Process) -> None:
    """End the process and everything it started; return when it is gone.

    What is left of the group once its leader has ended is killed: it may have ignored SIGTERM.
    Nothing happens to a process that has ended before, whose number may be another's by now.
    """
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass  # it is killed below like everything else in its group
    finally:
        _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the process group, which has the number of its leader."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def readable(line: str) -> str:
    """Return a line Rasa said without colour, time and logger name."""
    return _LOGGED.sub("", _COLOUR.sub("", line)).strip()


def news(line: str) -> str:
    """Return what a line of Rasa's log says, or nothing where it is no log line."""
    return readable(line) if _LOGGED.match(_COLOUR.sub("", line)) else ""


def last_words(lines: list[str], secret: str = "") -> str:
    """Return the last lines worth quoting, oldest first, with `secret` blacked out."""
    plain = (_COLOUR.sub("", line).rstrip() for line in lines)
    said = [readable(line) for line in plain if line and not _NOISE.search(line)][-LAST_LINES:]
    quoted = " | ".join(said) or "it said nothing"
    return quoted.replace(secret, "…") if secret else quoted
