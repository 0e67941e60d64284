"""Keys that readers of `handoff eval … --json` rely on, and the baselines beside the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handoff.core.model import Feelings
from handoff.evals.baselines import asks_by_keyword, judge_by_vectors, keywords, negative_by_lexicon
from handoff.evals.intents import evaluate_intents, read_intent_sets
from handoff.evals.sentiment import (
    evaluate_requests,
    evaluate_sentiment,
    read_requests,
    read_sentiment,
)
from handoff.evals.tables import intents_table, requests_table, sentiment_table
from tests.encoder_server import HashingEncoder
from tests.evals.test_intents import TABLE, TEST, TRAIN, VALID, Script

SENTIMENT = "text,negative,angry\nthis is terrible,1,1\nhow sad,1,0\nfine,0,0\ngreat,0,0\n"
REQUESTS = (
    "text,handoff\na person please,1\nget me someone,1\nwhere is it,0\nthe staff was nice,0\n"
)


class ByLength:
    """Reads the same from texts of the same length."""

    async def read_many(self, texts: Sequence[str]) -> list[Feelings]:
        return [Feelings(*[min(1.0, len(text) / 20)] * 3) for text in texts]


async def intents(folder: Path, encoder: HashingEncoder | None = None) -> dict[str, Any]:
    for name, content in {"train": TRAIN, "valid": VALID, "test": TEST}.items():
        (folder / f"{name}.csv").write_text(content)
    script = Script(TABLE)
    train, valid, test = (folder / f"{name}.csv" for name in ("train", "valid", "test"))
    return await evaluate_intents(
        read_intent_sets(train, valid, test, ["oos", "far"]),
        trainer=script,
        serve=script.serve,
        encoder=encoder,
        samples=5,
    )


async def intents_beside_vectors(folder: Path) -> dict[str, Any]:
    return await intents(folder, HashingEncoder())


async def sentiment(folder: Path) -> dict[str, Any]:
    (folder / "sentiment.csv").write_text(SENTIMENT)
    return await evaluate_sentiment(read_sentiment(folder / "sentiment.csv"), ByLength(), samples=5)


async def requests(folder: Path) -> dict[str, Any]:
    (folder / "requests.csv").write_text(REQUESTS)
    return await evaluate_requests(read_requests(folder / "requests.csv"), ByLength(), samples=5)


RANKING = {"auroc", "average_precision"}
CONTRACTS = [
    (
        intents_beside_vectors,
        {
            "": {"accuracy", "in_scope_accuracy", "oos_recall", "threshold", "auroc", "ece"}
            | {"train_seconds", "intervals", "baselines", "counts", "notes"},
            "auroc": {"oos", "far"},
            "intervals.auroc": {"oos", "far"},
            "baselines": {"accuracy", "in_scope_accuracy", "oos_recall", "auroc", "ece"},
        },
    ),
    (
        sentiment,
        {
            "": RANKING | {"angry", "intervals", "baselines", "counts", "notes"},
            "angry": RANKING | {"intervals", "baselines"},
            "intervals": RANKING,
            "baselines": RANKING,
            "angry.baselines": RANKING,
        },
    ),
    (
        requests,
        {
            "": RANKING | {"f1", "threshold", "intervals", "baselines", "counts", "notes"},
            "intervals": RANKING | {"f1"},
            "baselines": RANKING | {"f1"},
        },
    ),
]


@pytest.mark.parametrize(("evaluate", "contract"), CONTRACTS)
async def test_the_keys_are_a_contract(
    evaluate: Callable[[Path], Any], contract: Mapping[str, set[str]], tmp_path: Path
) -> None:
    figures = await evaluate(tmp_path)
    for place, keys in contract.items():
        found = figures
        for name in filter(None, place.split(".")):
            found = found[name]
        assert keys <= set(found), place
        assert all(found[key] is not None for key in keys), place


async def test_tables_show_the_baseline_beside_the_figure(tmp_path: Path) -> None:
    tables = [
        (intents_table(await intents_beside_vectors(tmp_path)), "accuracy"),
        (sentiment_table(await sentiment(tmp_path)), "angry auroc"),
        (requests_table(await requests(tmp_path)), "f1"),
        (requests_table(await requests(tmp_path)), "average_precision"),
    ]
    for table, row in tables:
        names, values, baselines, *_ = (list(column.cells) for column in table.columns)
        at = [str(name) for name in names].index(row)
        assert 0 <= float(str(values[at])) <= 1
        assert 0 <= float(str(baselines[at])) <= 1


async def test_baselines_of_the_small_files_by_hand(tmp_path: Path) -> None:
    # VADER knows all four words of feeling; the keywords find “person”, “someone” and “staff”.
    assert (await sentiment(tmp_path))["baselines"] == {"auroc": 1.0, "average_precision": 1.0}
    assert (await requests(tmp_path))["baselines"] == {
        "f1": pytest.approx(2 * 2 / 5),
        "auroc": 3 / 4,  # two of the four pairs are tied: the three found hold one word each
        "average_precision": pytest.approx(2 / 3),
    }


async def test_without_an_encoder_there_is_no_baseline(tmp_path: Path) -> None:
    assert (await intents(tmp_path))["baselines"] == {}


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("let me speak to a human", True),
        ("AGENT!", True),
        ("is somebody there?", True),
        ("the agents were nice", False),
        ("I personally like it", False),
        ("where is my parcel", False),
        ("", False),
    ],
)
def test_keywords(text: str, asks: bool) -> None:
    assert asks_by_keyword([text]).tolist() == [asks]


def test_more_keywords_rank_higher() -> None:
    texts = ["let me speak to a human", "AGENT!", "where is my parcel"]
    assert keywords(texts).tolist() == [2, 1, 0]


def test_vader_runs_from_positive_to_negative() -> None:
    love, nothing, hate = negative_by_lexicon(["I love it", "order 10042", "I hate it"])
    assert -1 <= love < nothing == 0 < hate <= 1


VECTORS = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])


def test_plain_vectors_answer_as_a_regression_does() -> None:
    judged = judge_by_vectors(
        VECTORS, ["a", "a", "b", "b"], np.array([[1, 0], [0, 1], [0.5, 0.5]]), "abo", ["o"]
    )
    assert judged.intent.tolist()[:2] == ["a", "b"]
    assert judged.in_scope.tolist() == [True, True, False]
    assert judged.confidence[2] == pytest.approx(0.5, abs=0.01)
    assert judged.confidence[:2].min() > 0.6


def test_plain_vectors_of_one_intent_know_nothing_else() -> None:
    judged = judge_by_vectors(VECTORS, ["a"] * 4, VECTORS[:2], ["a", "o"], ["o"])
    assert judged.intent.tolist() == ["a", "a"]
    assert judged.confidence.tolist() == [1, 1]
