"""What a short message does in a conversation: agree, refuse, finish, or use no words. Pure.

"no", "none of these" and "that's all, thanks" name no wish of their own, and "👍" has no words at
all: what they mean depends on what the bot said just before. `move_of` says what such a message
does by itself; `policy.reply_to` says what follows from it.

Signs are read by their names in the Unicode database that Python carries, so that skin tones,
hearts of any colour and the faces of cats need no table of their own. A sign the database does not
name means nothing in particular.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class Move(StrEnum):
    """What a message does. `REFUSE` is a bare no, `REJECT` says that something was wrong."""

    AGREE = "agree"
    REFUSE = "refuse"
    REJECT = "reject"
    DONE = "done"
    THANKS = "thanks"
    JOY = "joy"
    ANGER = "anger"
    SADNESS = "sadness"
    CONFUSION = "confusion"
    NOTHING = "nothing"


class LastSaid(StrEnum):
    """What the bot said last, as far as a short reply is concerned.

    `OPTIONS`: the desk asked which of some intents was meant. `WORDS`: it asked for other words.
    `QUESTION`: a question of the assistant's own. `CLOSING`: it asked whether there is anything
    else, or answered a courtesy. `NOTHING`: it has said nothing, or a person spoke last.
    """

    NOTHING = ""
    OPTIONS = "options"
    WORDS = "words"
    QUESTION = "question"
    ANSWER = "answer"
    CLOSING = "closing"


MOST_WORDS = 14
"""A message of more words is no short reply, in words."""


def move_of(text: str) -> Move | None:
    """Return what a message does where that is all it does, or None."""
    if is_wordless(text):
        return _sign(text)
    return _said(text)


# --- signs ---------------------------------------------------------------------------------------

_EMOTICONS: tuple[tuple[Move, re.Pattern[str]], ...] = (
    (Move.ANGER, re.compile(r">[:;=]-?[(\[/|@]+|[:=]-?@")),
    (Move.SADNESS, re.compile(r"[:;=]['’,]?-?[(\[{cC/\\|sS]+|[)\]]-?[:=]|</3|[tT]_+[tT]|[dD]:")),
    (Move.CONFUSION, re.compile(r"[oO0][._][oO0]|[:=]-?[oO]")),
    (Move.THANKS, re.compile(r"<3+")),
    (Move.JOY, re.compile(r"[:;=]['’]?[-^o]?[)\]}dDpP3*]+|[(\[]-?[:=]|[xX][dD]+|\^[_.-]*\^")),
)
"""Faces made of letters and marks; each must be a whole word."""

_NAMES: tuple[tuple[Move, re.Pattern[str]], ...] = tuple(
    (move, re.compile(rf"\b(?:{names})\b"))
    for move, names in (
        (Move.JOY, r"(?:TEARS OF JOY|ROLLING ON THE FLOOR)"),
        (
            Move.ANGER,
            r"ANGRY|ANGER|POUTING|IMP|MIDDLE FINGER|SYMBOLS COVERING MOUTH|LOOK OF TRIUMPH",
        ),
        (Move.REFUSE, r"THUMBS DOWN|CROSS MARK|BALLOT X|MULTIPLICATION X|NO GOOD|NO ENTRY"),
        (
            Move.SADNESS,
            r"CRYING|DISAPPOINTED|SAD|PENSIVE|FROWNING|WORRIED|WEARY|TIRED|PERSEVERING|CONFOUNDED"
            r"|ANGUISHED|BROKEN HEART|UNAMUSED|ROLLING EYES|PALM|HOLDING BACK TEARS|FEARFUL"
            r"|SCREAMING|PILE OF POO|PLEADING EYES",
        ),
        (
            Move.CONFUSION,
            r"QUESTION|INTERROBANG|THINKING|CONFUSED|SHRUG|EYEBROW RAISED|MONOCLE|HUSHED"
            r"|ASTONISHED",
        ),
        (Move.AGREE, r"THUMBS UP|OK|CHECK MARK|WITH CHECK|HUNDRED POINTS|HANDSHAKE"),
        (Move.JOY, r"SMIL\w*|GRIN\w*|WINK\w*|JOY|LAUGH\w*|PARTY|CLAPPING|BOTH HANDS|STAR|CONFETTI"),
        (Move.THANKS, r"HEARTS?|FOLDED HANDS|HUGGING|KISS\w*|BOUQUET|ROSE|BOWING"),
    )
)
"""Words in the Unicode name of a character that say what it means; the first that fits counts."""

_SHAKING = {"\u2194": Move.REFUSE, "\u2195": Move.AGREE}
"""Joined to a face, these arrows make it shake its head or nod (Unicode 15.1)."""

_STRONGEST = (
    Move.ANGER,
    Move.REFUSE,
    Move.SADNESS,
    Move.CONFUSION,
    Move.AGREE,
    Move.THANKS,
    Move.JOY,
)
"""Of several signs the first of these counts: whoever adds a smile to a no still says no."""


def is_wordless(text: str) -> bool:
    """Say whether a message holds signs alone: emoji, marks, faces such as `:)`."""
    words = [word for word in text.split() if _emoticon(word) is None]
    return bool(text.strip()) and not any(c.isalnum() for word in words for c in word)


def _emoticon(word: str) -> Move | None:
    return next((move for move, form in _EMOTICONS if form.fullmatch(word)), None)


def _sign(text: str) -> Move:
    found = {_emoticon(word) for word in text.split()}
    for before, character in zip(" " + text, text, strict=False):
        if before == "\u200d" and character in _SHAKING:
            # The face that shakes its head smiles, and does not mean it.
            return _SHAKING[character]
        name = unicodedata.name(character, "")
        found.add(next((move for move, words in _NAMES if words.search(name)), None))
    return next((move for move in _STRONGEST if move in found), Move.NOTHING)


# --- words ---------------------------------------------------------------------------------------

_NO = r"no+|nope|nop|nah+|naw|nay|nuh uh|negative|not really|no way|definitely not|certainly not"
_THAT = r"(?:that|this|it|these|those|they|you|both|all|your answer|the answer)"
_IS_NOT = r"(?:s not|is not|isnt|was not|wasnt|aint|are not|arent|re not|were not|werent|cant be)"
_THEM = r"(?:that|this|these|those|them|it|the above|the two|your suggestions|the options)"

_PHRASES: tuple[tuple[Move | None, str], ...] = (
    (
        None,
        r"please|pls|sorry|thanks?(?: you)?(?: (?:so|very) much| a lot)?|thx|ty|cheers|ok(?:ay)?"
        r"|oh|u[hm]+|h+m+|well|but|actually|really|just|at all|bot|again|still|so|then|i think"
        r"|im afraid|though|great|good|perfect|fine|super|cool|youve been (?:very )?helpful"
        r"|for (?:your|the) (?:help|time)|have a (?:nice|good|great|lovely) (?:day|evening|one)"
        r"|(?:good)?bye|see you|and|either|any ?more|anymore|for (?:me|now|today)|mate",
    ),
    (Move.REFUSE, rf"{_NO}|n|not at all|i (?:dont|do not) think so|absolutely not"),
    (
        Move.REJECT,
        rf"not (?:{_THEM}|quite|exactly|right|correct|helpful|my question|the)"
        r"(?: (?:right )?ones?)?"
        rf"|(?:neither|none|nothing|not one|not any|no)(?: one)? of (?:{_THEM}|both)(?: \w+){{0,2}}"
        r"|neither(?: one)?|none|nothing (?:like (?:that|this|it)|of the (?:sort|kind))"
        rf"|(?:{_THAT} ?(?:s|is|re|are|was|were)? )?(?:all |both |just |completely |totally "
        r"|simply |still )?(?:wrong|incorrect|false|mistaken|way off)(?: (?:one|answer|question"
        r"|thing|topic))?"
        rf"|{_THAT} ?{_IS_NOT}(?: (?:it|right|correct|true|my question|helpful|an answer|any of"
        rf" \w+|the (?:right )?(?:question|answer|one|thing|point)|for me|{_THEM}))?"
        rf"|(?:{_THAT} ?{_IS_NOT}|not)(?: at all)? what i(?:m| am| was| had)? ?(?:\w+ ){{0,2}}"
        r"(?:meant|mean|asked|asking|wanted|want|said|need|needed|looking|mind|after|wrote)"
        r"(?: (?:for|about|to know))?"
        r"|(?:i think )?you(?:ve| have)? (?:misunderstood|misread|misunderstand|missed|got|get"
        r"|understood|(?:dont|didnt|did not|do not) (?:understand|get|answer(?:ed)?))"
        r"(?: (?:me|it|that|this|my question|the (?:point|question)))?(?: wrong)?"
        rf"|i (?:didnt|did not|dont|do not) (?:mean|ask|want|need)(?: for| about)? {_THEM}"
        r"|i(?:m| am| was)? ?(?:meant|mean|want|need|wanted|asked|asking|looking)(?: for| about)?"
        r" (?:something|sth) (?:else|different)"
        r"|something (?:else|different)|different (?:thing|question|topic)"
        rf"|{_THAT} (?:doesnt|does not|didnt|did not|dont) (?:really )?(?:help|answer|work|solve)"
        r"(?: (?:me|it|that|my|the|question|problem|anything)){0,2}|no help|unhelpful",
    ),
    (
        Move.DONE,
        r"(?:no+|nope|nah+) (?:thanks?(?: you)?|thx|ty)"
        r"|nothing(?: (?:else|more|further|today|right now|at the moment|needed|for now))*"
        r"|(?:thats|that is|that was|that will be|thatll be|that would be|this is) (?:all|it"
        r"|everything|enough)(?: i (?:need|needed|wanted)(?: to know)?)?(?: for (?:now|today))?"
        r"|all for (?:now|today)"
        r"|(?:i|we)(?: ?am|m| are|re) (?:all )?(?:done|good|fine|set|finished|sorted|ok(?:ay)?)"
        r"(?: here)?|all (?:good|done|set|fine|sorted)"
        r"|(?:i have )?no (?:more|other|further)(?: (?:questions?|requests?|wishes))?"
        r"|no (?:questions?|need)|not (?:right )?now|not at the moment|not today"
        r"|no i (?:dont|do not)"
        r"|(?:i (?:dont|do not) )(?:need|want|have) (?:anything|any more(?: help)?|more|any other"
        r" questions?|any questions?)(?: else| more)?"
        r"|(?:its|thats|it is|that is) (?:fine|ok|okay|good|alright)"
        r"|never ?mind|nvm|forget (?:it|about it|that)|drop it|leave it|skip it",
    ),
)
"""Phrases that short replies are made of; None says nothing by itself. Without apostrophes."""

_FORMS = tuple((move, re.compile(phrase)) for move, phrase in _PHRASES)

YES = frozenset(
    [
        "yes",
        "yeah",
        "yea",
        "yep",
        "yup",
        "y",
        "aye",
        "yes please",
        "correct",
        "right",
        "exactly",
        "precisely",
        "ok",
        "okay",
        "sure",
        "sure thing",
        "of course",
        "indeed",
        "absolutely",
        "definitely",
        "yes it is",
        "yes i do",
        "yes that",
        "that one",
        "this one",
        "thats it",
        "yes thats it",
        "thats right",
        "yes thats right",
        "thats the one",
        "you got it",
        "ja",
        "oui",
        "si",
    ]
)
"""What agrees to a question about one thing, as `plain_words` has it."""


def plain_words(text: str) -> str:
    """Return a message as small words with single spaces, without marks and apostrophes."""
    letters = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[\W_]+", " ", re.sub(r"['’`]", "", letters)).split())


def _said(text: str) -> Move | None:
    """Return the move of a message that phrases of short replies cover from end to end."""
    words = plain_words(text)
    if not words or len(words.split()) > MOST_WORDS:
        return None
    ends = [match.end() for match in re.finditer(r"\w+", words)]
    reached: dict[int, set[Move | None]] = {0: set()}
    for end in ends:
        for start, before in list(reached.items()):
            said = {move for move, form in _FORMS if form.fullmatch(words, start, end)}
            if said:
                reached[end + 1] = reached.get(end + 1, set()) | before | said
    found = reached.get(len(words) + 1, set())
    if moves := found - {None}:
        return next(move for move in (Move.DONE, Move.REJECT, Move.REFUSE) if move in moves)
    return Move.AGREE if words in YES else None


def is_yes(text: str) -> bool:
    """Say whether a message agrees, by a word or a sign, to a question about one thing."""
    return plain_words(text) in YES or (is_wordless(text) and _sign(text) is Move.AGREE)
