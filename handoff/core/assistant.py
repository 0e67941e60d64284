"""What an assistant says of itself, its intents, answers and slots, and what follows. Pure.

A desk in front of somebody else's assistant knows none of its names beforehand. What its domain
tells (`GET /domain`) says which intents can be named by a button, what answers a form's question,
and what agents may label. Which intents are courtesy, ask for a person or know nothing is guessed
from their names, in the words usual among Rasa's assistants; settings overrule every guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from handoff.core.limits import OTHERS_HARMLESS
from handoff.core.model import Parse
from handoff.core.policy import OTHERS_RISK, Desk, Policy

NLU_FALLBACK = "nlu_fallback"
"""What Rasa's FallbackClassifier puts first where the model is not sure."""

OF_RASA = frozenset({"restart", "back", "session_start", NLU_FALLBACK})
"""Intents every assistant has whatever it was taught: nothing to choose and nothing to label."""

RASA_THRESHOLD = 0.3
"""Confidence below which Rasa's FallbackClassifier falls back, where its owner sets nothing."""

WAY_OUT = "contact_human_agent"
"""Intent of the desk's own button for a person; an assistant need not know it."""


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """One way a slot is filled.

    `intents` are those the mapping wants (`from_intent`) or is limited to, none for any;
    `not_intents` those it refuses. `asked_for` are the slots it waits for, none for any.
    """

    kind: str
    entity: str = ""
    intents: frozenset[str] = frozenset()
    not_intents: frozenset[str] = frozenset()
    asked_for: frozenset[str] = frozenset()

    def takes(self, parse: Parse) -> bool:
        """Say whether a message would fill the slot.

        Mappings that are code of the assistant, and kinds not known here, may take anything.
        """
        best = parse.best.intent
        if best in self.not_intents or (self.intents and best not in self.intents):
            return False
        if self.kind == "from_trigger_intent":
            return False  # it fills the slot where the form begins, and never again
        if self.kind == "from_entity":
            return any(found.get("entity") == self.entity for found in parse.entities)
        return self.kind != "from_intent" or bool(self.intents)


@dataclass(frozen=True, slots=True)
class AssistantDomain:
    """What an assistant tells of itself; `model` is the file name of the model that says so."""

    model: str = ""
    intents: frozenset[str] = frozenset()
    responses: frozenset[str] = frozenset()
    slots: Mapping[str, tuple[SlotMapping, ...]] = field(default_factory=dict)

    @property
    def retrieval_intents(self) -> frozenset[str]:
        """Return the intents of which there are many answers, chosen by the words (`faq/hours`).

        Named by itself such an intent chooses none of them, and the bot stays silent.
        """
        return frozenset(full.partition("/")[0] for full in self._answers())

    @property
    def labels(self) -> list[str]:
        """Return the intents a person may choose a message's meaning from, sorted.

        Of a retrieval intent that is each of its answers: it is taught by them alone.
        """
        whole = self.intents - self.retrieval_intents - OF_RASA
        return sorted({*whole, *self._answers()})

    def _answers(self) -> Iterable[str]:
        return (name.removeprefix("utter_") for name in self.responses if "/" in name)

    def takes(self, slot: str, parse: Parse) -> bool:
        """Say whether the bot, waiting for this slot, would take a message for it as it stands.

        A slot that the domain does not tell, or tells no way to fill while it is asked for, is
        filled by code of the assistant: that may take anything.
        """
        mappings = self.slots.get(slot, ())
        open_now = [m for m in mappings if not m.asked_for or slot in m.asked_for]
        return not open_now or any(mapping.takes(parse) for mapping in open_now)


def domain_from(told: Mapping[str, Any], model: str = "") -> AssistantDomain:
    """Read a domain as Rasa gives it.

    Raises:
        AttributeError, KeyError, TypeError: it is not of the documented form.
    """
    slots = {str(name): tuple(_mappings(slot)) for name, slot in (told.get("slots") or {}).items()}
    return AssistantDomain(
        model=model,
        intents=frozenset(_names(told.get("intents") or ())),
        responses=frozenset(map(str, told.get("responses") or {})),
        slots=slots,
    )


def _names(entries: Iterable[Any]) -> Iterable[str]:
    """Yield the names in a list of names and of mappings from a name to its properties."""
    for entry in entries:
        yield from map(str, entry) if isinstance(entry, Mapping) else (str(entry),)


def _mappings(slot: Mapping[str, Any] | None) -> Iterable[SlotMapping]:
    for mapping in (slot or {}).get("mappings") or ():
        asked = [c.get("requested_slot") for c in mapping.get("conditions") or ()]
        yield SlotMapping(
            kind=str(mapping["type"]),
            entity=str(mapping.get("entity", "")),
            intents=_listed(mapping.get("intent")),
            not_intents=_listed(mapping.get("not_intent")),
            # A condition without a slot holds for every question of its form.
            asked_for=frozenset(map(str, asked)) if all(asked) else frozenset(),
        )


def _listed(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset({value} if isinstance(value, str) else map(str, value))


# --- what names say ------------------------------------------------------------------------------

_COURTESY = re.compile(
    r"(?:(?:user|say|express|general|chitchat|smalltalk|small_talk)_)?"
    r"(?:greet|greetings?|hello|hi|hey|good_?(?:morning|day|evening|night)|good_?bye|bye|farewell|"
    r"thank(?:s|ful|_?you)?|thx|gratitude|appreciate|affirm(?:ative|ation)?|agree|confirm|yes|"
    r"ok(?:ay)?|den(?:y|ial)|negat(?:e|ive|ion)|disagree|no|nope|wait|hold_on|one_moment|"
    r"(?:(?:ask|check|challenge|is|are_you(?:_a)?)_)?(?:bot|human|robot)(?:_challenge)?|"
    r"i_?am_?a_?bot|how_?are_?you|(?:ask_)?how_?doing|nice_?(?:to_)?meet(?:ing)?_?you|"
    r"compliment|praise|laugh|mood_\w+|react_\w+|"
    r"(?:ask_|what_?is_|whats_)?your_?name|chit_?chat|small_?talk)"
    r"(?:_(?:you|user|bot|again|back|too|intent|bye|much))?"
)
"""Names of what content people say again and again, and of what they ask about the bot."""

_PERSON = re.compile(
    r"(?:\w+_)?(?:contact|talk|speak|chat|connect|call|request|ask|want|need|get|reach|transfer|"
    r"switch|pass|live|real|human)(?:_\w+)?_"
    r"(?:humans?|agents?|persons?|people|representatives?|reps?|operators?|advis[eo]rs?|staff|"
    r"someone|somebody|colleague|supervisor|manager)(?:_\w+)?|"
    r"(?:\w+_)?(?:hand_?(?:off|over)|escalat(?:e|ion))"
    r"(?:_(?:request|intent|now|please|(?:to_)?(?:human|agent|person|operator|support)))?|"
    r"(?:live_?|human_?)agent|agent|operator|representative"
)
"""Names of what a customer means who wants a person."""

_UNKNOWN = re.compile(
    r"out_?of_?(?:scope|domain)|oos|(?:\w+_)?fallback|unknown|unclear|gibberish|nonsense|not_?covered"
)
"""Names of what stands for nothing the assistant knows."""


REFUSALS = frozenset(
    {"deny", "no", "negate", "negative", "disagree", "refuse", "reject", "decline", "nope"}
)
"""Names of a no."""


def means_courtesy(intent: str) -> bool:
    """Say whether an intent's name is that of a courtesy, which may be said again and again."""
    return bool(_COURTESY.fullmatch(_plain(intent)))


def means_refusal(intent: str) -> bool:
    """Say whether an intent's name is that of a no."""
    return _plain(intent).removeprefix("chitchat_") in REFUSALS


def means_person(intent: str) -> bool:
    """Say whether an intent's name is that of a request for a person."""
    return bool(_PERSON.fullmatch(_plain(intent))) and not means_courtesy(intent)


def means_unknown(intent: str) -> bool:
    """Say whether an intent's name says that nothing known is meant."""
    return bool(_UNKNOWN.fullmatch(_plain(intent)))


def _plain(intent: str) -> str:
    """Return a name in lower case with single underscores: `BotChallenge` → `bot_challenge`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", intent)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Named:
    """Intents as the settings name them; None where they are to be guessed from their names."""

    courtesy: frozenset[str] | None = None
    person: frozenset[str] | None = None
    human: frozenset[str] = frozenset()


def policy_before(
    configured: Policy, domain: AssistantDomain, named: Named, confidence: float
) -> Policy:
    """Return the policy of a desk before somebody else's assistant.

    Its confidence is not the shop's calibrated one: a softmax is surer of everything, and what the
    assistant is too unsure of it says itself. So which of two was meant is asked only where the
    second is as likely as Rasa's own fallback allows. Where nothing was understood and nothing else
    is wrong, the customer is asked for other words before a person. Precedents are off: those there
    are come from the shop's conversations.

    Args:
        configured: phrases, costs and limits as the settings have them.
        domain: what the assistant tells of itself.
        named: intents the settings name.
        confidence: below it the desk asks what was meant.
    """
    desk = replace(
        configured.desk,
        person_intents=_chosen(named.person, domain.intents, means_person) | {WAY_OUT},
        human_intents=named.human,
        unknown_intents=Desk().unknown_intents | set(filter(means_unknown, domain.intents)),
        courtesy_intents=_chosen(named.courtesy, domain.intents, means_courtesy),
        refusal_intents=frozenset(filter(means_refusal, domain.intents)),
        unnamed_intents=domain.retrieval_intents | OF_RASA,
        precedents=False,
    )
    limits = replace(
        configured.limits, confidence=confidence, likely=RASA_THRESHOLD, harmless=OTHERS_HARMLESS
    )
    return replace(configured, desk=desk, limits=limits, risk=OTHERS_RISK)


def _chosen(
    named: frozenset[str] | None, intents: Collection[str], guess: Callable[[str], bool]
) -> frozenset[str]:
    return frozenset(filter(guess, intents)) if named is None else named
