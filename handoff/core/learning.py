"""Rules of learning: what text may enter a training file, and when a model is let in."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handoff.core.limits import (
    GOLDEN_FLOOR_FACTOR,
    GOLDEN_MESSAGES_LOST,
    GOLDEN_MESSAGES_TAKEN,
    GOLDEN_SHARE_LOST,
)
from handoff.core.reasons_in_words import percent
from handoff.core.text import plain_for_assistant

_SAFE = str.maketrans({"[": "(", "]": ")", "{": "(", "}": ")", "\\": "/"})


def neutralise(text: str) -> str:
    """Return `text` as one line that every reader of Rasa's training files takes for plain words.

    Brackets and braces become round ones: `[text](entity)` marks an entity and `${NAME}` is
    replaced by an environment variable when Rasa reads YAML. A backslash becomes a slash: Rasa
    decodes escapes such as `\\u000a` in the raw file, before YAML sees it. A leading slash, which
    would name an intent, goes. White space and line breaks become single spaces; control
    characters, lone surrogates and code points that YAML refuses go. What has nothing visible
    left becomes `?`. Neutralising twice changes nothing more.
    """
    spaced = " ".join(text.split())
    kept = "".join(character for character in spaced if _printable(character))
    plain = " ".join(plain_for_assistant(kept.translate(_SAFE)).split())
    return plain if any(unicodedata.category(c)[0] in "LNPS" for c in plain) else "?"


def _printable(character: str) -> bool:
    """Say whether YAML 1.1 may hold the character and it is not invisible control."""
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return (
        unicodedata.category(character) not in ("Cc", "Cs") and not noncharacter and code != 0xFEFF
    )


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether a candidate model may replace the one in use, and why, as a text for the leads."""

    passed: bool
    sentence: str


GATED = {
    "accuracy": "right intent",
    "in_scope_accuracy": "right intent and sure enough to answer",
    "oos_recall": "out of scope noticed",
}
"""The figures the gate compares (each a share, 0 to 1; higher is better) and how a lead reads them.

`accuracy` and `in_scope_accuracy` are shares of `in_scope_messages`, `oos_recall` of
`out_of_scope_messages`; `oos_taken` is the share of the latter that learned topics answer.
"""


def gate(
    before: Mapping[str, float],
    after: Mapping[str, float],
    worse: Sequence[str] = (),
    floor: Mapping[str, float] | None = None,
) -> GateVerdict:
    """Say whether the candidate is no worse on the golden set than the model in use.

    Every figure of `GATED` may fall by `GOLDEN_MESSAGES_LOST` messages at most, fewer on a small
    golden set. So that small losses do not add up, it may also not fall more than
    `GOLDEN_FLOOR_FACTOR` times as many messages below `floor`, the best figures of any earlier
    release (left out where None). A message of the
    out-of-scope file that a learned topic answers is not lost, since a reviewer has approved that
    topic; but learned topics may take at most `GOLDEN_MESSAGES_TAKEN` more of them.

    Args:
        before: figures of the model in use, as `handoff.learning.gate.measure_golden` gives them.
        after: the candidate's.
        worse: texts the model in use had right and the candidate has not, quoted in the sentence.
        floor: best figures so far.
    """
    lost = [name for name in GATED if _fell(before, after, name) > tolerated(after, name)]
    slid = [
        name
        for name in GATED
        if floor and _fell(floor, after, name) > tolerated(after, name) * GOLDEN_FLOOR_FACTOR
    ]
    more = after.get("oos_taken", 0.0) - before.get("oos_taken", 0.0)
    taken = round(more * _measured_on(after, "oos_recall"))
    reasons = [f"“{GATED[name]}” fell by {_messages(_fell(before, after, name))}" for name in lost]
    more_taken = _messages(taken, "more out-of-scope message")
    reasons += [f"“{GATED[name]}” has slid below the best release" for name in slid]
    if taken > GOLDEN_MESSAGES_TAKEN:
        reasons.append(f"learned topics take {more_taken}")
    verdict = f"Refused: {', '.join(reasons)}." if reasons else "Passed."
    notes = [f"Learned topics take {more_taken}."] if taken > 0 else []
    return GateVerdict(not reasons, " ".join((verdict, *notes, *_quoted(worse))))


def tolerated(figures: Mapping[str, float], name: str) -> int:
    """Return how many messages a figure may fall at one go, given the size of the golden set."""
    return min(GOLDEN_MESSAGES_LOST, int(GOLDEN_SHARE_LOST * _measured_on(figures, name)))


def _measured_on(figures: Mapping[str, float], name: str) -> float:
    return figures["out_of_scope_messages" if name == "oos_recall" else "in_scope_messages"]


def in_words(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Return each figure the gate compares as words with its value before and after."""
    known = [name for name in GATED if name in before and name in after]
    return [
        f"{GATED[name]}: {percent(before[name], 1)} → {percent(after[name], 1)}" for name in known
    ]


def _messages(number: int, what: str = "message") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _fell(before: Mapping[str, float], after: Mapping[str, float], name: str) -> int:
    """Return by how many messages a figure fell; negative when it rose."""
    lost = before[name] - after[name]
    if name == "oos_recall":
        lost += before.get("oos_taken", 0.0) - after.get("oos_taken", 0.0)
    return round(lost * _measured_on(after, name))


def _quoted(worse: Sequence[str]) -> list[str]:
    if not worse:
        return []
    return ["Changed for the worse: " + ", ".join(f"“{text}”" for text in worse) + "."]
