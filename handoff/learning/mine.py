"""Turning resolved handoffs into candidates for the reviewers, each handoff once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from handoff.app.lines import owe
from handoff.core import mining
from handoff.core.learning import neutralise
from handoff.core.mining import Episode, Known, Spoken, normalised
from handoff.core.model import Candidate, CandidateStatus, Handoff, LearningRun, OutboxKind, Truth
from handoff.core.policy import Desk
from handoff.learning.collect import collect
from handoff.learning.training_files import plain_answer
from handoff.ports import Clock, Redactor, Store, Work

Unit = Callable[[], AbstractAsyncContextManager[tuple[Work, LearningRun]]]
"""Opens a unit of work with the run; leaving it without an error saves the run and commits."""

PROPOSED = (
    CandidateStatus.PENDING,
    CandidateStatus.ACCEPTED,
    CandidateStatus.REJECTED,
    CandidateStatus.LEARNED,
)
"""A text of one of these is not proposed again; one that was rolled back may be."""


@dataclass(frozen=True, slots=True)
class Mine:
    """Read ended handoffs with a truth; store candidates and owe the reviewers their cards.

    Args:
        redactor: takes personal data out of customers' messages.
        answers: the same for agents' answers, which speak of "your" order, not "my".
        known: reads what the assistant is trained and measured on.
        desk: which intents mean what at this desk.
    """

    store: Store
    clock: Clock
    redactor: Redactor
    answers: Redactor
    known: Callable[[], Known]
    desk: Desk

    async def __call__(self, unit: Unit) -> int:
        """Read all there are; return how many candidates this made.

        Each handoff is one unit of work: its candidates, their cards, its mark and the count of
        the run become lasting together or not at all.
        """
        async with self.store() as work:
            handoffs = await work.handoffs.to_mine()
        known = self.known()
        added = 0
        for handoff in handoffs:
            async with unit() as (work, run):
                made = await self._mine(work, handoff.id, known)
                run.mined += made
            added += made
        return added

    async def _mine(self, work: Work, handoff_id: str, known: Known) -> int:
        handoff = await work.handoffs.get(handoff_id)
        if handoff.mined:
            return 0
        added = 0
        for candidate in await self._candidates(work, handoff, known):
            if await work.candidates.add(candidate):
                added += 1
                await self._owe_card(work, candidate)
        handoff.mined = True
        await work.handoffs.save(handoff)
        return added

    async def _candidates(self, work: Work, handoff: Handoff, known: Known) -> list[Candidate]:
        if handoff.truth not in (Truth.INTENT, Truth.NEW_TOPIC):
            return []
        earlier = await work.candidates.with_status(*CandidateStatus)
        known = replace(known, intents=known.intents | {c.intent for c in earlier})
        proposed = {normalised(t) for c in earlier if c.status in PROPOSED for t in c.texts}
        episode = await collect(work, handoff, self.desk)
        spoken, answer = self._spoken(episode), self._answer(episode)
        now = self.clock.now()
        return mining.propose(handoff, spoken, answer, known, proposed, now)

    def _spoken(self, episode: Episode) -> list[Spoken]:
        courtesy = self.desk.courtesy_intents | mining.SMALL_TALK
        messages = mining.carried(episode, self.desk.person_intents, courtesy)
        if episode.handoff.truth is Truth.NEW_TOPIC:
            messages = mining.questions(messages)
        return [
            Spoken(m.id, neutralise(self.redactor.redact(m.text, episode.names))) for m in messages
        ]

    def _answer(self, episode: Episode) -> str:
        if episode.handoff.truth is not Truth.NEW_TOPIC:
            return ""
        return plain_answer(self.answers.redact(mining.answer_of(episode), episode.names))

    async def _owe_card(self, work: Work, candidate: Candidate) -> None:
        payload, key = {"candidate_id": candidate.id}, f"review:new:{candidate.dedupe_key}"
        await owe(work, OutboxKind.REVIEW, payload, key, self.clock.now(), "review")
