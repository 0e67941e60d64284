"""The figures as tables for people.

Labels and notes hold what stands in somebody's files: they are `Text`, never markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

MEANINGS = {
    "accuracy": "best intent right, in-scope messages",
    "threshold": "confidence below which a message is held for out of scope",
    "in_scope_accuracy": "in-scope messages understood rightly, at that threshold",
    "oos_recall": "out-of-scope messages noticed, at that threshold",
    "auroc": "area under the ROC curve",
    "average_precision": "average precision",
    "ece": "expected calibration error, in-scope messages",
    "train_seconds": "time to train, in seconds",
    "cost": "cost a conversation",
    "missed": "conversations that needed a person and got none, a conversation",
    "needless": "handoffs nobody needed, a conversation",
    "turns_late": "customer turns a needed handoff came too late, a conversation",
    "f1": "harmonic mean of precision and recall of handing a conversation over",
    "cost_ratio_to_best_baseline": "cost against the best of never, always, fallback",
    "limit": "risk at which a person is called, tuned on dev",
    "rules": "conversations in which a rule decided",
    "parse_seconds": "time to start the server and understand all messages, in seconds",
}

OF_REQUESTS = {
    "threshold": "probability from which a message counts as a request for a person",
    "f1": "harmonic mean of precision and recall, at the threshold",
}
"""What these figures mean among requests for a person."""

LONGEST = 32
"""Longest name of a figure that is never broken; labels of somebody's data may be longer."""

BASELINES = {
    "never": "nobody is ever called",
    "always": "a person is called at once",
    "fallback": "Rasa's fallback at its defaults, same parses",
    "tuned": "one confidence threshold, tuned on dev, same parses",
}


Row = tuple[str, str, str, str, str]
"""Name, value, baseline, interval and meaning of a figure."""


def intents_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of an intent evaluation (`evaluate_intents`)."""
    names = ("accuracy", "threshold", "in_scope_accuracy", "oos_recall", "auroc", "ece")
    title = "Intents (baseline: plain logistic regression on the same vectors)"
    return _table(title, figures, _rows(figures, (*names, "train_seconds", "parse_seconds")))


def sentiment_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of a sentiment evaluation (`evaluate_sentiment`)."""
    names = ("auroc", "average_precision")
    rows = _rows(figures, names)
    if "angry" in figures:
        rows += [_row(f"angry {name}", MEANINGS[name], figures["angry"], name) for name in names]
    return _table("Sentiment: negative (baseline: VADER)", figures, rows)


def requests_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of an evaluation of requests for a person (`evaluate_requests`)."""
    rows = _rows(figures, ("f1", "threshold", "average_precision", "auroc"), OF_REQUESTS)
    return _table("Requests for a person (baseline: keywords)", figures, rows)


def handoff_table(figures: Mapping[str, Any]) -> Table:
    """Return the table of a replay (`evaluate_handoff`)."""
    names = ("cost", "missed", "needless", "turns_late", "f1", "cost_ratio_to_best_baseline")
    rows = _rows(figures, (*names, "limit", "rules", "train_seconds"))
    for name, cost in figures["baselines"].items():
        rows.append((f"cost of {name}", "", f"{cost:.3f}", "", BASELINES[name]))
    return _table("When to hand over", figures, rows)


def _rows(
    figures: Mapping[str, Any], names: Sequence[str], meanings: Mapping[str, str] | None = None
) -> list[Row]:
    meant, rows = {**MEANINGS, **(meanings or {})}, list[Row]()
    for name in names:
        value = figures.get(name)
        if isinstance(value, Mapping):
            intervals = figures.get("intervals", {}).get(name, {})
            for label in value:
                beside = (figures.get("baselines") or {}).get(name) or {}
                group = {label: value[label], "intervals": intervals, "baselines": beside}
                rows.append(_row(f"{name} {label}", meant[name], group, label))
        else:
            rows.append(_row(name, meant[name], figures, name))
    return rows


def _row(shown: str, meaning: str, figures: Mapping[str, Any], name: str) -> Row:
    interval = figures.get("intervals", {}).get(name)
    spread = f"{interval[0]:.3f} … {interval[1]:.3f}" if interval else ""
    beside = (figures.get("baselines") or {}).get(name)
    baseline = "" if beside is None else _number(name, beside)
    return shown, _number(name, figures.get(name)), baseline, spread, meaning


def _table(title: str, figures: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    """Lay rows out; without any interval there is no column for them."""
    notes = (_caption(figures.get("counts", {})), *figures.get("notes", ()))
    # Without lines and edges, 80 columns have room for whole words.
    table = Table(
        title=title,
        caption=Text("\n".join(notes)),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    whole = all(len(name) <= LONGEST for name, *_ in rows)
    table.add_column("figure", no_wrap=whole, overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("baseline", justify="right", no_wrap=True)
    spreads = any(spread for *_, spread, _ in rows)
    if spreads:
        table.add_column("95 % interval", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for name, value, baseline, spread, meaning in rows:
        cells = [value, baseline, spread, meaning] if spreads else [value, baseline, meaning]
        table.add_row(Text(name), *cells)
    return table


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
