"""What a text model sees besides the vector: signs, lexicon, n-grams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.fitting.features import (
    MIN_TEXTS,
    PHRASES_WEIGHT,
    REACHING_WEIGHT,
    RUDENESS_CUT,
    SIGNS_WEIGHT,
    TextFeatures,
    alarms,
    as_said,
    lexicon,
    rudeness,
    signs,
)
from handoff.fitting.reaching import reaching
from tests.encoder_server import DIMENSION, vectors_of


@pytest.mark.parametrize(
    ("text", "found"),
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
def test_signs(text: str, found: list[float]) -> None:
    assert signs(text) == pytest.approx(found)


@pytest.mark.parametrize("text", ["", "😡" * 9, "!" * 50, "?!" * 9, "ÄÖÜ ß", "<3", "…" * 9])
def test_signs_run_from_0_to_1(text: str) -> None:
    assert all(0 <= value <= 1 for value in signs(text))


@pytest.mark.parametrize("text", ["", "   ", "...", "10042", "where is my parcel"])
def test_without_words_of_feeling_the_lexicon_says_nothing(text: str) -> None:
    assert lexicon(text) == [0, 0, 0, 0, 0, 0]


def test_the_lexicon_knows_words_strength_and_negation() -> None:
    negative, positive, compound, bad, worst, best = lexicon("this is terrible")
    assert negative > positive == 0
    assert compound == -bad < 0
    assert (worst, best) == (pytest.approx(2.1 / 4), 0)  # “terrible” is -2.1 in VADER's lexicon.
    assert lexicon("TERRIBLE!")[4] == worst
    assert lexicon("this is great")[2] > 0 > lexicon("this is not great")[2]
    assert lexicon("this is great")[5] == pytest.approx(3.1 / 4)


def test_rude_words_are_told_from_civil_ones() -> None:
    rude, civil, nothing = rudeness(["you bloody idiots, this is shit", "good morning", ""])
    assert RUDENESS_CUT >= rude > 0 > civil >= -RUDENESS_CUT
    assert nothing < 0


@pytest.mark.parametrize(
    "text", ["you bloody idiots, you", "Good morning", "the and of", "", "zzqq"]
)
def test_rudeness_is_what_the_librarys_own_vectors_give(text: str) -> None:
    from profanity_check.profanity_check import model, vectorizer

    planes = [copy.estimator for copy in model.calibrated_classifiers_]
    row = vectorizer.transform([text])
    wanted = np.mean([(row @ plane.coef_[0] + plane.intercept_)[0] for plane in planes])
    assert rudeness([text])[0] == pytest.approx(np.clip(wanted, -RUDENESS_CUT, RUDENESS_CUT))


TEXTS = ["my parcel is late", "my parcel is here", "MY refund?!", "a refund"]
SEEN = TextFeatures.known_columns(DIMENSION)
FIRST_ALARM = SEEN.stop + len(reaching(""))
FIRST_TERM = FIRST_ALARM + len(alarms(""))


def rows_of(texts: list[str]) -> np.ndarray:
    return TextFeatures().fit(TEXTS).rows(texts, vectors_of(texts)).toarray()


def test_a_row_holds_vector_signs_lexicon_and_rudeness() -> None:
    rows = rows_of(TEXTS)
    assert np.allclose(rows[:, :DIMENSION], vectors_of(TEXTS))
    for row, text in zip(rows[:, SEEN], TEXTS, strict=True):
        seen = [*(SIGNS_WEIGHT * sign for sign in signs(text)), *lexicon(text)]
        assert row == pytest.approx([*seen, rudeness([text])[0]])


def test_a_row_holds_the_words_of_reaching_a_person_between_rudeness_and_terms() -> None:
    texts = ["my parcel", "can I talk to somebody"]
    none, some = rows_of(texts)[:, SEEN.stop : FIRST_ALARM]
    assert not none.any()
    assert some == pytest.approx([REACHING_WEIGHT * value for value in reaching(texts[1])])


def test_a_row_holds_the_phrases_of_danger_and_of_the_law() -> None:
    texts = [
        "my parcel",
        "it caught fire",
        "my LAWYER\nwill write",
        "it exploded: see you in court",
    ]
    found = rows_of(texts)[:, FIRST_ALARM:FIRST_TERM] / PHRASES_WEIGHT
    assert found.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@SomeShop where is my parcel", "where is my parcel"),
        (".@some_shop, @other hi", ". , hi"),
        ("thanks #neverAgain #so_slow #fail", "thanks never Again so slow fail"),
        ("look https://t.co/Ab1?x=2 here", "look here"),
        ("fish &amp; chips &lt;3", "fish & chips <3"),
        ("write to ana@example.com", "write to ana@example.com"),
        ("order #10042 and # 7", "order #10042 and # 7"),
        ("one\n\n  two  three\n", "one\ntwo three"),
        ("@shop", "@shop"),
        ("https://example.com/", "https://example.com/"),
        ("", ""),
    ],
)
def test_what_nobody_says_is_left_out(text: str, said: str) -> None:
    assert as_said(text) == said


@given(st.text())
def test_a_message_that_was_reduced_is_not_reduced_to_nothing(text: str) -> None:
    assert as_said(text).strip() or not text.strip()


def test_words_and_their_pieces_have_length_1_each() -> None:
    terms = rows_of([*TEXTS, "refundable"])[:, FIRST_TERM:]
    lengths = np.linalg.norm(terms, axis=1)
    assert lengths == pytest.approx([np.sqrt(2)] * 4 + [1])  # of the last only pieces are known


def test_terms_weigh_what_scikit_learn_says() -> None:
    features = TextFeatures().fit(TEXTS)
    asked = [*TEXTS, "late, late, LATE parcel of mine", "zzqq", ""]
    terms = features.rows(asked, vectors_of(asked)).tocsr()[:, FIRST_TERM:].toarray()
    wanted = features._terms.transform(asked).toarray()
    for part in (features._is_piece == 0, features._is_piece == 1):
        lengths = np.linalg.norm(wanted[:, part], axis=1, keepdims=True)
        assert np.allclose(terms[:, part], wanted[:, part] / np.where(lengths, lengths, 1))


def test_only_what_several_texts_hold_counts() -> None:
    assert MIN_TEXTS == 2
    once, twice, never = np.linalg.norm(rows_of(["late", "parcel", "zzqq"])[:, FIRST_TERM:], axis=1)
    # “late” is in one text and no word of its own right; some of its letters are in others.
    assert (once, twice, never) == (pytest.approx(1), pytest.approx(np.sqrt(2)), 0)


def test_a_word_is_another_term_than_the_same_letters_within_words() -> None:
    texts = ["my art", "my part", "an art", "to part"]
    features = TextFeatures().fit(texts)
    word, within = (
        set(features.rows([text], vectors_of([text])).tocsr()[:, FIRST_TERM:].indices)
        for text in ("art", "xartx")
    )
    assert within < word


@pytest.mark.parametrize("text", ["", "😡", "zzz qqq", "\n"])
def test_texts_without_any_term_still_have_rows(text: str) -> None:
    (row,) = rows_of([text])
    assert np.isfinite(row).all() and not row[FIRST_TERM:].any()


def test_texts_that_share_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="no terms remain"):
        TextFeatures().fit(["abc", "xyz"])


def test_the_same_texts_give_the_same_rows() -> None:
    assert (rows_of(TEXTS) == rows_of(TEXTS)).all()


def test_a_row_does_not_depend_on_the_texts_beside_it() -> None:
    alone = np.vstack([rows_of([text]) for text in TEXTS])
    assert np.allclose(rows_of(TEXTS), alone)
