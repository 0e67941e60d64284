"""The assistant's own tests, run in its own environment (CPython 3.10 with Rasa)."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.environment import PROJECT, missing, rasa_venv

REQUIREMENTS = PROJECT / "bot" / "requirements.txt"


def pinned() -> dict[str, str]:
    """Return the version of each package in `bot/requirements.txt`."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in wanted)
    return {
        name.lower().replace("_", "-"): version
        for name, version in (line.split("==") for line in wanted)
    }


@pytest.mark.rasa
@pytest.mark.timeout(600)
def test_the_assistants_own_tests_pass() -> None:
    python = rasa_venv() / "bin" / "python"
    if not python.exists():
        missing(f"no Rasa environment at {rasa_venv()}: make setup")
    if subprocess.run([python, "-c", "import pytest"], capture_output=True).returncode:
        missing(f"pytest is missing in {rasa_venv()}: install bot/requirements-dev.txt")
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
    }
    command = [python, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "bot/tests"]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=580
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"\d+ passed|\[100%\]", done.stdout), "no test ran"


def test_every_version_of_the_environment_is_pinned() -> None:
    versions = pinned()
    assert versions["rasa"] == "3.6.21"
    assert int(versions["setuptools"].split(".")[0]) < 81, "Rasa imports pkg_resources"
    assert len(versions) > 100


def test_the_assistant_imports_nothing_of_the_gateway() -> None:
    sources = list((PROJECT / "bot").rglob("*.py"))
    assert sources
    pattern = re.compile(r"^\s*(?:from|import)\s+(?:handoff|agent_console)\b", re.MULTILINE)
    guilty = [p.name for p in sources if pattern.search(p.read_text(encoding="utf-8"))]
    assert guilty == []
