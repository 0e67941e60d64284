"""What all tests share: one thread for sums, the same examples in every run, the real encoder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

# Read when numpy is first imported, as in `handoff/__main__.py`: a fit on many threads of busy
# cores takes minutes, and adds up in another order.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from handoff.adapters.encoder import Model, SentenceEncoder
from handoff.adapters.feelings import FeelingsModel, load_feelings
from handoff.bootstrap.encoders import examples_in

TRAINING_DATA = Path(__file__).resolve().parents[1] / "training_data"

# Without a deadline: how long an example takes says how busy the machine is, not what is wrong.
settings.register_profile("same-every-time", derandomize=True, database=None, deadline=None)
settings.load_profile("same-every-time")


@pytest.fixture(scope="session")
def model() -> Model:
    """Return the encoder's model that every desk ships with."""
    examples = partial(examples_in, TRAINING_DATA)
    return Model("", "auto", TRAINING_DATA.parent / "var" / "encoders", examples)


@pytest.fixture(scope="session")
def encoder(model: Model) -> Iterator[SentenceEncoder]:
    """Yield the encoder every desk ships with, loaded once; on all cores, for nobody is served."""
    made = SentenceEncoder(model, workers=os.cpu_count() or 1)
    asyncio.run(made.load())
    yield made
    made.close()


@pytest.fixture(scope="session")
def shipped(encoder: SentenceEncoder, tmp_path_factory: pytest.TempPathFactory) -> FeelingsModel:
    """Return the feelings a new desk trains; about a minute, once for all tests."""
    folder = tmp_path_factory.mktemp("feelings")
    return asyncio.run(load_feelings(encoder, TRAINING_DATA, folder))
