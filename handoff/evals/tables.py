"""The figures as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

MEANINGS = {
    "accuracy": "best intent right, in-scope messages",
    "threshold": "confidence below which a message is held for out of scope",
    "in_scope_accuracy": "in-scope messages understood rightly, at that threshold",
    "oos_recall": "out-of-scope messages noticed, at that threshold",
    "auroc": "area under the ROC curve",
    "average_precision": "average precision",
    "f1": "harmonic mean of precision and recall, at the threshold",
    "ece": "expected calibration error, in-scope messages",
    "train_seconds": "time to train, in seconds",
    "cost": "cost a conversation",
    "missed": "conversations that needed a person and got none, a conversation",
    "needless": "handoffs nobody needed, a conversation",
    "turns_late": "customer turns a needed handoff came too late, a conversation",
    "cost_ratio_to_best_baseline": "cost against the best of never, always, fallback",
    "limit": "risk at which a person is called, tuned on dev",
    "rules": "conversations in which a rule decided",
    "parse_seconds": "time to start the server and understand all messages, in seconds",
}


BASELINES = {
    "never": "nobody is ever called",
    "always": "a person is called at once",
    "fallback": "Rasa's FallbackClassifier at its defaults, same parses",
    "tuned": "one confidence threshold, tuned on dev, same parses",
}


def intents_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of an intent evaluation (`evaluate_intents`)."""
    names = ("accuracy", "threshold", "in_scope_accuracy", "oos_recall", "auroc", "ece")
    title = "Intents (baseline: plain logistic regression on the same vectors)"
    return _table(title, figures, (*names, "train_seconds", "parse_seconds"))


def sentiment_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of a sentiment evaluation (`evaluate_sentiment`)."""
    table = _table("Sentiment: negative (baseline: VADER)", figures, ("auroc", "average_precision"))
    if "angry" in figures:
        for name in ("auroc", "average_precision"):
            _row(table, f"angry {name}", MEANINGS[name], figures["angry"], name)
    return table


def requests_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of an evaluation of requests for a person (`evaluate_requests`)."""
    names = ("f1", "threshold", "average_precision", "auroc")
    return _table("Requests for a person (baseline: keywords)", figures, names)


def handoff_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of a replay (`evaluate_handoff`)."""
    names = ("cost", "missed", "needless", "turns_late", "f1", "cost_ratio_to_best_baseline")
    table = _table("When to hand over", figures, (*names, "limit", "rules", "train_seconds"))
    for name, cost in figures["baselines"].items():
        table.add_row(f"cost of {name}", "", f"{cost:.3f}", "", BASELINES[name])
    return table


def _table(title: str, figures: Mapping[str, Any], names: tuple[str, ...]) -> Table:
    table = Table(title=title, caption=_caption(figures.get("counts", {})))
    for column in ("figure", "value", "baseline", "95 % interval", "meaning"):
        number = column in ("value", "baseline")
        table.add_column(column, justify="right" if number else "left", no_wrap=number)
    for name in names:
        value = figures.get(name)
        if isinstance(value, Mapping):
            intervals = figures.get("intervals", {}).get(name, {})
            for label in value:
                beside = (figures.get("baselines") or {}).get(name) or {}
                group = {label: value[label], "intervals": intervals, "baselines": beside}
                _row(table, f"{name} {label}", MEANINGS[name], group, label)
        else:
            _row(table, name, MEANINGS[name], figures, name)
    return table


def _row(table: Table, shown: str, meaning: str, figures: Mapping[str, Any], name: str) -> None:
    interval = figures.get("intervals", {}).get(name)
    spread = f"{interval[0]:.3f} … {interval[1]:.3f}" if interval else ""
    beside = (figures.get("baselines") or {}).get(name)
    baseline = "" if beside is None else _number(name, beside)
    table.add_row(shown, _number(name, figures.get(name)), baseline, spread, meaning)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.1f}" if name.endswith("seconds") else f"{value:.3f}"


def _caption(counts: Mapping[str, Any]) -> str:
    parts = []
    for name, value in counts.items():
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        if shown:
            parts.append(f"{name.replace('_', ' ')}: {shown}")
    return " · ".join(parts)
