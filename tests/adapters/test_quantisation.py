"""Smoothing and quantising a graph, on the encoder every desk ships with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node

from handoff.adapters import quantisation
from handoff.adapters.encoder_backends import OnnxBackend, multiplies_exactly
from handoff.adapters.onnx_export import FP32, PROBE, TOKENIZER, Export
from handoff.adapters.quantisation import FEWEST_TEXTS, quantise, write_probe
from handoff.bootstrap.encoders import examples_in

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return training messages, for smoothing."""
    return [text for text, _ in examples_in(PROJECT / "training_data").training][::10]


@pytest.fixture(scope="module")
def unseen() -> list[str]:
    """Return messages nothing was smoothed for."""
    return [text for text, _ in examples_in(PROJECT / "training_data").golden][::5]


def backend(export: Export, graph: Path, alone: bool = False) -> OnnxBackend:
    return OnnxBackend(graph, export.folder / TOKENIZER, graph.name, alone)


def quantised(export: Export, folder: Path, texts: Sequence[str]) -> OnnxBackend:
    int8 = folder / f"int8-{len(texts)}.onnx"
    quantise(export.folder / FP32, export.folder / TOKENIZER, int8, texts)
    assert [path.name for path in folder.iterdir()] == [int8.name]  # and nothing beside it
    return backend(export, int8, alone=True)


def test_smoothing_leaves_the_vectors_as_they_are(
    export: Export, texts: list[str], unseen: list[str], tmp_path: Path
) -> None:
    graph, observed = onnx.load(export.folder / FP32), tmp_path / "observed.onnx"
    before = len(graph.graph.node)
    largest = quantisation._largest(graph, export.folder / TOKENIZER, observed, texts[:20])
    quantisation._smooth(graph, largest)
    onnx.checker.check_model(graph)
    onnx.save(graph, tmp_path / "smoothed.onnx")
    assert len(graph.graph.node) == before + len(largest) == before + 24  # four a layer
    plain = backend(export, export.folder / FP32).encode(unseen)
    smoothed = backend(export, tmp_path / "smoothed.onnx").encode(unseen)
    np.testing.assert_allclose(smoothed, plain, atol=1e-5)


def test_weights_that_two_products_share_stay_as_they_are() -> None:
    """A factor fits the activations of one product; the other's would be multiplied too."""
    products = [make_node("MatMul", [name, "shared"], [f"{name}2"]) for name in ("a", "b")]
    own = make_node("MatMul", ["a2", "own"], ["c"])
    three = make_node("MatMul", ["b2", "stack"], ["d"])
    weights = [
        numpy_helper.from_array(np.ones(shape, np.float32), name)
        for name, shape in (("shared", (3, 3)), ("own", (3, 3)), ("stack", (2, 3, 3)))
    ]
    graph = make_model(make_graph([*products, own, three], "g", [], [], weights))
    assert {name: len(nodes) for name, nodes in quantisation._matrices(graph).items()} == {"a2": 1}


def test_smoothed_in_8_bits_is_nearer_than_in_8_bits_alone(
    export: Export, texts: list[str], unseen: list[str], tmp_path: Path
) -> None:
    plain = backend(export, export.folder / FP32).encode(unseen)

    def apart(given: Sequence[str], name: str) -> float:
        (tmp_path / name).mkdir()
        vectors = quantised(export, tmp_path / name, given).encode(unseen)
        return 1.0 - float((vectors * plain).sum(axis=1).mean())

    assert len(texts) >= FEWEST_TEXTS
    assert apart(texts, "smoothed") < 0.5 * apart((), "alone")


def test_the_same_texts_give_the_same_file(
    export: Export, texts: list[str], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        quantised(export, tmp_path / name, texts)
    first, second = (next((tmp_path / name).iterdir()).read_bytes() for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize(("signed", "kind"), [(True, TensorProto.INT8), (False, TensorProto.UINT8)])
def test_weights_are_signed_where_that_was_asked_for(
    export: Export, texts: list[str], tmp_path: Path, signed: bool, kind: int
) -> None:
    int8 = tmp_path / "int8.onnx"
    quantise(export.folder / FP32, export.folder / TOKENIZER, int8, texts, signed)
    weights = [w for w in onnx.load(int8).graph.initializer if w.name.endswith("_quantized")]
    assert len(weights) == 36 and {weight.data_type for weight in weights} == {kind}


def test_both_kinds_of_weights_give_nearly_the_same_vectors(
    export: Export, texts: list[str], unseen: list[str], tmp_path: Path
) -> None:
    if not multiplies_exactly(export.folder / PROBE):
        pytest.skip("this processor cuts off sums of products with signed weights")
    files = [tmp_path / f"{signed}.onnx" for signed in (True, False)]
    for signed, file in zip((True, False), files, strict=True):
        quantise(export.folder / FP32, export.folder / TOKENIZER, file, texts, signed)
    one, other = (backend(export, file, alone=True).encode(unseen) for file in files)
    assert float((one * other).sum(axis=1).mean()) > 0.997


@pytest.mark.parametrize(("weight", "exact"), [(127, True), (126, False)])
def test_the_probe_tells_a_wrong_product(tmp_path: Path, weight: int, exact: bool) -> None:
    """Weights one smaller stand in for a processor that cuts off: their sums are too small too."""
    probe = tmp_path / "probe.onnx"
    write_probe(probe)
    graph = onnx.load(probe)
    (weights,) = graph.graph.initializer
    other = np.full_like(numpy_helper.to_array(weights), weight)
    weights.CopyFrom(numpy_helper.from_array(other, weights.name))
    onnx.save(graph, tmp_path / "other.onnx")
    here = multiplies_exactly(probe)
    assert multiplies_exactly(tmp_path / "other.onnx") is (exact and here)


def test_a_handful_of_texts_smooths_nothing(
    export: Export, texts: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quantisation, "_smooth", lambda *_: pytest.fail("smoothed by chance"))
    quantised(export, tmp_path, texts[: FEWEST_TEXTS - 1])
