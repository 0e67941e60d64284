"""Personal data out of texts, by presidio's pattern recognisers and the names of those who spoke.

Replaced are e-mail addresses, phone numbers, IBANs, card numbers, web and IP addresses, street
addresses, order numbers, other long numbers, and names: those given and what follows "my name is".
Prices, amounts, dates and short numbers stay, since a sentence often means nothing without them.
A name nobody gave and nobody introduced cannot be seen by patterns; the reviewer sees every text.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import cache

import spacy
from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
)

Span = tuple[int, int, str]
"""Start, end and kind of something to replace."""

PHONE_REGIONS = (
    "US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH", "PL", "IN", "AU", "CA", "BR", "JP",
)  # fmt: skip
"""Countries whose phone numbers are recognised without their country code."""

WORDS = {
    "EMAIL_ADDRESS": "{whose} email address",
    "IBAN_CODE": "{whose} bank account number",
    "CREDIT_CARD": "{whose} card number",
    "PHONE_NUMBER": "{whose} phone number",
    "URL": "a web page",
    "IP_ADDRESS": "{whose} IP address",
    "STREET": "{whose} address",
    "ORDER": "{whose} order",
    "LONG_NUMBER": "{whose} number",
    "NAME": "someone",
    "INTRODUCED": "someone",
}
"""What stands for each kind; of two that overlap the longer wins, then the one named first."""

ORDER_NUMBER = r"\d{5}"
"""How an order number of the sample shop looks: five digits on their own."""

_ORDER = (
    r"(?<![\w.,$€£¥-])(?:(?:(?:my|the|your|our|this|that) )?order(?: ?(?:number|no\.?|nr\.?|id))?"
    r"(?: is| was)?(?: ?[:#])? ?)?#?(?<!\d)(?:{number})(?![\w-]|[.,]\d| ?(?:[$€£¥%]|euros?\b|"
    r"eur\b|usd\b|gbp\b|dollars?\b|pounds?\b|bucks?\b|percent\b|points?\b|items?\b|pieces?\b))"
)
_NAMED_ORDER = (
    r"\b(?:(?:my|the|your|our|this|that) )?order(?: ?(?:number|no\.?|nr\.?|id))?"
    r"(?: is| was)?(?: ?[:#]| #)? ?#?(?:[A-Z]{1,4}-?)?\d{4,}[\w-]*"
)
_URL = (
    r"\bhttps?://[^\s<>\"'()]+[^\s<>\"'().,;:!?]"
    r"|\bwww\.[^\s<>\"'()]+[^\s<>\"'().,;:!?]"
    r"|(?<![\w@.-])(?:[a-z0-9-]+\.)+(?:com|net|org|io|eu|co\.uk|uk|de|fr|es|it|nl|shop|store|"
    r"info|app|dev|me|example|test)\b(?:/[^\s<>\"'()]*)?"
)
_STREET = (
    r"(?<![\w$€£])\d{1,5}[a-z]? (?:[\w'’.-]+ ){1,2}"
    r"(?:street|road|rd|avenue|ave|lane|drive|boulevard|blvd)\b\.?"
    r"|(?<!\w)\w+(?:straße|strasse|str\.|gasse|allee) \d{1,4}[a-z]?\b"
)
_INTRODUCED = (
    r"(?<=\bmy name is )(?!someone\b)[^\W\d_][\w'’-]*(?: [A-ZÀ-ÖØ-Þ][\w'’-]*){0,2}"
    r"|(?<=\bMy name is )(?!someone\b)[^\W\d_][\w'’-]*(?: [A-ZÀ-ÖØ-Þ][\w'’-]*){0,2}"
    r"|(?<=\bmy name's )[^\W\d_][\w'’-]*(?: [A-ZÀ-ÖØ-Þ][\w'’-]*){0,2}"
)
_LONG_NUMBER = r"(?<![\w$€£¥])\+?\(?\d(?:[ ()./-]{0,2}\d){8,}(?!\w)"
_CODE = r"(?<!\w)(?=(?:[\w-]*\d){5})(?=[\w-]*[a-z])[a-z0-9-]{8,}(?!\w)"
_LOOSE_IBAN = r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?!\w)"

_EVERYDAY_WORDS = """
    will may mark bill grace rose art sue pat hope faith joy dawn june april august frank grant
    chase drew jack rob max ray guy dean gene cash page price young long short white black brown
    green gray grey day king best good rich case love an so do bo al ed ai mai don can
"""
_EVERYDAY = frozenset(_EVERYDAY_WORDS.split())
"""Names that are everyday words too: replaced only where they are written as a name."""

_NOT_NAMES = frozenset(
    ("customer", "guest", "user", "anonymous", "visitor", "someone", "agent", "assistant", "bot")
)

_LED_BY = re.compile(
    r"(?:\b(?:my|your|the|our|this|that)\s+)?"
    r"(?:\b(?:card|iban|phone|telephone|tel|mobile|e-?mail|mail|ip|account|address|tracking)"
    r"(?: number| address| no\.?| code| id)?(?: is| was)?\s?[:#]?\s+)?$",
    re.IGNORECASE,
)
"""Words before a piece of data that the words standing for it say again."""


_NUMBERED = re.compile(
    r"\b(?P<what>parcel|package|delivery|shipment|refund|return|invoice)"
    r"(?: number| no\.?| nr\.?)?\s?[:#]?\s*$",
    re.IGNORECASE,
)
"""What says all without its number: "my parcel 10042" becomes "my parcel"."""


class _Email(EmailRecognizer):
    """Takes every match: presidio would ask the network for the list of public suffixes."""

    def validate_result(self, pattern_text: str) -> bool | None:
        """Return no opinion; the pattern decides."""
        return None


class _Card(CreditCardRecognizer):
    """Takes a number with a wrong check digit too: a mistyped card number is one all the same."""

    def validate_result(self, pattern_text: str) -> bool | None:
        """Return no opinion on a wrong check digit instead of rejecting it."""
        return True if super().validate_result(pattern_text) else None


class _BlankEnglish(SpacyNlpEngine):
    """Words only: patterns need no model."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}

    def load(self) -> None:
        """Do nothing: everything is there, and nothing may be downloaded."""


class PresidioRedactor:
    """Implements `ports.Redactor`.

    Args:
        whose: whose data the words speak of: `my` in a customer's text, `your` in an agent's.
        public: texts that may stay although they look personal, such as the shop's own address.
        order_number: how an order number looks, as a regular expression.
    """

    def __init__(
        self, whose: str = "my", public: Collection[str] = (), order_number: str = ORDER_NUMBER
    ) -> None:
        self._whose = whose
        self._public = frozenset(text.casefold() for text in public)
        self._engine = _engine(order_number)

    def redact(self, text: str, names: Sequence[str] = ()) -> str:
        """Return `text` with personal data replaced by plain words such as `my email address`."""
        text = unicodedata.normalize("NFC", text)
        spans = [*self._spans(text), *_named(text, names)]
        for start, end, kind in reversed(_apart(spans)):
            if text[start:end].casefold() not in self._public:
                text = self._replaced(text, start, end, WORDS[kind])
        return text

    def found(self, text: str) -> list[str]:
        """Return what looks personal in `text`, as it stands there."""
        text = unicodedata.normalize("NFC", text)
        return [text[start:end] for start, end, _ in _apart(self._spans(text))]

    def _spans(self, text: str) -> list[Span]:
        found = self._engine.analyze(text, "en", score_threshold=0.05)
        return [(r.start, r.end, r.entity_type) for r in found if r.entity_type in WORDS]

    def _replaced(self, text: str, start: int, end: int, words: str) -> str:
        numbered = _NUMBERED.search(text[:start])
        if words == WORDS["ORDER"] and numbered:
            return text[: numbered.end("what")] + text[end:]
        if "{whose}" in words:
            led_by = _LED_BY.search(text[:start])
            start = led_by.start() if led_by else start
        return text[:start] + words.format(whose=self._whose) + text[end:]


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Return spans that do not overlap, in order: the longer wins, then the kind named first."""
    order = list(WORDS)
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s[0] - s[1], order.index(s[2]), s[0])):
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return sorted(kept)


@cache
def _engine(order_number: str) -> AnalyzerEngine:
    """Return the analyser for one form of order number; made once a process."""
    # presidio logs matches that fail a checksum, and a log must not hold account numbers.
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    registry = RecognizerRegistry(recognizers=[], supported_languages=["en"])
    for recognizer in (
        _Email(),
        IbanRecognizer(),
        _Card(),
        PhoneRecognizer(supported_regions=PHONE_REGIONS),
        IpRecognizer(),
        _pattern("URL", _URL),
        _pattern("IBAN_CODE", _LOOSE_IBAN),
        _pattern("STREET", _STREET),
        _pattern("ORDER", _ORDER.replace("{number}", order_number)),
        _pattern("ORDER", _NAMED_ORDER),
        _pattern("LONG_NUMBER", _LONG_NUMBER),
        _pattern("LONG_NUMBER", _CODE),
        _pattern("INTRODUCED", _INTRODUCED, re.UNICODE),
    ):
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(registry, _BlankEnglish(), supported_languages=["en"])


def _pattern(kind: str, regex: str, flags: int = re.UNICODE | re.IGNORECASE) -> PatternRecognizer:
    pattern = Pattern(kind.lower(), regex, 0.5)
    return PatternRecognizer(kind, patterns=[pattern], global_regex_flags=flags)


def _named(text: str, names: Sequence[str]) -> list[Span]:
    """Return where these names stand: whole or in part, with or without their accents."""
    free: set[str] = set()
    as_written: set[str] = set()
    for name in names:
        parts = [part for part in re.split(r"[\s.,]+", _folded(name)) if _is_name(part)]
        if len(parts) > 1:
            free.add(" ".join(parts))
        for part in parts:
            everyday = part.lower() in _EVERYDAY or (part.isascii() and len(part) < 3)
            (as_written if everyday else free).add(part)
    as_written |= {part.upper() for part in as_written if len(part) > 2}
    folded = _folded(text)
    found = [*_places(folded, free, re.IGNORECASE), *_places(folded, as_written, 0)]
    return [(start, end, "NAME") for start, end in found]


def _is_name(part: str) -> bool:
    return part.lower() not in _NOT_NAMES and bool(
        re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*", part)
    )


def _folded(text: str) -> str:
    """Return `text` without accents and with straight apostrophes, character for character."""
    return "".join(_fold(c) for c in unicodedata.normalize("NFC", text))


def _fold(character: str) -> str:
    if character in "’ʼ`´":
        return "'"
    character = {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}.get(character, character)
    base = unicodedata.normalize("NFD", character)[:1]
    return base if base.isalpha() else character


def _places(text: str, names: Collection[str], flags: int) -> list[tuple[int, int]]:
    spellings = {name for n in names for name in (n, n.replace("ß", "ss"))}
    ordered = sorted(spellings, key=lambda n: (-len(n), n))
    pattern = "|".join(_whole(name) for name in ordered)
    return [match.span() for match in re.finditer(pattern, text, flags)] if pattern else []


def _whole(name: str) -> str:
    """Match a name as a whole word; scripts without spaces between words have no such edges."""
    spaceless = any(unicodedata.category(c) == "Lo" for c in name)
    body = r"\s+".join(re.escape(part) for part in name.split())
    return body if spaceless else rf"(?<!\w){body}(?!\w)"
