"""The policy: signals in, action with reasons and evidence out. Pure.

Parse, then decide, then speak: `decide` runs before the bot acts, `judge_turn` looks at what the
bot would say before the customer sees it. Six steps, the first that applies decides:

1. Rules a person can read: an explicit request, danger, the law, sensitive intents, anger,
   repetition, an assistant that cannot be reached.
2. A short reply to what the bot said last ("no", "that's all", "👍"): `reply_to` says what follows.
3. Several requests in one message (`requests_of`): each is looked at as if it stood alone, and they
   are served one after the other.
4. The set of likely intents: one means answer, a few mean ask, many or none mean a person. A
   customer for whom both the risk and feelings alone call for a person is not asked. Where nothing
   was understood and the risk is next to nothing ("neat!"), the customer is asked for other words.
5. One calibrated risk out of all signals, against a limit that follows from what mistakes cost.
6. Otherwise the bot answers.

A language that the assistant does not speak is never a reason by itself: it is told beside the
others, and a message in it that was not understood is not asked about in words its writer may not
read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from handoff.core.costs import Costs, limit_when_busy, within
from handoff.core.limits import REASONS_SHOWN, PolicyLimits
from handoff.core.model import (
    NO_INTENT,
    Action,
    BotLine,
    Feelings,
    Finding,
    IntentScore,
    Parse,
    Reason,
)
from handoff.core.moves import LastSaid, Move
from handoff.core.requests import Part, share_a_subject
from handoff.core.risk import PROBABILITIES, SIGNALS, UNDERSTANDING, RiskModel
from handoff.core.words import LEGAL_PHRASES, SAFETY_PHRASES

POLICY_VERSION = "5"
"""Grows when the same signals and policy may lead to another decision."""

WORDS_OF_A_REQUEST = 4
"""A part of fewer words that is not clear is no request of its own ("where?", "call it off")."""

SAME_REQUEST = 0.05
"""A part that may mean an intent already asked for, at least this likely, asks for it once more."""

EVIDENT = 0.1
"""A probability below this is never told as a reason."""

PRIORITY = tuple(Reason)
"""Rules in the order in which an agent should read them: the order of `Reason`'s members."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What this desk has set per intent, and the phrases that call for a person.

    `person_intents` mean "a person, please", `human_intents` must be taken by a person, and
    `unknown_intents` mean that no other intent fits: a trained one, or Rasa's FallbackClassifier.
    `courtesy_intents` are said again and again by content customers: repeating them is no sign
    that the bot does not help. `refusal_intents` mean "no". `unnamed_intents` do nothing when a
    button names them (Rasa's retrieval intents): no question offers them. `precedents` says whether
    what the reader of feelings knows as such comes from conversations of this very assistant.
    """

    person_intents: frozenset[str] = frozenset({"contact_human_agent"})
    human_intents: frozenset[str] = frozenset({"complaint"})
    unknown_intents: frozenset[str] = frozenset({"out_of_scope", "nlu_fallback"})
    courtesy_intents: frozenset[str] = frozenset(
        {"greet", "goodbye", "thank", "affirm", "deny", "wait"}
    )
    refusal_intents: frozenset[str] = frozenset({"deny"})
    unnamed_intents: frozenset[str] = frozenset()
    precedents: bool = True
    safety_phrases: tuple[str, ...] = SAFETY_PHRASES
    legal_phrases: tuple[str, ...] = LEGAL_PHRASES


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that turns signals into an action. `id` names it in decisions."""

    limits: PolicyLimits = field(default_factory=PolicyLimits)
    desk: Desk = field(default_factory=Desk)
    risk: RiskModel = field(default_factory=lambda: SHIPPED_RISK)
    costs: Costs = field(default_factory=Costs)
    id: str = "shipped"

    def risk_limit(self, free: float) -> float:
        """Return the risk at which a person takes over, with a share `free` of places free."""
        limits = self.limits
        busy = limit_when_busy(limits.risk, free)
        return within(busy, limits.risk_floor, limits.risk_ceiling)


SHIPPED_RISK = RiskModel(
    offset=-3.487,
    weights={
        "precedent": 0.702, "doubt": 0.162, "ambiguity": 0.217, "anger": 0.176, "mood": 0.713,
        "mood_fall": 0.947, "asks": 0.453, "repeats": 1.5, "asked_back": 0.7,
    },
    typical={
        "precedent": 0.0403, "doubt": 0.525, "ambiguity": 0.122, "anger": 0.0278, "mood": 0.19,
        "mood_fall": 0.0, "asks": 0.000564, "repeats": 0.0, "asked_back": 0.0,
    },
)  # fmt: skip
"""What a desk starts with, until its own resolved episodes say more: `fitting.refit` on the
conversations of `training_data/handoffs`. `tests/evals/test_shipped_risk.py` fits it again, prints
it, and fails once today's readers of feelings and intents lead elsewhere. What those conversations
cannot show is set by judgement: the customer's side holds neither word-for-word repetitions nor
questions asked back. Each question doubles the odds, each repetition more than quadruples them: a
third time is too often even where every word was understood."""

OTHERS_RISK = replace(
    SHIPPED_RISK,
    weights={
        name: weight
        for name, weight in SHIPPED_RISK.weights.items()
        if name not in {"precedent", *UNDERSTANDING}
    },
)
"""What a desk before somebody else's assistant starts with: the same, without what was learned from
the shop's conversations and without figures of the shop's own model. What messages of the others'
customers need, and what their model's confidence says about it, the desk's own episodes tell."""

FORMER_RISK = RiskModel(
    offset=-3.53,
    weights={
        "precedent": 0.751, "doubt": 0.2, "anger": 0.269, "negative": 0.034, "mood_fall": 0.134,
        "asks": 0.425, "repeats": 1.5, "asked_back": 0.7,
    },
    typical={
        "precedent": 0.0399, "doubt": 0.573, "anger": 0.0345, "negative": 0.0657, "mood_fall": 0.0,
        "asks": 0.000527, "repeats": 0.0, "asked_back": 0.0,
    },
)  # fmt: skip
"""What desks started with up to version 4 of the rules, with the limit `FORMER_LIMIT`."""

FORMER_LIMIT = 0.125

STARTS = (SHIPPED_RISK, OTHERS_RISK, FORMER_RISK)
"""Risk models a desk starts with: none of them was learned from its own episodes."""


@dataclass(frozen=True, slots=True)
class Signals:
    """All a decision looks at.

    `mood` holds the probability of negative of the customer's earlier messages of this episode,
    oldest first. `repeats` counts earlier messages that say the same as this one. `awaiting_slot`
    is set while the bot waits for a piece of data, and `takes_any_text` says whether it would take
    this message for it, as it stands; `pressed` is set when the customer pressed a button the bot
    had offered. `asked_back` counts the bot's own questions of this episode about what was meant,
    `just_asked` says that the last line was one. `safety` and `legal` are the phrases found.
    `free` is the share of the agents' places that is free. `parse` is None when the assistant could
    not be reached. `move` is what a short reply does (`core.moves`), `wordless` says that it holds
    signs alone, `last_said` is what it replies to. `language` is the code of a language that the
    assistant does not speak, where the message is surely written in one. `parts` are what a message
    of several parts was cut into, each understood by itself.
    """

    parse: Parse | None
    feelings: Feelings
    mood: tuple[float, ...] = ()
    repeats: int = 0
    awaiting_slot: str | None = None
    takes_any_text: bool = False
    pressed: bool = False
    unavailable_why: str = ""
    asked_back: int = 0
    just_asked: bool = False
    safety: tuple[str, ...] = ()
    legal: tuple[str, ...] = ()
    free: float = 1.0
    move: Move | None = None
    wordless: bool = False
    last_said: LastSaid = LastSaid.NOTHING
    language: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def ranking(self) -> tuple[IntentScore, ...]:
        """Return the intents found, best first."""
        return self.parse.ranking if self.parse else ()


class Reply(StrEnum):
    """What the desk itself says to a short reply; `app.phrases` has the words."""

    OTHER_WORDS = "other_words"
    NOT_IT = "not_it"
    CHOOSE = "choose"
    AGAIN = "again"
    UNCLEAR = "unclear"
    SORRY = "sorry"
    PROMPT = "prompt"
    GLAD = "glad"
    FAREWELL = "farewell"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: what to do, why (weightiest first), and every figure it rests on.

    `options` are the intents to ask about, where the action is `CLARIFY`; none where the customer
    is asked for other words. `reply` is what the desk says by itself in place of the bot.
    `risk` and `limit` are None where a rule decided before they were looked at. `requests` are the
    several requests of one message in the order in which they are served, none where it holds one.
    """

    action: Action
    findings: tuple[Finding, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    risk: float | None = None
    limit: float | None = None
    reply: Reply | None = None
    requests: tuple[str, ...] = ()


def decide(signals: Signals, policy: Policy) -> Verdict:
    """Say whether the bot may answer this message, before it does anything."""
    evidence = {"signals": asdict(signals), "policy": policy.id}
    rules = rules_of(signals, policy)
    if rules or signals.parse is None:
        return _verdict(Action.HAND_OFF, [*rules, *_language(signals)], evidence)
    figures = risk_figures(signals, policy)
    parts = policy.risk.contributions(figures)
    risk, limit = policy.risk.risk(parts), policy.risk_limit(signals.free)
    feelings = {name: part for name, part in parts.items() if name not in UNDERSTANDING}
    upset = min(risk, policy.risk.risk(feelings)) >= limit
    answering, requests = reply_to(signals, policy), requests_of(signals, policy)
    if requests:
        lost = [part for part in requests if not is_clear(part.parse, policy)]
        unclear = [finding for part in lost for finding in _unclear(_alone(signals, part), policy)]
        settled = all(_options(_alone(signals, part), policy) for part in lost)
        fine = risk < limit and (not lost or (settled and _may_ask(signals, policy)))
        if fine:
            texts = tuple(part.text for part in requests)
            added = list(_added(parts, figures, policy.risk, set()))
            return _verdict(Action.ANSWER, added, evidence, (), risk, limit, None, texts)
        answering = (Action.HAND_OFF, None, unclear)
    if not answering and _only_praises(signals, policy):
        answering = (Action.ANSWER, Reply.GLAD, [])
    action, reply, unclear = answering or (Action.ANSWER, None, _unclear(signals, policy))
    options: tuple[str, ...] = ()
    perhaps = () if answering or unclear else _perhaps_several(signals, policy)
    if perhaps and risk < limit and _may_ask(signals, policy):
        names = " / ".join(perhaps)
        torn = [Finding(Reason.AMBIGUOUS, 1.0, policy.limits.likely, names)]
        return _verdict(Action.CLARIFY, torn, evidence, perhaps, risk, limit)
    if risk >= limit and action is not Action.HAND_OFF and not (unclear and not answering):
        action, reply = Action.HAND_OFF, None
    elif unclear and not answering:
        may_ask = not upset and not signals.language and _may_ask(signals, policy)
        options = _options(signals, policy) if may_ask else ()
        harmless = may_ask and risk < policy.limits.harmless
        action = Action.CLARIFY if options or harmless else Action.HAND_OFF
    added = _added(parts, figures, policy.risk, {f.reason for f in unclear})
    findings = [*unclear, *added]
    if action is Action.CLARIFY:
        findings = unclear
    elif action is Action.HAND_OFF:
        findings += _language(signals)
    return _verdict(action, findings, evidence, options, risk, limit, reply)


def judge_turn(
    lines: Sequence[BotLine], said_before: int, limits: PolicyLimits, why_silent: str = ""
) -> Verdict:
    """Say whether the bot's turn may be shown; `said_before`: how often it has said the same."""
    evidence = {"lines": len(lines), "said_before": said_before, "why_silent": why_silent}
    if not lines:
        why = why_silent or "it said nothing"
        silent = Finding(Reason.BOT_UNAVAILABLE, 1, 1, why)
        return _verdict(Action.HAND_OFF, [silent], evidence)
    if said_before >= limits.bot_repeats:
        repeats = Finding(Reason.BOT_REPEATS, said_before, limits.bot_repeats)
        return _verdict(Action.HAND_OFF, [repeats], evidence)
    return _verdict(Action.ANSWER, [], evidence)


def _verdict(
    action: Action,
    findings: Iterable[Finding],
    evidence: dict[str, Any],
    options: tuple[str, ...] = (),
    risk: float | None = None,
    limit: float | None = None,
    reply: Reply | None = None,
    requests: tuple[str, ...] = (),
) -> Verdict:
    found = {f.reason: f for f in reversed(list(findings))}.values()
    ordered = sorted(found, key=lambda f: (-f.weight, PRIORITY.index(f.reason)))
    shown = tuple(ordered[:REASONS_SHOWN])
    return Verdict(action, shown, evidence, options, risk, limit, reply, requests)


def options_of(parse: Parse, policy: Policy) -> tuple[str, ...]:
    """Return the intents to ask about where a part of a message is not clear."""
    return _options(Signals(parse, Feelings()), policy)


def is_clear(parse: Parse, policy: Policy) -> bool:
    """Say whether an assistant's reading of a part names one request it knows."""
    if parse.best.intent in policy.desk.courtesy_intents:
        return False
    return not _unclear(Signals(parse, Feelings()), policy)


def _alone(signals: Signals, part: Part) -> Signals:
    """Return the signals of a message as if it held this part alone."""
    return replace(signals, parse=part.parse, parts=())


def requests_of(signals: Signals, policy: Policy) -> tuple[Part, ...]:
    """Return the several requests of a message, those that are clear first; none where it has one.

    Two clear parts of different intents are two requests where both are put as such. What is merely
    told ("my card was declined, where is my parcel?") is the reason of the other, unless words join
    them ("and", "also"). A part that is put as a request and joined, but not clear, is asked about.
    """
    if signals.pressed or signals.awaiting_slot or signals.language:
        return ()
    found: list[tuple[Part, str]] = []
    for part in signals.parts:
        if part.aside:
            continue
        known = [intent for _, intent in found if intent]
        if _names_one(part.parse, policy):
            intent = part.parse.best.intent
            put = part.joined and part.shaped
            if intent in known:
                # "The key is gone, need a reset": what was told is now put as a request.
                place = next(n for n, (_, named) in enumerate(found) if named == intent)
                shaped = found[place][0].shaped or part.shaped
                found[place] = (replace(found[place][0], shaped=shaped), intent)
            elif put or not _may_be_one_of(known, part.parse):
                found.append((part, intent))
        elif _is_put(part, policy) and not _resembles(known, part.parse, policy.limits.likely):
            follows = part.joined and (found and (found[-1][0].shaped or part.added))
            if follows or not found:
                found.append((part, ""))
    kept = [one for n, one in enumerate(found) if _counts(n, found)]
    if not kept:
        return ()
    (first, first_intent), *others = kept
    asked = first.shaped and first_intent
    more = [one for one in others if one[0].added or (one[0].shaped and (asked or one[0].joined))]
    both = [(first, first_intent), *more]
    clear = [part for part, intent in both if intent]
    lost = [part for part, intent in both if not intent]
    return (*clear, *lost) if clear and len(both) > 1 else ()


def _perhaps_several(signals: Signals, policy: Policy) -> tuple[str, ...]:
    """Return the intents of parts that may be requests of their own, though none is put as one.

    One of them may be the reason of the other; to ask is better than to forget it.
    """
    if signals.pressed or signals.awaiting_slot or signals.language:
        return ()
    found: list[str] = []
    for part in signals.parts:
        named = _names_one(part.parse, policy) and not part.aside
        if named and not _may_be_one_of(found, part.parse) and part.parse.best.intent not in found:
            found.append(part.parse.best.intent)
    desk = policy.desk
    never = desk.person_intents | desk.human_intents | desk.unnamed_intents
    several = len(found) > 1 and len(found) <= policy.limits.options and not never & set(found)
    return tuple(found) if several else ()


def _names_one(parse: Parse, policy: Policy) -> bool:
    """Say whether a part is about an intent that is known, though another one may be meant."""
    desk, best = policy.desk, parse.best
    known = best.intent not in desk.courtesy_intents | desk.unknown_intents
    return known and best.confidence >= policy.limits.part


def _is_put(part: Part, policy: Policy) -> bool:
    """Say whether a part that is not clear is put as a request of its own."""
    courtesy = part.parse.best.intent in policy.desk.courtesy_intents
    return part.shaped and not courtesy and len(part.text.split()) >= WORDS_OF_A_REQUEST


def _counts(n: int, found: Sequence[tuple[Part, str]]) -> bool:
    """Say whether a part is more than the reason of another."""
    part, intent = found[n]
    following = found[n + 1][0] if n + 1 < len(found) else None
    joined = following is not None and following.joined and following.shaped
    return part.shaped or (n > 0 and part.added) or bool(intent and joined)


def _may_be_one_of(known: Sequence[str], parse: Parse) -> bool:
    """Say whether a part may well say once more what an earlier one said."""
    near = any(share_a_subject(parse.best.intent, intent) for intent in known)
    return near or _resembles(known, parse, SAME_REQUEST)


def _resembles(known: Sequence[str], parse: Parse, likely: float) -> bool:
    return any(s.intent in known and s.confidence >= likely for s in parse.ranking)


def _language(signals: Signals) -> Iterable[Finding]:
    """Tell the language of a message that goes to a person: who takes it should read it."""
    if signals.language and not signals.pressed:
        yield Finding(Reason.FOREIGN_LANGUAGE, 1, 1, signals.language)


def reply_to(signals: Signals, policy: Policy) -> tuple[Action, Reply | None, list[Finding]] | None:
    """Say what follows from a short reply to the bot: an action, the desk's own words, and why.

    None where the message is none, or the assistant's to answer: it asked a question itself, and
    "no" or "👎" answers it. A no to a question or an answer of the bot is never taken for the end.
    It is asked once what was meant instead; a second one in a row is a person's.
    """
    move, said, desk = signals.move, signals.last_said, policy.desk
    if signals.pressed:
        return None
    if move is None and _best(signals).intent in desk.refusal_intents:
        clear = _best(signals).confidence >= policy.limits.confidence
        given = bool(signals.parse and signals.parse.entities)
        asked = said in (LastSaid.OPTIONS, LastSaid.WORDS, LastSaid.ANSWER)
        move = Move.REJECT if clear and asked and not given else None
    if move is None or (move is Move.AGREE and not signals.wordless and said != LastSaid.OPTIONS):
        return None
    if signals.awaiting_slot or said == LastSaid.QUESTION:
        return _unanswered(signals)
    may_ask = signals.asked_back < policy.limits.questions
    nothing_said = Finding(Reason.WORDLESS, 1, 1, move.value)
    if move is Move.DONE:
        return Action.ANSWER, Reply.FAREWELL, []
    if move in (Move.REFUSE, Move.REJECT):
        rejected = [Finding(Reason.REJECTED, 1, 1, said)]
        if said == LastSaid.WORDS:
            return Action.HAND_OFF, None, rejected
        if said == LastSaid.OPTIONS:
            return Action.CLARIFY, Reply.OTHER_WORDS, rejected
        if said == LastSaid.ANSWER or (said == LastSaid.CLOSING and move is Move.REJECT):
            asking = Action.CLARIFY if may_ask else Action.HAND_OFF
            return asking, Reply.NOT_IT if may_ask else None, rejected
        if said == LastSaid.CLOSING:
            return Action.ANSWER, Reply.FAREWELL, []
        return (Action.ANSWER, Reply.PROMPT, []) if signals.wordless else None
    asked = said in (LastSaid.OPTIONS, LastSaid.WORDS)
    lost = move in (Move.SADNESS, Move.CONFUSION)
    if asked and (not may_ask or (lost and said == LastSaid.WORDS)):
        return Action.HAND_OFF, None, [nothing_said]
    if asked:
        again = Reply.CHOOSE if said == LastSaid.OPTIONS else Reply.PROMPT
        return Action.CLARIFY, again, [nothing_said]
    if move is Move.SADNESS or (move is Move.CONFUSION and said != LastSaid.NOTHING):
        if not may_ask:
            return Action.HAND_OFF, None, [nothing_said]
        why = Reply.SORRY if move is Move.SADNESS else Reply.UNCLEAR
        return Action.CLARIFY, why, [nothing_said]
    content = move in (Move.AGREE, Move.THANKS, Move.JOY) and said != LastSaid.NOTHING
    return Action.ANSWER, Reply.GLAD if content else Reply.PROMPT, []


def _unanswered(signals: Signals) -> tuple[Action, Reply | None, list[Finding]] | None:
    """Say what follows from signs that do not answer the question the assistant itself has asked.

    Its question is said again, once; where it takes any text the signs may be the answer.
    """
    answers = signals.move in (Move.AGREE, Move.REFUSE)
    if not signals.wordless or answers or signals.takes_any_text:
        return None
    nothing_said = [Finding(Reason.WORDLESS, 1, 1, signals.move or "")]
    if signals.just_asked:
        return Action.HAND_OFF, None, nothing_said
    return Action.CLARIFY, Reply.AGAIN, nothing_said


def rules_of(signals: Signals, policy: Policy) -> list[Finding]:
    """Return what decides by itself."""
    if signals.parse is None:
        return [Finding(Reason.BOT_UNAVAILABLE, 1, 1, signals.unavailable_why)]
    several = requests_of(signals, policy)
    return [
        *_requests(signals, policy),
        *(found for one in several for found in _requests(_alone(signals, one), policy)),
        *_alarms(signals, policy.limits),
        *_anger(signals, policy.limits),
        *_irony(signals, policy),
        *_repetition(signals, policy),
    ]


def _requests(signals: Signals, policy: Policy) -> Iterable[Finding]:
    """An explicit request is always granted; some intents always need a person."""
    best, limits, desk = _best(signals), policy.limits, policy.desk
    asked = signals.feelings.asks_for_person
    enough = _enough(signals, limits.person_intent, limits)
    if best.intent in desk.person_intents and best.confidence >= enough:
        yield Finding(Reason.PERSON_REQUESTED, best.confidence, enough, best.intent)
    elif asked >= limits.asks_for_person and not signals.pressed:
        yield Finding(Reason.PERSON_REQUESTED, asked, limits.asks_for_person)
    enough = _enough(signals, limits.confidence, limits)
    if best.intent in desk.human_intents and best.confidence >= enough:
        yield Finding(Reason.SENSITIVE_INTENT, best.confidence, enough, best.intent)


def answers_the_bot(signals: Signals, desk: Desk) -> bool:
    """Say whether this replies to the bot's own question or button.

    While the bot waits for a piece of data that is what it can take for one: any text where the
    data is free text, an entity, an intent that fills it, yes or no. "Do you gift wrap?" is none
    of these, and what the bot makes of it has to be as clear as ever.
    """
    if signals.pressed or not signals.awaiting_slot:
        return signals.pressed
    given = bool(signals.parse and signals.parse.entities)
    return signals.takes_any_text or given or is_courtesy(signals.parse, desk)


def _best(signals: Signals) -> IntentScore:
    return signals.parse.best if signals.parse else NO_INTENT


def _enough(signals: Signals, limit: float, limits: PolicyLimits) -> float:
    """Return the confidence at which an intent that means a person counts.

    Never above the one at which the bot would answer: its answer to such an intent promises a
    person, and nobody would come. What follows its own question or button it answers at any.
    """
    waited_for = signals.pressed or signals.awaiting_slot
    return 0.0 if waited_for else min(limit, limits.confidence)


def _alarms(signals: Signals, limits: PolicyLimits) -> Iterable[Finding]:
    """Danger and the law: as they were read, and by phrases alone where nobody has read them."""
    if signals.pressed:
        return
    read = signals.feelings
    for reason, chance, limit, phrases in (
        (Reason.SAFETY, read.danger, limits.danger, signals.safety),
        (Reason.LEGAL, read.legal, limits.legal, signals.legal),
    ):
        if chance is None and phrases:
            yield Finding(reason, len(phrases), 1, phrases[0])
        elif chance is not None and chance >= limit:
            yield Finding(reason, chance, limit, phrases[0] if phrases else "")


def _anger(signals: Signals, limits: PolicyLimits) -> Iterable[Finding]:
    """An angry customer never gets one more robot answer."""
    if signals.pressed:
        return
    if signals.move is Move.ANGER:
        yield Finding(Reason.ANGRY, 1, limits.angry, "signs")
    elif signals.feelings.angry >= limits.angry and not is_praise(signals, limits):
        yield Finding(Reason.ANGRY, signals.feelings.angry, limits.angry)


def _irony(signals: Signals, policy: Policy) -> Iterable[Finding]:
    """Thanks that are none ("thanks for nothing"): a courtesy in answer would mock the customer."""
    read, limits = signals.feelings, policy.limits
    if answers_the_bot(signals, policy.desk) or signals.move is not None:
        return
    best = _best(signals).intent
    courtesy = best in policy.desk.courtesy_intents - policy.desk.refusal_intents
    enough = limits.courtesy if courtesy else limits.praise
    if (read.praise or 0.0) >= enough and (read.irony or 0.0) >= limits.irony:
        yield Finding(Reason.NOT_MEANT, read.irony or 0.0, limits.irony, best)
    elif not (courtesy and policy.desk.precedents) or is_praise(signals, limits):
        return  # another's "I feel sad" is a courtesy as well, and sounds as it should
    elif read.negative >= limits.not_meant:
        yield Finding(Reason.NOT_MEANT, read.negative, limits.not_meant, best)


def is_praise(signals: Signals, limits: PolicyLimits) -> bool:
    """Say whether a message praises or thanks and means it, however drastic its words."""
    read = signals.feelings
    if read.praise is None or read.irony is None or signals.pressed:
        return False
    # "Great products, shit service": whoever is furious is not content.
    sincere = read.irony < limits.sincere and read.angry < limits.furious
    return read.praise >= limits.praise and sincere


def _only_praises(signals: Signals, policy: Policy) -> bool:
    """Say whether praise is all there is to a message that the assistant has no clear answer to.

    A courtesy has to be likely: "love them, do you have red ones?" is a question.
    """
    courtesy = any(
        score.intent in policy.desk.courtesy_intents and score.confidence >= policy.limits.likely
        for score in signals.ranking
    )
    return courtesy and is_praise(signals, policy.limits) and bool(_unclear(signals, policy))


def is_courtesy(parse: Parse | None, desk: Desk) -> bool:
    """Say whether a message is one of those that may be said, and answered, any number of times."""
    return bool(parse and parse.best.intent in desk.courtesy_intents)


def _may_be_repeated(signals: Signals, desk: Desk) -> bool:
    """Say whether saying this again is no sign that the bot does not help: a short reply, such as a
    no, means something else after every question."""
    said_anew = is_courtesy(signals.parse, desk) or answers_the_bot(signals, desk)
    return said_anew or signals.move is not None


def _repetition(signals: Signals, policy: Policy) -> Iterable[Finding]:
    """The customer keeps saying the same thing, other than to a form that asks for it again."""
    if _may_be_repeated(signals, policy.desk):
        return
    if signals.repeats >= policy.limits.customer_repeats:
        yield Finding(Reason.CUSTOMER_REPEATS, signals.repeats, policy.limits.customer_repeats)


def likely_intents(signals: Signals, policy: Policy) -> tuple[IntentScore, ...]:
    """Return the prediction set: the intents, unknown ones left out, that may well be meant."""
    return tuple(
        score
        for score in signals.ranking
        if score.confidence >= policy.limits.likely
        and score.intent not in policy.desk.unknown_intents
    )


def _unclear(signals: Signals, policy: Policy) -> list[Finding]:
    """Return why the bot must not just answer, or nothing where one intent is clearly meant."""
    if answers_the_bot(signals, policy.desk):
        return []
    best, likely, limits = _best(signals), likely_intents(signals, policy), policy.limits
    if best.intent in policy.desk.unknown_intents:
        # It had to be surer than the best of the intents that are known.
        first = next((s for s in signals.ranking if s.intent != best.intent), NO_INTENT)
        return [Finding(Reason.OUT_OF_SCOPE, best.confidence, first.confidence, first.intent)]
    if best.confidence < limits.confidence or len(likely) > limits.options:
        return [Finding(Reason.NOT_UNDERSTOOD, best.confidence, limits.confidence, best.intent)]
    if len(likely) > 1:
        names = " / ".join(score.intent for score in likely)
        return [Finding(Reason.AMBIGUOUS, likely[1].confidence, limits.likely, names)]
    for other in signals.ranking:
        if other.intent in policy.desk.unknown_intents and other.confidence >= limits.unknown:
            names = f"{best.intent} / {other.intent}"
            return [Finding(Reason.AMBIGUOUS, other.confidence, limits.unknown, names)]
    return []


def _may_ask(signals: Signals, policy: Policy) -> bool:
    """Say whether the bot may ask back: not twice in a row, not for ever, not about a request that
    it can only pass on."""
    desk, limits = policy.desk, policy.limits
    likeliest = (_best(signals), *likely_intents(signals, policy)[:1])
    people = desk.person_intents | desk.human_intents
    about_people = any(score.intent in people for score in likeliest)
    again = signals.just_asked or signals.asked_back >= limits.questions
    return not (again or about_people)


def _options(signals: Signals, policy: Policy) -> tuple[str, ...]:
    """Return the intents to ask about; none where a question would settle nothing.

    Courtesy is no request and a person is not a topic: neither is worth asking about. Nor are the
    others where the likeliest is one that no button can name.
    """
    desk, likely = policy.desk, likely_intents(signals, policy)
    if likely and likely[0].intent in desk.unnamed_intents:
        return ()
    never = desk.courtesy_intents | desk.person_intents | desk.human_intents | desk.unnamed_intents
    names = tuple(score.intent for score in likely if score.intent not in never)
    return names if len(names) <= policy.limits.options else ()


def risk_figures(signals: Signals, policy: Policy) -> dict[str, float]:
    """Return the figure of every signal that says something about this message.

    A reply to the bot's own question is not meant to be understood by itself, and what a form asks
    for ("What is broken?") is bound to sound bad and is no request: of its feelings only anger and
    the wish for a person count. A pressed button says nothing but what stands on it.
    """
    if signals.pressed:
        return {}
    figures = {**_feelings(signals, policy), **_history(signals, policy)}
    if answers_the_bot(signals, policy.desk):
        told = ("anger", "asks", "repeats", "asked_back")
        return {name: figures[name] for name in told if name in figures}
    courtesy = is_courtesy(signals.parse, policy.desk)
    if courtesy and not policy.desk.precedents and not _unclear(signals, policy):
        # "Are you a human?" sounds worse than it is, and nothing else is known about it.
        return {name: figures[name] for name in ("asks", "repeats", "asked_back")}
    if reply_to(signals, policy):
        return figures
    # Of several requests the least understood counts.
    several = [_alone(signals, part) for part in requests_of(signals, policy)] or [signals]
    read = [_understanding(one, policy) for one in several]
    return {**figures, **{name: max(one[name] for one in read) for name in read[0]}}


def _feelings(signals: Signals, policy: Policy) -> dict[str, float]:
    feelings = signals.feelings
    if is_praise(signals, policy.limits):
        earlier = signals.mood[-policy.limits.mood_messages :]
        mood = {"mood": sum(earlier) / len(earlier)} if earlier else {}
        return {"asks": feelings.asks_for_person, **mood}
    recent = (*signals.mood, feelings.negative)[-policy.limits.mood_messages :]
    earlier = recent[:-1] or recent
    figures = {
        "anger": feelings.angry,
        "negative": feelings.negative,
        "asks": feelings.asks_for_person,
        "mood": sum(recent) / len(recent),
        "mood_fall": max(0.0, recent[-1] - sum(earlier) / len(earlier)),
    }
    if feelings.precedent is not None and policy.desk.precedents:
        figures["precedent"] = feelings.precedent
    return figures


def _history(signals: Signals, policy: Policy) -> dict[str, float]:
    repeats = 0 if _may_be_repeated(signals, policy.desk) else signals.repeats
    return {"repeats": float(repeats), "asked_back": float(signals.asked_back)}


def _understanding(signals: Signals, policy: Policy) -> dict[str, float]:
    unknown = policy.desk.unknown_intents
    known = [s.confidence for s in signals.ranking if s.intent not in unknown]
    first, second = (*known[:2], 0.0, 0.0)[:2]
    novelty = signals.parse.novelty if signals.parse else None
    if novelty is None:
        novelty = sum(s.confidence for s in signals.ranking if s.intent in unknown)
    return {
        "novelty": min(1.0, novelty),
        "doubt": 1.0 - first,
        "ambiguity": second / first if first else 0.0,
    }


def _added(
    parts: Mapping[str, float],
    figures: Mapping[str, float],
    model: RiskModel,
    told: set[Reason],
) -> Iterable[Finding]:
    """Return what raises the risk, leaving out reasons that were told as a rule.

    A share next to nothing is no reason to a reader, even where it is many times what is usual.
    """
    for name, part in parts.items():
        evident = name not in PROBABILITIES or figures[name] >= EVIDENT
        if part > 0 and evident and SIGNALS[name] not in told:
            yield Finding(SIGNALS[name], figures[name], model.typical[name], name, part)
