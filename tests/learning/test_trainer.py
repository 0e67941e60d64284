"""Starting and ending Rasa, with stand-ins for the interpreter where Rasa itself is not needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from handoff.core.errors import AssistantUnavailable, TrainingFailed
from handoff.learning import rasa_process
from handoff.learning.rasa_server import RasaServer
from handoff.learning.trainer import Trainer

SAYS_AND_FAILS = """#!/bin/sh
echo "2026-01-01 10:00:00 INFO     rasa.engine.training.hooks  - Starting to train."
echo "token is $HANDOFF_INTERNAL_TOKEN"
echo "YamlException: broken" >&2
exit 1
"""

SUCCEEDS_WITHOUT_MODEL = "#!/bin/sh\necho 'No training data given.'\nexit 0\n"

WRITES_MODEL = """#!/bin/sh
while [ $# -gt 0 ]; do
  [ "$1" = --out ] && out="$2"
  shift
done
mkdir -p "$out"
printf model > "$out/model.tar.gz"
printf '%0100000d\\n' 1
env > "$out/../../env.txt"
ls "$out/../.." > "$out/../../seen.txt"
"""

WAITS = "#!/bin/sh\necho $$ > {pid}\nsleep 600 &\necho $! > {child}\nwait\n"


def venv(folder: Path, script: str) -> Path:
    """Return an environment whose interpreter is this script."""
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(script)
    python.chmod(0o755)
    return folder / "venv"


def project(folder: Path) -> tuple[Path, Path]:
    """Return the folders of a small assistant and its training data."""
    for name in ("bot/config.yml", "bot/domain/d.yml", "data/nlu/a.yml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x: y")
    return folder / "bot", folder / "data"


def trainer(folder: Path, script: str) -> Trainer:
    return Trainer(*project(folder), venv(folder, script), "http://127.0.0.1:9", "secret-token")


async def test_the_model_appears_under_its_final_name_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "models" / "night.tar.gz"
    found = await trainer(tmp_path, WRITES_MODEL).train(None, out)
    assert found == out
    assert out.read_text() == "model"
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".training")]
    # While Rasa worked there was only the hidden folder.
    assert "night.tar.gz" not in (out.parent / "seen.txt").read_text()


async def test_rasa_gets_its_environment_and_no_secret_of_the_desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:telegram")
    out = tmp_path / "models" / "m.tar.gz"
    await trainer(tmp_path, WRITES_MODEL).train(None, out, nlu_only=True)
    seen = dict(
        line.split("=", 1)
        for line in (out.parent / "env.txt").read_text().splitlines()
        if "=" in line
    )
    assert seen["HANDOFF_ENCODER_URL"] == "http://127.0.0.1:9"
    assert seen["HANDOFF_INTERNAL_TOKEN"] == "secret-token"
    assert seen["RASA_TELEMETRY_ENABLED"] == "false"
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["PYTHONPATH"].split(":") == [str(tmp_path), str(tmp_path / "bot")]
    assert "TELEGRAM_BOT_TOKEN" not in seen


async def test_a_failure_quotes_rasa_without_the_secret_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "models" / "m.tar.gz"
    said: list[str] = []
    with pytest.raises(TrainingFailed, match="YamlException: broken") as failure:
        await trainer(tmp_path, SAYS_AND_FAILS).train(None, out, progress=said.append)
    assert "secret-token" not in str(failure.value)
    assert "token is …" in str(failure.value)
    assert said == ["Starting to train."]
    assert not list(out.parent.iterdir())


async def test_an_old_model_survives_a_failed_training(tmp_path: Path) -> None:
    out = tmp_path / "models" / "m.tar.gz"
    out.parent.mkdir()
    out.write_text("old")
    with pytest.raises(TrainingFailed):
        await trainer(tmp_path, SAYS_AND_FAILS).train(None, out)
    assert out.read_text() == "old"


async def test_success_without_a_model_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="No training data given"):
        await trainer(tmp_path, SUCCEEDS_WITHOUT_MODEL).train(None, tmp_path / "m.tar.gz")


async def test_a_missing_environment_is_named(tmp_path: Path) -> None:
    bare = Trainer(*project(tmp_path), tmp_path / "none", "http://127.0.0.1:9", "")
    with pytest.raises(TrainingFailed, match="there is no Rasa environment at"):
        await bare.train(None, tmp_path / "m.tar.gz")


def running(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


async def until(holds: Callable[[], bool]) -> None:
    """Return once a condition outside this process holds; fail after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nothing here can set an event
            await asyncio.sleep(0.01)


async def appears(path: Path) -> int:
    await until(lambda: path.exists() and bool(path.read_text().strip()))
    return int(path.read_text())


async def ends(pid: int) -> None:
    await until(lambda: not running(pid))


async def test_cancelling_ends_rasa_and_its_children(tmp_path: Path) -> None:
    pid, child = tmp_path / "pid", tmp_path / "child"
    waiting = trainer(tmp_path, WAITS.format(pid=pid, child=child))
    out = tmp_path / "models" / "m.tar.gz"
    task = asyncio.create_task(waiting.train(None, out))
    numbers = [await appears(pid), await appears(child)]
    assert os.getpgid(numbers[1]) == numbers[0] != os.getpgid(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for number in numbers:
        await ends(number)
    assert not list(out.parent.iterdir())


def server(folder: Path, script: str) -> RasaServer:
    bot, _ = project(folder)
    return RasaServer(
        folder / "m.tar.gz", bot, venv(folder, script), "http://127.0.0.1:9", "secret-token"
    )


async def test_a_server_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(AssistantUnavailable, match=r"it ended: .*YamlException") as failure:
        async with server(tmp_path, SAYS_AND_FAILS):
            raise AssertionError("it never answered")
    assert "secret-token" not in str(failure.value)


async def test_cancelling_a_start_ends_the_server(tmp_path: Path) -> None:
    pid, child = tmp_path / "pid", tmp_path / "child"
    starting = server(tmp_path, WAITS.format(pid=pid, child=child))
    task = asyncio.create_task(starting.__aenter__())
    numbers = [await appears(pid), await appears(child)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for number in numbers:
        await ends(number)


def test_log_lines_are_told_from_noise() -> None:
    logged = "\x1b[94m2026-01-01 10:00:00 INFO     rasa.x  - Done: a - b\x1b[0m\n"
    assert rasa_process.news(logged) == "Done: a - b"
    assert rasa_process.news("  from jax import xla\n") == ""
    noise = ["x.py:3: DeprecationWarning: old\n", "  import pkg\n", "ValueError: real\n"]
    assert rasa_process.last_words(noise) == "ValueError: real"
    assert rasa_process.last_words([]) == "it said nothing"
