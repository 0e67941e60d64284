"""Sentiment and requests for a person, by hand, with scripted feelings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from handoff.core.errors import BadData
from handoff.core.limits import PolicyLimits
from handoff.core.model import Feelings
from handoff.evals.sentiment import (
    evaluate_requests,
    evaluate_sentiment,
    read_requests,
    read_sentiment,
)
from handoff.evals.tables import requests_table, sentiment_table

READ = {
    "furious": Feelings(0.9, 0.9, 0.1),
    "sad": Feelings(0.6, 0.2, 0.7),
    "fine": Feelings(0.7, 0.3, 0.2),
    "happy": Feelings(0.1, 0.1, 0.65),
}


class ScriptedFeelings:
    async def read_many(self, texts: Sequence[str]) -> list[Feelings]:
        return [READ[text] for text in texts]


def csv(folder: Path, content: str) -> Path:
    path = folder / "data.csv"
    path.write_text(content)
    return path


async def test_negative_and_angry_by_hand(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative,angry\nfurious,1,1\nsad,1,0\nfine,0,0\nhappy,0,0\n")
    figures = await evaluate_sentiment(read_sentiment(path), ScriptedFeelings(), samples=20)
    assert figures["auroc"] == 3 / 4
    assert figures["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["angry"]["auroc"] == 1.0
    assert figures["angry"]["average_precision"] == 1.0
    assert figures["counts"] == {"messages": 4, "negative": 2, "angry": 1}
    low, high = figures["intervals"]["auroc"]
    assert low <= 3 / 4 <= high
    shown = [str(cell) for cell in sentiment_table(figures).columns[0].cells]
    assert shown == ["auroc", "average_precision", "angry auroc", "angry average_precision"]


async def test_without_angry_there_are_no_figures_for_it(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative\nfurious,1\nhappy,0\n")
    assert "angry" not in await evaluate_sentiment(
        read_sentiment(path), ScriptedFeelings(), samples=20
    )


async def test_one_class_alone_has_no_area(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative\nfurious,1\nsad,1\n")
    figures = await evaluate_sentiment(read_sentiment(path), ScriptedFeelings(), samples=20)
    assert figures["auroc"] is None
    assert figures["average_precision"] == 1.0
    assert figures["notes"] == ["No auroc, since negative is 1 in every message."]
    assert figures["notes"][0] in str(sentiment_table(figures).caption)


async def test_no_request_has_no_figure(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,handoff\nfurious,0\nhappy,0\n")
    strict = PolicyLimits(asks_for_person=0.99)
    figures = await evaluate_requests(read_requests(path), ScriptedFeelings(), strict, 20)
    assert [figures[name] for name in ("f1", "auroc", "average_precision")] == [None] * 3
    assert figures["notes"] == [
        "No auroc and no average_precision, since handoff is 0 in every message.",
        "No f1, since no message asks for a person and none is taken for one that does.",
    ]
    found = await evaluate_requests(read_requests(path), ScriptedFeelings(), samples=20)
    assert (found["f1"], len(found["notes"])) == (0, 1)


async def test_figures_without_a_gap_have_no_notes(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative,angry,handoff\nfurious,1,1,1\nhappy,0,0,0\n")
    figures = await evaluate_sentiment(read_sentiment(path), ScriptedFeelings(), samples=20)
    assert figures["notes"] == []
    figures = await evaluate_requests(read_requests(path), ScriptedFeelings(), samples=20)
    assert figures["notes"] == []


async def test_requests_at_the_limit_the_policy_uses(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,handoff\nfurious,0\nsad,1\nfine,1\nhappy,0\n")
    figures = await evaluate_requests(read_requests(path), ScriptedFeelings(), samples=20)
    assert figures["threshold"] == PolicyLimits().asks_for_person
    assert figures["f1"] == 1 / 2
    assert figures["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["counts"] == {"messages": 4, "handoff": 2}
    strict = await evaluate_requests(
        read_requests(path), ScriptedFeelings(), PolicyLimits(asks_for_person=0.68), 20
    )
    assert strict["f1"] == pytest.approx(2 / 3)
    assert next(iter(requests_table(figures).columns[1].cells)) == "0.500"


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative\nfurious,maybe\n")
    with pytest.raises(BadData, match="line 2: negative must be 0 or 1"):
        read_sentiment(path)


async def test_a_table_says_what_its_own_threshold_is(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,handoff\nfurious,0\nsad,1\n")
    table = requests_table(await evaluate_requests(read_requests(path), ScriptedFeelings()))
    meanings = [str(cell) for cell in table.columns[-1].cells]
    assert "probability from which a message counts as a request for a person" in meanings
