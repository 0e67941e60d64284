"""Words in which somebody says that they would reach a person."""

from __future__ import annotations

import pytest

from handoff.fitting.reaching import reaching

(
    STAFF,
    ANYBODY,
    SPEAKING,
    SPEAKING_TO,
    SPEAKING_PERSON,
    GIVING_PERSON,
    ANYBODY_SPEAKING,
    STAFF_SPEAKING,
    WANTING_SPEAKING,
    WANTING_PERSON,
) = range(10)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("where is my parcel", []),
        ("your Agent was late", [STAFF]),
        ("someone's bike", []),  # a word with its ending is another word
        ("two people", [ANYBODY]),
        ("speak slower", [SPEAKING]),
        ("can you speak slower", [SPEAKING, WANTING_SPEAKING]),
        ("talk to me", [SPEAKING, SPEAKING_TO]),
        ("talk a bit to me", [SPEAKING]),
        ("phone the front desk for an agent", [STAFF, SPEAKING]),  # six words on
        ("phone the desk for an agent", [STAFF, SPEAKING, SPEAKING_PERSON]),
        ("TRANSFER ME TO AN AGENT", [STAFF, GIVING_PERSON]),
        ("somebody to talk to", [ANYBODY, SPEAKING, SPEAKING_TO, ANYBODY_SPEAKING]),
        ("an adviser, please call", [STAFF, SPEAKING, STAFF_SPEAKING]),
        ("i’d like a human", [STAFF, WANTING_PERSON]),
    ],
)
def test_words_of_reaching_a_person(text: str, found: list[int]) -> None:
    assert [place for place, value in enumerate(reaching(text)) if value] == found
    assert set(reaching(text)) <= {0, 1}


def test_a_long_text_of_such_words_only() -> None:
    assert reaching("can somebody talk to staff " * 2000) == [1, 1, 1, 1, 1, 0, 1, 1, 1, 1]
