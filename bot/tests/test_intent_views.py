"""The parts of the intent model against scikit-learn's and against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from bot.components import softmax_regression
from bot.components.intent_views import NOVEL_PRIOR, Examples, Scorers
from bot.components.neighbours import FEW, MANY, Neighbours
from bot.components.word_bayes import SMOOTHING, WordBayes, terms

TEXTS = [
    "Where is my parcel?",
    "my parcel is not here, where is it",
    "Cancel my order",
    "please cancel it, cancel the order",
    "Hello",
    "hello there!",
]
LABELS = np.array([0, 0, 1, 1, 2, 2])


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_units(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.RandomState(seed).normal(size=(count, 8)))


def test_the_regression_is_scikit_learns() -> None:
    vectors, labels = random_units(60), np.arange(60) % 4
    weight = 0.5 + np.arange(60) % 3
    coefficients, offsets = softmax_regression.fit(vectors, labels, 4, weight)
    same = LogisticRegression(C=softmax_regression.INVERSE_REGULARISATION, max_iter=1000)
    same.fit(vectors, labels, sample_weight=weight)
    found = vectors @ coefficients + offsets
    wanted = same.decision_function(vectors)
    found -= found.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted - wanted.mean(axis=1, keepdims=True), atol=0.03)


def test_terms_are_words_pairs_and_pieces() -> None:
    assert terms("To pay, 5!") == [
        *("to", "pay", "5", "to pay", "pay 5"),
        *(" to ", " pay", "pay ", " 5 "),
    ]
    assert terms("?!") == []


def test_the_words_are_scored_as_scikit_learn_does() -> None:
    vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True, norm="l2")
    bayes = MultinomialNB(alpha=SMOOTHING, fit_prior=False)
    bayes.fit(vectorizer.fit_transform(TEXTS), LABELS)
    ours = WordBayes.fit([terms(text) for text in TEXTS], LABELS, 3)
    asked = ["where is the order", "nothing known", ""]
    wanted = vectorizer.transform(asked) @ bayes.feature_log_prob_.T
    np.testing.assert_allclose(ours.scores([terms(text) for text in asked]), wanted, atol=1e-5)
    alone = np.vstack([ours.scores([terms(text)]) for text in asked])  # takes a way of its own
    np.testing.assert_allclose(alone, wanted, atol=1e-5)


def test_coverage_is_the_share_of_pieces_that_an_intent_holds() -> None:
    bayes = WordBayes.fit([terms("an order"), terms("a parcel")], np.array([0, 1]), 2)
    asked = ["order", "order a", "xyzw", "order xyzw", ""]
    # Of "order a" four pieces are the first's; "a", as a word and as a piece, is the second's.
    # "xyzw" is a short word and three pieces, none of them known, which count as the rarest.
    wanted = [[1, 0], [4 / 6, 2 / 6], [0, 0], [4 / 8, 0], [0, 0]]
    np.testing.assert_allclose(bayes.coverage([terms(text) for text in asked]), wanted)


def test_what_is_held_by_all_counts_less_than_what_is_rare() -> None:
    bayes = WordBayes.fit([terms("my cat"), terms("my dog")], np.array([0, 1]), 2)
    first, second = bayes.coverage([terms("my cat")])[0]
    assert first == pytest.approx(1.0) and 0.2 < second < 0.4  # "my" as word and piece, of six


@pytest.mark.parametrize("sizes", [[1], [1, 3, 40], [12, 12, 12], [600, 2]])
def test_closeness_is_the_mean_cosine_to_the_nearest(sizes: list) -> None:
    vectors = random_units(sum(sizes))
    labels = np.random.RandomState(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    few, many = Neighbours(vectors, labels, len(sizes)).closeness(random_units(3, seed=2))
    for row, message in enumerate(random_units(3, seed=2)):
        for label in range(len(sizes)):
            cosines = np.sort(vectors[labels == label] @ message)[::-1]
            assert few[row, label] == pytest.approx(cosines[:FEW].mean(), abs=1e-5)
            assert many[row, label] == pytest.approx(cosines[:MANY].mean(), abs=1e-5)


def test_an_example_is_compared_with_the_others_of_its_intent() -> None:
    vectors = unit(np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]]))
    found = Neighbours(vectors, np.array([0, 0, 0, 1]), 2)
    np.testing.assert_allclose(found.own_closeness[:3], [0.3, 0.7, 0.4], atol=1e-6)
    assert np.isnan(found.own_closeness[3])
    assert np.isnan(found.own_familiarity()[3])


def test_one_mislabelled_example_does_not_make_a_message_familiar() -> None:
    intent, other = random_units(1), random_units(1, seed=3)
    examples = unit(intent + 0.1 * random_units(20, seed=4))
    labels = np.zeros(21, dtype=int)
    neighbours = Neighbours(np.vstack([examples, other]), labels, 1)
    _, many = neighbours.closeness(np.vstack([other, examples[:1]]))
    strange, usual = neighbours.familiarity(many)[:, 0]
    assert strange < usual - 2.0


def test_both_detectors_of_the_novel_assume_together_what_one_would_alone() -> None:
    examples = Examples(random_units(6), np.array(list("aabbcc")), [["x"]] * 6)
    alone, with_unknown = Scorers().fit(examples), Scorers("c").fit(examples)
    assert alone.novel_share == pytest.approx(NOVEL_PRIOR)
    assert 1 - (1 - with_unknown.novel_share) ** 2 == pytest.approx(NOVEL_PRIOR)
