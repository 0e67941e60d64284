"""What reviewers and leads see of the nightly learning: pure functions, like `views`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from agent_console.callbacks import Do
from agent_console.richtext import TEXT_UNITS, Rich, cut, one_line, utf16_len
from agent_console.views import (
    Key,
    Rows,
    View,
    date_time,
    duration,
    key,
    picker,
    plain,
    view_of,
)
from handoff.core.learning import in_words
from handoff.core.model import (
    Candidate,
    CandidateKind,
    CandidateStatus,
    LearningRun,
    RunStatus,
)
from handoff.core.reasons_in_words import human

EXAMPLE_UNITS = 500
"""Longest example shown on a review card, in UTF-16 units."""

ANSWER_UNITS = 1500
"""Longest answer shown on a review card, in UTF-16 units."""

LEARN_ALL = "all"
"""The id a "Learn now" button carries: it names no record."""


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """A candidate with the handoff it came from: who handled it, and when it was asked for."""

    candidate: Candidate
    agent: str = ""
    said_at: datetime | None = None
    intents: Sequence[str] = ()
    zone: tzinfo = UTC
    page: int | None = None


def review_card(card: ReviewCard) -> View:
    """Return the card by which a reviewer judges a candidate, or what was decided about it."""
    candidate = card.candidate
    rich = Rich()
    if candidate.kind is CandidateKind.ANSWER:
        _answer(rich, candidate)
    else:
        _example(rich, candidate)
    _origin(rich, card)
    if candidate.status is not CandidateStatus.PENDING:
        _judgement(rich, card)
        return view_of(rich)
    return view_of(rich, _rows(card))


def _example(rich: Rich, candidate: Candidate) -> None:
    rich.line("📘 An example to learn?", "bold")
    _texts(rich, candidate)
    rich.add("Intent: ").line(human(candidate.intent), "bold")


def _answer(rich: Rich, candidate: Candidate) -> None:
    rich.line("📗 A new answer to learn?", "bold")
    _texts(rich, candidate)
    rich.line("The agent's answer:")
    rich.add(cut(candidate.answer.strip(), ANSWER_UNITS), "blockquote").add("\n")
    rich.add("New topic: ").line(human(candidate.intent), "bold")


def _texts(rich: Rich, candidate: Candidate) -> None:
    rich.line("The customer wrote:")
    room = TEXT_UNITS - ANSWER_UNITS - 700
    for text in candidate.texts:
        shown = cut(text.strip(), EXAMPLE_UNITS)
        room -= utf16_len(shown) + 1
        if room < 0:
            rich.line("…")
            break
        rich.add(shown, "blockquote").add("\n\n" if len(candidate.texts) > 1 else "\n")


def _origin(rich: Rich, card: ReviewCard) -> None:
    agent = f"{card.agent}'s conversation" if card.agent else "a conversation"
    when = f" of {date_time(card.said_at, card.zone)}" if card.said_at else ""
    rich.line(f"From {agent}{when}. Personal data, where recognised, was replaced.", "italic")


_JUDGED = {
    CandidateStatus.ACCEPTED: "✅ Accepted",
    CandidateStatus.REJECTED: "🚫 Rejected",
    CandidateStatus.LEARNED: "🎓 Learned",
    CandidateStatus.ROLLED_BACK: "↩️ Rolled back",
}


def _judgement(rich: Rich, card: ReviewCard) -> None:
    candidate = card.candidate
    words = _JUDGED[candidate.status]
    if candidate.status is not CandidateStatus.REJECTED:
        words += f" as “{human(candidate.intent)}”"
        if candidate.proposed_intent and candidate.proposed_intent != candidate.intent:
            words += f" (proposed: “{human(candidate.proposed_intent)}”)"
    when = f", {date_time(candidate.reviewed_at, card.zone)}" if candidate.reviewed_at else ""
    by = f" by {candidate.reviewer_name}{when}" if candidate.reviewer_name else ""
    rich.line().line(words + by, "bold")


def _rows(card: ReviewCard) -> Rows:
    id = card.candidate.id
    if card.page is not None:
        return picker(card.intents, card.page, Do.ACCEPT_AS, Do.PICK_LABEL, id, 0)
    answer = card.candidate.kind is CandidateKind.ANSWER
    other = "It is an existing intent…" if answer else "Other intent…"
    return (
        (key("Accept", Do.ACCEPT, id), key("Reject", Do.REJECT, id)),
        (key(other, Do.PICK_LABEL, id, 0, "0"),),
    )


def all_judged(accepted: int) -> View:
    """Return the notice that the last candidate has been judged."""
    if not accepted:
        return plain("Everything has been reviewed. Nothing was accepted, so nothing is learned.")
    things = "1 candidate is" if accepted == 1 else f"{accepted} candidates are"
    return plain(
        f"Everything has been reviewed. {things} accepted and will be learned in the next "
        "nightly run.",
        ((learn_key(),),),
    )


def learn_key() -> Key:
    """Return the button that starts a learning run now."""
    return key("Learn now", Do.LEARN, LEARN_ALL)


_VERDICTS = {
    RunStatus.RUNNING: "🎓 The learning run is under way",
    RunStatus.NOTHING_TO_LEARN: "🎓 Nothing new to learn",
    RunStatus.PROMOTED: "🎓 The bot has learned",
    RunStatus.REFUSED: "🛑 Not learned: the new model was worse",
    RunStatus.FAILED: "🛑 The learning run failed",
}


def run_digest(run: LearningRun, learned: Sequence[Candidate] = (), zone: tzinfo = UTC) -> View:
    """Return what a learning run did: what was learned, figures before and after, the verdict."""
    rich = Rich().line(_VERDICTS[run.status], "bold")
    took = ""
    if run.finished_at:
        took = f", took {duration((run.finished_at - run.started_at).total_seconds())}"
    rich.line(f"Run of {date_time(run.started_at, zone)}{took}", "italic")
    _counts(rich, run)
    if figures := in_words(run.figures_before, run.figures_after):
        rich.line().line("On the golden set, before → after", "bold")
        for line in figures:
            rich.line(f"• {line}")
    if run.verdict:
        rich.line().line(one_line(run.verdict, 600))
    _learned(rich, learned)
    if run.status is RunStatus.PROMOTED:
        rich.line().add("To undo it: ").line("handoff rollback", "code")
    return view_of(rich)


def _counts(rich: Rich, run: LearningRun) -> None:
    rich.line().line(f"Found in conversations: {run.mined}")
    rich.line(f"Waiting for review: {run.pending_review}")
    rich.line(f"Learned: {run.learned}")


def _learned(rich: Rich, learned: Sequence[Candidate]) -> None:
    if not learned:
        return
    rich.line().line("Learned", "bold")
    for number, candidate in enumerate(learned):
        first = one_line(candidate.texts[0], 160) if candidate.texts else ""
        line = f"• {human(candidate.intent)}: {first}"
        if rich.units + utf16_len(line) > TEXT_UNITS - 200:
            rich.line(f"and {len(learned) - number} more")
            break
        rich.line(line)
