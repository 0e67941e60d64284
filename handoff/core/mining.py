"""What a resolved conversation teaches: which lines, in whose words, under which name. Pure.

Selection looks at the lines as they were written; texts are redacted outside, by a port, before
`propose` turns them into candidates. Nothing here reads the bot's lines, and of the agent's only
what answers the question.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from handoff.core.model import (
    Author,
    Candidate,
    CandidateKind,
    Handoff,
    Message,
    Reason,
    Truth,
    new_id,
)
from handoff.core.text import without_quotes

TEXTS_PER_HANDOFF = 3
"""How many customer messages one handoff may teach: a reviewer's time is short."""

TEXT_WORDS = 2
"""Fewest words of a message that can teach something."""

TEXT_CHARACTERS = 300
"""Longest message that can teach an intent, in characters; longer ones tell several things."""

REQUEST_WORDS = 12
"""A message asking for a person that has at most so many words asks for nothing else."""

ANSWER_CHARACTERS = 1000
"""Longest answer taken from an agent, in characters; cut at the end of a sentence."""

INTENT_CHARACTERS = 40
"""Longest name of a learned intent, in characters."""

INTENT_WORDS = 5
"""How many words of the question make the name of its intent."""

SURE = 0.7
"""From this confidence on (0 to 1) the bot understood a message, and took it for something else."""

SMALL_TALK = frozenset({"greet", "goodbye", "thank", "affirm", "deny", "wait", "bot_challenge"})
"""Intents that carry no request."""

LEARNED_PREFIX = "learned_"
"""How the name of every learned intent begins."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")

_WORDS_WITHOUT_SUBJECT = """
    a an the and or but so if of in on at to for from with by as it its it's this that these
    those there here i i'm i've i'd me my mine we us our you your yours he she they them is am
    are was were be been do does did done have has had can could will would shall should may
    might must how what when where which who why not no yes yeah yep nope ok okay please pls
    thanks thank thx ty cheers hi hello hey hiya yo good morning evening afternoon night day
    bye goodbye ciao sure great cool perfect fine nice lovely welcome very much lot well just
    all about any some number order orders id nr no's
"""
_FUNCTION_WORDS = frozenset(_WORDS_WITHOUT_SUBJECT.split())

_COURTESY_AND_DATA = """
    no yes yeah yep nope ok okay please pls thanks thank thx ty cheers hi hello hey hiya yo good
    morning evening afternoon night day bye goodbye ciao sure great cool perfect fine nice lovely
    welcome very much lot a so you your well there my the order number it its it's is was id nr
    here this that for i'm i am me name email mail address phone card account someone and
"""
_EMPTY_WORDS = frozenset(_COURTESY_AND_DATA.split())
"""A message of nothing but these words and numbers greets, thanks, or hands over data."""

_WANTS_PERSON = re.compile(
    r"\b(?:talk|speak|chat|connect|transfer|put|pass|get|give|need|want|like|real|live|human)\b"
    r".*\b(?:human|person|people|agent|representative|rep|operator|manager|supervisor|advisor|"
    r"colleague|staff|somebody|someone)\b"
    r"|^\W*(?:a |an |the )?(?:human|person|agent|representative|operator|manager)\b"
    r"\W*(?:please|now)?\W*$",
    re.IGNORECASE,
)

_ASKS = re.compile(
    r"\?|^\W*(?:can|could|do|does|did|is|are|was|will|would|may|might|shall|should|how|what|"
    r"what's|where|when|which|who|why|any|i want|i need|i'd like|i would like|i wish|"
    r"please|tell me)\b",
    re.IGNORECASE,
)

_GREETING = re.compile(
    r"^\W*(?:(?:hi|hello|hey|hiya|dear|welcome|good (?:morning|afternoon|evening|day))\b"
    r"(?:\s+(?:there|again|all|sir|madam|mr|mrs|ms))*\b)(?P<rest>[^,.!:–—-]{0,40})[,.!:–—-]+\s*",
    re.IGNORECASE,
)

_FILLERS = (
    r"(?:just |please )?(?:one|a) (?:moment|second|sec|minute|min)\b[^,:;]{0,60}",
    r"(?:please )?(?:hold on|bear with me|hang on|stay with me)\b[^,:;]{0,60}",
    r"(?:please )?wait(?: (?:just |for )?(?:a|one) (?:moment|second|sec|minute|min))?(?: please)?",
    r"(?:please )?(?:give me|let me|i(?:'| wi)ll|i need to|i am going to|i'm going to) "
    r"(?:a |just |quickly )*(?:check|look|see|find out|ask|moment|minute|second|sec)\b[^,:;]{0,80}",
    r"(?:i am |i'm )?(?:checking|looking|on it)\b[^,:;]{0,80}",
    r"(?:thanks?|thank you|many thanks|cheers|thx)\b[^,:;]{0,100}",
    r"(?:you(?:'re| are) )?(?:very |most )?welcome\b[^,:;]{0,60}",
    r"(?:no problem|no worries|my pleasure|happy to help|glad (?:i|to|that)\b[^,:;]{0,40}|anytime)",
    r"(?:have|enjoy) (?:a|the|your) (?:(?:very |really )?(?:nice|great|good|lovely|wonderful|"
    r"pleasant)\b[^,:;]{0,40}|day|evening|weekend|rest of[^,:;]{0,20})",
    r"(?:bye|goodbye|see you|take care|best regards|kind regards|regards|cheers|best wishes)\b"
    r"[^,:;]{0,40}",
    r"(?:i hope|hope) (?:this|that|it) (?:helps?|answers?|clears?)\b[^,:;]{0,60}",
    r"(?:please )?(?:let (?:me|us) know|(?:feel free|don't hesitate|do not hesitate) to "
    r"(?:ask|contact|write|reach|get|message|let)|reach out)\b.{0,90}",
    r"(?:i(?:'m| am) )?(?:so |very |really |terribly )?sorry"
    r"(?: (?:for|about|to hear|that you)\b[^,:;]{0,60})?",
    r"i (?:completely |totally |fully )?(?:understand|see)(?: (?:your|how|that you're)\b"
    r"[^,:;]{0,50})?",
    r"(?:that's a |a )?(?:good|great|excellent|interesting) question\b[^,:;]{0,20}",
    r"(?:ok|okay|right|sure|alright|all right|of course|certainly|absolutely|got it|hi|hello|hey|"
    r"hi there|hello there|good (?:morning|afternoon|evening|day))",
)
_INTRODUCTION = re.compile(
    r"^(?:this is|i am|i'm|my name is)\b|\b(?:here|speaking)$|\bfrom (?:the )?\w+(?: team| desk)?$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"^(?P<head>[^,:;–—]{1,80}?)(?:[,:;]|\s+[–—-])\s+(?P<rest>.+)$", re.DOTALL)
_FILLER = re.compile(rf"^\W*(?:{'|'.join(_FILLERS)})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Episode:
    """One handoff with all lines of its episode, in order.

    `at` is the id of the message that led to the handoff. `given_data` holds the ids of messages
    that only answered the bot's own question. `names` are the people who took part, to be removed
    from every text.
    """

    handoff: Handoff
    lines: tuple[Message, ...]
    at: str
    given_data: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoken:
    """A customer's message as it may be stored: its id, and its words redacted and neutralised."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """What exists already: normalised texts (see `normalised`) and the names of intents."""

    training: frozenset[str] = frozenset()
    golden: frozenset[str] = frozenset()
    intents: frozenset[str] = frozenset()


def normalised(text: str) -> str:
    """Return what two spellings of the same text share: letters and digits only, without case."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return " ".join(words) or plain.strip()


def content_words(text: str) -> list[str]:
    """Return the words of `text` that say what it is about, in order, in lower case."""
    words = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    return [word for word in words if word not in _FUNCTION_WORDS]


def is_teachable(text: str) -> bool:
    """Say whether a message can stand as an example: not too short, too long, or mere courtesy."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    spaceless = any(len(word) >= 6 and not word.isascii() for word in words)
    enough = len(words) >= TEXT_WORDS or spaceless
    short = len(text) <= TEXT_CHARACTERS and not text.lstrip().startswith("/")
    return enough and short and not _EMPTY_WORDS.issuperset(words)


def only_wants_person(text: str) -> bool:
    """Say whether a message asks for a person and, being short, for nothing else."""
    return len(_WORD.findall(text)) <= REQUEST_WORDS and bool(_WANTS_PERSON.search(text))


def is_question(text: str) -> bool:
    """Say whether a text asks or wishes for something."""
    return bool(_ASKS.search(text))


def carried(
    episode: Episode,
    person_intents: Collection[str] = (),
    small_talk: Collection[str] = SMALL_TALK,
) -> list[Message]:
    """Return the customer's messages that carried the request, best first.

    Those up to the handoff count first, the nearest first, back to the last one the bot clearly
    understood as something else; where none of them can teach anything, the first message to the
    agent does. Messages that answered the bot's own question or chose one of its buttons (the words
    on it are the desk's), courtesies (`small_talk`), bare numbers, requests for a person (unless
    that was the intent) and overlong ones never count.
    """
    asked = [m for m in episode.lines if m.author is Author.CUSTOMER]
    last = next((m.seq for m in asked if m.id == episode.at), 0)
    usable = [m for m in asked if _usable(m, episode, person_intents, small_talk)]
    before = [m for m in usable if _chosen_otherwise(asked, episode) < m.seq <= last]
    after = [m for m in usable if m.seq > last]
    chosen = _run_up(before, episode) or after[:1] or before[-1:]
    return chosen[:TEXTS_PER_HANDOFF]


def _chosen_otherwise(asked: Sequence[Message], episode: Episode) -> int:
    """Return the seq of the last choice that says what was meant until then: something else."""
    chosen = (m for m in asked if m.buttons and m.id != episode.at)
    return max((m.seq for m in chosen if _settled(m, episode.handoff)), default=0)


def _usable(
    message: Message,
    episode: Episode,
    person_intents: Collection[str],
    small_talk: Collection[str],
) -> bool:
    if message.buttons or message.id in episode.given_data or not is_teachable(message.text):
        return False
    best = message.parse.ranking[0] if message.parse and message.parse.ranking else None
    if best and best.intent in small_talk and best.confidence >= SURE:
        return False
    about_people = episode.handoff.truth_intent in person_intents
    return about_people or not only_wants_person(message.text)


def _run_up(before: Sequence[Message], episode: Episode) -> list[Message]:
    """Walk back from the handoff until a message that was understood as something else."""
    repeats = {Reason.CUSTOMER_REPEATS, Reason.BOT_REPEATS}
    repeated = any(f.reason in repeats for f in episode.handoff.findings)
    found: list[Message] = []
    for message in reversed(before):
        if message.id != episode.at and not repeated and _settled(message, episode.handoff):
            break
        found.append(message)
    return found


def _settled(message: Message, handoff: Handoff) -> bool:
    best = message.parse.ranking[0] if message.parse and message.parse.ranking else None
    return best is not None and best.confidence >= SURE and best.intent != handoff.truth_intent


def questions(messages: Sequence[Message]) -> list[Message]:
    """Return the messages that make a new topic: the main question first, then other questions.

    A topic is accepted or rejected as a whole, so a message that is no question by itself would
    spoil it; only where there is no question at all does the best message stand alone.
    """
    return [m for m in messages if is_question(m.text)] or list(messages[:1])


def answer_of(episode: Episode) -> str:
    """Return what the agent told the customer, without greeting, waiting, asking back and closing.

    Paragraphs stay lines. Empty where nothing is left: then there is nothing to teach.
    """
    said = [without_quotes(m.text) for m in episode.lines if m.author is Author.AGENT]
    lines = (_substance(line, episode.names) for text in said for line in text.splitlines())
    return _shortened([line for line in lines if line])


def _substance(line: str, names: Sequence[str]) -> str:
    sentences = (_without_lead_in(s.strip(), names) for s in _SENTENCE_END.split(line))
    return " ".join(s for s in sentences if s and not _asks_back(s))


def _asks_back(sentence: str) -> bool:
    return sentence.endswith("?") or not _WORD.search(sentence)


def _without_lead_in(sentence: str, names: Sequence[str]) -> str:
    """Cut `Hi Sam,` and `thanks for waiting,` off; return nothing where nothing else is said."""
    greeting = _GREETING.match(sentence)
    if greeting and _is_address(greeting["rest"], names):
        sentence = sentence[greeting.end() :]
    while found := _CLAUSE.match(sentence):
        if not _says_nothing(found["head"], names):
            break
        sentence = found["rest"]
    if _says_nothing(sentence, names):
        return ""
    return sentence[:1].upper() + sentence[1:]


def _is_address(rest: str, names: Sequence[str]) -> bool:
    """Say whether what follows a greeting word is nothing, or whom it greets."""
    return not rest.strip() or len(rest.split()) == 1 or _is_name(rest, names)


def _is_name(text: str, names: Sequence[str]) -> bool:
    people = {part for name in names for part in normalised(name).split()}
    return set(normalised(text).split()) <= people


def _says_nothing(clause: str, names: Sequence[str]) -> bool:
    bare = clause.strip().rstrip(".!…:;,)( ").replace("’", "'")
    introduced = _INTRODUCTION.sub(" ", bare)
    return not bare or _is_name(introduced, names) or bool(_FILLER.match(bare))


def _shortened(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    if len(text) <= ANSWER_CHARACTERS:
        return text
    cut = text[:ANSWER_CHARACTERS]
    end = max(cut.rfind(mark) for mark in (". ", "! ", "\n"))
    return cut[: end + 1].strip() if end > 0 else cut.strip()


def slug(question: str, taken: Collection[str]) -> str:
    """Return a new intent name made of the question: `learned_…`, unique, at most 40 characters."""
    words = [_ascii(word) for word in content_words(question)]
    base = "_".join([word for word in words if word][:INTENT_WORDS])
    base = base or f"topic_{hashlib.sha256(question.encode()).hexdigest()[:8]}"
    for number in range(1, len(taken) + 2):
        ending = "" if number == 1 else f"_{number}"
        room = INTENT_CHARACTERS - len(LEARNED_PREFIX) - len(ending)
        name = LEARNED_PREFIX + base[:room].rstrip("_") + ending
        if name not in taken:
            return name
    raise AssertionError("one of more names than are taken must be free")


def _ascii(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", decomposed.lower())


def propose(
    handoff: Handoff,
    spoken: Sequence[Spoken],
    answer: str,
    known: Known,
    proposed: Collection[str],
    now: datetime,
) -> list[Candidate]:
    """Turn what a handoff teaches into candidates.

    An intent gives one candidate a text, so that a reviewer judges each with one tap and one bad
    text does not cost the good ones. A new topic gives one candidate: its questions and its answer
    belong together. A text that stands in the training data, in the golden set or in `proposed`
    (normalised texts of earlier candidates) adds nothing.

    Args:
        handoff: the handoff, with its truth.
        spoken: the customer's messages, redacted and neutralised, best first.
        answer: the agent's answer, redacted and neutralised; of a new topic only.
        known: what the assistant is trained and measured on.
        proposed: normalised texts that were proposed before.
        now: when the candidates are made.
    """
    fresh = _fresh(spoken, known.training | known.golden | frozenset(proposed))
    if not fresh:
        return []
    if handoff.truth is Truth.INTENT and handoff.truth_intent:
        return [_example(handoff, one, now) for one in fresh]
    if handoff.truth is Truth.NEW_TOPIC and answer:
        return [_topic(handoff, fresh, answer, known, now)]
    return []


def _fresh(spoken: Sequence[Spoken], taken: Collection[str]) -> list[Spoken]:
    seen = set(taken)
    fresh: list[Spoken] = []
    for one in spoken:
        key = normalised(one.text)
        if key not in seen and is_teachable(one.text):
            seen.add(key)
            fresh.append(one)
    return fresh


def _example(handoff: Handoff, spoken: Spoken, now: datetime) -> Candidate:
    intent = handoff.truth_intent or ""
    return Candidate(
        id=new_id(),
        kind=CandidateKind.EXAMPLE,
        handoff_id=handoff.id,
        message_ids=(spoken.message_id,),
        texts=(spoken.text,),
        intent=intent,
        answer="",
        dedupe_key=f"{handoff.id}:{spoken.message_id}",
        created_at=now,
        proposed_intent=intent,
    )


def _topic(
    handoff: Handoff, spoken: Sequence[Spoken], answer: str, known: Known, now: datetime
) -> Candidate:
    intent = slug(spoken[0].text, known.intents)
    return Candidate(
        id=new_id(),
        kind=CandidateKind.ANSWER,
        handoff_id=handoff.id,
        message_ids=tuple(one.message_id for one in spoken),
        texts=tuple(one.text for one in spoken),
        intent=intent,
        answer=answer,
        dedupe_key=f"{handoff.id}:answer",
        created_at=now,
        proposed_intent=intent,
    )
