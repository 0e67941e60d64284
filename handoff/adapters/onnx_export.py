"""Exports a sentence-transformers model for ONNX Runtime, quantises it, and measures both.

An export is a folder: the graph in fp32 and in int8, the tokeniser, a probe of the processor, and
`manifest.json` with the digests of the files, how near their vectors are to torch's, and how many
points of accuracy int8 costs. It is made once, in a process of its own, so that whoever serves
never loads torch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import multiprocessing
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handoff.adapters.encoder_backends import (
    INPUTS,
    OnnxBackend,
    load_torch_model,
    multiplies_exactly,
)
from handoff.core.errors import EncoderUnavailable

EXPORT_VERSION = 3
"""Part of a folder's name: raised whenever an export would come out differently."""

COSINE = 0.9999
"""Smallest cosine between a vector of the fp32 graph and torch's."""

LOSS_POINTS = 0.5
"""Most points of accuracy (per cent of messages) that int8 may cost."""

JUDGED_AT_LEAST = 200
"""Fewest messages a loss is measured on: one message of 200 is half a point."""

FOLDS, REPEATS, BATCH, COMPARED = 5, 4, 32, 300
"""Parts of a cross-validation, and how many of them; texts encoded at once; texts compared with
torch."""

FP32, INT8, TOKENIZER = "model.onnx", "model-int8.onnx", "tokenizer.json"
PROBE, MANIFEST = "probe.onnx", "manifest.json"

ODD_TEXTS = ("?", "ü", "😡", "<3 " * 400, "HELLO THERE", "a\tb\nc", "10042", "one " * 60)
"""What customers also write; compared besides the project's own messages."""

Labelled = Sequence[tuple[str, str]]
"""Messages as (text, intent)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examples:
    """What an encoder's loss of accuracy is measured on. `training` also shows what customers write
    to whoever quantises; the bot never learns `golden`."""

    training: Labelled = ()
    golden: Labelled = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known about an export.

    Attributes:
        source: digest of the weights it was made from.
        files: SHA-256 by file name.
        signed: whether the weights of the int8 graph are, so that only processors like that of
            the machine it was made on compute its vectors.
        cosine: smallest cosine of a vector of the fp32 graph with torch's.
        int8_cosine: the mean one of the int8 graph with the fp32 graph's.
        judged: messages the accuracies were measured on.
        accuracy, int8_accuracy: per cent of them a classifier on these vectors judges rightly;
            None where there were too few.
    """

    source: str
    files: dict[str, str] = field(default_factory=dict)
    signed: bool = False
    cosine: float = 0.0
    int8_cosine: float = 0.0
    judged: int = 0
    accuracy: float | None = None
    int8_accuracy: float | None = None

    @property
    def loss_points(self) -> float | None:
        """Return the points of accuracy that int8 costs, below zero where it gains some."""
        if self.accuracy is None or self.int8_accuracy is None:
            return None
        return self.accuracy - self.int8_accuracy

    @property
    def int8_is_good(self) -> bool:
        """Say whether int8 was measured and costs no more than `LOSS_POINTS`."""
        return self.loss_points is not None and self.loss_points <= LOSS_POINTS


@dataclass(frozen=True, slots=True)
class Export:
    """An export on disk whose files are what the manifest says."""

    folder: Path
    manifest: Manifest

    def open(self, int8: bool) -> OnnxBackend:
        """Load one of the graphs."""
        name = INT8 if int8 else FP32
        return OnnxBackend(
            self.folder / name, self.folder / TOKENIZER, self.digest(int8), alone=int8
        )

    def digest(self, int8: bool) -> str:
        """Return what identifies the vectors: those of fp32 are torch's, those of int8 its own."""
        return self.manifest.files[INT8] if int8 else self.manifest.source


def ensure_export(path: str, source: str, folder: Path, examples: Callable[[], Examples]) -> Export:
    """Return the export of a model, making it where it is missing or was altered.

    Args:
        path: name or folder of the model.
        source: digest of its weights.
        folder: where exports are kept, a folder for each.
        examples: asked only when an export has to be made.
    """
    home = folder.absolute() / f"{source[:16]}-{EXPORT_VERSION}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(home.with_suffix(".lock")):
        if (found := _read(home, source)) is None:
            _make(path, source, home, examples())
            found = _read(home, source)
            _remove_older(home.parent, source)
        if found is None:
            raise EncoderUnavailable(why=f"the export in {home} cannot be read back")
        return found


def _remove_older(folder: Path, source: str) -> None:
    """Remove what versions before this one exported of the same model, 140 MB each.

    A desk of such a version that still runs keeps its files until it ends; started again, it
    exports anew.
    """
    for version in range(1, EXPORT_VERSION):
        older = folder / f"{source[:16]}-{version}"
        if older.exists():
            shutil.rmtree(older)
            log.info("The encoder in %s, of an older version, was removed.", older)
        older.with_suffix(".lock").unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time in: the others wait and then find the finished export."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(home: Path, source: str) -> Export | None:
    """Return the export in a folder; None where there is none or a file is not as it was made."""
    if not home.exists():
        return None
    try:
        manifest = Manifest(**json.loads((home / MANIFEST).read_text()))
        names = {FP32, INT8, TOKENIZER, PROBE}
        altered = [n for n in sorted(names) if file_digest(home / n) != manifest.files.get(n)]
    except (OSError, ValueError, TypeError) as error:
        log.warning("The encoder in %s cannot be read (%s) and is exported anew.", home, error)
        return None
    if altered or manifest.source != source:
        what = ", ".join(altered) or MANIFEST
        log.warning("The encoder in %s was altered (%s) and is exported anew.", home, what)
        return None
    if manifest.signed and not multiplies_exactly(home / PROBE):
        log.warning("The encoder in %s is for another processor and is exported anew.", home)
        return None
    return Export(home, manifest)


def _make(path: str, source: str, home: Path, examples: Examples) -> None:
    """Export in a child, whose torch goes when it ends; the folder appears whole or not at all."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix=".export-", dir=home.parent) as parent:
        made = Path(parent) / home.name
        made.mkdir()
        with ProcessPoolExecutor(1, mp_context=context) as child:
            child.submit(export, path, source, made, examples).result()
        if home.exists():
            shutil.rmtree(home)
        made.rename(home)


def export(path: str, source: str, folder: Path, examples: Examples) -> None:
    """Write graphs, tokeniser and manifest into `folder`; runs in a process of its own.

    Raises `EncoderUnavailable` when the graph does not give torch's vectors.
    """
    # Loads onnx, which only an export needs.
    from handoff.adapters.quantisation import quantise, write_probe

    logging.disable(logging.WARNING)  # the advice of exporter and quantiser is for their authors
    warnings.simplefilter("ignore")
    # The plain form of attention is the one ONNX Runtime knows how to fuse.
    model = load_torch_model(path, model_kwargs={"attn_implementation": "eager"})
    _write_tokenizer(model, folder / TOKENIZER)
    _write_graph(model, folder / FP32)
    texts = [text for text, _ in examples.training]
    write_probe(folder / PROBE)
    signed = multiplies_exactly(folder / PROBE)
    quantise(folder / FP32, folder / TOKENIZER, folder / INT8, texts, signed)
    files = {name: file_digest(folder / name) for name in (FP32, INT8, TOKENIZER, PROBE)}
    made = Export(folder, Manifest(source, files, signed))
    manifest = replace(made.manifest, **_measure(made, model, examples))
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")


def _write_tokenizer(model: Any, path: Path) -> None:
    """Write the tokeniser with its limit and padding, as sentence-transformers applies them."""
    fast = model.tokenizer.backend_tokenizer
    fast.enable_truncation(model.max_seq_length)
    fast.enable_padding(pad_id=model.tokenizer.pad_token_id, pad_token=model.tokenizer.pad_token)
    fast.save(str(path))


def _write_graph(model: Any, path: Path) -> None:
    """Write one graph that takes tokens and gives pooled vectors of unit length.

    torch's older exporter: it needs no further package, and its graph is the faster one, since
    ONNX Runtime recognises its attention and layer norms.
    """
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *given: Any) -> Any:
            vectors = self.model(dict(zip(names, given, strict=True)))["sentence_embedding"]
            return torch.nn.functional.normalize(vectors, p=2, dim=1)

    sample = model.preprocess(["two texts of", "different length"])
    names = [name for name in INPUTS if name in sample]
    torch.onnx.export(
        Whole().eval(),
        tuple(sample[name] for name in names),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=names,
        output_names=["vectors"],
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in names}
        | {"vectors": {0: "texts"}},
    )


def _measure(made: Export, torch_model: Any, examples: Examples) -> dict[str, Any]:
    fp32, int8 = made.open(int8=False), made.open(int8=True)
    known = _often_enough([*examples.training, *examples.golden])
    texts, labels = [text for text, _ in known], [intent for _, intent in known]
    compared = [*ODD_TEXTS, *texts[:: len(texts) // COMPARED + 1]]
    truth = torch_model.encode(compared, normalize_embeddings=True, show_progress_bar=False)
    cosine = float((_encoded(fp32, compared) * truth).sum(axis=1).min())
    if not cosine >= COSINE:
        raise EncoderUnavailable(why=f"its ONNX graph gives other vectors (cosine {cosine:.4f})")
    found = {"cosine": cosine, "judged": len(texts)}
    vectors, vectors8 = _encoded(fp32, texts or compared), _encoded(int8, texts or compared)
    found["int8_cosine"] = float((vectors * vectors8).sum(axis=1).mean())
    if len(texts) < JUDGED_AT_LEAST:
        return found
    found["accuracy"] = _accuracy(vectors, labels)
    found["int8_accuracy"] = _accuracy(vectors8, labels)
    return found


def _often_enough(labelled: Labelled) -> list[tuple[str, str]]:
    """Return the messages of intents that every part of a cross-validation can hold one of."""
    counts = Counter(intent for _, intent in labelled)
    return [(text, intent) for text, intent in labelled if counts[intent] >= FOLDS]


def _encoded(backend: OnnxBackend, texts: Sequence[str]) -> np.ndarray:
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    parts = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    rows = np.vstack([backend.encode([texts[row] for row in part]) for part in parts])
    return rows[np.argsort(order)]


def _accuracy(vectors: np.ndarray, labels: Sequence[str]) -> float:
    """Return the per cent of messages judged rightly by a classifier that has not learned them.

    The mean of several cross-validations: by one alone, what int8 costs lay between -0.25 and 0.45
    points, depending on how the messages were divided.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from threadpoolctl import threadpool_limits

    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0)
    classifier = LogisticRegression(C=10, max_iter=2000)
    with threadpool_limits(1):  # threads that fight for two cores: 3 s become 78
        return 100 * float(cross_val_score(classifier, vectors, labels, cv=folds).mean())
