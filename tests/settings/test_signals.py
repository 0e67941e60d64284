"""A command that is told to end takes what it started with it, as it does at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = """
import sys
from pathlib import Path
from handoff.__main__ import _run
from handoff.learning.trainer import Trainer
from tests.settings.test_signals import PROJECT

folder = Path(sys.argv[1])
trainer = Trainer(PROJECT / "bot", PROJECT / "training_data", folder, "http://127.0.0.1:9", "t")
_run(trainer.train_nlu({"a": ["x"], "b": ["y"]}, folder / "out" / "model.tar.gz"))
"""
"""Trains in an environment whose interpreter only waits."""

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rasa(tmp_path: Path) -> Path:
    """Return a Rasa environment whose interpreter writes down its process id and waits."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/pid\n")
    with python.open("a") as file:
        file.write("exec sleep 120\n")
    python.chmod(0o755)
    return tmp_path


def training(folder: Path, *before: str) -> tuple[subprocess.Popen[str], int]:
    """Start a training and return it with the process id of what it started."""
    command = subprocess.Popen(
        [*before, sys.executable, "-c", COMMAND, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "pid").exists():
        assert command.poll() is None and time.monotonic() < deadline, command.communicate()
        time.sleep(0.05)
    return command, int((folder / "pid").read_text())


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_and_what_it_started(rasa: Path, number: signal.Signals) -> None:
    command, child = training(rasa)
    try:
        command.send_signal(number)
        _, said = command.communicate(timeout=30)
        if number != signal.SIGINT:  # the exit code of Ctrl-C is given further out, by `main`
            assert (command.returncode, said) == (128 + number, "")
        assert not is_alive(child)
        assert not list((rasa / "out").iterdir())
    finally:
        command.kill()
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


def test_a_command_that_was_to_outlive_its_terminal_does(rasa: Path) -> None:
    command, child = training(rasa, "nohup")
    try:
        command.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(1)
        assert is_alive(child)
        command.send_signal(signal.SIGTERM)
        assert command.wait(30) == 128 + signal.SIGTERM
        assert not is_alive(child)
    finally:
        command.kill()
        if is_alive(child):
            os.kill(child, signal.SIGKILL)
