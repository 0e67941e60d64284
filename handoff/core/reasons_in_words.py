"""Decisions in plain words with their figures: for the card, the command line, the leads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from handoff.core.languages import language_name
from handoff.core.model import Action, Finding, Reason
from handoff.core.moves import LastSaid, Move
from handoff.core.risk import SIGNALS, RiskModel

DETAIL_CHARACTERS = 200
"""Longest technical detail quoted in a reason, in characters."""


WORTH_A_GUESS = 0.01
"""A guess less likely than this is not told."""

HEAVIEST = 5
"""How many signals are named as what counts most."""


def percent(share: float, digits: int = 0) -> str:
    """Return 0.314 as `31 %`."""
    return f"{share * 100:.{digits}f} %"


def against(value: float, limit: float) -> tuple[str, str]:
    """Return two shares as percentages, with as many decimals (2 at most) as tell them apart."""
    digits = 0
    while digits < 2 and value != limit and percent(value, digits) == percent(limit, digits):
        digits += 1
    return percent(value, digits), percent(limit, digits)


def human(intent: str) -> str:
    """Return an intent's name as words."""
    return intent.replace("_", " ")


def count(number: float) -> str:
    """Return a number with one decimal where it has one, as a mean does: `2`, `0.3`."""
    return f"{number:.1f}".removesuffix(".0")


def times(number: float) -> str:
    """Return how often something was: `once`, `twice`, `3 times`, a mean as `0.3 times`."""
    told = count(number)
    return {"1": "once", "2": "twice"}.get(told, f"{told} times")


DONE: dict[Action, str] = {
    Action.ANSWER: "The bot answered",
    Action.CLARIFY: "The bot asked what was meant",
    Action.HAND_OFF: "A person was asked",
}
"""What was done with a message."""

WOULD_DO: dict[Action, str] = {
    Action.ANSWER: "let the bot answer",
    Action.CLARIFY: "asked what was meant",
    Action.HAND_OFF: "asked a person",
}
"""What a policy in the shadow would have done."""

NOTHING_STANDS_OUT = "Nothing in particular stands out"
"""Why, where a handoff has no reason of its own."""


def share_in_words(share: float) -> str:
    """Return a risk or its limit (0 to 1) as a percentage: `5 %`, `12.5 %`."""
    return f"{count(share * 100)} %"


def risks(risk: float, limit: float) -> tuple[str, str]:
    """Return a risk and its limit as percentages that tell them apart."""
    told = share_in_words(risk), share_in_words(limit)
    return against(risk, limit) if told[0] == told[1] and risk != limit else told


def risk_against(risk: float, limit: float, action: Action, reasons: bool) -> str:
    """Return a risk, its limit, and whether it was what decided.

    Where a person was asked below the limit the `reasons` did, if there are any.
    """
    value, enough = risks(risk, limit)
    if action is not Action.HAND_OFF or risk >= limit or not reasons:
        return f"Risk that a person is needed: {value}, the limit is {enough}"
    return (
        f"Risk that a person is needed: {value}, below the limit of {enough}: "
        "the reasons above decided, not the risk"
    )


def reason_of(findings: Sequence[Finding]) -> str:
    """Return the weightiest reason, or that there is none."""
    return why(findings[0]) if findings else NOTHING_STANDS_OUT


def heaviest(risk: RiskModel, most: int = HEAVIEST) -> str:
    """Return what raises the risk most, without the weights: those are for statisticians."""
    ordered = sorted(risk.weights, key=lambda name: -risk.weights[name])[:most]
    return ", ".join(SHORT[SIGNALS[name]] for name in ordered)


def disagreements_of(judged: int, disagreed: int) -> str:
    """Return what a policy in the shadow has come to."""
    if not judged:
        return "It has judged no message yet."
    messages = "1 message" if judged == 1 else f"{judged} messages"
    share = f" ({percent(disagreed / judged)})" if disagreed else ""
    return f"It has judged {messages} and disagreed on {disagreed or 'none'}{share}."


def why(finding: Finding) -> str:
    """Return one reason in plain words with its figures.

    A rule says what passed which limit, any other reason what is usual instead.
    """
    if not finding.is_rule and finding.reason in _ADDED:
        return _ADDED[finding.reason](finding)
    return _RULES.get(finding.reason, _added_only)(finding)


# --- rules -------------------------------------------------------------------------------------


def _requested(f: Finding) -> str:
    if not f.limit:
        return "The customer was asked something and answered by asking for a person"
    value, limit = against(f.value, f.limit)
    return f"The customer asked for a person: {value} sure, {limit} is enough"


def _safety(f: Finding) -> str:
    return _alarm(f, "The message tells of danger", "The message speaks of danger")


def _legal(f: Finding) -> str:
    return _alarm(f, "The customer threatens with the law", "The message speaks of the law")


def _alarm(f: Finding, read: str, found: str) -> str:
    """Return how sure the reader is and the phrase it saw, or the phrases where nobody has read.

    A reader's limit lies below 1; phrases are counted, and one is enough.
    """
    quoted = f"“{_short(f.detail)}”"
    if f.limit >= 1:
        return f"{found}: {quoted}" + (f" and {f.value - 1:.0f} more" if f.value > 1 else "")
    value, limit = against(f.value, f.limit)
    return f"{read}: {value} sure, {limit} is enough" + (f" ({quoted})" if f.detail else "")


def _sensitive(f: Finding) -> str:
    return f"“{human(f.detail)}” always goes to a person: {percent(f.value)} sure it is that"


def _angry(f: Finding) -> str:
    if f.detail:
        return "The customer sent nothing but signs of anger"
    value, limit = against(f.value, f.limit)
    return f"The customer sounds angry: {value}, the limit is {limit}"


def _not_meant(f: Finding) -> str:
    value, limit = against(f.value, f.limit)
    return f"Thanks or praise that are none: {value} sure, {limit} is enough"


def _mood_falling(f: Finding) -> str:
    """As decisions up to version 2 of the rules have it."""
    value, limit = against(f.value, f.limit)
    return f"The mood is bad and getting worse: {value} negative, the limit is {limit}"


def _out_of_scope(f: Finding) -> str:
    guessed = f.detail and f.limit >= WORTH_A_GUESS
    guess = f", its best guess was “{human(f.detail)}” with {percent(f.limit)}" if guessed else ""
    return f"This seems new to the bot: {percent(f.value)} sure that nobody taught it this{guess}"


def _not_understood(f: Finding) -> str:
    value, limit = against(f.value, f.limit)
    if not f.detail:
        return f"The bot was unsure: it recognised nothing and needs {percent(f.limit)}"
    if f.value >= f.limit:
        return f"The bot was unsure: many things are likely, “{human(f.detail)}” with {value}"
    return f"The bot was unsure: {value} sure of “{human(f.detail)}”, it needs {limit}"


def _ambiguous(f: Finding) -> str:
    first, *others = [f"“{human(name)}”" for name in f.detail.split(" / ")]
    value, limit = against(f.value, f.limit)
    if f.value < f.limit:  # As decisions up to version 2 of the rules have it.
        return f"The bot could not tell {first} from {', '.join(others)}: {value} apart"
    rest = " or ".join(others)
    return f"The bot could not tell {first} from {rest}: {value} likely, {limit} is enough"


def _customer_repeats(f: Finding) -> str:
    return f"The customer said the same thing {times(f.value + 1)}"


def _bot_repeats(f: Finding) -> str:
    return f"The bot was about to repeat itself: it had said the same thing {times(f.value)} before"


def _unavailable(f: Finding) -> str:
    return f"The bot was unavailable: {_short(f.detail) or 'no answer'}"


def _foreign(f: Finding) -> str:
    return f"The message is written in {language_name(f.detail)}, which the bot does not speak"


_REJECTED: dict[str, str] = {
    LastSaid.OPTIONS: "to the bot's question what was meant",
    LastSaid.WORDS: "again, after the bot had asked for other words",
    LastSaid.ANSWER: "to the bot's answer",
}


def _rejected(f: Finding) -> str:
    return f"The customer said no {_REJECTED.get(f.detail, 'to what the bot said')}"


def _wordless(f: Finding) -> str:
    signs = "" if f.detail == Move.NOTHING else f" of {f.detail}"
    return f"The message has no words, only signs{signs}"


def _short(text: str) -> str:
    """Return a text as one line, cut at its end."""
    line = " ".join(text.split())
    return line if len(line) <= DETAIL_CHARACTERS else f"{line[: DETAIL_CHARACTERS - 1]}…"


def _added_only(f: Finding) -> str:
    return _ADDED[f.reason](f)


_RULES: dict[Reason, Callable[[Finding], str]] = {
    Reason.PERSON_REQUESTED: _requested,
    Reason.SAFETY: _safety,
    Reason.LEGAL: _legal,
    Reason.SENSITIVE_INTENT: _sensitive,
    Reason.ANGRY: _angry,
    Reason.NOT_MEANT: _not_meant,
    Reason.CUSTOMER_REPEATS: _customer_repeats,
    Reason.BOT_REPEATS: _bot_repeats,
    Reason.BOT_UNAVAILABLE: _unavailable,
    Reason.FOREIGN_LANGUAGE: _foreign,
    Reason.REJECTED: _rejected,
    Reason.WORDLESS: _wordless,
    Reason.OUT_OF_SCOPE: _out_of_scope,
    Reason.NOT_UNDERSTOOD: _not_understood,
    Reason.AMBIGUOUS: _ambiguous,
    Reason.MOOD_FALLING: _mood_falling,
}


# --- what adds to the risk -----------------------------------------------------------------------


def _share(words: str) -> Callable[[Finding], str]:
    """Return how a reason with a share of 0 to 1 is told."""

    def told(f: Finding) -> str:
        value, usual = against(f.value, f.limit)
        return f"{words}: {value} (usually {usual})"

    return told


def _times(words: str, first: int = 0) -> Callable[[Finding], str]:
    """Return how a reason that counts is told; `first` is added to what was counted."""

    def told(f: Finding) -> str:
        return f"{words} {times(f.value + first)} (usually {count(f.limit + first)})"

    return told


_ADDED: dict[Reason, Callable[[Finding], str]] = {
    Reason.PRECEDENT: _share("Messages like this one needed a person"),
    Reason.OUT_OF_SCOPE: _share("This looks new to the bot"),
    Reason.NOT_UNDERSTOOD: _share("The bot doubts what is meant"),
    Reason.AMBIGUOUS: _share("The second guess comes close to the first"),
    Reason.ANGRY: _share("The customer sounds angry"),
    Reason.NEGATIVE: _share("The message sounds negative"),
    Reason.MOOD_BAD: _share("The mood of the last messages is bad"),
    Reason.MOOD_FALLING: _share("The mood is getting worse"),
    Reason.MAY_ASK_FOR_PERSON: _share("The customer may be asking for a person"),
    Reason.CUSTOMER_REPEATS: _times("The customer has said the same thing", 1),
    Reason.ASKED_BACK: _times("The bot has asked what was meant"),
}


SHORT: dict[str, str] = {
    Reason.PERSON_REQUESTED.value: "asked for a person",
    Reason.SAFETY.value: "danger",
    Reason.LEGAL.value: "the law",
    Reason.SENSITIVE_INTENT.value: "always a person's",
    Reason.ANGRY.value: "angry",
    Reason.NOT_MEANT.value: "not meant",
    Reason.CUSTOMER_REPEATS.value: "customer repeats",
    Reason.BOT_REPEATS.value: "bot repeats",
    Reason.BOT_UNAVAILABLE.value: "bot unavailable",
    Reason.FOREIGN_LANGUAGE.value: "another language",
    Reason.REJECTED.value: "said no",
    Reason.WORDLESS.value: "no words",
    Reason.OUT_OF_SCOPE.value: "new to the bot",
    Reason.NOT_UNDERSTOOD.value: "not understood",
    Reason.AMBIGUOUS.value: "ambiguous",
    Reason.PRECEDENT.value: "like earlier handoffs",
    Reason.MOOD_FALLING.value: "mood falling",
    Reason.MOOD_BAD.value: "mood bad",
    Reason.NEGATIVE.value: "negative",
    Reason.MAY_ASK_FOR_PERSON.value: "may want a person",
    Reason.ASKED_BACK.value: "asked back",
}
"""Reasons in two or three words, for lists and statistics."""
