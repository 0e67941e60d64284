"""Phrases of danger and of the law: what the readers of both look at beside the whole. Pure.

They decide alone only where nobody has read a message: "the dye bleeds" is no wound, a court shoe
no court. A phrase ends at a word boundary; `*` stands for the rest of a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

SAFETY_PHRASES = (
    "caught fire", "is on fire", "was on fire", "burst into flames", "exploded", "explosion",
    "smoke is coming", "smoke coming", "smoke came", "started smoking", "smells of gas",
    "smell of gas", "gas leak", "electric shock", "got a shock", "burned my*", "burnt my*",
    "burned me", "burnt me", "burned his", "burned her", "got burned", "got burnt",
    "cut myself", "cut his", "cut her", "bleeding", "injur*", "hospital", "ambulance",
    "allergic reaction", "poison*", "swallowed", "choked on", "choking on", "suicid*",
    "kill myself", "hurt myself", "end my life",
)  # fmt: skip
"""Danger to life or health: nobody should have to tell a machine about it twice."""

LEGAL_PHRASES = (
    "lawyer*", "attorney*", "solicitor*", "sue you", "suing", "legal action", "legal steps",
    "legal proceedings", "take you to court", "see you in court", "small claims",
    "ombudsman", "trading standards", "consumer protection", "consumer rights", "press charges",
    "police report", "reported to the police", "data protection authority",
)  # fmt: skip
"""The law: what is answered now may be read out later."""


@cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    parts = (
        re.escape(phrase).replace(r"\*", r"\w*").replace(r"\ ", r"\s+")
        for phrase in sorted(phrases, key=len, reverse=True)
    )
    return re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)


def phrases_in(text: str, phrases: Iterable[str]) -> tuple[str, ...]:
    """Return which of the phrases a text holds, in its own words, each once, in order."""
    wanted = tuple(phrases)
    if not wanted:
        return ()
    found = (" ".join(hit.group().lower().split()) for hit in _pattern(wanted).finditer(text))
    return tuple(dict.fromkeys(found))
