"""The intent evaluation, with a scripted assistant, and once with the real pipeline."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bot.components.intent_views import BACKGROUND
from handoff.adapters.rasa import RasaAssistant
from handoff.core.errors import AssistantUnavailable, BadData, EncoderUnavailable, TrainingFailed
from handoff.core.learning import neutralise
from handoff.core.model import IntentScore, Parse
from handoff.core.policy import Desk
from handoff.evals.intents import (
    RESERVED,
    Progress,
    evaluate_intents,
    examples_by_intent,
    rasa_names,
    read_intent_sets,
)
from handoff.evals.tables import intents_table
from handoff.fitting.labelled import Labelled
from handoff.learning.rasa_server import RasaServer
from handoff.learning.trainer import Trainer
from handoff.ports import Assistant
from handoff.settings import PROJECT
from tests.encoder_server import HashingEncoder, encoder_server
from tests.fakes import OnlyParses
from tests.rasa_venv import RASA_VENV, needs_rasa

TRAIN = """text,intent
hi there,greet
hello you,greet
good day hello,greet
hey hello hi,greet
where is my [parcel](thing),track
track my parcel,track
parcel status,track
is my parcel here,track
money back please,ask/refund
refund my money,ask/refund
want a refund,ask/refund
refund now money,ask/refund
buy a spaceship,oos
"""
VALID = """text,intent
hello hi,greet
my parcel,track
purple monkey dishwasher,oos
quantum cheese,oos
"""
TEST = """text,intent
hi hello,greet
where parcel,track
/refund my money,ask/refund
elephants dance,oos
weather tomorrow,far
"""


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    for name, content in {"train": TRAIN, "valid": VALID, "test": TEST}.items():
        (tmp_path / f"{name}.csv").write_text(content)
    return {name: tmp_path / f"{name}.csv" for name in ("train", "valid", "test")}


class Script(OnlyParses):
    """Trains nothing, serves a table of answers, and remembers what it was given."""

    def __init__(self, table: Mapping[str, tuple[str, float]]) -> None:
        self.table = table
        self.examples: Mapping[str, Sequence[str]] = {}
        self.asked: list[str] = []
        self.serving = 0

    async def train_nlu(
        self, examples: Mapping[str, Sequence[str]], out: Path, progress: Progress = print
    ) -> Path:
        self.examples = examples
        return out

    @asynccontextmanager
    async def serve(self, model: Path) -> AsyncIterator[Assistant]:
        self.serving += 1
        try:
            yield self
        finally:
            self.serving -= 1

    async def parse(self, text: str) -> Parse:
        self.asked.append(text)
        intent, confidence = self.table[text]
        await asyncio.sleep(0)
        return Parse(ranking=(IntentScore(intent, confidence),))


TABLE = {
    "hello hi": ("greet", 0.9),
    "my parcel": ("track", 0.8),
    "purple monkey dishwasher": ("track", 0.3),
    "quantum cheese": ("greet", 0.2),
    "hi hello": ("greet", 0.9),
    "where parcel": ("greet", 0.7),
    "refund my money": ("ask_refund", 0.8),
    "elephants dance": ("track", 0.6),
    "weather tomorrow": ("greet", 0.1),
}


async def run(script: Script, data: dict[str, Path], oos: Sequence[str], **more: Any) -> Any:
    return await evaluate_intents(
        read_intent_sets(data["train"], more.pop("valid", data["valid"]), data["test"], oos),
        trainer=script,
        serve=script.serve,
        samples=20,
        **more,
    )


async def test_figures_by_hand(data: dict[str, Path]) -> None:
    script = Script(TABLE)
    figures = await run(script, data, ["oos", "far"])
    assert figures["accuracy"] == 2 / 3
    assert figures["threshold"] == pytest.approx(0.55)
    assert figures["in_scope_accuracy"] == 2 / 3
    assert figures["oos_recall"] == 1 / 2
    assert figures["auroc"] == {"oos": 1.0, "far": 1.0}
    assert figures["ece"] == pytest.approx((0.1 + 0.7 + 0.2) / 3)
    assert figures["train_seconds"] >= 0
    assert figures["counts"] == {
        "train": 12,
        "intents": 3,
        "valid": 4,
        "test_in_scope": 3,
        "test_out_of_scope": 2,
        "test_texts_in_train": 0,
        "test_untrained_intents": [],
    }
    low, high = figures["intervals"]["accuracy"]
    assert 0 <= low <= 2 / 3 <= high <= 1


async def test_out_of_scope_rows_are_not_trained_on(data: dict[str, Path]) -> None:
    script = Script(TABLE)
    await run(script, data, ["oos", "far"])
    assert set(script.examples) == {"greet", "track", "ask_refund"}
    assert not [t for texts in script.examples.values() for t in texts if "spaceship" in t]


async def test_every_text_is_asked_once_as_the_desk_would_ask(data: dict[str, Path]) -> None:
    script = Script(TABLE)
    await run(script, data, ["oos", "far"])
    assert sorted(script.asked) == sorted(TABLE)


async def test_without_valid_nothing_is_tuned(data: dict[str, Path]) -> None:
    figures = await run(Script(TABLE), data, ["oos", "far"], valid=None)
    assert figures["threshold"] is None
    assert figures["in_scope_accuracy"] is None
    assert figures["oos_recall"] is None
    assert figures["auroc"] == {"oos": 1.0, "far": 1.0}


async def test_without_oos_labels_every_row_is_an_intent(data: dict[str, Path]) -> None:
    script = Script({**TABLE, "weather tomorrow": ("oos", 0.5)})
    figures = await run(script, data, [])
    assert "oos" in script.examples
    assert figures["threshold"] is None
    assert figures["auroc"] == {}
    assert figures["counts"]["test_untrained_intents"] == ["far"]


async def test_an_out_of_scope_label_nobody_has_is_refused(data: dict[str, Path]) -> None:
    with pytest.raises(BadData, match="no row is labelled “ood”"):
        await run(Script(TABLE), data, ["ood"])


async def test_nothing_left_to_train_on_is_refused(data: dict[str, Path]) -> None:
    with pytest.raises(BadData, match="nothing is left to train on"):
        await run(Script(TABLE), data, ["oos", "greet", "track", "ask/refund"])


class DeadEncoder(HashingEncoder):
    async def encode(self, texts: Sequence[str]) -> Any:
        raise EncoderUnavailable(why="it is not loaded")


class CountingEncoder(HashingEncoder):
    def __init__(self) -> None:
        self.encoded: list[str] = []

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        self.encoded += texts
        return await super().encode(texts)


async def test_what_is_trained_and_asked_is_encoded_ahead(data: dict[str, Path]) -> None:
    encoder = CountingEncoder()
    script = Script(TABLE)
    await run(script, data, ["oos", "far"], encoder=encoder)
    learned = {neutralise(text) for texts in script.examples.values() for text in texts}
    assert set(script.asked) <= set(encoder.encoded) <= learned | set(script.asked)


async def test_a_dead_encoder_is_told_and_the_server_stopped(data: dict[str, Path]) -> None:
    script = Script(TABLE)
    with pytest.raises(EncoderUnavailable):
        await run(script, data, ["oos", "far"], encoder=DeadEncoder())
    assert not script.serving


class DeadAssistant(Script):
    async def parse(self, text: str) -> Parse:
        raise AssistantUnavailable(why="it is gone")


async def test_a_dead_assistant_is_told_and_the_server_stopped(data: dict[str, Path]) -> None:
    script = DeadAssistant(TABLE)
    with pytest.raises(AssistantUnavailable, match="it is gone"):
        await run(script, data, ["oos", "far"])
    assert not script.serving


def test_labels_become_names_rasa_takes() -> None:
    labels = ["a/b", "a_b", "plain", "[x]", "a/b", "yes"]
    assert rasa_names(labels) == {
        "a/b": "a_b",
        "a_b": "a_b_2",
        "plain": "plain",
        "[x]": "(x)",
        "yes": "yes",
    }


@pytest.mark.parametrize("name", [BACKGROUND, *Desk().unknown_intents])
async def test_a_label_that_has_a_meaning_here_is_an_ordinary_one_there(
    data: dict[str, Path], name: str
) -> None:
    for path in data.values():
        path.write_text(path.read_text().replace("track", name))
    script = Script({**TABLE, "my parcel": (f"{name}_2", 0.8), "where parcel": (f"{name}_2", 0.7)})
    figures = await run(script, data, ["oos", "far"])
    assert name in RESERVED
    assert set(script.examples) == {"greet", f"{name}_2", "ask_refund"}
    assert figures["accuracy"] == 1


def test_names_stay_apart_from_those_with_a_meaning() -> None:
    assert rasa_names(["out_of_scope_2", "out_of_scope", "out/of/scope", "[background]"]) == {
        "out_of_scope_2": "out_of_scope_2",
        "out_of_scope": "out_of_scope_3",
        "out/of/scope": "out_of_scope_4",
        "[background]": "(background)_2",
    }


async def test_an_intent_that_was_not_trained_is_nobodys_label(data: dict[str, Path]) -> None:
    data["test"].write_text("text,intent\nhi hello,greet\nwhere parcel,nlu_fallback\n")
    script = Script({**TABLE, "where parcel": ("nlu_fallback", 0.7)})
    assert (await run(script, data, []))["accuracy"] == 1 / 2


def test_examples_keep_their_order_within_an_intent() -> None:
    messages = [Labelled("1", "a", 2), Labelled("2", "oos", 3), Labelled("3", "a", 4)]
    assert examples_by_intent(messages, {"a": "A"}) == {"A": ["1", "3"]}


async def test_the_table_shows_every_figure(data: dict[str, Path]) -> None:
    table = intents_table(await run(Script(TABLE), data, ["oos", "far"]))
    names = [str(cell) for cell in table.columns[0].cells]
    shown = dict(zip(names, table.columns[1].cells, strict=True))
    assert shown["accuracy"] == "0.667"
    assert shown["auroc oos"] == "1.000"
    assert set(shown) >= {"threshold", "in_scope_accuracy", "oos_recall", "ece", "train_seconds"}


async def test_labels_are_no_markup(data: dict[str, Path]) -> None:
    data["test"].write_text("text,intent\nhi hello,[/new]\nelephants dance,[oos]\nhi hello,:x:\n")
    table = intents_table(await run(Script(TABLE), data, ["[oos]"]))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    said = console.export_text()
    assert "auroc [oos]" in said
    assert "test untrained intents: :x:, [/new]" in said


NO_FIGURE_AT_ONE = "No threshold, and no figure at one, since "


@pytest.mark.parametrize(
    ("valid", "test", "oos", "notes"),
    [
        (VALID, TEST, ["oos", "far"], []),
        (None, TEST, [], [NO_FIGURE_AT_ONE + "no label means out of scope (--oos)."]),
        (
            None,
            TEST,
            ["oos"],
            [NO_FIGURE_AT_ONE + "there are no messages to tune it on (--valid)."],
        ),
        (
            "text,intent\nmy parcel,track\n",
            TEST,
            ["oos"],
            [NO_FIGURE_AT_ONE + "no message of valid is out of scope."],
        ),
        (
            "text,intent\nquantum cheese,oos\n",
            TEST,
            ["oos"],
            [NO_FIGURE_AT_ONE + "no message of valid is in scope."],
        ),
        (
            VALID,
            "text,intent\nhi hello,greet\n",
            ["oos"],
            [
                "No oos_recall, since no message of test is out of scope.",
                "No auroc of “oos”, since no message of test has that label.",
            ],
        ),
        (
            VALID,
            "text,intent\nelephants dance,oos\n",
            ["oos"],
            ["No figure of in-scope messages and no auroc: test holds none."],
        ),
    ],
)
async def test_a_missing_figure_has_a_reason(
    data: dict[str, Path], valid: str | None, test: str, oos: list[str], notes: list[str]
) -> None:
    data["valid"].write_text(valid or "")
    data["test"].write_text(test)
    script = Script({**TABLE, "weather tomorrow": ("oos", 0.5)})
    figures = await run(script, data, oos, valid=data["valid"] if valid else None)
    assert figures["notes"] == notes
    caption = str(intents_table(figures).caption)
    assert all(note in caption for note in notes)
    missing = [name for name in ("accuracy", "threshold", "oos_recall", "ece") if not figures[name]]
    assert bool(missing) == bool(notes)


BOT = PROJECT / "bot"


@needs_rasa
@pytest.mark.rasa
async def test_the_shipped_pipeline_is_trained_served_and_measured(data: dict[str, Path]) -> None:
    with encoder_server("toy-token") as url:
        trainer = Trainer(BOT, PROJECT / "training_data", RASA_VENV, url, "toy-token")

        @asynccontextmanager
        async def serve(model: Path) -> AsyncIterator[Assistant]:
            server = RasaServer(model, BOT, RASA_VENV, url, "toy-token")
            async with server, RasaAssistant(server.url, server.token) as assistant:
                yield assistant

        said: list[str] = []
        figures = await evaluate_intents(
            read_intent_sets(data["train"], data["valid"], data["test"], ["oos", "far"]),
            trainer=trainer,
            serve=serve,
            encoder=HashingEncoder(),
            progress=said.append,
        )
    assert figures["accuracy"] == 1.0
    assert figures["oos_recall"] == 1.0
    assert figures["in_scope_accuracy"] == 1.0
    assert 0 < figures["threshold"] < 1
    assert any("SentenceVectorIntentClassifier" in line for line in said)


@needs_rasa
@pytest.mark.rasa
async def test_a_training_that_fails_tells_rasas_last_words(tmp_path: Path) -> None:
    with encoder_server("right-token") as url:
        trainer = Trainer(BOT, PROJECT / "training_data", RASA_VENV, url, "wrong-token")
        with pytest.raises(TrainingFailed, match="answered 401") as failure:
            await trainer.train_nlu({"a": ["x", "y"], "b": ["z", "w"]}, tmp_path / "m.tar.gz")
    assert "wrong-token" not in str(failure.value)
    assert not list(tmp_path.iterdir())
