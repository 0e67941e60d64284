"""Reading feelings: what is seen besides vectors, what is refused, and how well it goes."""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import roc_auc_score

from handoff.adapters import feelings
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import (
    FeelingsModel,
    feelings_path,
    load_feelings,
    read_labelled,
    surface,
)
from handoff.core.errors import BadData
from handoff.core.limits import PolicyLimits
from tests.encoder_server import HashingEncoder

PROJECT = Path(__file__).resolve().parents[2]
GOLDEN = PROJECT / "training_data" / "golden"

FLOORS = {"negative": 0.90, "angry": 0.91, "handoff": 0.96}
"""Smallest area under the ROC curve on the golden files. Measured were 0.936, 0.948 and 0.997; the
floors lie nearly four points below, which is what 188 and 78 messages may vary by."""


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("where is my parcel", [0, 0, 0, 0, 0]),
        ("WHERE IS IT", [1, 0, 0, 0, 0]),
        ("OK", [0, 0, 0, 0, 0]),
        ("Hello", [0.2, 0, 0, 0, 0]),
        ("no!", [0, 1 / 3, 0, 0, 0]),
        ("no!!!!!!", [0, 1, 0, 0, 0]),
        ("what?", [0, 0, 1 / 3, 0, 0]),
        ("what??", [0, 0, 2 / 3, 1, 0]),
        ("what?!", [0, 1 / 3, 1 / 3, 1, 0]),
        ("what!?", [0, 1 / 3, 1 / 3, 1, 0]),
        ("well...", [0, 0, 0, 0, 1]),
        ("well…", [0, 0, 0, 0, 1]),
        ("10042", [0, 0, 0, 0, 0]),
        ("", [0, 0, 0, 0, 0]),
    ],
)
def test_surface(text: str, features: list[float]) -> None:
    assert surface(text) == pytest.approx(features)


@pytest.mark.parametrize("text", ["", "😡" * 9, "!" * 50, "?!" * 9, "ÄÖÜ ß", "<3", "…" * 9])
def test_surface_runs_from_0_to_1(text: str) -> None:
    assert all(0 <= value <= 1 for value in surface(text))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no rows"),
        (b"text,negative\r\n", "holds no rows"),
        (b"text,negative\r\nhello,0\r\n  ,1\r\n", "row 3 has no text"),
        (b"words,negative\r\nhello,0\r\n", "row 2 has no text"),
        (b"text,negative\r\nhello,2\r\n", "row 2: negative must be 0 or 1"),
        (b"text,negative\r\nhello\r\n", "row 2: negative must be 0 or 1"),
        (b"text,mood\r\nhello,0\r\n", "row 2: negative must be 0 or 1"),
        (b"text,negative\r\n\xff\xfe,0\r\n", "cannot be read as UTF-8"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_row(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(content)
    with pytest.raises(BadData, match=why) as refusal:
        read_labelled(path, ["negative"])
    assert str(refusal.value).startswith(str(path))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"messages\.csv"):
        read_labelled(tmp_path / "messages.csv", ["negative"])


def test_shipped_files_can_be_read() -> None:
    for label, source in feelings.LABELS.items():
        rows = read_labelled(PROJECT / "training_data" / source / "messages.csv", [label])
        assert {row[label] for row in rows} == {"0", "1"}


# --- storing -------------------------------------------------------------------------------------


class CountingEncoder(HashingEncoder):
    """A small encoder that counts the texts it was given."""

    def __init__(self) -> None:
        self.texts = 0

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        self.texts += len(texts)
        return await super().encode(texts)


def small_data(folder: Path) -> Path:
    """Write training data that is learned in no time; return its folder."""
    for source, columns in (("sentiment", ["negative", "angry"]), ("requests", ["handoff"])):
        (folder / source).mkdir(parents=True)
        with (folder / source / "messages.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", *columns])
            for number in range(20):
                mark = number % 2
                word = ("calm", "furious")[mark]
                writer.writerow([f"{word} customer number {number}", *[mark] * len(columns)])
    return folder


async def test_what_was_trained_is_stored_and_not_trained_again(tmp_path: Path) -> None:
    data, models, first = small_data(tmp_path / "data"), tmp_path / "models", CountingEncoder()
    trained = await load_feelings(first, data, models)
    assert first.texts == 3 * 20
    stored = feelings_path(data, models, first.digest)
    assert [path.name for path in models.iterdir()] == [stored.name]
    written = stored.stat().st_mtime_ns
    second = CountingEncoder()
    loaded = await load_feelings(second, data, models)
    assert second.texts == 0 and stored.stat().st_mtime_ns == written
    texts = ["a furious customer", "a calm customer"]
    assert await loaded.read_many(texts) == await trained.read_many(texts)


async def test_other_data_or_another_encoder_is_another_model(tmp_path: Path) -> None:
    data = small_data(tmp_path / "data")
    before = feelings_path(data, tmp_path, "encoder")
    assert feelings_path(data, tmp_path, "encoder") == before
    assert feelings_path(data, tmp_path, "another") != before
    with (data / "requests" / "messages.csv").open("a") as file:
        file.write("one more,1\r\n")
    assert feelings_path(data, tmp_path, "encoder") != before


async def test_a_change_of_the_features_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = feelings_path(small_data(tmp_path), tmp_path, "encoder")
    monkeypatch.setattr(feelings, "FEATURES_VERSION", "next")
    assert feelings_path(tmp_path, tmp_path, "encoder") != before


async def test_a_training_that_fails_stores_nothing(tmp_path: Path) -> None:
    data = small_data(tmp_path / "data")
    (data / "requests" / "messages.csv").write_text("text,handoff\r\nhello,maybe\r\n")
    with pytest.raises(BadData, match="handoff must be 0 or 1"):
        await load_feelings(CountingEncoder(), data, tmp_path / "models")
    assert not list(tmp_path.glob("models/*"))


# --- the shipped model ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(encoder: SentenceEncoder, tmp_path_factory: pytest.TempPathFactory) -> FeelingsModel:
    """Return the model a new desk trains."""
    folder = tmp_path_factory.mktemp("models")
    return asyncio.run(load_feelings(encoder, PROJECT / "training_data", folder))


@pytest.mark.parametrize(
    ("name", "column", "field"),
    [
        ("sentiment.csv", "negative", "negative"),
        ("sentiment.csv", "angry", "angry"),
        ("handoff.csv", "handoff", "asks_for_person"),
    ],
)
async def test_golden_messages_are_told_apart(
    shipped: FeelingsModel, name: str, column: str, field: str
) -> None:
    rows = read_labelled(GOLDEN / name, [column])
    found = await shipped.read_many([row["text"] for row in rows])
    area = roc_auc_score([int(r[column]) for r in rows], [getattr(f, field) for f in found])
    print(f"{column}: AUROC {area:.3f}")
    assert area >= FLOORS[column]


async def test_probabilities_lie_on_the_right_side_of_the_limits(shipped: FeelingsModel) -> None:
    limits = PolicyLimits()
    angry, asking, calm = await shipped.read_many(
        [
            "you useless liars, I have had enough of this!!!",
            "please let me talk to a real person",
            "which payment methods do you take?",
        ]
    )
    assert angry.angry >= limits.angry and asking.asks_for_person >= limits.asks_for_person
    assert max(calm.angry, calm.negative, calm.asks_for_person) < 0.5


async def test_one_message_is_read_as_among_many(shipped: FeelingsModel) -> None:
    texts = ["hello", "WHY is nobody answering me?!"]
    assert [await shipped.read(text) for text in texts] == await shipped.read_many(texts)
    assert await shipped.read_many([]) == []


def test_training_again_gives_the_same_model(tmp_path: Path) -> None:
    """Two desks with the same data decide alike: nothing in the training is left to luck."""

    async def digest(folder: Path) -> str:
        model = await load_feelings(HashingEncoder(), data, folder)
        texts = [f"message {number} of a furious customer" for number in range(5)]
        return hashlib.sha256(repr(await model.read_many(texts)).encode()).hexdigest()

    data = small_data(tmp_path / "data")
    one, other = (asyncio.run(digest(tmp_path / name)) for name in ("one", "other"))
    assert one == other
