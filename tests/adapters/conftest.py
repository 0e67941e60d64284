"""The packaged encoder, loaded once for all tests of the adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from handoff.adapters.encoder import SentenceEncoder


@pytest.fixture(scope="session")
def encoder() -> Iterator[SentenceEncoder]:
    """Yield the encoder every desk ships with."""
    made = SentenceEncoder()
    asyncio.run(made.load())
    yield made
    made.close()
