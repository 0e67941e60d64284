"""The languages the desk can tell apart: what agents call them, and their yes and no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its English name, with the words that agree and refuse in it."""

    name: str
    yes: str
    no: str


LANGUAGES: dict[str, Language] = {
    "ar": Language("Arabic", "نعم", "لا"),
    "cs": Language("Czech", "ano", "ne"),
    "da": Language("Danish", "ja", "nej"),
    "de": Language("German", "ja", "nein"),
    "el": Language("Greek", "ναι", "όχι"),
    "en": Language("English", "yes", "no"),
    "es": Language("Spanish", "sí", "no"),
    "fi": Language("Finnish", "kyllä", "ei"),
    "fr": Language("French", "oui", "non"),
    "he": Language("Hebrew", "כן", "לא"),
    "hi": Language("Hindi", "हाँ", "नहीं"),
    "hu": Language("Hungarian", "igen", "nem"),
    "id": Language("Indonesian", "ya", "tidak"),
    "it": Language("Italian", "sì", "no"),
    "ja": Language("Japanese", "はい", "いいえ"),
    "ko": Language("Korean", "네", "아니요"),
    "nb": Language("Norwegian", "ja", "nei"),
    "nl": Language("Dutch", "ja", "nee"),
    "pl": Language("Polish", "tak", "nie"),
    "pt": Language("Portuguese", "sim", "não"),
    "ro": Language("Romanian", "da", "nu"),
    "ru": Language("Russian", "да", "нет"),
    "sv": Language("Swedish", "ja", "nej"),
    "tr": Language("Turkish", "evet", "hayır"),
    "uk": Language("Ukrainian", "так", "ні"),
    "vi": Language("Vietnamese", "có", "không"),
    "zh": Language("Chinese", "是", "不"),
}
"""By ISO 639-1 code."""

ENGLISH = "en"
"""What the shipped assistant speaks."""


def language_name(code: str) -> str:
    """Return what agents call a language; the code itself where the desk does not know it."""
    return LANGUAGES[code].name if code in LANGUAGES else code
