"""A message in its parts: where one request may end and another begin. Pure.

"I want a refund and also change my address" holds two requests; "it came broken, so I want a
refund" holds one with its reason, and so may three sentences. This module only looks at the form:
where to cut, what is added to what came before, what is put as a request and what is told as its
reason. What each part means the assistant says, and `policy.requests_of` decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from handoff.core.model import Parse

MOST_PARTS = 8
"""No message is parsed in more parts than this, the first ones."""

FEWEST_WORDS = 2
"""A part of fewer words belongs to the one before."""

_ADDS = (
    r"(?:plus|also|besides(?: that)?|afterwards|after that|next|separately|secondly|ps|p\.s\."
    r"|on top of that|in addition|apart from that|by the way|btw|while (?:you|u) ?['’]?re at it"
    r"|as well as|in the meantime|meanwhile|lastly|finally|if so|for next time"
    r"|(?:the )?(?:second|other|another|one more|one other|different|next)(?: \w+)?"
    r" (?:thing|question|matter|subject|topic|request|issue)"
    r"|another question|something else|and also|and then|then)"
)
"""Words that say: here comes another thing."""

_JOIN = rf"(?:and|but|oh|{_ADDS})"
_CUT = re.compile(
    r"(?<=[.!?…])\s+|[\r\n]+|;\s*|\s+[-–—+&/]\s+|(?:^|\s+)\(?[1-9][.)]\s+|,\s+"
    r"|\s+(?=(?:and|then|but|plus)\b)|:\s+(?=also\b)",
    re.IGNORECASE,
)
"""Between two parts."""

_LEAD = re.compile(
    rf"(?:(?:{_JOIN}|or|so|well|yes|please|pls|plz|pleas|kindly|first|now|just|hi|hello|hey|too|again"
    r"|instead)\b[\s,:.]*)+",
    re.IGNORECASE,
)
_JOINED = re.compile(rf"(?:(?:oh|so|well|yes|please)\b[\s,]*)*(?:and\b|{_ADDS}\b)", re.IGNORECASE)
_ADDED = re.compile(
    rf"\A(?:(?:and|but|oh|so|well)\b[\s,]*)*{_ADDS}\b|\b(?:also|too|as well|in addition|besides)\b",
    re.IGNORECASE,
)

_SUBJECT = (
    r"(?:i|we|you|he|she|they|it|that|this|there|one|someone|somebody|the|my|your|our|a|an|any)"
)
_SHAPES = re.compile(
    r"(?:what|whats|which|when|where|wheres|why|who|how)(?:['’]s)?\b"
    rf"|(?:do|does|did|is|are|am|can|could|may|might|will|would|has|have|had|should|shall)\s{_SUBJECT}\b"
    r"|(?:i|we|id|i['’]d|we['’]d|i['’]ll|we['’]ll)\s+(?:\w+\s+){0,2}(?:like|love|want|need|wish|prefer|"
    r"have to|must)\b"
    r"|(?:want|need|wanna|looking|like|interested)\b"
    r"|any (?:news|chance|idea|update)|is it\b|let\s|may i\b"
    r"|(?:do\s+)?(?:add|arrange|book|bring|call|cancel|change|charge|check|close|complete|confirm|connect|correct"
    r"|deactivate|delete|deliver|downgrad\w*|drop|e-?mail|erase|exchange|explain|find|fix|forward|get"
    r"|give|help|issue|keep|let|link|log|look|mail|make|move|note|open|order|pay|place|point|print"
    r"|put|refund|register|remind|remove|rename|repay|replace|report|resend|reset|return|ring|save"
    r"|scrap|send|set|ship|show|sign|stop|store|subscribe|swap|switch|take|tell|track|transfer"
    r"|unsubscribe|update|upgrade|walk)\b(?!\s+(?:is|was|has|went|failed|says|doesn|no|number)\b)"
    r"(?<!\border)(?<!\bring)|(?:order|ring)\b(?!\s+(?:(?:is|was|has|no|number)\b|#|\S*\d))",
    re.IGNORECASE,
)
"""How a request begins: a question, a wish, an order."""

_ASIDE = re.compile(
    r"(?:because|cause|cos|since|as\s|after|before|when\b(?!.*\?)|while|though|although|even"
    r"|now that|having|until|once|if\b|unless|given|seeing|which\b(?!.*\?)|who\b(?!.*\?)"
    r"|not\b|only\b|or\b|i ask as|considering|had i"
    r"|(?:i|we)(?:['’]ve|\s+have|\s+had)?\s+(?:already|only|just|once|always|never|used to)\b"
    r"|(?:i|we)(?:['’]ve|\s+have|\s+had)\s+(?!to\b|lost\b|forgot|a\b|an\b|problems?\b|trouble\b)"
    r"|(?:i|we)\s+(?:was|were|did|went|bought|sent|got|paid|came|saw|told|spoke|waited|tried|opened"
    r"|moved|returned|ordered|asked|called|wrote|received|thought)\b"
    r"|(?:i|we)\s+(?:don['’]?t|do not|no longer)\s+(?:want|need)\s+(?:a|an|any|to|the|my|your)\b)",
    re.IGNORECASE,
)
"""How a reason begins, or a story, or what is not wanted."""

_NAMED = re.compile(r"(?:an?|the|my|our|new|one)\s+(?:[\w'’-]+\s*){1,4}[.?!]*", re.IGNORECASE)
"""A thing by its name alone: "an invoice" in "I want a refund and an invoice"."""

_PLEASE = re.compile(r"\b(?:please|pls|plz)\b", re.IGNORECASE)
_COMMON = frozenset(
    {"check", "get", "set", "up", "issue", "the", "ask", "request", "faq", "inform"}
)
"""Words in names of intents that say nothing of what they are about."""

_WORDS = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message as it was typed, and what the assistant made of it.

    `joined` says that it follows an "and", `added` that its words name it another thing ("also"),
    `shaped` that it is put as a question, a wish or an order, `aside` that it tells a reason or a
    story.
    """

    text: str
    parse: Parse
    joined: bool = False
    added: bool = False
    shaped: bool = False
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """A part before the assistant was asked, with its form as in `Part`."""

    text: str
    joined: bool
    added: bool
    shaped: bool
    aside: bool

    def read(self, parse: Parse) -> Part:
        """Return the part with what the assistant made of it."""
        return Part(self.text, parse, self.joined, self.added, self.shaped, self.aside)


def cuts(text: str) -> list[Cut]:
    """Return the parts of a message in order; none where it holds but one."""
    found: list[Cut] = []
    before = ""
    for start, end in _pieces(text):
        piece = before + text[start:end]
        lead = _LEAD.match(piece)
        bare = (piece[lead.end() :] if lead else piece).strip(" ,;:-")
        asked = bool(_PLEASE.search(piece))
        if len(_WORDS.findall(bare)) < FEWEST_WORDS:
            # "Also, ..." and "..., please" are said of what follows and of what came before.
            before = f"{piece}, " if _ADDED.search(piece) else ""
            if asked and found:
                found[-1] = replace(found[-1], shaped=True)
            continue
        before = ""
        joined = bool(found and _JOINED.match(piece))
        named = joined and found[-1].shaped and bool(_NAMED.fullmatch(bare))
        shaped = named or asked or bool(_SHAPES.match(bare)) or piece.rstrip().endswith("?")
        # "Where is my refund? And I forgot my password": a sentence of its own adds more.
        anew = joined and text[:start].rstrip().endswith((".", "!", "?"))
        added = anew or bool(found and _ADDED.search(piece))
        if joined and asked and _NAMED.fullmatch(found[-1].text):
            found[-1] = replace(found[-1], shaped=True)
        found.append(Cut(bare, joined or added, added, shaped, bool(_ASIDE.match(bare))))
    return found[:MOST_PARTS] if len(found) > 1 else []


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for cut in _CUT.finditer(text):
        if text[start : cut.start()].strip():
            yield start, cut.start()
        start = cut.end()
    if text[start:].strip():
        yield start, len(text)


def share_a_subject(first: str, second: str) -> bool:
    """Say whether the names of two intents hold the same word: `get_refund`, `track_refund`.

    Two sentences about a refund are more often one request than two.
    """
    return bool(_subjects(first) & _subjects(second))


def _subjects(intent: str) -> set[str]:
    words = {word.rstrip("s") for word in re.split(r"[^a-z]+", intent.lower()) if word}
    return words - _COMMON
