"""Whether the Rasa environment is there, for the tests that need it."""

from __future__ import annotations

import os

import pytest

from handoff.settings import load_settings

RASA_VENV = load_settings().rasa_venv

MISSING = not (RASA_VENV / "bin" / "python").exists() and os.environ.get("CI") != "true"
"""In CI the environment has to be there: a missing one is a failure, not a skip."""

needs_rasa = pytest.mark.skipif(
    MISSING, reason=f"there is no Rasa environment at {RASA_VENV}: run `make setup`"
)
