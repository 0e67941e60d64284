"""Parse, decide, speak: what happens to a message while the bot owns the conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from handoff.app import phrases
from handoff.app.lines import add_line, owe_card, owe_relay
from handoff.app.retrying import retry_stale
from handoff.core.errors import AssistantUnavailable, EncoderUnavailable
from handoff.core.lifecycle import Event, apply
from handoff.core.limits import HISTORY_LINES, PolicyLimits
from handoff.core.model import (
    Action,
    Author,
    BotLine,
    Conversation,
    Decision,
    Feelings,
    Handoff,
    Message,
    MessageStatus,
    Parse,
    Reason,
    State,
    new_id,
)
from handoff.core.policy import (
    POLICY_VERSION,
    Desk,
    Signals,
    Verdict,
    decide,
    is_courtesy,
    judge_turn,
)
from handoff.core.text import plain_for_assistant
from handoff.ports import Assistant, Clock, Doorbell, Encoder, FeelingsReader, Store, Work

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """All that was gathered and decided about one message, before anything of it is stored."""

    verdict: Verdict
    parse: Parse | None
    signals: Signals
    lines: Sequence[BotLine] = ()
    awaiting: str | None = None


@dataclass(slots=True)
class TakeTurn:
    """Decide about one stored message and, where the bot may go on, let it speak.

    Messages of one conversation are taken one after the other. Whether the bot still owns the
    conversation is checked again in the unit of work that stores its answer: a person's claim in
    the meantime wins, and what the bot said is dropped.
    """

    store: Store
    clock: Clock
    bell: Doorbell
    assistant: Assistant
    encoder: Encoder
    feelings: FeelingsReader
    limits: PolicyLimits
    desk: Desk
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def __call__(self, conversation_id: str, message_id: str) -> None:
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        async with lock:
            await self._take(conversation_id, message_id)
        self.bell.ring(conversation_id)
        self.bell.ring("outbox")

    async def hand_over(self, conversation_id: str, message_id: str, why: str) -> None:
        """Give a message that cannot be decided to a person; harmless when it was decided."""
        signals = Signals(None, Feelings(), unavailable_why=why)
        turn = Turn(decide(signals, self.limits, self.desk), None, signals)
        await retry_stale(lambda: self._store_turn(conversation_id, message_id, turn))
        self.bell.ring(conversation_id)
        self.bell.ring("outbox")

    async def _take(self, conversation_id: str, message_id: str) -> None:
        async with self.store() as work:
            message = await work.messages.get(message_id)
            conversation = await work.conversations.get(conversation_id)
            start = max(0, message.seq - 1 - HISTORY_LINES)
            before = await work.messages.after(conversation_id, start, HISTORY_LINES)
        if message.status is MessageStatus.DONE:
            return
        if conversation.state is State.BOT:
            same = [m for m in before if m.seq < message.seq and m.episode == message.episode]
            turn = await self._turn(conversation, message, same)
        else:
            turn = None
        await retry_stale(lambda: self._store_turn(conversation_id, message_id, turn))

    async def _turn(
        self, conversation: Conversation, message: Message, earlier: Sequence[Message]
    ) -> Turn:
        try:
            signals = await self._gather(conversation, message, earlier)
        except EncoderUnavailable as error:
            # Without vectors nobody can judge the message: a person must.
            signals = Signals(None, Feelings(), unavailable_why=str(error))
        verdict = decide(signals, self.limits, self.desk)
        turn = Turn(verdict, signals.parse, signals)
        if verdict.action is Action.ANSWER:
            await self._speak(turn, conversation, message, earlier)
        return turn

    async def _gather(
        self, conversation: Conversation, message: Message, earlier: Sequence[Message]
    ) -> Signals:
        offered = {b.payload for m in earlier if m.author is Author.BOT for b in m.buttons}
        said = [m for m in earlier if m.author is Author.CUSTOMER]
        (parse, why), feelings = await asyncio.gather(
            self._parse(message.text, message.text in offered), self.feelings.read(message.text)
        )
        return Signals(
            parse=parse,
            feelings=feelings,
            mood=tuple(m.feelings.negative for m in said if m.feelings),
            repeats=await self._repeats(message.text, said),
            awaiting_slot=conversation.awaiting_slot,
            pressed=message.text in offered,
            unavailable_why=why,
        )

    async def _parse(self, text: str, pressed: bool) -> tuple[Parse | None, str]:
        try:
            return await self.assistant.parse(text if pressed else plain_for_assistant(text)), ""
        except AssistantUnavailable as error:
            return None, str(error)

    async def _repeats(self, text: str, said: Sequence[Message]) -> int:
        """Count the earlier messages that say the same, by cosine of their vectors."""
        if not said:
            return 0
        first, *others = await self.encoder.encode([text, *(m.text for m in said)])
        cosines = (sum(a * b for a, b in zip(first, v, strict=True)) for v in others)
        return sum(1 for cosine in cosines if cosine >= self.limits.same_cosine)

    async def _speak(
        self,
        turn: Turn,
        conversation: Conversation,
        message: Message,
        earlier: Sequence[Message],
    ) -> None:
        sender = f"{conversation.id}-{message.episode}"
        text = message.text if turn.signals.pressed else plain_for_assistant(message.text)
        why_silent = ""
        try:
            turn.lines = await self.assistant.respond(sender, text)
        except AssistantUnavailable as error:
            why_silent = str(error)
        else:
            turn.awaiting = await self._awaited(sender)
        courtesy = is_courtesy(turn.parse, self.desk)
        before = 0 if courtesy else said_before(earlier, turn.lines)
        judged = judge_turn(turn.lines, before, self.limits, why_silent)
        if judged.action is Action.HAND_OFF:
            evidence = {**turn.verdict.evidence, "turn": judged.evidence}
            turn.verdict = Verdict(judged.action, judged.findings, evidence)

    async def _awaited(self, sender: str) -> str | None:
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
                message.parse, message.feelings = turn.parse, turn.signals.feelings
            still_bot = conversation.state is State.BOT and conversation.episode == message.episode
            if turn is None or not still_bot:
                await self._pass_on(work, conversation, message)
            elif turn.verdict.action is Action.ANSWER:
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
        await self._decided(work, message, turn)
        for line in turn.lines:
            await add_line(
                work,
                conversation,
                Author.BOT,
                line.text,
                self.clock.now(),
                buttons=line.buttons,
                image=line.image,
            )
        conversation.awaiting_slot = turn.awaiting

    async def _hand_off(
        self, work: Work, conversation: Conversation, message: Message, turn: Turn
    ) -> None:
        now = self.clock.now()
        decision = await self._decided(work, message, turn)
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
            evidence=turn.verdict.evidence,
            policy_version=POLICY_VERSION,
            model=turn.parse.model if turn.parse else "",
            created_at=self.clock.now(),
        )
        await work.decisions.add(decision)
        return decision


def said_before(earlier: Sequence[Message], lines: Sequence[BotLine]) -> int:
    """Count how often in a row, just before, the bot has said the last of its new lines.

    In a row: a customer who asks about three orders hears one question three times, with an answer
    after each, and the bot is getting on well.
    """
    if not lines:
        return 0
    texts, times = {line.text for line in lines}, 0
    for message in reversed(earlier):
        if message.author is not Author.BOT:
            continue
        if message.text not in texts:
            break
        times += message.text == lines[-1].text
    return times
