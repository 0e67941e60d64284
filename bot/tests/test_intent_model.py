"""The intent model on made-up vectors: what it promises whatever the data."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
import pytest

from bot.components import intent_calibration
from bot.components.intent_model import (
    ENOUGH_UNKNOWN,
    FORMAT_VERSION,
    Background,
    IntentModel,
    readable,
)

DIMENSION = 24


def cluster(seed: int, count: int, spread: float = 0.15) -> np.ndarray:
    """Unit vectors around a direction that depends on the seed alone."""
    centre = np.random.RandomState(seed).normal(size=DIMENSION)
    centre /= np.linalg.norm(centre)
    noise = np.random.RandomState(seed + 1000).normal(size=(count, DIMENSION)) * spread
    rows = centre + noise
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def training(counts: List[int]) -> Tuple[np.ndarray, List[str], List[str]]:
    """One cluster an intent, with as many examples as asked for."""
    vectors = np.vstack([cluster(seed, count) for seed, count in enumerate(counts)])
    labels = [f"intent_{seed}" for seed, count in enumerate(counts) for _ in range(count)]
    texts = [f"word{label[-1]} says something {i}" for i, label in enumerate(labels)]
    return vectors, labels, texts


def fresh(seed: int, count: int = 5) -> np.ndarray:
    """Messages of a cluster that are not among its first training examples."""
    return cluster(seed, 60)[-count:]


def test_learns_and_ranks_every_intent_once() -> None:
    model = IntentModel.train(*training([20, 20, 20, 20]))
    for seed in range(4):
        for found in model.predict(fresh(seed), ["anything"] * 5):
            names = [name for name, _ in found.ranking]
            confidences = [confidence for _, confidence in found.ranking]
            assert names[0] == f"intent_{seed}"
            assert sorted(names) == [f"intent_{n}" for n in range(4)]
            assert confidences == sorted(confidences, reverse=True)
            assert all(0.0 <= c <= 1.0 for c in confidences) and sum(confidences) <= 1.0 + 1e-6


def test_confidence_falls_and_novelty_rises_for_the_unfamiliar() -> None:
    model = IntentModel.train(*training([20, 20, 20, 20, 20, 20]))
    known = model.predict(np.vstack([fresh(s) for s in range(6)]), ["x"] * 30)
    strange = model.predict(np.vstack([fresh(s) for s in range(50, 56)]), ["x"] * 30)
    assert max(k.novelty for k in known) < min(s.novelty for s in strange)
    assert min(k.ranking[0][1] for k in known) > max(s.ranking[0][1] for s in strange)


def test_same_input_same_model() -> None:
    data = training([12, 9, 7])
    one, two = IntentModel.train(*data), IntentModel.train(*data)
    assert one.predict(fresh(1), ["x"] * 5) == two.predict(fresh(1), ["x"] * 5)


def test_a_new_intent_with_one_example_is_found_again() -> None:
    vectors, labels, texts = training([30, 30, 30, 30, 30, 30, 1])
    model = IntentModel.train(vectors, labels, texts)
    assert model.calibration.head_start.keys() == {"intent_6"}
    found = model.predict(fresh(6, 10), ["x"] * 10)
    assert [f.ranking[0][0] for f in found] == ["intent_6"] * 10
    old = model.predict(np.vstack([fresh(s) for s in range(6)]), ["x"] * 30)
    assert [f.ranking[0][0] for f in old] == [f"intent_{s}" for s in range(6) for _ in range(5)]


@pytest.mark.parametrize("counts", [[1], [10], [1, 1], [2, 1], [1, 1, 1], [6, 1], [2, 2]])
def test_tiny_training_sets(counts: List[int]) -> None:
    vectors, labels, texts = training(counts)
    model = IntentModel.train(vectors, labels, texts)
    own = model.predict(vectors, texts)
    assert [f.ranking[0][0] for f in own] == labels
    away = model.predict(-vectors, ["nothing alike"] * len(vectors))
    assert max(f.novelty for f in own) < min(f.novelty for f in away)


def test_the_intent_for_everything_else_takes_what_is_novel() -> None:
    vectors, labels, texts = training([20, 20, 20, 20])
    others = np.vstack([cluster(seed, 8) for seed in range(70, 80)])
    vectors = np.vstack([vectors, others])
    labels += ["out_of_scope"] * len(others)
    texts += [f"remark {i}" for i in range(len(others))]
    model = IntentModel.train(vectors, labels, texts, unknown="out_of_scope")
    for seed in (72, 75, 91, 95):  # two kinds it was shown, two it never saw
        for found in model.predict(fresh(seed), ["x"] * 5):
            assert found.ranking[0][0] == "out_of_scope"
            assert found.novelty > 0.5
    for found in model.predict(fresh(2), ["x"] * 5):
        assert found.ranking[0][0] == "intent_2"
        assert found.novelty < 0.5


def background(seeds: range) -> Background:
    """Thirty messages around each of some directions no intent has."""
    vectors = np.vstack([cluster(seed, 30) for seed in seeds])
    return Background(vectors, [f"stray remark {i}" for i in range(len(vectors))])


def test_the_background_is_novel_and_never_named() -> None:
    data = training([20, 20, 20, 20, 20, 20])
    model = IntentModel.train(*data, background=background(range(50, 56)))
    assert model.intents == [f"intent_{n}" for n in range(6)]
    stray = model.predict(np.vstack([fresh(seed) for seed in range(50, 56)]), ["x"] * 30)
    assert all(sorted(name for name, _ in f.ranking) == model.intents for f in stray)
    assert all(f.novelty > 0.9 and f.ranking[0][1] < 0.2 for f in stray)
    known = model.predict(np.vstack([fresh(seed) for seed in range(6)]), ["x"] * 30)
    assert [f.ranking[0][0] for f in known] == [f"intent_{s}" for s in range(6) for _ in range(5)]
    assert max(f.novelty for f in known) < min(f.novelty for f in stray)


def test_few_examples_of_everything_else_keep_the_background_beside_them() -> None:
    data = training([20, 20, 20, 20, 2])
    model = IntentModel.train(*data, unknown="intent_4", background=background(range(50, 56)))
    strays = model.predict(np.vstack([fresh(seed) for seed in range(50, 56)]), ["x"] * 30)
    assert {found.ranking[0][0] for found in strays} == {"intent_4"}
    assert {name for name, _ in strays[0].ranking} == {f"intent_{n}" for n in range(5)}
    for own in (1, 4):
        for found in model.predict(fresh(own), ["x"] * 5):
            assert found.ranking[0][0] == f"intent_{own}"
            assert (found.novelty > 0.5) == (own == 4)


def test_an_intent_for_everything_else_alone_is_not_told_from_the_background() -> None:
    vectors, labels, texts = training([3])
    strange = background(range(50, 52))
    model = IntentModel.train(vectors, labels, texts, unknown="intent_0", background=strange)
    assert model._scorers.named.all()


def test_an_intent_for_everything_else_with_many_examples_needs_no_background() -> None:
    data = training([20, 20, 20, ENOUGH_UNKNOWN])
    plain = IntentModel.train(*data, unknown="intent_3")
    beside = IntentModel.train(*data, unknown="intent_3", background=background(range(50, 56)))
    assert plain.predict(fresh(1), ["x"] * 5) == beside.predict(fresh(1), ["x"] * 5)


def test_the_background_has_no_say_in_what_new_intents_may_cost_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is almost always told from the rest, and would make what the others lose look small."""
    rounds = []
    best = intent_calibration._best_head_start
    monkeypatch.setattr(
        intent_calibration, "_best_head_start", lambda given: rounds.extend(given) or best(given)
    )
    IntentModel.train(*training([20] * 9 + [3, 3]), background=background(range(50, 52)))
    assert rounds
    for scores, column, names, truth, is_few in rounds:
        assert scores.shape == (len(truth), len(names)) == (len(is_few), len(column))
        assert all(name.startswith("intent_") for name in {*names, *truth})


@pytest.mark.parametrize("counts", [[1], [10], [1, 1], [2, 1], [6, 1], [2, 2, 2]])
def test_tiny_training_sets_beside_a_large_background(counts: List[int]) -> None:
    vectors, labels, texts = training(counts)
    model = IntentModel.train(vectors, labels, texts, background=background(range(50, 70)))
    own = model.predict(vectors, texts)
    assert [f.ranking[0][0] for f in own] == labels
    away = model.predict(fresh(55), ["stray remark"] * 5)
    assert max(f.novelty for f in own) < min(f.novelty for f in away)


def test_names_of_intents_count_as_examples() -> None:
    vectors, labels, texts = training([3, 3, 3])
    name = cluster(40, 1)[0]
    with_name = IntentModel.train(vectors, labels, texts, {"intent_0": name})
    without = IntentModel.train(vectors, labels, texts)
    chance = {
        model: dict(model.predict(name[None], ["x"])[0].ranking)["intent_0"]
        for model in (with_name, without)
    }
    assert chance[with_name] > chance[without]


@pytest.mark.parametrize("unknown", [None, "intent_1"])
@pytest.mark.parametrize("strange", [None, background(range(50, 53))])
def test_saved_and_loaded_it_says_the_same(
    tmp_path: Path, unknown: Optional[str], strange: Optional[Background]
) -> None:
    model = IntentModel.train(*training([12, 9, 1]), unknown=unknown, background=strange)
    model.save(tmp_path)
    loaded = IntentModel.load(tmp_path)
    assert loaded.intents == model.intents
    assert loaded.predict(fresh(0), ["x"] * 5) == model.predict(fresh(0), ["x"] * 5)


def test_another_format_is_refused(tmp_path: Path) -> None:
    IntentModel.train(*training([3, 3])).save(tmp_path)
    meta = (tmp_path / "model.json").read_text()
    other = meta.replace(f'"format": {FORMAT_VERSION}', '"format": 99')
    (tmp_path / "model.json").write_text(other)
    with pytest.raises(ValueError, match="train again"):
        IntentModel.load(tmp_path)


def test_a_background_of_another_length_is_refused() -> None:
    strange = background(range(50, 52))
    with pytest.raises(ValueError, match="as many vectors as texts"):
        IntentModel.train(*training([3, 3]), background=strange._replace(texts=["one"]))


def test_an_empty_background_is_none() -> None:
    empty = Background(np.zeros((0, 0)), [])
    model = IntentModel.train(*training([3, 3]), background=empty)
    assert model.predict(fresh(0), ["x"] * 5) == IntentModel.train(*training([3, 3])).predict(
        fresh(0), ["x"] * 5
    )


def test_no_intent_may_be_called_as_the_background_is() -> None:
    vectors, labels, texts = training([3, 3])
    with pytest.raises(ValueError, match="no intent may be called"):
        IntentModel.train(vectors, ["(background)"] * 3 + labels[3:], texts)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        IntentModel.train(np.zeros((0, 3)), [], [])


def test_texts_without_a_word_are_no_obstacle() -> None:
    vectors, labels, _ = training([6, 6])
    model = IntentModel.train(vectors, labels, ["?!"] * 12)
    assert model.predict(vectors[:1], ["?"])[0].ranking[0][0] == "intent_0"


def test_readable() -> None:
    assert readable("check_refund_policy") == "check refund policy"
    assert readable("faq/Opening-hours") == "faq opening hours"
