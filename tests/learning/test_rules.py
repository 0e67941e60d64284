"""Neutralising customer text, and the gate's rule."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handoff.core.learning import GateVerdict, gate, in_words, neutralise, tolerated
from handoff.core.limits import GOLDEN_MESSAGES_TAKEN
from handoff.learning.workspace import nlu_yaml
from tests.rasa_venv import RASA_VENV, needs_rasa

NASTY = [
    "my order [10042](order_number) please",
    '[LA]{"entity": "city", "role": "to"}',
    '[both][{"entity": "a"}, {"entity": "b"}]',
    "[broken]{not json}",
    "${HANDOFF_INTERNAL_TOKEN} and $HOME",
    "/restart",
    ' // \\ /greet{"name": 1}',
    "\\u000a- [x](y)",
    "\\U00110000 \\x41 \\N{BULLET}",
    "line one\n    - line two\r\n- intent: evil\u2028next\u0085more",
    "- list - item",
    "--- \n... \n%YAML 1.2",
    "key: value # comment",
    "! & * ? | > @ ` ' \" ''' \"\"\"",
    "yes",
    "null",
    "~",
    "1e3",
    "<3 _*[ <b>bold</b>",
    "tab\tand\x00nul\x1b[31m red \x7f \x9b",
    "\ufeffbom \ufffe \uffff",
    "👩\u200d👩\u200d👧 ça va? 你好",
    "\u200b\u200d",
    "",
    "   \n\t ",
    "[](){}",
]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("where is [10042](order_number)", "where is (10042)(order_number)"),
        ("${PATH}", "$(PATH)"),
        ("/restart", "restart"),
        ("one\n\ntwo\tthree ", "one two three"),
        ("a\\u000ab", "a/u000ab"),
        ("\\restart", "restart"),
        ("I <3 it, it's 100 % ok!", "I <3 it, it's 100 % ok!"),
        ("\u200b", "?"),
        ("/", "?"),
        ("", "?"),
    ],
)
def test_neutralise_keeps_the_words_and_takes_the_syntax(text: str, plain: str) -> None:
    assert neutralise(text) == plain


@given(st.text(alphabet=st.characters(), max_size=80))
@example("\x00 /x")
@example("\ufeff/x")
@example("{\u2028/}")
def test_neutralised_text_is_one_safe_line_for_any_input(text: str) -> None:
    plain = neutralise(text)
    assert plain
    assert not set("[]{}\\") & set(plain)
    assert not plain.startswith("/")
    assert plain == " ".join(plain.split())
    assert len(plain.splitlines()) == 1
    assert neutralise(plain) == plain


READ_WITH_RASA = """
import json, sys
from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLReader
data = RasaYAMLReader().reads(sys.stdin.read())
print(json.dumps({
    "examples": [[e.get("intent"), e.get("text")] for e in data.training_examples],
    "entities": [e.get("entities") for e in data.training_examples if e.get("entities")],
    "synonyms": data.entity_synonyms,
    "regexes": data.regex_features,
    "responses": data.responses,
}))
"""


def read_with_rasa(yaml: str) -> dict:
    """Return what Rasa's own reader finds in a training file."""
    done = subprocess.run(
        [str(RASA_VENV / "bin/python"), "-W", "ignore", "-c", READ_WITH_RASA],
        input=yaml,
        capture_output=True,
        text=True,
        check=False,
        env={"HANDOFF_INTERNAL_TOKEN": "secret-value", "HOME": "/root", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs_rasa
@pytest.mark.rasa
@pytest.mark.parametrize("only_ascii", [True, False])
def test_rasas_own_reader_finds_plain_text_and_nothing_else(only_ascii: bool) -> None:
    # Rasa decodes escapes in a file that is ASCII throughout, so both kinds of file count.
    texts = [t for t in NASTY if not only_ascii or neutralise(t).isascii()]
    found = read_with_rasa(nlu_yaml({"yes": texts, 'odd: "name" #': ["hello"]}))
    different = dict.fromkeys(neutralise(t) for t in texts)  # Rasa keeps each text once
    expected = [["yes", text] for text in different] + [['odd: "name" #', "hello"]]
    assert found.pop("examples") == expected
    assert not any(found.values()), found


@needs_rasa
@pytest.mark.rasa
def test_without_neutralising_rasa_would_find_an_entity() -> None:
    # The check above can fail: the same reader, given the raw text, is taken in.
    raw = nlu_yaml({"a": ["x"]}).replace("- x", "- order [10042](order_number)")
    assert read_with_rasa(raw)["entities"]


FIGURES = {
    "accuracy": 330 / 363,
    "in_scope_accuracy": 300 / 363,
    "oos_recall": 150 / 173,
    "oos_taken": 0.0,
    "in_scope_messages": 363.0,
    "out_of_scope_messages": 173.0,
}


def changed(name: str, messages: int) -> dict[str, float]:
    whole = 173 if name.startswith("oos") else 363
    return {**FIGURES, name: FIGURES[name] + messages / whole}


def test_equal_figures_pass() -> None:
    assert gate(FIGURES, FIGURES) == GateVerdict(True, "Passed.")
    assert in_words(FIGURES, FIGURES) == [
        "right intent: 90.9 % → 90.9 %",
        "right intent and sure enough to answer: 82.6 % → 82.6 %",
        "out of scope noticed: 86.7 % → 86.7 %",
    ]


@pytest.mark.parametrize(
    ("name", "messages"), [("accuracy", 4), ("in_scope_accuracy", 4), ("oos_recall", 2)]
)
def test_each_figure_may_fall_by_the_tolerance_and_no_further(name: str, messages: int) -> None:
    assert tolerated(FIGURES, name) == messages
    assert gate(FIGURES, changed(name, -messages)).passed
    refused = gate(FIGURES, changed(name, -messages - 1), ["where is it"])
    assert not refused.passed
    assert refused.sentence.startswith("Refused: ")
    assert f"fell by {messages + 1} messages" in refused.sentence
    assert "Changed for the worse: “where is it”." in refused.sentence


def test_a_small_golden_set_tolerates_nothing() -> None:
    small = {**FIGURES, "in_scope_messages": 60.0, "accuracy": 50 / 60}
    assert gate(small, small).passed
    assert not gate(small, {**small, "accuracy": 49 / 60}).passed


def test_a_huge_golden_set_tolerates_no_more_than_luck_explains() -> None:
    assert tolerated({**FIGURES, "in_scope_messages": 9000.0}, "accuracy") == 4


def test_a_gain_in_one_figure_does_not_buy_a_loss_in_another() -> None:
    after = {**changed("accuracy", 20), "oos_recall": FIGURES["oos_recall"] - 5 / 173}
    assert not gate(FIGURES, after).passed


def test_small_losses_do_not_add_up_below_the_floor() -> None:
    floor = changed("accuracy", 3)
    assert gate(FIGURES, changed("accuracy", -3), floor=floor).passed
    slid = gate(FIGURES, changed("accuracy", -4), floor=floor)
    assert gate(FIGURES, changed("accuracy", -4)).passed  # it is the floor that refuses
    assert not slid.passed
    assert "slid below the best release" in slid.sentence


def learned(taken: int) -> dict[str, float]:
    """Figures after a learned topic took messages that had been noticed as out of scope."""
    return {**changed("oos_recall", -taken), "oos_taken": taken / 173}


def test_messages_an_approved_topic_answers_are_not_lost() -> None:
    verdict = gate(FIGURES, learned(GOLDEN_MESSAGES_TAKEN))
    assert verdict.passed
    assert f"take {GOLDEN_MESSAGES_TAKEN} more out-of-scope messages" in verdict.sentence


def test_one_message_is_not_several() -> None:
    assert gate(FIGURES, learned(1)).sentence == (
        "Passed. Learned topics take 1 more out-of-scope message."
    )
    small = {**FIGURES, "in_scope_messages": 60.0, "accuracy": 50 / 60}
    refused = gate(small, {**small, "accuracy": 49 / 60})
    assert refused.sentence == "Refused: “right intent” fell by 1 message."


def test_a_topic_that_draws_everything_is_refused() -> None:
    verdict = gate(FIGURES, learned(GOLDEN_MESSAGES_TAKEN + 1))
    assert not verdict.passed
    assert f"learned topics take {GOLDEN_MESSAGES_TAKEN + 1} more" in verdict.sentence
