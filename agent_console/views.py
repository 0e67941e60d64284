"""What the console shows: pure functions from state to text, entities and buttons.

Customer text is only ever inserted as characters. Formatting is by entities, never a parse mode.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from agent_console.callbacks import Callback, Do, digest
from agent_console.richtext import (
    CAPTION_UNITS,
    TEXT_UNITS,
    TOPIC_NAME_UNITS,
    Entity,
    Rich,
    cut,
    one_line,
    split,
    utf16_len,
)
from handoff.core.errors import NotClaimed, NotYours
from handoff.core.handling import handled_seconds
from handoff.core.limits import LAST_TURNS_SHOWN, REASONS_SHOWN
from handoff.core.model import (
    Action,
    Author,
    Conversation,
    Handoff,
    IntentScore,
    Message,
    Person,
    Reason,
    Role,
    State,
    Truth,
)
from handoff.core.policy import Desk
from handoff.core.reasons_in_words import (
    NOTHING_STANDS_OUT,
    SHORT,
    human,
    percent,
    risk_against,
    why,
)
from handoff.core.statistics import Statistics

NAME_UNITS = 64
"""Longest customer name shown, in UTF-16 units."""

QUOTE_UNITS = 600
"""Longest quotation of one line on a card, in UTF-16 units."""

RANKED = 5
"""How many of the ranked intents a card shows at most."""

LIKELY_SHOWN = 0.01
"""Confidence from which on a card shows an intent; the best one it always shows."""

PAGE = 10
"""Intents on one page of a list to choose from."""

QUEUE_ROWS = 20
"""Conversations on one `/queue` answer."""


@dataclass(frozen=True, slots=True)
class Key:
    """A button: what stands on it and what it carries."""

    text: str
    data: str


Rows = tuple[tuple[Key, ...], ...]


@dataclass(frozen=True, slots=True)
class View:
    """One message, ready for Telegram."""

    text: str
    entities: tuple[Entity, ...] = ()
    rows: Rows = ()


def key(text: str, do: Do, id: str, version: int = 0, choice: str = "") -> Key:
    """Return a button."""
    return Key(cut(text, 60), Callback(do, id, version, choice).encode())


def plain(text: str, rows: Rows = ()) -> View:
    """Return a message without formatting, cut to what Telegram takes."""
    return View(cut(text, TEXT_UNITS), (), rows)


def view_of(rich: Rich, rows: Rows = ()) -> View:
    """Return a built text as a message, its trailing line breaks removed."""
    text = rich.text.rstrip("\n")
    end = utf16_len(text)
    inside = [e for e in rich.entities if e.offset < end]
    clipped = [replace(e, length=min(e.length, end - e.offset)) for e in inside]
    return View(text, tuple(clipped), rows)


# --- words for figures -----------------------------------------------------------------------


def clock_time(moment: datetime, zone: tzinfo) -> str:
    """Return the time of day, such as `14:03`."""
    return f"{moment.astimezone(zone):%H:%M}"


def date_time(moment: datetime, zone: tzinfo) -> str:
    """Return day and time, such as `21 Nov, 14:03 UTC`."""
    local = moment.astimezone(zone)
    return f"{local.day} {local:%b, %H:%M %Z}"


def duration(seconds: float) -> str:
    """Return a span as people say it: `45 s`, `7 min`, `2 h 05 min`."""
    whole = round(max(0.0, seconds))  # a clock that went back makes no span negative
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _span(later: datetime, earlier: datetime) -> str:
    return duration((later - earlier) / timedelta(seconds=1))


# --- mood ------------------------------------------------------------------------------------

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Return shares (0 to 1) as a row of bars."""
    return "".join(_BARS[min(7, int(max(0.0, value) * 8))] for value in values)


_MOODS = ("calm", "mostly calm", "uneasy", "unhappy", "very unhappy")
_MOODS_FROM = (0.1, 0.25, 0.5, 0.75)
"""From which probability of a bad mood each word but the first holds."""

_OF_FEELINGS = {Reason.ANGRY, Reason.NEGATIVE, Reason.MOOD_BAD, Reason.MOOD_FALLING}
"""Reasons under which nobody is called calm without more ado."""


def mood_words(values: Sequence[float], reasons: Collection[Reason] = ()) -> str:
    """Return how bad a mood (each 0 to 1, oldest first, at least one) was and is, in words.

    The last word never contradicts the reasons that stand above it.
    """
    first, last = bisect(_MOODS_FROM, values[0]), bisect(_MOODS_FROM, values[-1])
    alone = len(values) == 1
    if not _OF_FEELINGS.isdisjoint(reasons):
        last = max(1, last)
    words = _MOODS[last] if alone or first == last else f"{_MOODS[first]} → {_MOODS[last]}"
    # An arrow towards the worse says it already.
    falls = Reason.MOOD_FALLING in reasons and (alone or last <= first)
    return f"{words}, getting worse" if falls else words


# --- the handoff card ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """All that a handoff card shows.

    `lines` are those of the handoff's episode. `risk` and its `limit` are those of the decision,
    None where a rule decided without them. `page` opens the list of intents, `changing` offers
    the choices again although they were made. `shown_fields` names what is told of that which the
    customer's page sent along; a point leads into an object: `customer.tier`.
    """

    conversation: Conversation
    handoff: Handoff
    lines: Sequence[Message]
    intents: Sequence[str] = ()
    zone: tzinfo = UTC
    page: int | None = None
    changing: bool = False
    risk: float | None = None
    limit: float | None = None
    shown_fields: Sequence[str] = ()


def stage(handoff: Handoff) -> int:
    """Return how far a handoff is: 0 waiting, 1 with a person, 2 ended. Buttons carry it."""
    if handoff.ended_at is not None:
        return 2
    return 0 if handoff.claimed_by is None else 1


def handoff_card(card: Card) -> View:
    """Return the card of a handoff with the buttons of its state."""
    return _ended_card(card) if card.handoff.ended_at else _open_card(card)


def _open_card(card: Card) -> View:
    rich = Rich()
    _heading(rich, card)
    _reasons(rich, card)
    before = [m for m in card.lines if m.created_at <= card.handoff.requested_at]
    said = [m for m in before if m.author is Author.CUSTOMER]
    _ranking(rich, [m for m in said if not _asks_by_button(m)])
    _mood(rich, said, [f.reason for f in card.handoff.findings[:REASONS_SHOWN]])
    _entities(rich, said)
    _sent_along(rich, said, card.shown_fields)
    shown = [m for m in before if m.author is not Author.SYSTEM][-LAST_TURNS_SHOWN:]
    _last_lines(rich, shown, card.zone)
    return view_of(rich, _open_rows(card.handoff))


def _heading(rich: Rich, card: Card) -> None:
    handoff, conversation, zone = card.handoff, card.conversation, card.zone
    if handoff.ended_at:
        rich.line(_ended_words(handoff), "bold")
    elif handoff.claimed_by is not None:
        rich.line(f"🟢 With {handoff.claimed_by_name}", "bold")
    else:
        rich.line("🟡 Waiting for a person", "bold")
    name = one_line(conversation.customer_name, NAME_UNITS)
    channel = one_line(conversation.channel, NAME_UNITS)
    rich.add(name, "bold").line(f" · {channel} · since {date_time(handoff.requested_at, zone)}")


def _ended_words(handoff: Handoff) -> str:
    by = f" by {handoff.claimed_by_name}" if handoff.claimed_by_name else ""
    if handoff.outcome == "returned":
        return f"🤖 Given back to the assistant{by}"
    return f"✅ Resolved{by}"


def _reasons(rich: Rich, card: Card) -> None:
    rich.line().line("Why a person", "bold")
    told = [why(finding) for finding in card.handoff.findings[:REASONS_SHOWN]]
    for reason in told or [NOTHING_STANDS_OUT]:
        rich.line(f"• {reason}")
    if card.risk is not None and card.limit is not None:
        words = risk_against(card.risk, card.limit, Action.HAND_OFF, bool(told))
        rich.line(words, "italic")


def _ranking(rich: Rich, said: Sequence[Message]) -> None:
    ranking = next((m.parse.ranking for m in reversed(said) if m.parse and m.parse.ranking), ())
    if not ranking:
        return
    rich.line().line("What the bot understood", "bold")
    for score in ranking[:1] + tuple(s for s in ranking[1:RANKED] if s.confidence >= LIKELY_SHOWN):
        rich.line(f"{percent(score.confidence):>5}  {human(score.intent)}")


def _asks_by_button(line: Message) -> bool:
    """Say whether a line only presses the button for a person, which says nothing about why."""
    best = line.parse.ranking[0].intent if line.parse and line.parse.ranking else ""
    return bool(line.buttons) and best in Desk().person_intents


def _mood(rich: Rich, said: Sequence[Message], reasons: Sequence[Reason]) -> None:
    """Append the mood: what sounds angry is no better than what sounds negative."""
    values = [max(m.feelings.negative, m.feelings.angry) for m in said if m.feelings]
    if values:
        words = mood_words(values, reasons)
        rich.line().add("Mood", "bold").line(f"  {sparkline(values[-24:])}  {words}")


def _entities(rich: Rich, said: Sequence[Message]) -> None:
    found: dict[str, str] = {}
    for message in said:
        for entity in message.parse.entities if message.parse else ():
            name, value = entity.get("entity"), entity.get("value")
            if name and value is not None:
                found[human(str(name)).capitalize()] = one_line(str(value), 80)
    for name, value in list(found.items())[-5:]:
        rich.add(f"{name}: ").line(value, "bold")


def _sent_along(rich: Rich, said: Sequence[Message], names: Sequence[str]) -> None:
    """Append the fields the owner named, each as the customer's page sent it last."""
    contexts = [m.context for m in reversed(said) if m.context]
    for name in names:
        values = (_field(context, name) for context in contexts)
        value = next((v for v in values if v is not None), None)
        if value is not None:
            rich.add(f"{name}: ").line(one_line(_as_words(value), 80), "bold")


def _field(context: Mapping[str, Any], name: str) -> Any:
    """Return what stands under a name, or behind its points in the objects inside."""
    if name in context:
        return context[name]
    first, _, rest = name.partition(".")
    inside = context.get(first)
    return _field(inside, rest) if rest and isinstance(inside, Mapping) else None


def _as_words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_WHO = {Author.BOT: "Assistant", Author.SYSTEM: "Desk"}


def _who(line: Message) -> str:
    if line.author is Author.NOTE:
        return f"📝 Note by {line.author_name}"
    return _WHO.get(line.author) or one_line(line.author_name, NAME_UNITS) or line.author.value


def said_or_chosen(line: Message) -> str:
    """Return a line's text with the choices it offers, or with the one the customer made.

    What a console cannot show as the customer saw it, a picture or a carousel, is told in words.
    """
    choices = [f"▸ {button.title}" for button in line.buttons]
    own = [] if choices == [f"▸ {line.text}"] else [line.text.strip()]
    image = [f"[image] {line.image}"] if line.image else []
    extra = [f"[{name}] {_as_words(value)}" for name, value in (line.extra or {}).items()]
    return "\n".join(part for part in [*own, *image, *extra, *choices] if part)


def _last_lines(rich: Rich, lines: Sequence[Message], zone: tzinfo) -> None:
    """Append the newest lines that fit, in order, each quoted untouched or cut at its end."""
    title = "\nLast lines\n"
    room = TEXT_UNITS - rich.units - utf16_len(title) - 1
    quoted: list[tuple[str, str]] = []
    for line in reversed(lines):
        head = f"{_who(line)}, {clock_time(line.created_at, zone)}"
        text = cut(said_or_chosen(line), QUOTE_UNITS)
        room -= utf16_len(head) + utf16_len(text) + 2
        if room < 0:
            break
        quoted.append((head, text))
    if quoted:
        rich.line().line("Last lines", "bold")
    for head, text in reversed(quoted):
        rich.line(head, "italic").line(text, "blockquote")


def _open_rows(handoff: Handoff) -> Rows:
    id, version = handoff.id, stage(handoff)
    back = key("Back to bot", Do.BOT, id, version)
    if version == 0:
        return ((key("Claim", Do.CLAIM, id, version), back),)
    return (
        (key("Resolve", Do.RESOLVE, id, version),),
        (key("Release", Do.RELEASE, id, version), back),
    )


def _ended_card(card: Card) -> View:
    handoff = card.handoff
    rich = Rich()
    _heading(rich, card)
    _times(rich, handoff)
    _reasons(rich, card)
    rich.line()
    if handoff.outcome == "resolved":
        rich.add("What was it about?  ", "bold").line(_truth_words(handoff))
    needed = {None: "—", True: "yes", False: "no"}[handoff.needed]
    rich.add("Was the handoff needed?  ", "bold").line(needed)
    if handoff.mined:
        rich.line(READ_BEFORE, "italic")
    return view_of(rich, _ended_rows(card))


def _times(rich: Rich, handoff: Handoff) -> None:
    parts = []
    if handoff.claimed_at:
        parts.append(f"waited {_span(handoff.claimed_at, handoff.requested_at)}")
        handled = handled_seconds(handoff)
        if handoff.ended_at and handled is not None:
            parts.append(f"handled in {duration(handled)}")
    if parts:
        rich.line(", ".join(parts).capitalize())


def _truth_words(handoff: Handoff) -> str:
    if handoff.truth is Truth.INTENT:
        return human(handoff.truth_intent or "")
    return {
        None: "—",
        Truth.NEW_TOPIC: "a new topic",
        Truth.DO_NOT_LEARN: "nothing to learn from",
    }[handoff.truth]


def _ended_rows(card: Card) -> Rows:
    handoff, id, version = card.handoff, card.handoff.id, stage(card.handoff)
    still_open = handoff.outcome == "resolved" and not handoff.mined
    asks_truth = still_open and (handoff.truth is None or card.changing)
    rows: list[tuple[Key, ...]] = []
    if card.page is not None and not handoff.mined:
        return picker(card.intents, card.page, Do.TRUTH, Do.PICK, id, version)
    if asks_truth:
        rows += [
            (key(human(i), Do.TRUTH, id, version, digest(i)),) for i in top_intents(card.lines)
        ]
        rows += [
            (key("Other intent…", Do.PICK, id, version, "0"),),
            (
                key("New topic", Do.NEW_TOPIC, id, version),
                key("Don't learn", Do.DO_NOT_LEARN, id, version),
            ),
        ]
    if handoff.needed is None or card.changing:
        needed = key("Handoff was needed", Do.NEEDED, id, version)
        rows.append((needed, key("Not needed", Do.NOT_NEEDED, id, version)))
    return tuple(rows) or ((key("Change", Do.CHANGE, id, version),),)


def top_intents(lines: Sequence[Message], most: int = 3) -> list[str]:
    """Return the intents to offer first: those of the last line understood, then of earlier ones.

    What only says that the bot knows no intent is no intent to choose.
    """
    told = (line for line in lines if line.parse and line.author is Author.CUSTOMER)
    said = [line for line in told if not _asks_by_button(line)]
    ranked = (score.intent for line in reversed(said) for score in _first(line, most))
    return [i for i in dict.fromkeys(ranked) if i not in Desk().unknown_intents][:most]


def _first(line: Message, most: int) -> Sequence[IntentScore]:
    return line.parse.ranking[: most + 1] if line.parse else ()


def picker(intents: Sequence[str], page: int, choose: Do, turn: Do, id: str, version: int) -> Rows:
    """Return one page of all intents as buttons, with those that turn pages or go back."""
    names = sorted(intents)
    pages = max(1, -(-len(names) // PAGE))
    page = min(max(page, 0), pages - 1)
    shown = names[page * PAGE : (page + 1) * PAGE]
    keys = [key(human(name), choose, id, version, digest(name)) for name in shown]
    rows = [tuple(keys[n : n + 2]) for n in range(0, len(keys), 2)]
    turns = []
    if page > 0:
        turns.append(key("‹ Previous", turn, id, version, str(page - 1)))
    turns.append(key("Cancel", turn, id, version, "back"))
    if page < pages - 1:
        turns.append(key(f"More ({page + 2}/{pages}) ›", turn, id, version, str(page + 1)))
    return (*rows, tuple(turns))


def topic_name(conversation: Conversation, lines: Sequence[Message]) -> str:
    """Return the name of a conversation's topic: the customer and what they last wrote.

    Words of their own come before what stands on a button they pressed.
    """
    name = one_line(conversation.customer_name, NAME_UNITS) or "Customer"
    written = [m for m in lines if m.author is Author.CUSTOMER]
    said = [m.text for m in written if not m.buttons] or [m.text for m in written]
    subject = one_line(said[-1], TOPIC_NAME_UNITS) if said else ""
    return one_line(f"{name} · {subject}" if subject else name, TOPIC_NAME_UNITS)


# --- lines of a conversation ----------------------------------------------------------------


def relay(message: Message) -> list[View]:
    """Return a customer's line as typed or chosen, quoted, in as many messages as it needs.

    A piece of blanks alone is left out: Telegram takes no empty message.
    """
    pieces = [piece for piece in split(said_or_chosen(message)) if piece.strip()]
    return [View(p, (Entity("blockquote", 0, utf16_len(p)),)) for p in pieces]


def transcript(lines: Sequence[Message], zone: tzinfo = UTC) -> View:
    """Return the newest lines that fit into one message, for a topic that had to be made anew."""
    rich = Rich().line("This topic was deleted and has been made again. The lines so far:", "bold")
    _last_lines(rich, [m for m in lines if m.author is not Author.SYSTEM], zone)
    return view_of(rich)


# --- notices and answers ----------------------------------------------------------------------

STRANGER = (
    "Sorry, this console is for the people of this desk only, and you are not on its list. "
    "If you should be, give your lead this number: {id}."
)
ANONYMOUS = (
    "⚠️ This was written anonymously, in the name of the group or of a channel, so nobody can tell "
    "who it was. Nothing was passed on. Switch off “Remain anonymous” and write again."
)
ONLY_TEXT = "⚠️ Only text is passed on to the customer. This was not sent."
QUOTE_NOT_SENT = (
    "⚠️ Sent without what you quoted: the customer has never seen it, so it stays inside the desk. "
    "Write what they need to know of it."
)
CROSSED_OUT = "⚠️ The customer sees the words you crossed out like any others."
EDITED = "⚠️ Edits do not reach the customer: they still see the text as it was first sent."
SET_ASIDE = (
    "⚠️ An error here kept this from being handled, so it may not have reached the customer or had "
    "any effect. Please look, and send it again."
)
UNKNOWN_COMMAND = (
    "There is no command /{name}. /help lists what there is. "
    "To send a text that begins with a slash, write two: //{name}"
)
NOT_A_CONVERSATION = "This only works in the topic of a conversation."
STALE = "This button is out of date. The message shows how things stand now."
NOT_KNOWN = "This button is none of mine any more."
READ_BEFORE = "The learning job has read what it was about: that can no longer be changed."


def not_sent(error: NotYours | NotClaimed, conversation: Conversation, handoff: Handoff) -> View:
    """Return why an agent's text did not go to the customer, and what would help."""
    if isinstance(error, NotYours):
        return plain(f"⚠️ Not sent to the customer. {error}")
    if conversation.state is State.WAITING:
        claim = key("Claim", Do.CLAIM, handoff.id, stage(handoff))
        return plain(f"⚠️ Not sent to the customer. {error}", ((claim,),))
    if conversation.state is State.BOT:
        return plain(
            "⚠️ Not sent to the customer. The assistant is talking to them; this topic wakes when "
            "they need a person again."
        )
    reopen = key("Reopen", Do.REOPEN, handoff.id, stage(handoff))
    text = "⚠️ Not sent to the customer. This conversation is closed; reopen it to write."
    return plain(text, ((reopen,),))


def uncertain(what: str, item_id: str) -> View:
    """Return the notice about a message of which nobody knows whether it arrived."""
    text = (
        f"⚠️ Telegram did not confirm {what}. It may or may not stand above; "
        "look, and send it again if it is missing."
    )
    return plain(text, ((key("Send again", Do.SEND_AGAIN, item_id),),))


def failed(what: str, reason: str, item_id: str) -> View:
    """Return the notice about a message that Telegram refused for good."""
    text = f"⚠️ Telegram refused {what}: {one_line(reason, 300)}"
    return plain(text, ((key("Send again", Do.SEND_AGAIN, item_id),),))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the queue; `thread_id` is None while its topic is still to be made."""

    name: str
    requested_at: datetime
    reason: str
    thread_id: int | None


def queue(rows: Sequence[Waiting], now: datetime, group_id: int) -> View:
    """Return who waits for a person, longest first, linked to their topics."""
    if not rows:
        return plain("Nobody is waiting.")
    rich = Rich().line(f"Waiting for a person: {len(rows)}", "bold")
    for row in rows[:QUEUE_ROWS]:
        rich.add("• ")
        url = topic_link(group_id, row.thread_id)
        name = one_line(row.name, NAME_UNITS) or "Customer"
        rich.add(name, "text_link", url=url) if url else rich.add(name)
        rich.line(f"  {_span(now, row.requested_at)}, {SHORT.get(row.reason, row.reason)}")
    if len(rows) > QUEUE_ROWS:
        rich.line(f"and {len(rows) - QUEUE_ROWS} more")
    return view_of(rich)


def topic_link(group_id: int, thread_id: int | None) -> str | None:
    """Return the address of a topic for members of the group."""
    number = str(group_id)
    if thread_id is None or not number.startswith("-100"):
        return None
    return f"https://t.me/c/{number[4:]}/{thread_id}"


COMMANDS: tuple[tuple[str, str, Role | None], ...] = (
    ("claim", "take this conversation", Role.AGENT),
    ("release", "let go of it for a colleague", Role.AGENT),
    ("bot", "give it back to the assistant", Role.AGENT),
    ("resolve", "close it", Role.AGENT),
    ("reopen", "take it back after closing", Role.AGENT),
    ("note", "TEXT: keep a line for colleagues", Role.AGENT),
    ("queue", "who is waiting", None),
    ("policy", "when a person is asked, and what another policy would do", None),
    ("limits", "the limits of the risk; with FLOOR CEILING [LIMIT]: move them", Role.LEAD),
    ("stats", "[DAYS]: the figures of the desk", Role.LEAD),
    ("review", "how much waits for review", Role.REVIEWER),
    ("learn", "start a learning run now", Role.REVIEWER),
    ("whoami", "who you are to this desk", None),
    ("help", "this list", None),
)
"""The commands: name, what for, and the role they need."""


def help_text(person: Person) -> View:
    """Return what this person can do."""
    rich = Rich().line("Write in the topic of a conversation you have: the customer reads it.")
    rich.line("Two slashes send a text that begins with one: //text").line()
    for name, what, role in COMMANDS:
        if role is None or person.may(role):
            rich.line(f"/{name}  {what}")
    return view_of(rich)


def whoami(person: Person) -> View:
    """Return how the desk knows this person."""
    roles = ", ".join(sorted(role.value for role in person.roles))
    return plain(f"You are {person.name} ({person.id}), {roles}.")


def review_count(pending: int, accepted: int) -> View:
    """Return how many candidates wait for a reviewer and how many for the learning job."""
    if not pending and not accepted:
        return plain("Nothing waits for review, and nothing waits to be learned.")
    waiting = f"Waiting for review: {pending}."
    return plain(f"{waiting} Accepted and waiting for the next learning run: {accepted}.")


# --- statistics -------------------------------------------------------------------------------


def stats_caption(figures: Statistics, days: int) -> View:
    """Return the figures as the text below the picture."""
    rich = Rich().line(f"The last {days} days" if days != 1 else "The last 24 hours", "bold")
    for name, value in stats_rows(figures):
        rich.add(f"{name}: ").line(value, "bold")
    if figures.reasons:
        rich.line().line("Handoffs by reason", "bold")
    for reason, count in figures.reasons:
        line = f"{count} × {SHORT.get(reason, human(reason))}"
        if rich.units + utf16_len(line) + 1 > CAPTION_UNITS:
            break
        rich.line(line)
    return view_of(rich)


def stats_rows(figures: Statistics) -> list[tuple[str, str]]:
    """Return the figures as names and values."""

    def share(value: float | None) -> str:
        return "—" if value is None else percent(value)

    def time(value: float | None) -> str:
        return "—" if value is None else duration(value)

    judged = f" of {figures.judged} judged" if figures.judged else ""
    wait = figures.longest_wait_seconds
    longest = "" if wait is None else f", the longest for {duration(wait)}"
    return [
        ("Conversations", str(figures.episodes)),
        ("Without a person", share(figures.resolved_by_bot)),
        ("Handoffs", str(figures.handoffs)),
        ("Open now", str(figures.open_now)),
        ("Waiting for a person now", f"{figures.waiting_now}{longest}"),
        ("Waiting time until claimed, median", time(figures.waiting_seconds)),
        ("First response, median", time(figures.first_response_seconds)),
        ("Handling time, median", time(figures.handling_seconds)),
        ("Needless handoffs", share(figures.needless) + judged),
    ]
