"""Measuring assistants on a golden set."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoff.core.errors import AssistantUnavailable, BadData
from handoff.core.learning import in_words
from handoff.core.limits import PolicyLimits
from handoff.core.model import IntentScore, Parse
from handoff.learning.gate import compare, measure_golden, read_assistant
from handoff.settings import PROJECT
from tests.fakes import OnlyParses

LIMITS = PolicyLimits(confidence=0.5)

INTENTS = "text,intent\nwhere is it,track\nmoney back,refund\nstill not here,track\n/hello,greet\n"
OUT_OF_SCOPE = "text,intent\ngift cards,out_of_scope\nweather,out_of_scope\n"


class ScriptedAssistant(OnlyParses):
    """Answers from a table; `failures` is how often each text fails before it is answered."""

    def __init__(self, table: dict[str, tuple[str, float]], failures: int = 0) -> None:
        self.table = table
        self.failures = failures
        self.asked: list[str] = []

    async def parse(self, text: str) -> Parse:
        self.asked.append(text)
        if self.asked.count(text) <= self.failures:
            raise AssistantUnavailable(why="it is busy")
        intent, confidence = self.table.get(text, ("", 0.0))
        return Parse(ranking=(IntentScore(intent, confidence),) if intent else ())


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    (tmp_path / "intents.csv").write_text(INTENTS)
    (tmp_path / "out_of_scope.csv").write_text(OUT_OF_SCOPE)
    return tmp_path


GOOD = {
    "where is it": ("track", 0.9),
    "money back": ("refund", 0.4),
    "still not here": ("refund", 0.8),
    "hello": ("greet", 0.5),
    "gift cards": ("track", 0.6),
    "weather": ("greet", 0.1),
}


async def test_figures_are_shares_by_hand(golden: Path) -> None:
    assert await measure_golden(ScriptedAssistant(GOOD), golden, LIMITS) == {
        "accuracy": 3 / 4,
        "in_scope_accuracy": 2 / 4,
        "oos_recall": 1 / 2,
        "oos_taken": 0.0,
        "in_scope_messages": 4.0,
        "out_of_scope_messages": 2.0,
    }


async def test_a_learned_topic_takes_a_message_without_losing_it(golden: Path) -> None:
    table = {**GOOD, "gift cards": ("learned_gift_cards", 0.7)}
    reading = await read_assistant(ScriptedAssistant(table), golden, LIMITS)
    assert reading.figures["oos_taken"] == 1 / 2
    assert reading.figures["oos_recall"] == 1 / 2
    assert "gift cards" in reading.right


async def test_an_intent_for_the_unknown_is_no_answer_however_sure(golden: Path) -> None:
    unknown = {"gift cards": ("out_of_scope", 0.99), "hello": ("nlu_fallback", 0.9)}
    figures = await measure_golden(ScriptedAssistant({**GOOD, **unknown}), golden, LIMITS)
    assert (figures["oos_recall"], figures["oos_taken"]) == (1.0, 0.0)
    assert figures["accuracy"] == 2 / 4


async def test_an_assistant_that_names_no_intent_notices_everything(golden: Path) -> None:
    figures = await measure_golden(ScriptedAssistant({}), golden, LIMITS)
    assert (figures["accuracy"], figures["oos_recall"]) == (0.0, 1.0)


async def test_a_worse_candidate_is_refused_with_the_texts(golden: Path) -> None:
    bad = {**GOOD, "where is it": ("refund", 0.9), "hello": ("track", 0.9)}
    before, after, verdict = await compare(
        ScriptedAssistant(GOOD), ScriptedAssistant(bad), golden, LIMITS
    )
    assert not verdict.passed
    assert "right intent: 75.0 % → 25.0 %" in in_words(before.figures, after.figures)
    assert "“/hello”, “where is it”" in verdict.sentence


async def test_an_equal_candidate_passes(golden: Path) -> None:
    before, after, verdict = await compare(
        ScriptedAssistant(GOOD), ScriptedAssistant(GOOD), golden, LIMITS
    )
    assert verdict.passed
    assert before == after
    assert "worse" not in verdict.sentence


async def test_a_hiccup_is_tried_again_and_a_dead_assistant_is_told(golden: Path) -> None:
    figures = await measure_golden(ScriptedAssistant(GOOD, failures=2), golden, LIMITS)
    assert figures["accuracy"] == 3 / 4
    with pytest.raises(AssistantUnavailable, match="it is busy"):
        await measure_golden(ScriptedAssistant(GOOD, failures=3), golden, LIMITS)


@pytest.mark.parametrize("content", ["", "text,intent\n", "text\nhello\n", "text,intent\nhello,\n"])
async def test_a_broken_golden_file_is_named(golden: Path, content: str) -> None:
    (golden / "out_of_scope.csv").write_text(content)
    with pytest.raises(BadData, match=r"out_of_scope\.csv"):
        await measure_golden(ScriptedAssistant(GOOD), golden, LIMITS)


async def test_a_missing_golden_file_is_named(golden: Path) -> None:
    (golden / "intents.csv").unlink()
    with pytest.raises(BadData, match=r"intents\.csv"):
        await measure_golden(ScriptedAssistant(GOOD), golden, LIMITS)


async def test_the_shipped_golden_set_is_read_whole() -> None:
    golden = PROJECT / "training_data/golden"
    figures = await measure_golden(ScriptedAssistant({}), golden, LIMITS)
    assert figures["in_scope_messages"] >= 8 * 33
    assert figures["out_of_scope_messages"] >= 150
