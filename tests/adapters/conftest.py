"""The packaged encoder's export, made once for the checkout."""

from __future__ import annotations

import pytest

from handoff.adapters.encoder import Model
from handoff.adapters.onnx_export import Export


@pytest.fixture(scope="session")
def export(model: Model) -> Export:
    """Return the export of the encoder every desk ships with, which `make setup` has made."""
    found = model.export()
    assert found is not None
    return found
