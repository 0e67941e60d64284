"""The bot's question about what was meant: likely intents as buttons, and a way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handoff.app import phrases
from handoff.core.limits import MESSAGE_CHARACTERS
from handoff.core.mining import LEARNED_PREFIX, normalised
from handoff.core.model import Author, BotLine, Button, Message
from handoff.core.moves import LastSaid, Move, is_wordless, is_yes, move_of
from handoff.core.policy import Desk, Reply, is_courtesy

_NAMED = re.compile(r"/([^{@]+)")

_ANYTHING_ELSE = re.compile(r"\b(?:else|further|more)\b[^.!?]*\?$", re.IGNORECASE)
"""How a bot asks whether that is all."""

_NUMBER = re.compile(r"\W*([1-9])\W*", re.ASCII)


def question(
    options: Sequence[str],
    entities: Sequence[Mapping[str, Any]],
    titles: Mapping[str, str],
    desk: Desk,
) -> BotLine:
    """Return the line that asks which of these intents was meant, or for other words.

    A button sends Rasa's form of an intent named by its sender, `/intent{"entity": "value"}`, with
    what was found in the message, so that an order number need not be typed twice. The last button
    asks for a person.
    """
    given = _given(entities)
    buttons = [
        Button(titles.get(name) or readable(name), _payload(name, given)) for name in options
    ]
    if desk.person_intents:
        title = phrases.SOMETHING_ELSE if options else phrases.A_PERSON
        buttons.append(Button(title, f"/{min(desk.person_intents)}"))
    return BotLine(_asking(len(options)), tuple(buttons))


def desk_reply(reply: Reply, earlier: Sequence[Message], desk: Desk) -> list[BotLine]:
    """Return what the desk says by itself to a short reply.

    Where it asks for words a button leads to a person; a choice, or the assistant's own question,
    is offered again as it was.
    """
    last = _last_turn(earlier)
    if reply is Reply.AGAIN and last:
        return [BotLine(line.text, line.buttons, line.image, line.extra) for line in last]
    if reply is Reply.AGAIN:
        reply = Reply.PROMPT  # two messages at once: the question is no longer the last line
    if reply is Reply.CHOOSE:
        return [BotLine(phrases.CHOOSE, last[-1].buttons)]
    out = bool(desk.person_intents) and reply not in (Reply.PROMPT, Reply.GLAD, Reply.FAREWELL)
    way_out = (Button(phrases.A_PERSON, f"/{min(desk.person_intents)}"),) if out else ()
    return [BotLine(phrases.REPLIES[reply], way_out)]


def last_said(earlier: Sequence[Message], asking: bool, desk: Desk) -> LastSaid:
    """Say what the bot said last, as far as a short reply is concerned.

    Args:
        earlier: the lines of this episode before the reply, in order.
        asking: whether the bot's last line asks what was meant.
        desk: which intents are courtesies.
    """
    last = _last_turn(earlier)
    if not last:
        return LastSaid.NOTHING
    line = last[-1]
    if asking:
        return LastSaid.OPTIONS if line.text in phrases.ASKING_WHICH else LastSaid.WORDS
    if line.text in phrases.CLOSING or _ANYTHING_ELSE.search(line.text):
        return LastSaid.CLOSING
    if line.text.endswith(("?", "？", "؟")) or line.buttons:
        return LastSaid.QUESTION
    replied_to = next((m for m in reversed(earlier) if m.author is Author.CUSTOMER), None)
    if replied_to and not replied_to.buttons and is_courtesy(replied_to.parse, desk):
        return LastSaid.CLOSING
    return LastSaid.ANSWER


def _last_turn(earlier: Sequence[Message]) -> list[Message]:
    """Return the bot's lines after which nobody else has written, in order; notes do not count."""
    found: list[Message] = []
    for line in reversed(earlier):
        if line.author is Author.NOTE:
            continue
        if line.author is not Author.BOT:
            break
        found.insert(0, line)
    return found


def _asking(options: int) -> str:
    if not options:
        return phrases.OTHER_WORDS
    return phrases.DID_YOU_MEAN if options > 1 else phrases.DID_YOU_MEAN_THIS


def _payload(intent: str, given: str) -> str:
    """Return what a button sends; what nobody could send back, being too long, is left out."""
    whole = f"/{intent}{given}"
    return whole if len(whole) <= MESSAGE_CHARACTERS else f"/{intent}"


def _given(entities: Sequence[Mapping[str, Any]]) -> str:
    """Return entities as JSON, those found several times as a list, as Rasa reads them.

    In ASCII: a customer's own words stand in the values, and no channel may change them on their
    way there and back.
    """
    found: dict[str, list[Any]] = {}
    for entity in entities:
        values = found.setdefault(str(entity["entity"]), [])
        if entity.get("value") is not None and entity["value"] not in values:
            values.append(entity["value"])
    one_or_all = {n: v if len(v) > 1 else v[0] for n, v in found.items() if v}
    return json.dumps(one_or_all, ensure_ascii=True) if one_or_all else ""


def readable(intent: str) -> str:
    """Return an intent's name as words: `check_refund_policy` → `Check refund policy`."""
    words = " ".join(re.sub(r"[_/-]", " ", intent.removeprefix(LEARNED_PREFIX)).split())
    return words[:1].upper() + words[1:]


def pressed(text: str, before: Sequence[Message], asking: bool) -> Button | None:
    """Return the button of the bot that a customer's text stands for, or None.

    The payload of a button that names an intent can only come from the button. Words may mean
    something else later, so a title that was typed (or a payload of plain words) counts only right
    after it was offered. Where the bot asked what was meant, the number of a button counts too,
    and a yes where there was one thing to mean. What a carousel or another payload of a widget's
    own offers is offered too, by its payload alone.

    Args:
        text: what the customer sent.
        before: the lines of this episode so far, in order.
        asking: whether the bot's last line asks what was meant.
    """
    sent = _sent_by(text, [m for m in reversed(before) if m.author is Author.BOT])
    last = _offered_last(before)
    if sent or not last:
        return sent
    said, choices = normalised(text), last[-1].buttons
    meant = {b.payload: b for m in last for b in m.buttons if _says(b, said)}
    if len(meant) == 1:
        return next(iter(meant.values()))
    number = _NUMBER.fullmatch(text)
    if asking and number and int(number[1]) <= len(choices):
        return choices[int(number[1]) - 1]
    if is_yes(text) and asking and _is_about_one(last[-1]):
        return choices[0]
    sign = move_of(text) if is_wordless(text) else None
    words = {Move.AGREE: "yes", Move.REFUSE: "no"}.get(sign) if sign else None
    titled = [b for b in choices if words and normalised(b.title).split()[:1] == [words]]
    return titled[0] if len(titled) == 1 else None


def _sent_by(text: str, lines: Sequence[Message]) -> Button | None:
    """Return the button of these lines whose payload names an intent and is this text."""
    if not named_intent(text):
        return None
    offered = (b for m in lines for b in (*m.buttons, *_offered_inside(m.extra)))
    return next((b for b in offered if b.payload == text), None)


def _offered_inside(value: Any) -> Iterator[Button]:
    """Yield what a widget's own payload offers: objects with a `payload`, however deep inside."""
    if isinstance(value, Mapping):
        payload = value.get("payload")
        if isinstance(payload, str):
            told = (value.get(name) for name in ("title", "text", "label", "value"))
            title = next((str(t) for t in told if isinstance(t, str | int) and t != ""), payload)
            yield Button(title, payload)
        yield from _offered_inside(list(value.values()))
    elif isinstance(value, list):
        for inner in value:
            yield from _offered_inside(inner)


def _is_about_one(line: Message) -> bool:
    """Say whether a question offers one thing, and perhaps a person besides."""
    things = [button for button in line.buttons if button.title != phrases.SOMETHING_ELSE]
    return line.text in phrases.ASKING_WHICH and len(things) == 1


def _says(button: Button, said: str) -> bool:
    return said in (normalised(button.title), normalised(button.payload))


def _offered_last(before: Sequence[Message]) -> list[Message]:
    """Return the bot's lines with buttons after which nobody else has written, in order."""
    found: list[Message] = []
    for line in reversed(before):
        if line.author is not Author.BOT:
            break
        if line.buttons:
            found.insert(0, line)
    return found


def named_intent(payload: str) -> str:
    """Return the intent that a payload names (`/intent`, `/intent{…}`), or nothing."""
    found = _NAMED.match(payload)
    return found[1].strip() if found else ""
