"""Measures assistants on the golden set, so that a candidate is compared with the one in use."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from handoff.app.understand import best_intents
from handoff.core.errors import BadData
from handoff.core.learning import GateVerdict, gate
from handoff.core.limits import PolicyLimits
from handoff.core.model import NO_INTENT, IntentScore
from handoff.core.policy import Desk
from handoff.core.text import plain_for_assistant
from handoff.ports import Assistant

WORSE_SHOWN = 10
"""How many texts that changed for the worse a verdict quotes."""


@dataclass(frozen=True, slots=True)
class GoldenMessage:
    """A message of the golden set; `intent` is None where no intent of the shop covers it."""

    text: str
    intent: str | None


@dataclass(frozen=True, slots=True)
class GoldenReading:
    """What one assistant made of the golden set: figures, and the messages it handled rightly."""

    figures: dict[str, float]
    right: frozenset[str]


def read_golden(golden: Path) -> list[GoldenMessage]:
    """Read `intents.csv` and `out_of_scope.csv`; raise `BadData` when one is not usable."""
    known = [GoldenMessage(text, intent) for text, intent in _rows(golden / "intents.csv")]
    return known + [GoldenMessage(text, None) for text, _ in _rows(golden / "out_of_scope.csv")]


async def measure_golden(
    assistant: Assistant, golden: Path, limits: PolicyLimits
) -> dict[str, float]:
    """Return the figures `handoff.core.learning.gate` compares; see `read_assistant`."""
    return (await read_assistant(assistant, golden, limits)).figures


async def read_assistant(assistant: Assistant, golden: Path, limits: PolicyLimits) -> GoldenReading:
    """Ask the assistant about every golden message.

    Figures are shares, 0 to 1, with the number of messages they are shares of: `accuracy` (best
    intent right), `in_scope_accuracy` (the same and at least as sure as the desk's limit),
    `oos_recall` (out-of-scope messages below the limit) and `oos_taken` (out-of-scope messages at
    or above it whose intent no golden message has: topics learned later).

    Raises:
        BadData: the golden set cannot be read.
        AssistantUnavailable: a message was not understood in several tries.
    """
    messages = await asyncio.to_thread(read_golden, golden)
    answers = await best_intents(assistant, [plain_for_assistant(m.text) for m in messages])
    return judge(messages, answers, limits)


def judge(
    messages: Sequence[GoldenMessage], answers: Sequence[IntentScore], limits: PolicyLimits
) -> GoldenReading:
    """Compare answers with the golden labels. Pure; figures as `read_assistant` documents."""
    shop = {message.intent for message in messages if message.intent}
    # An intent for the unknown is no answer, however sure of it the assistant is.
    unknown = Desk().unknown_intents
    known_answers = [NO_INTENT if a.intent in unknown else a for a in answers]
    pairs = list(zip(messages, known_answers, strict=True))
    known = [(m, a) for m, a in pairs if m.intent]
    foreign = [(m, a) for m, a in pairs if not m.intent]
    matched = [m for m, a in known if a.intent == m.intent]
    sure = [m for m, a in known if a.intent == m.intent and a.confidence >= limits.confidence]
    noticed = [m for m, a in foreign if a.confidence < limits.confidence]
    taken = [m for m, a in foreign if a.confidence >= limits.confidence and a.intent not in shop]
    figures = {
        "accuracy": _share(len(matched), len(known)),
        "in_scope_accuracy": _share(len(sure), len(known)),
        "oos_recall": _share(len(noticed), len(foreign)),
        "oos_taken": _share(len(taken), len(foreign)),
        "in_scope_messages": float(len(known)),
        "out_of_scope_messages": float(len(foreign)),
    }
    return GoldenReading(figures, frozenset(m.text for m in (*sure, *noticed, *taken)))


async def compare(
    current: Assistant,
    candidate: Assistant,
    golden: Path,
    limits: PolicyLimits,
    floor: Mapping[str, float] | None = None,
) -> tuple[GoldenReading, GoldenReading, GateVerdict]:
    """Measure both assistants and return their readings and the verdict with its examples."""
    before = await read_assistant(current, golden, limits)
    after = await read_assistant(candidate, golden, limits)
    lost = worse(before, after)
    return before, after, gate(before.figures, after.figures, lost, floor)


def worse(before: GoldenReading, after: GoldenReading) -> list[str]:
    """Return texts handled rightly before and no more, at most `WORSE_SHOWN`, in order."""
    return sorted(before.right - after.right)[:WORSE_SHOWN]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _rows(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(row["text"], row["intent"]) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise BadData(path=path, why=f"it is no CSV with text and intent ({error})") from None
    if not rows or not all(text and intent for text, intent in rows):
        raise BadData(path=path, why="a golden file needs a text and an intent in every row")
    return rows
