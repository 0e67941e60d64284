"""Which language a message is written in: foreign ones are found, English ones never taken for one.

Foreign messages stand in `training_data/golden/languages.csv`; English ones are all that the
project holds, with names, codes, typos and slang among them.
"""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from handoff.adapters.language import LanguageDetector
from handoff.core.languages import LANGUAGES
from handoff.learning.training_files import shipped_examples
from tests.conftest import TRAINING_DATA

FOUND = 0.95
"""Floor of the share of foreign messages named rightly; measured were 0.964 of 83."""

NOT_ENGLISH = 44
"""Messages among the English ones that are foreign on purpose, all of them in `out_of_scope`."""


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector({"en"})


def column(name: str) -> list[str]:
    with (TRAINING_DATA / name).open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def test_foreign_messages_are_named(detector: LanguageDetector) -> None:
    with (TRAINING_DATA / "golden" / "languages.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missed = [row for row in rows if detector(row["text"]) != row["language"]]
    assert len({row["language"] for row in rows}) >= 20
    print(f"{len(rows) - len(missed)} of {len(rows)}", missed)
    assert len(missed) <= (1 - FOUND) * len(rows)
    # What is not named rightly is not named: a wrong language sends an agent who cannot read it.
    wrong = [row for row in missed if detector(row["text"])]
    assert len(wrong) <= 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hei, jeg har ikke fått pakken min ennå, kan dere hjelpe meg", "nb"),
        ("eg har ikkje fått pakka mi enno, kan de hjelpe meg", "nb"),
    ],
)
def test_norwegian_is_one_language(detector: LanguageDetector, text: str, language: str) -> None:
    assert detector(text) in (language, "")
    assert LanguageDetector({"en", "nb"})(text) == ""


def test_english_messages_are_never_taken_for_foreign_ones(detector: LanguageDetector) -> None:
    intents = list(shipped_examples(TRAINING_DATA))
    known = [text for intent, text in intents if intent != "out_of_scope"]
    known += column("sentiment/messages.csv") + column("requests/messages.csv")
    known += column("golden/handoff.csv") + column("golden/sentiment.csv")
    for name in ("handoffs/conversations.jsonl", "golden/handoffs.jsonl"):
        lines = (TRAINING_DATA / name).read_text(encoding="utf-8").splitlines()
        known += [json.loads(line)["text"] for line in lines]
    assert len(set(known)) > 8000
    # Two of these do begin in Spanish ("contraseña olvidada, how reset"), and one is "dont ship it,
    # dont want it": one in five thousand is what is called never here.
    taken = [text for text in set(known) if detector(text)]
    assert len(taken) <= len(set(known)) / 5000, taken
    unknown = [text for intent, text in intents if intent == "out_of_scope"]
    found = Counter(filter(None, map(detector, unknown)))
    assert 0.95 * NOT_ENGLISH <= found.total() <= NOT_ENGLISH and "en" not in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10042",
        "Anna Bergström",
        "Katharina Müller-Lüdenscheidt",
        "no",
        "si",
        "hola",
        "ok danke",
        "👍 👍 👍 👍 👍",
        "my name is José Ángel Muñoz",
        "ship it to Calle Mayor 5, Madrid please",
        "https://example.com/de/bestellung/wo-ist-mein-paket",
        "where is ordr 10042 plz",
        "DO U HAVE IKEA BILLY OR KALLAX",
        "mein.name@beispiel.de is my e-mail",
    ],
)
def test_short_messages_names_and_codes_belong_to_no_language(
    detector: LanguageDetector, text: str
) -> None:
    assert detector(text) == ""


def test_a_language_the_assistant_speaks_is_not_foreign() -> None:
    german = LanguageDetector({"de", "fr"})
    assert german("Wo ist meine Bestellung geblieben?") == ""
    assert german("où est passée ma commande") == ""
    assert german("where on earth is my order please") == "en"


def test_every_language_has_a_name_and_words_of_its_own() -> None:
    names = [language.name for language in LANGUAGES.values()]
    assert len(set(names)) == len(names)
    assert all(language.yes != language.no for language in LANGUAGES.values())
