"""The encoder on ONNX Runtime: its vectors, what is checked, and what happens when it fails."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handoff.adapters import encoder as encoder_module
from handoff.adapters import onnx_export
from handoff.adapters.encoder import PACKAGED_DIGEST, Model, packaged_model
from handoff.adapters.encoder_backends import OnnxBackend, TorchBackend
from handoff.adapters.onnx_export import (
    COSINE,
    FP32,
    INT8,
    LOSS_POINTS,
    MANIFEST,
    PROBE,
    TOKENIZER,
    Export,
    Manifest,
    ensure_export,
)
from handoff.core.errors import EncoderUnavailable
from handoff.learning.gate import read_golden

PROJECT = Path(__file__).resolve().parents[2]
ODD = ["", " ", "ü", "😡😡", "<3 " * 600, "HELLO", "10042", "a\tb\nc", "naïve café"]


class NamedBackend:
    """Stands in for torch, which takes seconds to load."""

    def __init__(self, path: str, digest: str) -> None:
        self.path, self.digest = path, digest

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), dtype=np.float32)


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a name in torch's place."""
    monkeypatch.setattr(encoder_module, "TorchBackend", NamedBackend)


@pytest.fixture
def copied(export: Export, tmp_path: Path) -> Export:
    """Return a copy of the export that a test may spoil."""
    folder = tmp_path / "exports" / export.folder.name
    shutil.copytree(export.folder, folder)
    return replace(export, folder=folder)


@pytest.fixture
def made_anew(export: Export, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Have exports "made" by copying the good one; return the folders they were made in."""
    made: list[Path] = []

    def make(path: str, source: str, home: Path, examples: Any) -> None:
        made.append(home)
        shutil.copytree(export.folder, home, dirs_exist_ok=True)

    monkeypatch.setattr(onnx_export, "_make", make)
    return made


def golden_texts(count: int) -> list[str]:
    """Return messages of the golden set."""
    return [message.text for message in read_golden(PROJECT / "training_data" / "golden")][:count]


# --- vectors -------------------------------------------------------------------------------------


def test_the_fp32_graph_gives_the_vectors_of_torch(export: Export) -> None:
    texts = golden_texts(40)
    onnx, torch = export.open(int8=False), TorchBackend(str(packaged_model()), PACKAGED_DIGEST)
    vectors = onnx.encode(texts)
    assert vectors.dtype == np.float32 and onnx.digest == torch.digest
    np.testing.assert_allclose(vectors, torch.encode(texts), atol=1e-5)
    for text in ODD:
        np.testing.assert_allclose(onnx.encode([text]), torch.encode([text]), atol=1e-5)


def test_the_int8_graph_is_near_and_known_by_a_digest_of_its_own(export: Export) -> None:
    texts = golden_texts(100)
    int8, fp32 = export.open(int8=True), export.open(int8=False)
    cosines = (int8.encode(texts) * fp32.encode(texts)).sum(axis=1)
    assert cosines.mean() == pytest.approx(export.manifest.int8_cosine, abs=0.01)
    assert int8.digest == export.manifest.files[INT8] != fp32.digest


def test_neighbours_in_a_batch_do_not_change_a_quantised_vector(export: Export) -> None:
    """Else a replay would depend on who wrote at the same moment."""
    texts = [*golden_texts(8), *ODD]
    int8 = export.open(int8=True)
    together = int8.encode(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(int8.encode([text])[0], vector), text


def test_neighbours_would_change_it_in_one_run_of_the_graph(export: Export) -> None:
    """The reason for encoding one by one; when this fails, batches may be tried again."""
    texts = [*golden_texts(8), *ODD]
    files = (export.folder / INT8, export.folder / TOKENIZER)
    together = OnnxBackend(*files, "int8", alone=False).encode(texts)
    assert not np.allclose(together, export.open(int8=True).encode(texts), atol=1e-3)


def test_torch_is_not_loaded_where_onnx_serves(export: Export) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from handoff.adapters.encoder import Model, SentenceEncoder\n"
        f"encoder = SentenceEncoder(Model('', 'auto', Path({str(export.folder.parent)!r})))\n"
        "asyncio.run(encoder.load())\n"
        "print(encoder.digest, *({'torch', 'transformers', 'onnx'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    digests = {export.digest(int8=True), export.digest(int8=False)}
    assert done.stdout.strip() in digests, done.stdout + done.stderr


# --- what is served ------------------------------------------------------------------------------


def test_what_was_measured_allows_what_is_served(model: Model, export: Export) -> None:
    manifest = export.manifest
    assert manifest.source == PACKAGED_DIGEST and manifest.cosine >= COSINE
    assert manifest.judged > 1500 and manifest.loss_points is not None
    assert model.int8(export) == (manifest.loss_points <= LOSS_POINTS)


@pytest.mark.parametrize(
    ("backend", "loss", "int8"),
    [
        ("auto", LOSS_POINTS, True),
        ("auto", -1.0, True),
        ("auto", LOSS_POINTS + 0.25, False),
        ("auto", None, False),
        ("onnx", 0.0, False),
        ("onnx-int8", 3.0, True),
    ],
)
def test_int8_serves_where_it_costs_little_or_was_asked_for(
    backend: str, loss: float | None, int8: bool
) -> None:
    measured = None if loss is None else 80.0 - loss
    export = Export(Path(), Manifest("source", accuracy=80.0, int8_accuracy=measured))
    assert Model("", backend).int8(export) is int8


def test_the_loss_is_measured_on_what_the_classifier_has_not_learned() -> None:
    draw = np.random.default_rng(0)
    labels = [f"intent {number % 4}" for number in range(100)]
    telling = np.eye(4, dtype=np.float32)[[number % 4 for number in range(100)]]
    noise = draw.normal(size=(100, 200)).astype(np.float32)
    assert onnx_export._accuracy(telling, labels) == 100.0
    assert onnx_export._accuracy(noise, labels) < 50.0  # by heart it would be 80 at least


# --- what is checked -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [FP32, INT8, TOKENIZER, PROBE])
def test_an_altered_file_is_exported_anew(
    copied: Export, made_anew: list[Path], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = copied.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = ensure_export("", PACKAGED_DIGEST, copied.folder.parent, onnx_export.Examples)
    assert made_anew == [copied.folder] and found.manifest == copied.manifest
    assert f"was altered ({name}) and is exported anew" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "{}", '{"source": "x", "other": 1}', "[]"])
def test_a_manifest_that_says_nothing_is_exported_anew(
    copied: Export, made_anew: list[Path], content: str
) -> None:
    (copied.folder / MANIFEST).write_text(content)
    ensure_export("", PACKAGED_DIGEST, copied.folder.parent, onnx_export.Examples)
    assert made_anew == [copied.folder]


def test_an_export_of_other_weights_is_not_used(copied: Export, made_anew: list[Path]) -> None:
    noted = json.loads((copied.folder / MANIFEST).read_text())
    (copied.folder / MANIFEST).write_text(json.dumps(noted | {"source": "0" * 64}))
    ensure_export("", PACKAGED_DIGEST, copied.folder.parent, onnx_export.Examples)
    assert made_anew == [copied.folder]


def test_a_good_export_is_not_made_again(copied: Export, made_anew: list[Path]) -> None:
    found = ensure_export("", PACKAGED_DIGEST, copied.folder.parent, onnx_export.Examples)
    assert made_anew == [] and found == copied


def test_an_export_removes_those_of_older_versions_and_no_other(
    tmp_path: Path, made_anew: list[Path]
) -> None:
    of_same, version = PACKAGED_DIGEST[:16], onnx_export.EXPORT_VERSION
    older, newer = f"{of_same}-{version - 1}", f"{of_same}-{version + 1}"
    other = f"{'0' * 16}-{version - 1}"
    for name in (older, newer, other):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text("{}")
        (tmp_path / f"{name}.lock").touch()
    found = ensure_export("", PACKAGED_DIGEST, tmp_path, onnx_export.Examples)
    left = {newer, other, found.folder.name}
    assert {path.stem for path in tmp_path.iterdir()} == left
    assert all((tmp_path / name).is_dir() for name in left)


def test_an_export_for_another_processor_is_made_anew(
    copied: Export,
    made_anew: list[Path],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signed weights where sums are cut off would give other vectors under the same digest."""
    noted = json.loads((copied.folder / MANIFEST).read_text())
    (copied.folder / MANIFEST).write_text(json.dumps(noted | {"signed": True}))
    monkeypatch.setattr(onnx_export, "multiplies_exactly", lambda probe: len(made_anew) > 0)
    ensure_export("", PACKAGED_DIGEST, copied.folder.parent, onnx_export.Examples)
    assert made_anew == [copied.folder]
    assert "is for another processor and is exported anew" in caplog.text


def test_unsigned_weights_serve_on_every_processor(
    copied: Export, made_anew: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = json.loads((copied.folder / MANIFEST).read_text())
    (copied.folder / MANIFEST).write_text(json.dumps(noted | {"signed": False}))
    monkeypatch.setattr(onnx_export, "multiplies_exactly", lambda probe: False)
    ensure_export("", PACKAGED_DIGEST, copied.folder.parent, onnx_export.Examples)
    assert made_anew == []


# --- torch as fallback ---------------------------------------------------------------------------


def test_torch_serves_when_the_export_fails(
    tmp_path: Path,
    no_torch: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*given: Any) -> None:
        raise RuntimeError("no operator for that")

    monkeypatch.setattr(onnx_export, "_make", fail)
    model = Model("", "auto", tmp_path)
    assert isinstance(model.open(), NamedBackend)
    assert model.digest() == PACKAGED_DIGEST
    assert "cannot be exported, so that torch serves it: no operator for that" in caplog.text


def test_torch_serves_when_the_runtime_cannot_load_the_file(
    copied: Export, no_torch: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is what the manifest says, and yet no graph."""
    files = dict(copied.manifest.files)
    for name in (FP32, INT8):
        (copied.folder / name).write_bytes(b"no graph")
        files[name] = onnx_export.file_digest(copied.folder / name)
    noted = json.loads((copied.folder / MANIFEST).read_text())
    (copied.folder / MANIFEST).write_text(json.dumps(noted | {"files": files}))
    backend = Model("", "auto", copied.folder.parent).open()
    assert isinstance(backend, NamedBackend) and backend.digest == PACKAGED_DIGEST
    assert "ONNX Runtime cannot load the encoder, so that torch serves it" in caplog.text


def test_torch_serves_where_the_setting_says_so(tmp_path: Path, no_torch: None) -> None:
    assert isinstance(Model("", "torch", tmp_path).open(), NamedBackend)
    assert not list(tmp_path.iterdir())


# --- a real export -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a small model with random weights, pooled by its first token."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small")
    config = BertConfig(
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        num_hidden_layers=2,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder / "bert")
    AutoTokenizer.from_pretrained(str(packaged_model())).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=48)
    pooling = Pooling(32, pooling_mode="cls")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder / "model"))
    return str(folder / "model")


@pytest.fixture(scope="module")
def small_exports(small_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder its export was made in."""
    folder = tmp_path_factory.mktemp("exports")
    assert Model(small_model, "auto", folder).export() is not None
    return folder


def test_any_model_is_exported_once_and_cut_where_torch_cuts(
    small_model: str, small_exports: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    before = {path: path.stat().st_mtime_ns for path in small_exports.rglob("*.onnx")}
    model = Model(small_model, "auto", small_exports)
    onnx, export = model.open(), model.export()
    assert isinstance(onnx, OnnxBackend) and export is not None and not caplog.records
    assert export.manifest.accuracy is None, "there was nothing to measure a loss on"
    assert model.digest() == onnx.digest == export.digest(int8=False)
    torch = TorchBackend(small_model, onnx.digest)
    texts = ["one", "where is my order 10042?", "word " * 100]
    np.testing.assert_allclose(onnx.encode(texts), torch.encode(texts), atol=1e-5)
    assert before == {path: path.stat().st_mtime_ns for path in small_exports.rglob("*.onnx")}
    assert len(before) == 3  # fp32, int8 and the probe


def test_a_graph_with_other_vectors_is_refused(small_model: str, small_exports: Path) -> None:
    class Other:
        def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
            return np.eye(len(texts), 32, dtype=np.float32)

    export = Model(small_model, "auto", small_exports).export()
    assert export is not None
    with pytest.raises(EncoderUnavailable, match="its ONNX graph gives other vectors"):
        onnx_export._measure(export, Other(), onnx_export.Examples())
