"""What the training data and the golden set must be, whoever edits them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.environment import PROJECT

DATA = PROJECT / "training_data"
GOLDEN = DATA / "golden"
INTENTS = [
    "cancel_order",
    "change_order",
    "change_shipping_address",
    "check_cancellation_fee",
    "check_invoice",
    "check_payment_methods",
    "check_refund_policy",
    "complaint",
    "contact_customer_service",
    "contact_human_agent",
    "create_account",
    "delete_account",
    "delivery_options",
    "delivery_period",
    "edit_account",
    "get_invoice",
    "get_refund",
    "newsletter_subscription",
    "payment_issue",
    "place_order",
    "recover_password",
    "registration_problems",
    "review",
    "set_up_shipping_address",
    "switch_account",
    "track_order",
    "track_refund",
    "greet",
    "goodbye",
    "thank",
    "affirm",
    "deny",
    "wait",
    "bot_challenge",
]
# Given by a rule about the text (bot/components/order_number_reply.py), not by examples.
WITHOUT_EXAMPLES = {"inform_order_number"}


@lru_cache
def load(path: Path) -> dict[str, Any]:
    """Return a YAML file."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def parts(key: str) -> Iterator[Any]:
    """Yield what training files and domain hold under a key, golden set excluded."""
    files = [p for p in DATA.rglob("*.yml") if GOLDEN not in p.parents]
    for path in sorted([*files, *(PROJECT / "bot" / "domain").glob("*.yml")]):
        found = load(path).get(key) or []
        yield from found.items() if isinstance(found, dict) else found


def examples() -> list[tuple[str, str]]:
    """Return every training example as (text without annotations, intent)."""
    found = []
    for part in parts("nlu"):
        if "intent" not in part:
            continue
        raw = part["examples"]
        lines = (
            [e["text"] if isinstance(e, dict) else e for e in raw]
            if isinstance(raw, list)
            else [line.strip()[2:] for line in raw.splitlines() if line.strip()]
        )
        plain = [re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\{[^}]*\})", r"\1", line) for line in lines]
        found += [(line.strip(), part["intent"]) for line in plain]
    return found


def golden(name: str) -> list[tuple[str, str]]:
    """Return a golden CSV file as (text, intent)."""
    with (GOLDEN / name).open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["intent"]) for row in csv.DictReader(file)]


def golden_stories() -> list[str]:
    """Return what customers say in the golden stories."""
    steps = [s for story in load(GOLDEN / "stories.yml")["stories"] for s in story["steps"]]
    said = [step["user"] for step in steps if "user" in step]
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).strip() for text in said]


def normalised(text: str) -> str:
    """Fold case, punctuation, spaces and numbers of three and more digits."""
    masked = re.sub(r"\d{3,}", " number ", text.casefold())
    return " ".join(re.findall(r"\w+", masked))


def test_every_intent_has_thirty_examples() -> None:
    counts = Counter(intent for _, intent in examples())
    assert {i: counts[i] for i in INTENTS if counts[i] < 30} == {}


def test_no_intent_is_listed_twice_in_words_or_examples() -> None:
    seen: dict[str, str] = {}
    clashes = []
    for text, intent in examples():
        if seen.setdefault(normalised(text), intent) != intent:
            clashes.append((text, intent, seen[normalised(text)]))
    assert clashes == []


def test_golden_set_is_large_enough() -> None:
    counts = Counter(intent for _, intent in golden("intents.csv"))
    assert {i: counts[i] for i in INTENTS if counts[i] < 8} == {}
    assert set(counts) == set(INTENTS)
    assert len({normalised(text) for text, _ in golden("out_of_scope.csv")}) >= 150
    assert len(load(GOLDEN / "stories.yml")["stories"]) >= 12


def test_golden_set_shares_no_text_with_the_training_data() -> None:
    trained = {normalised(text): text for text, _ in examples()}
    texts = [t for name in ("intents.csv", "out_of_scope.csv") for t, _ in golden(name)]
    assert len(trained) > 1000 and len(texts) > 400
    assert [t for t in texts if normalised(t) in trained] == []


def test_stories_say_it_in_other_words_where_there_are_any() -> None:
    # A bare yes, no or number has no other words.
    trained = {normalised(text) for text, _ in examples()}
    shared = [t for t in golden_stories() if normalised(t) in trained]
    assert [t for t in shared if len(normalised(t).split()) > 3] == []


def test_normalising_folds_what_does_not_matter() -> None:
    assert normalised("Where is  order #10042?!") == normalised("where is order 19999")
    assert normalised("where is it") != normalised("where was it")


def actions_used() -> set[str]:
    """Return every action that rules, stories and forms predict."""
    steps = [s for key in ("rules", "stories") for part in parts(key) for s in part["steps"]]
    found = {step["action"] for step in steps if "action" in step}
    forms = {name for name, _ in parts("forms")}
    slots = {slot for _, form in parts("forms") for slot in form["required_slots"]}
    asked = {f"utter_ask_{slot}" for slot in slots}
    asked |= {f"utter_ask_{form}_{slot}" for form in forms for slot in slots}
    source = "".join(p.read_text(encoding="utf-8") for p in (PROJECT / "bot/actions").glob("*.py"))
    defined = {name for name, _ in parts("responses")}
    return found | (asked & defined) | set(re.findall(r'response="(utter_\w+)"', source))


def test_every_response_exists_and_is_used() -> None:
    defined = {name for name, _ in parts("responses")}
    used = {name for name in actions_used() if name.startswith("utter_")}
    assert used - defined == set()
    assert defined - used == set()


def test_every_custom_action_exists_and_is_listed() -> None:
    source = (PROJECT / "bot/actions/actions.py").read_text(encoding="utf-8")
    written = set(re.findall(r'return "((?:action|validate)_\w+)"', source))
    listed = set(parts("actions"))
    assert written == listed
    builtin = {"action_deactivate_loop"}
    forms = {name for name, _ in parts("forms")}
    rest = {a for a in actions_used() if not a.startswith("utter_")} - builtin - forms
    assert rest <= listed


def test_every_intent_has_a_rule_and_stands_in_the_domain() -> None:
    steps = [s for key in ("rules", "stories") for part in parts(key) for s in part["steps"]]
    handled = {step["intent"] for step in steps if "intent" in step}
    domain = set(parts("intents"))
    trained = {intent for _, intent in examples()}
    assert set(INTENTS) <= domain
    assert domain - handled == set()
    assert trained - domain == set()
    assert domain - trained == WITHOUT_EXAMPLES
