"""Measures assistants on the golden set, so that a candidate is compared with the one in use."""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from handoff.app.understand import best_intents
from handoff.core.errors import BadData
from handoff.core.learning import GateVerdict, gate
from handoff.core.limits import PolicyLimits
from handoff.core.model import NO_INTENT, IntentScore
from handoff.core.policy import Desk
from handoff.core.text import plain_for_assistant
from handoff.learning.training_files import shipped_examples
from handoff.ports import Assistant

WORSE_SHOWN = 10
"""How many texts that changed for the worse a verdict quotes."""

EXAMPLES_MEASURED = 500
"""How many examples stand in for a golden set: DIET takes some 10 ms for each, twice a night."""

NO_GOLDEN = (
    "Measured on {number} of the assistant's own examples, which show what it has forgotten and "
    "not how it understands new words; {path} with the columns text and intent would show that."
)
NO_OUT_OF_SCOPE = "Out of scope was not measured: there is no {path}."


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


def to_measure(training_data: Path) -> tuple[list[GoldenMessage], str]:
    """Return the messages a model is measured on, and what a lead must know about them.

    That is the golden set; where there is none, examples the assistant was trained on. They show
    that it has forgotten nothing it was taught, not how it understands new words.

    Raises:
        BadData: the golden set, or the training data, cannot be read.
    """
    golden = training_data / "golden"
    if (golden / "out_of_scope.csv").is_file():
        return read_golden(golden), ""
    if (golden / "intents.csv").is_file():
        known = [GoldenMessage(text, intent) for text, intent in _rows(golden / "intents.csv")]
        return known, NO_OUT_OF_SCOPE.format(path=golden / "out_of_scope.csv")
    examples = sorted(set(shipped_examples(training_data)), key=lambda e: _shuffled(e[1]))
    taken = [GoldenMessage(text, intent) for intent, text in examples[:EXAMPLES_MEASURED]]
    return taken, NO_GOLDEN.format(number=len(taken), path=golden / "intents.csv")


def _shuffled(text: str) -> bytes:
    """Return a key that puts texts into an order that says nothing and is always the same."""
    return hashlib.sha256(text.encode()).digest()


async def measure_golden(
    assistant: Assistant, golden: Path, limits: PolicyLimits
) -> dict[str, float]:
    """Return the figures `handoff.core.learning.gate` compares; see `read_assistant`."""
    return (await read_assistant(assistant, golden, limits)).figures


async def read_assistant(assistant: Assistant, golden: Path, limits: PolicyLimits) -> GoldenReading:
    """Ask the assistant about every golden message; see `read_messages`."""
    messages = await asyncio.to_thread(read_golden, golden)
    return await read_messages(assistant, messages, limits, Desk().unknown_intents)


async def read_messages(
    assistant: Assistant,
    messages: Sequence[GoldenMessage],
    limits: PolicyLimits,
    unknown: Collection[str],
) -> GoldenReading:
    """Ask the assistant about every message; `unknown` are the intents that mean no other fits.

    Figures are shares, 0 to 1, with the number of messages they are shares of: `accuracy` (best
    intent right), `in_scope_accuracy` (the same and at least as sure as the desk's limit),
    `oos_recall` (out-of-scope messages below the limit) and `oos_taken` (out-of-scope messages at
    or above it whose intent no golden message has: topics learned later).

    Raises:
        BadData: the golden set cannot be read.
        AssistantUnavailable: a message was not understood in several tries.
    """
    answers = await best_intents(assistant, [plain_for_assistant(m.text) for m in messages])
    return judge([_whole(m) for m in messages], answers, limits, unknown)


def _whole(message: GoldenMessage) -> GoldenMessage:
    """Return a message under the intent an assistant tells: of `faq/hours` that is `faq`."""
    return replace(message, intent=message.intent and message.intent.partition("/")[0])


def judge(
    messages: Sequence[GoldenMessage],
    answers: Sequence[IntentScore],
    limits: PolicyLimits,
    unknown: Collection[str],
) -> GoldenReading:
    """Compare answers with the golden labels. Pure; figures as `read_messages` documents."""
    shop = {message.intent for message in messages if message.intent}
    # An intent for the unknown is no answer, however sure of it the assistant is.
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
