"""What the buttons do. Every press is answered; what it did is stored before the answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telegram import CallbackQuery
from telegram.error import TelegramError

from agent_console import views
from agent_console.callbacks import BadCallback, Callback, Do, decode, intent_of
from agent_console.deps import DIGEST, OUTBOX, REVIEW, ConsoleDeps, conversation_of, view_payload
from agent_console.dispatch import again
from agent_console.learning_views import all_judged
from agent_console.richtext import ALERT_UNITS, cut
from handoff.app.claim import Claim
from handoff.app.give_up import Release, ReturnToBot
from handoff.app.lines import FIRST, conversation_topic, owe
from handoff.app.ownership import require
from handoff.app.resolve import Reopen, Resolve, TellTruth
from handoff.app.review import Review
from handoff.app.switch_policy import SwitchPolicy
from handoff.core.errors import AlreadyReviewed, DeskError, NotFound
from handoff.core.model import (
    CandidateStatus,
    Handoff,
    OutboxKind,
    OutboxStatus,
    Person,
    PolicyStatus,
    Role,
    Truth,
)
from handoff.core.reasons_in_words import human

log = logging.getLogger(__name__)


LOOKS_BACK = frozenset(
    {Do.TRUTH, Do.NEW_TOPIC, Do.DO_NOT_LEARN, Do.NEEDED, Do.NOT_NEEDED, Do.PICK, Do.CHANGE}
)
"""Buttons about what was, not about who has the conversation now."""


@dataclass(frozen=True, slots=True)
class Press:
    """A decoded press: the button, who pressed it, under which update."""

    update_id: int
    button: Callback
    person: Person


Action = Callable[[Press], Awaitable[str]]


class Stale(Exception):
    """The button belongs to an earlier state of what it stands under."""


class Presses:
    """Does what buttons say; each action returns the sentence the presser is shown."""

    def __init__(self, deps: ConsoleDeps) -> None:
        self.deps = deps
        parts = (deps.store, deps.clock, deps.bell)
        self._tell, self._judge = TellTruth(*parts), Review(*parts)
        self._switch = SwitchPolicy(*parts)
        self._actions: dict[Do, Action] = {
            Do.CLAIM: self._step(Claim(*parts), "You have this conversation."),
            Do.RELEASE: self._step(Release(*parts), "A colleague can take it now."),
            Do.BOT: self._step(ReturnToBot(*parts), "The assistant has it again."),
            Do.RESOLVE: self._step(Resolve(*parts), "Closed. What was it about?"),
            Do.REOPEN: self._step(Reopen(*parts), "You have this conversation again."),
            Do.TRUTH: self._truth_intent,
            Do.NEW_TOPIC: self._truth(Truth.NEW_TOPIC, "Recorded: a new topic."),
            Do.DO_NOT_LEARN: self._truth(Truth.DO_NOT_LEARN, "Recorded: nothing to learn."),
            Do.NEEDED: self._needed(True),
            Do.NOT_NEEDED: self._needed(False),
            Do.PICK: self._pick_intent,
            Do.CHANGE: self._change,
            Do.ACCEPT: self._accept,
            Do.ACCEPT_AS: self._accept_as,
            Do.REJECT: self._reject,
            Do.PICK_LABEL: self._pick_label,
            Do.LEARN: self._learn,
            Do.SEND_AGAIN: self._send_again,
            Do.SWITCH_ON: self._switch_on,
            Do.DROP: self._drop,
        }

    async def on_press(self, update_id: int, query: CallbackQuery, person: Person) -> None:
        """Do what a button says and answer the press, refusals as an alert."""
        try:
            button = decode(query.data)
            said = await self._actions[button.do](Press(update_id, button, person))
        except BadCallback:
            await self.reply(query, views.NOT_KNOWN, alert=True)
        except Stale:
            await self.reply(query, views.STALE, alert=True)
        except DeskError as error:
            await self.reply(query, str(error), alert=True)
        else:
            await self.reply(query, said)

    async def reply(self, query: CallbackQuery, text: str, alert: bool = False) -> None:
        """Answer a press. The only call made directly: it is worth nothing a minute later."""
        try:
            await query.answer(cut(text, ALERT_UNITS), show_alert=alert)
        except TelegramError as error:
            log.info("A button press could not be answered: %s", self.deps.sentence(error))

    # --- conversations -----------------------------------------------------------------------

    def _step(self, use_case: Callable[[str, Person], Awaitable[None]], done: str) -> Action:
        async def action(press: Press) -> str:
            handoff = await self._handoff(press)
            await use_case(handoff.conversation_id, press.person)
            return done

        return action

    async def _handoff(self, press: Press) -> Handoff:
        """Return the handoff a button belongs to; `Stale` when it is not of its stage any more.

        A claim that came second is left to the use case, which names who was first. The truth
        about a handoff may be told although the customer has come back since.
        """
        async with self.deps.store() as work:
            try:
                handoff = await work.handoffs.get(press.button.id)
            except NotFound:
                raise BadCallback("unknown") from None
            latest = await work.handoffs.latest(handoff.conversation_id)
        do = press.button.do
        second_claim = do is Do.CLAIM and handoff.ended_at is None
        of_stage = views.stage(handoff) == press.button.version or second_claim
        is_latest = latest is None or latest.id == handoff.id
        if not of_stage or not (is_latest or do in LOOKS_BACK):
            await self._owe_card(press, handoff)
            raise Stale
        return handoff

    async def _owe_card(self, press: Press, handoff: Handoff, **how: object) -> None:
        payload = {"handoff_id": handoff.id, **how}
        topic = conversation_topic(handoff.conversation_id)
        await self._owe(OutboxKind.CARD, payload, f"card:{press.update_id}", topic)

    async def _owe(self, kind: OutboxKind, payload: dict, key: str, topic: str) -> None:
        async with self.deps.store() as work:
            await owe(work, kind, payload, key, self.deps.clock.now(), topic, FIRST)
            await work.commit()
        self.deps.bell.ring(OUTBOX)

    def _intent(self, press: Press) -> str:
        """Return the intent a button means, among those offered at any time."""
        return intent_of(press.button.choice, self.deps.known_intents())

    async def _truth_intent(self, press: Press) -> str:
        handoff = await self._handoff(press)
        async with self.deps.store() as work:
            lines = await work.messages.of_episode(handoff.conversation_id, handoff.episode)
        offered = {*self.deps.known_intents(), *views.top_intents(lines)}
        intent = intent_of(press.button.choice, offered)
        return await self._record(press, handoff, Truth.INTENT, intent, human(intent))

    def _truth(self, truth: Truth, done: str) -> Action:
        async def action(press: Press) -> str:
            handoff = await self._handoff(press)
            await self._record(press, handoff, truth, None, "")
            return views.READ_BEFORE if handoff.mined else done

        return action

    async def _record(
        self, press: Press, handoff: Handoff, truth: Truth, intent: str | None, words: str
    ) -> str:
        await self._tell(handoff.id, press.person, truth=truth, intent=intent)
        return views.READ_BEFORE if handoff.mined else f"Recorded: {words}."

    def _needed(self, needed: bool) -> Action:
        async def action(press: Press) -> str:
            handoff = await self._handoff(press)
            await self._tell(handoff.id, press.person, needed=needed)
            return "Recorded: it was needed." if needed else "Recorded: it was not needed."

        return action

    async def _pick_intent(self, press: Press) -> str:
        require(press.person, Role.AGENT)
        handoff = await self._handoff(press)
        if press.button.choice.isdigit():
            await self._owe_card(press, handoff, page=int(press.button.choice))
        else:
            await self._owe_card(press, handoff)
        return views.READ_BEFORE if handoff.mined else ""

    async def _change(self, press: Press) -> str:
        require(press.person, Role.AGENT)
        handoff = await self._handoff(press)
        await self._owe_card(press, handoff, changing=True)
        return ""

    # --- learning ----------------------------------------------------------------------------

    async def _accept(self, press: Press) -> str:
        return await self._judged(press, lambda: self._judge.accept(press.button.id, press.person))

    async def _accept_as(self, press: Press) -> str:
        require(press.person, Role.REVIEWER)
        intent = self._intent(press)
        return await self._judged(
            press, lambda: self._judge.accept(press.button.id, press.person, intent)
        )

    async def _reject(self, press: Press) -> str:
        return await self._judged(press, lambda: self._judge.reject(press.button.id, press.person))

    async def _judged(self, press: Press, judge: Callable[[], Awaitable[object]]) -> str:
        """Judge, and say in the topic when that was the last one."""
        try:
            await judge()
        except AlreadyReviewed:
            # Also after a crash in between: the notice may still be owed.
            await self._owe_all_judged()
            raise
        await self._owe_all_judged()
        return "Recorded."

    async def _owe_all_judged(self) -> None:
        """Owe the notice that nothing is left to judge, once for each last judgement."""
        async with self.deps.store() as work:
            if await work.candidates.with_status(CandidateStatus.PENDING):
                return
            accepted = await work.candidates.with_status(CandidateStatus.ACCEPTED)
            rejected = await work.candidates.with_status(CandidateStatus.REJECTED)
        moments = {c.reviewed_at: c.id for c in (*accepted, *rejected) if c.reviewed_at}
        if moments:
            payload = view_payload(all_judged(len(accepted)))
            key = f"notice:judged:{moments[max(moments)]}"
            await self._owe(OutboxKind.NOTICE, payload, key, REVIEW)

    async def _pick_label(self, press: Press) -> str:
        require(press.person, Role.REVIEWER)
        payload: dict[str, object] = {"candidate_id": press.button.id}
        if press.button.choice.isdigit():
            payload["page"] = int(press.button.choice)
        async with self.deps.store() as work:
            await work.candidates.get(press.button.id)
        await self._owe(OutboxKind.REVIEW, payload, f"review:{press.update_id}", REVIEW)
        return ""

    async def _learn(self, press: Press) -> str:
        require(press.person, Role.REVIEWER)
        said = await self.deps.request_learning()
        payload = {"text": f"{press.person.name}: learn now. {said}"}
        await self._owe(OutboxKind.NOTICE, payload, f"notice:learn:{press.update_id}", REVIEW)
        return said

    # --- policies ----------------------------------------------------------------------------

    async def _switch_on(self, press: Press) -> str:
        """Only while it is in the shadow: a button left standing must not bring back an old one."""
        id = press.button.id
        stored = await self._switch.switch_on(id, press.person, (PolicyStatus.SHADOW,))
        return f"The policy {stored.id} decides from the next message on."

    async def _drop(self, press: Press) -> str:
        await self._switch.drop(press.button.id, press.person)
        return "Dropped. What it would have done stays stored."

    async def _send_again(self, press: Press) -> str:
        async with self.deps.store() as work:
            item = await work.outbox.get(press.button.id)
            learning = item.topic in (REVIEW, DIGEST)
            require(press.person, Role.REVIEWER if learning else Role.AGENT)
            if item.status not in (OutboxStatus.UNCERTAIN, OutboxStatus.FAILED):
                raise Stale
            owed = await work.outbox.put(again(item, self.deps))
            await work.commit()
        self.deps.bell.ring(OUTBOX)
        known = conversation_of(item.topic) is not None
        if not owed:
            return "It has been sent again already."
        return "It is sent again." if known else "It is sent again, where it belongs."
