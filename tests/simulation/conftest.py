"""Fixtures: one simulator for each test, with a bot and people to play."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.server import Bot, People, start_sandbox


@pytest.fixture
def url() -> Iterator[str]:
    """Base URL of a fresh simulator without sending limits."""
    with start_sandbox() as address:
        yield address


@pytest.fixture
def bot(url: str) -> Bot:
    """The bot of that simulator."""
    return Bot(url)


@pytest.fixture
def people(url: str) -> People:
    """The people of that simulator."""
    return People(url)
