"""Reading feelings: what is learned and stored, what is refused, and how well it goes."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from handoff.adapters import feelings
from handoff.adapters.feelings import (
    FeelingsModel,
    feelings_path,
    load_feelings,
    sources_in,
    train_feelings,
)
from handoff.core.errors import BadData
from handoff.core.limits import PolicyLimits
from handoff.core.text import sentences
from handoff.fitting.labelled import read_conversations, read_flags
from tests.conftest import TRAINING_DATA
from tests.encoder_server import DIMENSION, HashingEncoder

GOLDEN = TRAINING_DATA / "golden"

PRECEDENT_FLOOR = 0.83
"""Smallest area for precedents, turn by turn, on the golden conversations; measured was 0.868."""


def test_shipped_files_can_be_read() -> None:
    for label, source in feelings.MESSAGES.items():
        _, flags = read_flags(TRAINING_DATA / source, [label])
        assert set(flags[label]) == {0, 1}
    names = {path.relative_to(TRAINING_DATA) for path in sources_in(TRAINING_DATA)}
    assert names == {*feelings.MESSAGES.values(), feelings.CONVERSATIONS}


# --- storing -------------------------------------------------------------------------------------


class KeepingEncoder(HashingEncoder):
    """A small encoder that keeps the texts it was given."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        self.asked += texts
        return await super().encode(texts)


def small_data(folder: Path) -> Path:
    """Write training data that is learned in no time; return its folder."""
    for source, columns in (
        ("sentiment", ["negative", "angry"]),
        ("requests", ["handoff"]),
        ("alarms", ["danger", "legal"]),
        ("praise", ["praise", "irony"]),
    ):
        (folder / source).mkdir(parents=True)
        with (folder / source / "messages.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", *columns])
            for number in range(20):
                mark = number % 2
                word = ("calm", "furious")[mark]
                writer.writerow([f"{word} customer number {number}", *[mark] * len(columns)])
    return folder


def conversations(data: Path, needed: Sequence[bool]) -> Path:
    """Write a conversation of two turns for each flag, which says what the second needed."""
    path = data / feelings.CONVERSATIONS
    path.parent.mkdir(exist_ok=True)
    rows = [
        {
            "conversation": str(number),
            "turn": turn,
            "text": f"a {'furious' if turn and need else 'calm'} turn of talk {number}",
            "intent": "x",
            "handoff": int(turn and need),
        }
        for number, need in enumerate(needed)
        for turn in (0, 1)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


async def test_what_was_trained_is_stored_and_not_trained_again(tmp_path: Path) -> None:
    data, models, first = small_data(tmp_path / "data"), tmp_path / "models", KeepingEncoder()
    trained = await load_feelings(first, data, models)
    assert len(first.asked) == 20  # each once, though seven models learn from it
    stored = feelings_path(data, models, first.digest)
    assert [path.name for path in models.iterdir()] == [stored.name]
    written = stored.stat().st_mtime_ns
    second = KeepingEncoder()
    loaded = await load_feelings(second, data, models)
    assert not second.asked and stored.stat().st_mtime_ns == written
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
        await load_feelings(KeepingEncoder(), data, tmp_path / "models")
    assert not list(tmp_path.glob("models/*"))


async def test_without_labelled_conversations_there_is_no_precedent(tmp_path: Path) -> None:
    data = small_data(tmp_path / "data")
    model = await load_feelings(HashingEncoder(), data, tmp_path / "one")
    assert (await model.read("a furious customer")).precedent is None
    conversations(data, [False, False])
    model = await load_feelings(HashingEncoder(), data, tmp_path / "two")
    assert (await model.read("a furious customer")).precedent is None


async def test_precedents_are_learned_from_conversations(tmp_path: Path) -> None:
    data = small_data(tmp_path / "data")
    before = feelings_path(data, tmp_path, "encoder")
    conversations(data, [False, True] * 10)
    assert feelings_path(data, tmp_path, "encoder") != before
    model = await load_feelings(HashingEncoder(), data, tmp_path / "models")
    calm, bad = await model.read_many(["a calm turn of talk 3", "a furious turn of talk 3"])
    assert calm.precedent is not None and bad.precedent is not None
    assert 0 < calm.precedent < 0.5 < bad.precedent < 1


async def test_before_anothers_assistant_the_shops_conversations_are_no_precedents(
    tmp_path: Path,
) -> None:
    data = small_data(tmp_path / "data")
    without = feelings_path(data, tmp_path, "encoder")
    conversations(data, [False, True] * 10)
    assert feelings_path(data, tmp_path, "encoder", precedents=False) == without
    for wanted in (True, False):
        model = await load_feelings(HashingEncoder(), data, tmp_path / "models", wanted)
        assert ((await model.read("a furious turn")).precedent is not None) is wanted


async def test_a_bad_conversation_stops_the_training(tmp_path: Path) -> None:
    data = small_data(tmp_path / "data")
    conversations(data, [False, True]).write_text("{")
    with pytest.raises(BadData, match=r"conversations\.jsonl: line 1 is not JSON"):
        await load_feelings(HashingEncoder(), data, tmp_path / "models")


async def test_requests_are_as_rare_as_in_life(tmp_path: Path) -> None:
    """Half of the training texts ask for a person, and a twentieth of all messages does."""
    data = small_data(tmp_path / "data")
    models = await train_feelings(HashingEncoder(), data)
    asks, angry = models.models["handoff"], models.models["angry"]
    assert feelings.BASE_RATES == {"handoff": 0.05}
    nothing = models.features.rows(["zzqq"], np.zeros((1, DIMENSION)))
    assert asks.predict(nothing)[0] < 0.2 < angry.predict(nothing)[0]


# --- the shipped model ---------------------------------------------------------------------------


async def test_precedents_tell_golden_turns_apart(shipped: FeelingsModel) -> None:
    turns = [t for c in read_conversations(GOLDEN / "handoffs.jsonl") for t in c.turns if t.text]
    found = [one.precedent for one in await shipped.read_many([turn.text for turn in turns])]
    area = roc_auc_score([turn.needs_person for turn in turns], found)
    print(f"precedent: AUROC {area:.3f}")
    assert area >= PRECEDENT_FLOOR


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


@pytest.mark.parametrize(
    "message",
    [
        "The balance on my statement looks wrong to me. Can I speak to a person, please?",
        "Put me through to an agent. My order is 10042 and it has been three days now.",
        "My parcel has not come.\nIt was due on Tuesday\nI want to talk to a human",
    ],
)
async def test_a_request_counts_wherever_it_stands(shipped: FeelingsModel, message: str) -> None:
    alone = await shipped.read_many(sentences(message))
    whole = await shipped.read(message)
    assert whole.asks_for_person >= max(one.asks_for_person for one in alone)
    assert whole.asks_for_person >= PolicyLimits().asks_for_person


@pytest.mark.parametrize(
    "message",
    [
        "could you please look into the missing beehive frames",
        "Please take care of the mooring fee, it was charged twice. Can you help me with that?",
        "I would like to get my harp tuned, please",
        "please get me a berth on the night train",
        "someone took my kayak from your jetty, please help",
        "can you speak more quietly please",
    ],
)
async def test_an_order_however_polite_is_no_request_for_a_person(
    shipped: FeelingsModel, message: str
) -> None:
    found = await shipped.read(message)
    assert found.asks_for_person < PolicyLimits().asks_for_person


@pytest.mark.parametrize(
    "message",
    [
        "could you please get somebody to look at the missing beehive frames with me",
        "is there someone I can talk to about the mooring fee",
        "I would rather have a human deal with my harp",
        "could I have a word with your yard foreman",
    ],
)
async def test_a_request_is_one_in_every_trade(shipped: FeelingsModel, message: str) -> None:
    found = await shipped.read(message)
    assert found.asks_for_person >= PolicyLimits().asks_for_person


async def test_only_the_last_sentences_are_read_alone(tmp_path: Path) -> None:
    encoder = KeepingEncoder()
    model = await load_feelings(encoder, small_data(tmp_path / "data"), tmp_path)
    encoder.asked.clear()
    message = " ".join(f"Sentence {number}." for number in range(500))
    await model.read(message)
    last = [f"Sentence {number}." for number in range(500 - feelings.MOST_SENTENCES, 500)]
    assert encoder.asked == [message, *last]
    encoder.asked.clear()
    await model.read("one sentence only")
    assert encoder.asked == ["one sentence only"]


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
