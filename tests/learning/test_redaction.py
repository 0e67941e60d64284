"""Personal data leaves a text; what a sentence needs to mean something stays."""

from __future__ import annotations

import logging

import pytest

from handoff.adapters.redaction import PresidioRedactor
from handoff.learning.project import Project
from tests.environment import PROJECT

NAMES = (
    "José María Núñez",
    "Ana",
    "Bo",
    "Customer 7f3a2b",
    "李雷",
    "Will Smith",
    "Zoë O'Neill",
    "Мария Иванова",
    "Jürgen Groß",
)

REPLACED = [
    ("my mail is jose.nunez+x@mail.example.co.uk thanks", "my email address thanks"),
    ("write to user@münchen.de", "write to my email address"),
    ("my email address is a@b.co", "my email address"),
    ("call me on +49 171 2345678", "call me on my phone number"),
    ("call 0171 2345678 or (212) 555-0123", "call my phone number or my phone number"),
    ("ring 020 7946 0958 after six", "ring my phone number after six"),
    ("phone: 555-123-4567", "my phone number"),
    ("IBAN DE89 3704 0044 0532 0130 00 please", "my bank account number please"),
    ("use de89370400440532013000", "use my bank account number"),
    ("DE12 3704 0044 0532 0130 01 has a typo", "my bank account number has a typo"),
    ("my card 4111 1111 1111 1111 was charged", "my card number was charged"),
    ("card 4111-1111-1111-1112 declined", "my card number declined"),
    ("see https://shop.example/orders?id=3.", "see a web page."),
    ("www.foo.com/bar is broken", "a web page is broken"),
    ("from 192.168.1.17 I cannot log in", "from my IP address I cannot log in"),
    ("2001:db8::1 is blocked", "my IP address is blocked"),
    ("ship to 12 Elm Street please", "ship to my address please"),
    ("Hauptstraße 12a in Berlin", "my address in Berlin"),
    ("where is my order 10042?", "where is my order?"),
    ("where is 10042", "where is my order"),
    ("Order #10042, please", "my order, please"),
    ("my order no. AB-12345 is late", "my order is late"),
    ("my parcel 10042 is late", "my parcel is late"),
    ("has the refund no. 10042 gone out", "has the refund gone out"),
    ("track 1Z999AA10123456784", "track my number"),
    ("the parcel number is 123456789012", "the parcel number is my number"),
    ("Hi Ana, jose here", "Hi someone, someone here"),
    ("i am José Maria nuñez", "i am someone"),
    ("talk to Bo", "talk to someone"),
    ("will you send it, Will?", "will you send it, someone?"),
    ("我是李雷", "我是someone"),
    ("Zoe O’Neill and O'Neill", "someone and someone"),
    ("мария иванова", "someone"),
    ("Jurgen Gross, GROSS", "someone, someone"),
    ("my name is Peter Pan and I ordered", "my name is someone and I ordered"),
    ("My name is lena", "My name is someone"),
]

KEPT = [
    "it cost 12000 euros",
    "I paid $10042 for it",
    "you charged 49.99 and 10042.50",
    "I have 2 gift cards, 50 each",
    "the 12345 items",
    "on 2024-01-15 at 10:30",
    "between 9 and 17",
    "I ordered 3 of them in 2023",
    "it never arrived.help me",
    "so bo is here",
    "a customer said so",
    "an annual plan and a banana",
    "version 3.11.2",
    "can I pay with two gift cards at once?",
    "can you email my order confirmation",
    "",
]


@pytest.fixture(scope="module")
def redactor() -> PresidioRedactor:
    return PresidioRedactor()


@pytest.mark.parametrize(("text", "expected"), REPLACED)
def test_personal_data_becomes_plain_words(redactor: PresidioRedactor, text: str, expected: str):
    assert redactor.redact(text, NAMES) == expected


@pytest.mark.parametrize("text", KEPT)
def test_ordinary_words_and_numbers_stay(redactor: PresidioRedactor, text: str):
    assert redactor.redact(text, NAMES) == text


@pytest.mark.parametrize("text", [text for text, _ in REPLACED])
def test_redacting_twice_changes_nothing_more(redactor: PresidioRedactor, text: str):
    once = redactor.redact(text, NAMES)
    assert redactor.redact(once, NAMES) == once


def test_decomposed_accents_are_the_same_name(redactor: PresidioRedactor):
    assert redactor.redact("I am Jose\u0301, ok", ["José"]) == "I am someone, ok"


def test_without_names_only_patterns_count(redactor: PresidioRedactor):
    assert redactor.redact("Ana wrote to a@b.co") == "Ana wrote to my email address"


def test_the_shops_own_contacts_are_found_in_what_it_is_shipped_to_say():
    redactor = PresidioRedactor()
    shipped = Project(PROJECT / "bot", PROJECT / "training_data")
    found = {c for text in shipped.answers() for c in redactor.found(text)}
    assert {"service@fernway.example", "+44 20 7946 0100"} <= found
    agent = PresidioRedactor("your", found)
    said = "Write to service@fernway.example or call +44 20 7946 0100."
    assert agent.redact(said) == said


def test_an_agent_speaks_of_your_data_and_of_what_is_public():
    redactor = PresidioRedactor("your", public={"help@shop.example"})
    text = "Write to help@shop.example from sam@mail.example about order 10042."
    expected = "Write to help@shop.example from your email address about your order."
    assert redactor.redact(text) == expected


def test_nothing_redacted_is_logged(redactor: PresidioRedactor, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        redactor.redact("IBAN DE12 3704 0044 0532 0130 01 and XX00ÄÖÜ and a@b.co", NAMES)
    assert "3704" not in caplog.text and "a@b.co" not in caplog.text
