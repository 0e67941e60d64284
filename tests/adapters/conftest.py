"""The packaged encoder, exported once for the checkout and loaded once for these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from handoff.adapters.encoder import Model, SentenceEncoder
from handoff.adapters.onnx_export import Export
from handoff.bootstrap.encoders import examples_in

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def model() -> Model:
    """Return the model every desk ships with."""
    examples = partial(examples_in, PROJECT / "training_data")
    return Model("", "auto", PROJECT / "var" / "encoders", examples)


@pytest.fixture(scope="session")
def export(model: Model) -> Export:
    """Return its export, which `make setup` has made."""
    found = model.export()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def encoder(model: Model) -> Iterator[SentenceEncoder]:
    """Yield the encoder every desk ships with."""
    made = SentenceEncoder(model)
    asyncio.run(made.load())
    yield made
    made.close()
