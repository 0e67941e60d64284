"""Phrases that call for a person: danger and the law, and the goods that only sound like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.words import LEGAL_PHRASES, SAFETY_PHRASES, phrases_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the kettle caught fire", ("caught fire",)),
        ("The Kettle Caught Fire!", ("caught fire",)),
        ("it caught\n fire in my hands", ("caught fire",)),
        ("it burned my hand and my son's", ("burned my",)),
        ("it burned myself", ("burned myself",)),
        ("we were poisoned", ("poisoned",)),
        ("two injuries and one injured", ("injuries", "injured")),
        ("he is in hospital, HOSPITAL!", ("hospital",)),
        ("an explosion, then it caught fire", ("explosion", "caught fire")),
        ("I want to kill myself", ("kill myself",)),
        ("there is a smell of gas", ("smell of gas",)),
    ],
)
def test_danger(text, found):
    assert phrases_in(text, SAFETY_PHRASES) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("my LAWYER will write to you", ("lawyer",)),
        ("my lawyers will", ("lawyers",)),
        ("Small  claims then", ("small claims",)),
        ("see you\tin   court", ("see you in court",)),
        ("I shall sue you, and my solicitor too", ("sue you", "solicitor")),
        ("sue you sue you SUE YOU", ("sue you",)),
    ],
)
def test_the_law(text, found):
    assert phrases_in(text, LEGAL_PHRASES) == found


@pytest.mark.parametrize(
    "text",
    [
        "do you sell fire pits",
        "a fire pit and a fireplace",
        "court shoes in black",
        "tennis court shoes",
        "can I burn a CD with it",
        "the burnt orange one",
        "a shock absorber",
        "hospitality furniture",
        "please issue your invoice",  # “issue you” holds “sue you” within a word.
        "the pursuing courier",
        "gasket leakage",
        "a smoke grey sofa",
        "",
    ],
)
def test_goods_and_parts_of_words_are_neither(text):
    assert phrases_in(text, SAFETY_PHRASES + LEGAL_PHRASES) == ()


def test_the_longest_phrase_is_told():
    assert phrases_in("I will press charges", ("press", "press charges")) == ("press charges",)


def test_phrases_are_words_not_patterns():
    assert phrases_in("axb a.b", ("a.b",)) == ("a.b",)
    assert phrases_in("an (a) or an a", ("an (a",)) == ("an (a",)


def test_without_phrases_nothing_is_found():
    assert phrases_in("the kettle caught fire", ()) == ()


@given(
    st.sampled_from([*SAFETY_PHRASES, *LEGAL_PHRASES]),
    st.sampled_from(["", "so ", "well, "]),
    st.sampled_from(["", " now", "!", ", really"]),
)
def test_every_phrase_is_found_in_any_case_wherever_it_stands(phrase, before, after):
    text = before + phrase.rstrip("*") + after
    every = SAFETY_PHRASES + LEGAL_PHRASES
    assert phrases_in(text, every) == phrases_in(text.upper(), every) != ()
