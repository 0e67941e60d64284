"""Why a figure is missing, and what else a reader of the figures should know, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from handoff.evals.metrics import Judged


def intent_notes(
    valid: Judged, test: Judged, threshold: float | None, oos_labels: Sequence[str]
) -> list[str]:
    """Return a sentence for each cause that leaves a figure of the intent evaluation out."""
    notes: list[str] = []
    if threshold is None:
        why = _untuned(valid, oos_labels)
        notes.append(f"No threshold, and no figure at one, since {why}.")
    elif test.in_scope.all():
        notes.append("No oos_recall, since no message of test is out of scope.")
    if not test.in_scope.any():
        notes.append("No figure of in-scope messages and no auroc: test holds none.")
        return notes
    labels = set(test.label)
    for label in oos_labels:
        if label not in labels:
            notes.append(f"No auroc of “{label}”, since no message of test has that label.")
    return notes


def _untuned(valid: Judged, oos_labels: Sequence[str]) -> str:
    if not oos_labels:
        return "no label means out of scope (--oos)"
    if not len(valid):
        return "there are no messages to tune it on (--valid)"
    lacking = "out of scope" if valid.in_scope.all() else "in scope"
    return f"no message of valid is {lacking}"


def ranking_notes(name: str, positive: int, messages: int) -> list[str]:
    """Return why a score cannot be judged: `positive` of the messages are 1 in column `name`."""
    if not positive:
        return [f"No auroc and no average_precision, since {name} is 0 in every message."]
    if positive == messages:
        return [f"No auroc, since {name} is 1 in every message."]
    return []


def replay_notes(
    best_baseline: float, f1: float | None, tests: int, in_train: int, in_dev: int
) -> list[str]:
    """Return what to know about a replay.

    Args:
        best_baseline: cost of the best baseline.
        f1: of handing a conversation over.
        tests: conversations of `test`.
        in_train: how many of them stand in `train` too.
        in_dev: how many of them stand in `dev` too.
    """
    notes: list[str] = []
    if not best_baseline:
        notes.append("No cost_ratio_to_best_baseline, since the best baseline costs nothing.")
    if f1 is None:
        notes.append("No f1, since no conversation of test needed a person and none got one.")
    for name, same in (("train", in_train), ("dev", in_dev)):
        if same:
            notes.append(
                f"{same} of the {tests} conversations of test stand in {name} too, word for word: "
                "the figures say less about conversations to come."
            )
    return notes
