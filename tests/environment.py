"""What some tests need from the machine: a skip that says why, and under CI a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def missing(what: str) -> None:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def rasa_venv() -> Path:
    """Return the folder of the Rasa environment."""
    return Path(os.environ.get("RASA_VENV") or PROJECT / ".venv-rasa").absolute()


def require_rasa() -> None:
    """Skip or fail unless the Rasa environment is there."""
    if not (rasa_venv() / "bin" / "rasa").exists():
        missing(f"no Rasa environment at {rasa_venv()}: make setup")


def require_chromium() -> str:
    """Return the path of Chromium, or skip or fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("no Chromium on this machine: apt-get install chromium")
    return str(found)
