"""What an assistant's domain tells, what its names say, and the policy that follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.assistant import (
    OF_RASA,
    WAY_OUT,
    AssistantDomain,
    Named,
    domain_from,
    means_courtesy,
    means_person,
    means_unknown,
    policy_before,
)
from handoff.core.evidence import named, policy_body, policy_from
from handoff.core.model import Action, Feelings, IntentScore, Parse, Reason
from handoff.core.policy import Desk, Policy, Signals, decide

EMAIL = ({"entity": "email", "value": "kim@example.com"},)


def parse(*ranking: tuple[str, float], entities: Any = ()) -> Parse:
    return Parse(tuple(IntentScore(*score) for score in ranking), entities=entities)


def slot(*mappings: dict[str, Any]) -> AssistantDomain:
    return domain_from({"slots": {"asked": {"type": "text", "mappings": list(mappings)}}})


def at(slot: str, loop: str = "form") -> list[dict[str, str]]:
    return [{"active_loop": loop, "requested_slot": slot}]


TEXT, CODE = {"type": "from_text"}, {"type": "custom"}
ENTITY = {"type": "from_entity", "entity": "email"}
YES = {"type": "from_intent", "intent": "affirm", "value": True}
LOST, AGREED = parse(("nlu_fallback", 0.3)), parse(("affirm", 0.9))


@pytest.mark.parametrize(
    ("mappings", "said", "takes"),
    [
        ([TEXT], LOST, True),
        ([CODE], LOST, True),
        ([{"type": "from_llm"}], LOST, True),
        ([ENTITY], LOST, False),
        ([ENTITY], replace(LOST, entities=EMAIL), True),
        ([ENTITY], replace(LOST, entities=({"entity": "color", "value": "red"},)), False),
        ([YES], AGREED, True),
        ([YES], LOST, False),
        ([{**YES, "intent": ["affirm", "inform"]}], parse(("inform", 0.9)), True),
        ([{"type": "from_trigger_intent", "intent": "affirm"}], AGREED, False),
        ([ENTITY, TEXT], LOST, True),
        ([{**TEXT, "not_intent": ["help"]}], parse(("help", 0.9)), False),
        ([{**TEXT, "not_intent": "help"}], LOST, True),
        ([{**TEXT, "intent": ["inform"]}], LOST, False),
        ([{**TEXT, "intent": ["inform"]}], parse(("inform", 0.6)), True),
        ([{**TEXT, "conditions": at("asked")}], LOST, True),
        ([{**TEXT, "conditions": at("other")}, ENTITY], LOST, False),
        ([{**TEXT, "conditions": [{"active_loop": "form"}]}], LOST, True),
        # Code asks for it (a dynamic form): code may take anything.
        ([{**ENTITY, "conditions": at("other")}], LOST, True),
        ([], LOST, True),
    ],
)
def test_what_the_bot_takes_for_a_slot(mappings, said, takes) -> None:
    assert slot(*mappings).takes("asked", said) is takes


def test_a_slot_the_domain_does_not_tell_takes_anything() -> None:
    assert AssistantDomain().takes("vendor", LOST)
    assert domain_from({"slots": {"vendor": None}}).takes("vendor", LOST)


def test_retrieval_intents_are_known_by_their_answers() -> None:
    found = domain_from(
        {
            "intents": ["order", {"faq": {"is_retrieval_intent": True}}, "nlu_fallback", "restart"],
            "responses": {"utter_faq/hours": [], "utter_faq/prices": [], "utter_order": []},
        }
    )
    assert found.intents == {"order", "faq", "nlu_fallback", "restart"}
    assert found.retrieval_intents == {"faq"}
    assert found.labels == ["faq/hours", "faq/prices", "order"]


@pytest.mark.parametrize("form", [[], "text", None, {"slots": {"a": {"mappings": [{}]}}}])
def test_what_is_no_domain_is_refused(form) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError)):
        domain_from(form)


COURTESY = """
    greet greeting hello goodbye bye thank thanks thankyou thank_you say_thanks express_thanks
    affirm deny yes no wait bot_challenge check_human are_you_a_bot ask_bot mood_great
    mood_unhappy chitchat smalltalk smalltalk/greet BotChallenge user_greet how_are_you
    nice_to_meet_you whats_your_name
"""
PERSON = """
    human_handoff trigger_handoff handoff contact_human_agent talk_to_human talk_to_a_person
    request_human request_live_agent speak_with_representative escalate live_agent agent
    transfer_to_agent connect_with_human_agent want_human user_request_human_agent hand_over
"""
UNKNOWN = """
    out_of_scope oos nlu_fallback fallback unknown outofscope out_of_domain
"""
TOPICS = """
    order_status pay_cc transfer_money check_balance confirm_order deny_claim
    thank_you_card_order password_reset inform faq human_resources bot_price product_stock
    agent_commission no_refund contact_customer_service check_earnings help greeting_cards
    handover_date_of_flat hours
"""


GUESSES = (means_courtesy, means_person, means_unknown)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (COURTESY, [means_courtesy]),
        (PERSON, [means_person]),
        (UNKNOWN, [means_unknown]),
        (TOPICS, []),
    ],
)
def test_what_names_say(names, meant) -> None:
    for name in names.split():
        assert [guess for guess in GUESSES if guess(name)] == meant, name


DOMAIN = domain_from(
    {
        "intents": ["greet", "thankyou", "human_handoff", "order", "out_of_scope", {"faq": {}}],
        "responses": {"utter_faq/hours": []},
    }
)
POLICY = policy_before(Policy(), DOMAIN, Named(human=frozenset({"complaint"})), 0.3)
CALM = Feelings(0.1, 0.03, 0.01, precedent=0.9)


def test_the_desk_follows_from_the_domain() -> None:
    desk = POLICY.desk
    assert desk.courtesy_intents == {"greet", "thankyou"}
    assert desk.person_intents == {"human_handoff", WAY_OUT}
    assert desk.unknown_intents == {"out_of_scope", "nlu_fallback"}
    assert desk.unnamed_intents == {"faq"} | OF_RASA
    assert not desk.precedents and POLICY.limits.confidence == 0.3


def test_what_the_settings_name_is_not_guessed() -> None:
    said = Named(courtesy=frozenset({"order"}), person=frozenset({"faq"}), human=frozenset({"x"}))
    desk = policy_before(Policy(), DOMAIN, said, 0.3).desk
    assert desk.courtesy_intents == {"order"}
    assert desk.person_intents == {"faq", WAY_OUT}
    assert desk.human_intents == {"x"}


def test_such_a_policy_is_stored_and_read_back() -> None:
    assert policy_from(policy_body(POLICY)) == named(POLICY)
    old = policy_body(Policy())
    for name in ("unnamed_intents", "precedents"):
        del old["desk"][name]
    assert policy_from(old).desk == Desk()


@given(confidence=st.floats(0.3, 1), precedent=st.none() | st.floats(0, 1))
def test_the_shops_precedents_say_nothing_about_others_messages(confidence, precedent) -> None:
    feelings = replace(CALM, precedent=precedent)
    signals = Signals(parse(("bot_challenge", confidence)), feelings)
    assert decide(signals, POLICY).action is Action.ANSWER
    assert decide(signals, POLICY).risk == decide(replace(signals, feelings=CALM), POLICY).risk


@pytest.mark.parametrize("repeats", range(8))
def test_thanks_is_never_a_repetition_whatever_it_is_called(repeats) -> None:
    signals = Signals(parse(("thankyou", 0.99)), CALM, repeats=repeats)
    assert decide(signals, POLICY).action is Action.ANSWER


@given(negative=st.floats(0, 1), angry=st.floats(0, 0.89))
def test_an_understood_courtesy_is_no_worse_for_how_it_sounds(negative, angry) -> None:
    signals = Signals(parse(("greet", 0.84)), Feelings(negative, angry, 0.01), mood=(0.0,))
    assert decide(signals, POLICY).action is Action.ANSWER
    furious = replace(signals, feelings=Feelings(negative, 0.95, 0.01))
    assert decide(furious, POLICY).findings[0].reason is Reason.ANGRY


@given(
    negative=st.floats(0, 1),
    mood=st.lists(st.floats(0, 1), max_size=5),
    repeats=st.integers(0, 9),
    confidence=st.floats(0, 1),
)
def test_what_answers_a_form_is_excused_from_everything_but_wishes_and_anger(
    negative, mood, repeats, confidence
) -> None:
    signals = Signals(
        parse(("nlu_fallback", confidence)),
        replace(CALM, negative=negative),
        mood=tuple(mood),
        repeats=repeats,
        awaiting_slot="problem",
        takes_any_text=True,
    )
    for policy in (POLICY, Policy()):
        assert decide(signals, policy).action is Action.ANSWER


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"feelings": replace(CALM, asks_for_person=0.8)}, Reason.PERSON_REQUESTED),
        ({"parse": parse(("human_handoff", 0.8))}, Reason.PERSON_REQUESTED),
        ({"feelings": replace(CALM, angry=0.95)}, Reason.ANGRY),
        ({"safety": ("caught fire",)}, Reason.SAFETY),
        ({"legal": ("my lawyer",)}, Reason.LEGAL),
    ],
)
def test_a_form_keeps_nobody_from_a_person(changed, reason) -> None:
    waiting = Signals(LOST, CALM, awaiting_slot="problem", takes_any_text=True)
    verdict = decide(replace(waiting, **changed), POLICY)
    assert verdict.action is Action.HAND_OFF and verdict.findings[0].reason is reason


def test_what_no_button_can_name_is_never_offered() -> None:
    torn = Signals(parse(("nlu_fallback", 0.7), ("order", 0.5), ("faq", 0.45)), CALM)
    assert decide(torn, POLICY).options == ("order",)
    # The likeliest cannot be offered: the others would settle nothing, other words may.
    torn = replace(torn, parse=parse(("nlu_fallback", 0.7), ("faq", 0.5), ("order", 0.45)))
    verdict = decide(torn, POLICY)
    assert (verdict.action, verdict.options) == (Action.CLARIFY, ())


def test_what_was_not_understood_is_asked_for_in_other_words_once() -> None:
    lost = Signals(parse(("nlu_fallback", 0.7), ("order", 0.1)), CALM)
    assert decide(lost, POLICY).action is Action.CLARIFY
    assert decide(replace(lost, just_asked=True), POLICY).action is Action.HAND_OFF
    upset = replace(lost, feelings=Feelings(0.95, 0.7, 0.05))
    assert decide(upset, POLICY).action is Action.HAND_OFF
