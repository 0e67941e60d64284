"""Parse, decide, speak: what happens to a message while the bot owns the conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

from handoff.app import phrases
from handoff.app.clarify import desk_reply, last_said, named_intent, question
from handoff.app.lines import add_line, owe_card, owe_relay
from handoff.app.policies import adopt, policy_of
from handoff.app.retrying import retry_stale
from handoff.core.errors import AssistantUnavailable, EncoderUnavailable
from handoff.core.evidence import before_speaking, evidence_of
from handoff.core.languages import ENGLISH, LANGUAGES
from handoff.core.lifecycle import Event, apply
from handoff.core.limits import HISTORY_LINES, REQUEST_CHARACTERS
from handoff.core.model import (
    Action,
    Author,
    BotLine,
    Conversation,
    Decision,
    Feelings,
    Handoff,
    IntentScore,
    Message,
    MessageStatus,
    Parse,
    Reason,
    ShadowVerdict,
    State,
    StoredPolicy,
    new_id,
)
from handoff.core.moves import Move, is_wordless, move_of
from handoff.core.policy import (
    POLICY_VERSION,
    Desk,
    Policy,
    Signals,
    Verdict,
    decide,
    is_clear,
    is_courtesy,
    judge_turn,
    options_of,
)
from handoff.core.requests import Part, cuts
from handoff.core.text import plain_for_assistant
from handoff.core.words import phrases_in
from handoff.ports import Assistant, Clock, Doorbell, Encoder, FeelingsReader, Store, Work

log = logging.getLogger(__name__)

DESK = "handoff_desk"
"""Where the desk's own part stands in the metadata of a turn."""

SECRET_KEY_CHANNEL = "web"
"""The channel whose customers are known by a secret."""


@dataclass(slots=True)
class Turn:
    """All that was gathered and decided about one message, before anything of it is stored.

    `asking` says that the last line asks what was meant, `pending` are requests that have to wait.
    `acted` says that a request was served before another one went wrong: its answer stands although
    a person is asked.
    """

    verdict: Verdict
    parse: Parse | None
    signals: Signals
    shadow: tuple[Policy, Verdict] | None = None
    lines: Sequence[BotLine] = ()
    awaiting: str | None = None
    asking: bool = False
    pending: tuple[str, ...] = ()
    acted: bool = False


@dataclass(frozen=True, slots=True)
class InUse:
    """The policy that decides, and the one that runs beside it in the shadow."""

    active: Policy
    shadow: Policy | None = None


def _of_no_language(text: str) -> str:
    return ""


@dataclass(slots=True)
class TakeTurn:
    """Decide about one stored message and, where the bot may go on, let it speak.

    Messages of one conversation are taken one after the other. Whether the bot still owns the
    conversation is checked again in the unit of work that stores its answer: a person's claim in
    the meantime wins, and what the bot said is dropped.

    `configured` is the policy as this desk's settings have it, and `of_assistant` that for the
    assistant which answers, None while it cannot be asked; which one decides stands in the store.
    `places` is how many conversations the agents can have at once, `titles` reads what an
    intent is called when a customer is asked about it. `language` is the one the assistant speaks,
    and `foreign` names the language of a text that is surely written in another, else "".
    `reachable` says whether people get what customers write: a colleague who never hears of it is
    not promised.
    """

    store: Store
    clock: Clock
    bell: Doorbell
    assistant: Assistant
    encoder: Encoder
    feelings: FeelingsReader
    configured: Policy
    of_assistant: Callable[[], Awaitable[Policy | None]] | None = None
    places: int = 8
    titles: Callable[[], Mapping[str, str]] = dict
    language: str = ENGLISH
    foreign: Callable[[str], str] = _of_no_language
    reachable: Callable[[], bool] = lambda: True
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _known: dict[str, Policy] = field(default_factory=dict)
    _adopted: str = ""

    async def __call__(self, conversation_id: str, message_id: str) -> None:
        async with self.alone(conversation_id):
            await self._take(conversation_id, message_id)
        self.bell.ring(conversation_id)
        self.bell.ring("outbox")

    @asynccontextmanager
    async def alone(self, conversation_id: str) -> AsyncIterator[None]:
        """Let no turn of this conversation go on in this process meanwhile."""
        async with self._locks.setdefault(conversation_id, asyncio.Lock()):
            yield

    async def hand_over(self, conversation_id: str, message_id: str, why: str) -> None:
        """Give a message that cannot be decided to a person; harmless when it was decided."""
        signals = Signals(None, Feelings(), unavailable_why=why)
        await self.adopt()
        async with self.store() as work:
            in_use = await self._in_use(work)
        turn = Turn(decide(signals, in_use.active), None, signals)
        await retry_stale(lambda: self._store_turn(conversation_id, message_id, turn))
        self.bell.ring(conversation_id)
        self.bell.ring("outbox")

    async def adopt(self) -> None:
        """Bring the stored policies in line with the settings and the assistant that answers.

        That is done once in the life of a process, and again when another assistant answers.
        """
        wanted = await self._wanted()
        if wanted is None or wanted.id == self._adopted:
            return

        async def attempt() -> None:
            async with self.store() as work:
                await adopt(work, wanted, self.clock.now())
                await work.commit()

        await retry_stale(attempt)
        self._adopted = wanted.id

    async def _wanted(self) -> Policy | None:
        """Return the policy to adopt; None to leave what is stored while nobody knows better."""
        found = await self.of_assistant() if self.of_assistant else self.configured
        if found is None:
            async with self.store() as work:
                active, _ = await work.policies.in_use()
            return None if active else self.configured
        return found

    async def _in_use(self, work: Work) -> InUse:
        """Return the policies in use at this moment: any process may have switched them."""
        active, shadow = await work.policies.in_use()
        assert active is not None  # `adopt` made one, and none is ever deleted
        return InUse(self._policy(active), self._policy(shadow) if shadow else None)

    def _policy(self, stored: StoredPolicy) -> Policy:
        if stored.id not in self._known:
            self._known[stored.id] = policy_of(stored)
        return self._known[stored.id]

    async def _take(self, conversation_id: str, message_id: str) -> None:
        await self.adopt()
        async with self.store() as work:
            in_use = await self._in_use(work)
            message = await work.messages.get(message_id)
            conversation = await work.conversations.get(conversation_id)
            start = max(0, message.seq - 1 - HISTORY_LINES)
            before = await work.messages.after(conversation_id, start, HISTORY_LINES)
            taken = await work.places_taken()
        if message.status is MessageStatus.DONE:
            return
        if conversation.state is State.BOT:
            same = [m for m in before if m.seq < message.seq and m.episode == message.episode]
            free = max(0.0, 1.0 - taken / max(1, self.places))
            turn = await self._turn(in_use, free, conversation, message, same)
        else:
            turn = None
        await retry_stale(lambda: self._store_turn(conversation_id, message_id, turn))

    async def _turn(
        self,
        in_use: InUse,
        free: float,
        conversation: Conversation,
        message: Message,
        earlier: Sequence[Message],
    ) -> Turn:
        try:
            signals = await self._gather(in_use.active, conversation, message, earlier)
        except EncoderUnavailable as error:
            # Without vectors nobody can judge the message: a person must.
            signals = Signals(None, Feelings(), unavailable_why=str(error))
        signals = replace(signals, free=free)
        verdict = decide(signals, in_use.active)
        shadow = in_use.shadow and (in_use.shadow, decide(signals, in_use.shadow))
        asking = verdict.action is Action.CLARIFY
        turn = Turn(verdict, signals.parse, signals, shadow, asking=asking)
        # "Nothing" may be the answer to a question of the bot, and then ends nothing else.
        done = signals.move is Move.DONE and not signals.takes_any_text
        turn.pending = () if done else conversation.pending or ()
        if verdict.reply is not None:
            turn.lines = desk_reply(verdict.reply, earlier, in_use.active.desk)
            turn.awaiting = conversation.awaiting_slot
        elif verdict.action is Action.ANSWER:
            await self._answers(turn, in_use.active, conversation, message, earlier)
        elif verdict.action is Action.CLARIFY:
            desk, entities = in_use.active.desk, signals.parse.entities if signals.parse else ()
            turn.lines = [question(verdict.options, entities, self.titles(), desk)]
            turn.awaiting = conversation.awaiting_slot  # the bot has not spoken, and still waits
        return turn

    async def _gather(
        self,
        policy: Policy,
        conversation: Conversation,
        message: Message,
        earlier: Sequence[Message],
    ) -> Signals:
        said = [m for m in earlier if m.author is Author.CUSTOMER and not m.buttons]
        (parse, why), feelings, repeats = await asyncio.gather(
            self._parse(message, policy.desk),
            self._feelings(message),
            self._repeats(message, said, policy.limits.same_cosine),
        )
        return Signals(
            parse=parse,
            feelings=feelings,
            mood=tuple(m.feelings.negative for m in said if m.feelings),
            repeats=repeats,
            awaiting_slot=conversation.awaiting_slot,
            takes_any_text=await self._takes(conversation.awaiting_slot, parse),
            pressed=bool(message.buttons),
            unavailable_why=why,
            asked_back=conversation.questions,
            just_asked=conversation.asking,
            safety=phrases_in(message.text, policy.desk.safety_phrases),
            legal=phrases_in(message.text, policy.desk.legal_phrases),
            move=None if message.buttons else move_of(message.text),
            wordless=not message.buttons and is_wordless(message.text),
            last_said=last_said(earlier, conversation.asking, policy.desk),
            language="" if message.buttons else self.foreign(message.text),
            parts=await self._parts(message, conversation),
        )

    async def _parts(self, message: Message, conversation: Conversation) -> tuple[Part, ...]:
        """Return what a message of several parts was cut into, each part understood by itself."""
        if message.buttons or conversation.awaiting_slot:
            return ()
        pieces = cuts(message.text)
        try:
            parses = await asyncio.gather(
                *(self.assistant.parse(plain_for_assistant(piece.text)) for piece in pieces)
            )
        except AssistantUnavailable as error:
            log.warning("the parts of a message were not understood: %s", error)
            return ()
        return tuple(piece.read(parse) for piece, parse in zip(pieces, parses, strict=True))

    async def _parse(self, message: Message, desk: Desk) -> tuple[Parse | None, str]:
        text = self._heard(message)
        intent = named_intent(text) if message.buttons else ""
        if intent in desk.person_intents:
            # Whether the assistant knows this intent or can be reached: the button says it.
            return Parse((IntentScore(intent, 1.0),)), ""
        try:
            return await self.assistant.parse(text), ""
        except AssistantUnavailable as error:
            return None, str(error)

    def _heard(self, message: Message) -> str:
        """Return what the assistant is given: the payload of the chosen button, or the words alone.

        A sign that agrees or refuses is given as the word for it: assistants are taught words.
        """
        if message.buttons:
            return message.buttons[0].payload
        own = LANGUAGES.get(self.language)
        if own and is_wordless(message.text):
            words = {Move.AGREE: own.yes, Move.REFUSE: own.no}
            return words.get(move_of(message.text) or Move.NOTHING, message.text.strip())
        return plain_for_assistant(message.text)

    async def _feelings(self, message: Message) -> Feelings:
        """Read feelings from the customer's own words: what stands on a button is the desk's, and
        the models have seen no signs."""
        unread = message.buttons or is_wordless(message.text)
        return Feelings() if unread else await self.feelings.read(message.text)

    async def _repeats(self, message: Message, said: Sequence[Message], same: float) -> int:
        """Count the earlier messages that say the same, by cosine of their vectors."""
        if message.buttons or is_wordless(message.text) or not said:
            return 0
        first, *others = await self.encoder.encode([message.text, *(m.text for m in said)])
        cosines = (sum(a * b for a, b in zip(first, v, strict=True)) for v in others)
        return sum(1 for cosine in cosines if cosine >= same)

    async def _takes(self, slot: str | None, parse: Parse | None) -> bool:
        """Say whether a message answers the bot's question; where that is not known, it does."""
        if slot is None or parse is None:
            return False
        try:
            return (await self.assistant.domain()).takes(slot, parse)
        except AssistantUnavailable as error:
            log.warning("what the bot takes for %s is not known: %s", slot, error)
            return True

    async def _answers(
        self,
        turn: Turn,
        policy: Policy,
        conversation: Conversation,
        message: Message,
        earlier: Sequence[Message],
    ) -> None:
        """Let the bot answer: one request after the other, as long as none asks something back.

        What was left waiting by an earlier message comes last. Requests that have to wait are
        stored with the conversation.
        """
        parts: dict[str, Parse | None] = {part.text: part.parse for part in turn.signals.parts}
        waited = {text: await self._understood(text) for text in turn.pending}
        best = turn.parse.best.intent if turn.parse else ""
        # What waits and is asked for again is not done twice.
        left = [text for text, one in waited.items() if one is None or one.best.intent != best]
        parts |= waited
        now = turn.verdict.requests or (self._heard(message),)
        waiting = [*now, *left]
        several = len(waiting) > 1
        lines: list[BotLine] = []
        asks = False
        while waiting and not turn.awaiting and not turn.asking:
            text = waiting.pop(0)
            if several and lines:
                lines.append(BotLine(phrases.NEXT_REQUEST.format(text=_short(text))))
            if text in now and not turn.verdict.requests:
                parse = turn.parse
            else:
                parse = parts.get(text) or await self._understood(text)
            if lines and (parse is None or not is_clear(parse, policy)):
                options = options_of(parse, policy) if parse else ()
                entities = parse.entities if parse else ()
                lines.append(question(options, entities, self.titles(), policy.desk))
                turn.asking = True
                break
            said = await self._speak(turn, policy, conversation, message, earlier, text)
            if turn.verdict.action is Action.HAND_OFF:
                turn.acted = bool(lines)
                break
            lines += said
            if said and said[-1].buttons:
                asks = True  # a choice waits for an answer, as a slot does
                break
        if waiting and (turn.awaiting or asks) and turn.verdict.requests:
            lines.insert(0, BotLine(phrases.ONE_BY_ONE.format(text=_short(waiting[0]))))
        turn.lines, turn.pending = lines, tuple(waiting)

    async def _understood(self, text: str) -> Parse | None:
        try:
            return await self.assistant.parse(plain_for_assistant(text))
        except AssistantUnavailable as error:
            log.warning("a request that had to wait was not understood: %s", error)
            return None

    async def _speak(
        self,
        turn: Turn,
        policy: Policy,
        conversation: Conversation,
        message: Message,
        earlier: Sequence[Message],
        text: str,
    ) -> Sequence[BotLine]:
        """Return what the bot says to a request; the verdict is a handoff where it must not."""
        sender = f"{conversation.id}-{message.episode}"
        # Only what stands on the pressed button is a payload; all else is words, also what waited.
        heard = text if text == self._heard(message) else plain_for_assistant(text)
        why_silent, lines = "", list[BotLine]()
        try:
            metadata = passed_along(conversation, message.episode, message.context)
            lines = await self.assistant.respond(sender, heard, metadata)
        except AssistantUnavailable as error:
            why_silent = str(error)
        else:
            turn.awaiting = await self.awaited(sender)
        courtesy = is_courtesy(turn.parse, policy.desk)
        before = 0 if courtesy else said_before(earlier, lines)
        judged = judge_turn(lines, before, policy.limits, why_silent)
        evidence = {**turn.verdict.evidence, "turn": judged.evidence}
        if judged.action is Action.HAND_OFF:
            turn.verdict = replace(
                turn.verdict, action=judged.action, findings=judged.findings, evidence=evidence
            )
        else:
            turn.verdict = replace(turn.verdict, evidence=evidence)
        return lines

    async def awaited(self, sender: str) -> str | None:
        """Return the slot the bot asks for. What it has said stands, whether or not this is known:

        its actions are done, an order may be cancelled, and the customer must hear of it.
        """
        try:
            return await self.assistant.awaiting_slot(sender)
        except AssistantUnavailable as error:
            log.warning("the slot the bot asks for is not known: %s", error)
            return None

    async def _store_turn(self, conversation_id: str, message_id: str, turn: Turn | None) -> None:
        async with self.store() as work:
            conversation = await work.conversations.get(conversation_id)
            message = await work.messages.get(message_id)
            if message.status is MessageStatus.DONE:
                return
            if turn is not None:
                message.parse = turn.parse
                message.feelings = None if message.buttons else turn.signals.feelings
            still_bot = conversation.state is State.BOT and conversation.episode == message.episode
            if turn is None or not still_bot:
                await self._pass_on(work, conversation, message)
            elif turn.verdict.action is not Action.HAND_OFF:
                await self._answer(work, conversation, message, turn)
            else:
                await self._hand_off(work, conversation, message, turn)
            await work.conversations.save(conversation)
            await work.commit()

    async def _pass_on(self, work: Work, conversation: Conversation, message: Message) -> None:
        """A person owns the conversation by now: the message goes to them."""
        message.status = MessageStatus.DONE
        await work.messages.save(message)
        if conversation.state in (State.WAITING, State.AGENT):
            await owe_relay(work, message, self.clock.now())

    async def _answer(
        self, work: Work, conversation: Conversation, message: Message, turn: Turn
    ) -> None:
        """Let the bot speak: its answer, or its question about what was meant."""
        await self._decided(work, message, turn)
        await self._say(work, conversation, turn)
        conversation.awaiting_slot = turn.awaiting
        conversation.asking = turn.asking
        conversation.questions += turn.asking
        conversation.pending = turn.pending or None

    async def _say(self, work: Work, conversation: Conversation, turn: Turn) -> None:
        for line in turn.lines:
            await add_line(
                work,
                conversation,
                Author.BOT,
                line.text,
                self.clock.now(),
                buttons=line.buttons,
                image=line.image,
                extra=line.extra,
            )

    async def _hand_off(
        self, work: Work, conversation: Conversation, message: Message, turn: Turn
    ) -> None:
        now = self.clock.now()
        decision = await self._decided(work, message, turn)
        if turn.acted:
            await self._say(work, conversation, turn)
        apply(conversation, Event.HAND_OFF)
        handoff = Handoff(
            id=new_id(),
            conversation_id=conversation.id,
            episode=conversation.episode,
            decision_id=decision.id,
            findings=decision.findings,
            requested_at=now,
        )
        await work.handoffs.add(handoff)
        await owe_card(work, handoff, now)
        down = any(f.reason is Reason.BOT_UNAVAILABLE for f in decision.findings)
        said = phrases.BOT_DOWN if down else phrases.HANDED_OVER
        if not self.reachable():
            said = phrases.NOBODY_REACHED
        await add_line(work, conversation, Author.SYSTEM, said, now)
        for other in await work.messages.of_episode(conversation.id, conversation.episode):
            if other.status is MessageStatus.RECEIVED:
                await self._pass_on(work, conversation, other)

    async def _decided(self, work: Work, message: Message, turn: Turn) -> Decision:
        message.status = MessageStatus.DONE
        await work.messages.save(message)
        decision = Decision(
            id=new_id(),
            message_id=message.id,
            conversation_id=message.conversation_id,
            action=turn.verdict.action,
            findings=turn.verdict.findings,
            evidence=evidence_of(turn.verdict),
            policy_version=POLICY_VERSION,
            model=turn.parse.model if turn.parse else "",
            created_at=self.clock.now(),
        )
        await work.decisions.add(decision)
        if turn.shadow:
            await work.shadows.add(_beside(decision, *turn.shadow))
        return decision


def _short(text: str) -> str:
    """Return a request as it is quoted to the customer, cut at its end."""
    line = " ".join(text.split()).rstrip(" .,;")
    return line if len(line) <= REQUEST_CHARACTERS else f"{line[: REQUEST_CHARACTERS - 1]}…"


def passed_along(
    conversation: Conversation, episode: int, context: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the metadata of a turn: what the page sent along, and under `DESK` whose turn it is.

    Rasa's own sender names conversation and episode and so changes with every episode; what an
    assistant keeps of a customer it keeps under `customer_key`. The page's own key opens the
    conversation to whoever knows it and stays here: the conversation stands for it.
    """
    known = conversation.channel != SECRET_KEY_CHANNEL
    whose = {
        "customer_key": conversation.customer_key if known else conversation.id,
        "channel": conversation.channel,
        "conversation": conversation.id,
        "episode": episode,
    }
    return {**(context or {}), DESK: whose}


def _beside(decision: Decision, policy: Policy, verdict: Verdict) -> ShadowVerdict:
    """Return what the policy in the shadow would have done. The bot's turn is not its business:

    it is compared with what was decided before the bot spoke.
    """
    return ShadowVerdict(
        id=new_id(),
        decision_id=decision.id,
        message_id=decision.message_id,
        conversation_id=decision.conversation_id,
        policy_id=policy.id,
        action=verdict.action,
        findings=verdict.findings,
        agrees=verdict.action is before_speaking(decision),
        created_at=decision.created_at,
    )


def said_before(earlier: Sequence[Message], lines: Sequence[BotLine]) -> int:
    """Count how often in a row, just before, the bot has said the last of its new lines.

    In a row: a customer who asks about three orders hears one question three times, with an answer
    after each, and the bot is getting on well.
    """
    if not lines:
        return 0
    new, times = [_told(line) for line in lines], 0
    for message in reversed(earlier):
        if message.author is not Author.BOT:
            continue
        if _told(message) not in new:
            break
        times += _told(message) == new[-1]
    return times


def _told(line: BotLine | Message) -> Any:
    """Return what a line tells: its words or, where it has none, what it shows instead."""
    return line.text or (line.buttons, line.image, line.extra)
