"""A reviewer judges a candidate: accept, relabel or reject, once."""

from __future__ import annotations

from handoff.app.lines import NEXT, owe
from handoff.app.ownership import ConsoleUseCase, require
from handoff.app.retrying import retry_stale
from handoff.core.errors import AlreadyReviewed
from handoff.core.model import Candidate, CandidateStatus, OutboxKind, Person, Role, new_id


class Review(ConsoleUseCase):
    """Record a reviewer's judgement; the review card is brought up to date."""

    async def accept(
        self, candidate_id: str, person: Person, intent: str | None = None
    ) -> Candidate:
        """Accept, under another intent when one is given; raise `AlreadyReviewed` when judged."""
        return await self._judge(candidate_id, person, CandidateStatus.ACCEPTED, intent)

    async def reject(self, candidate_id: str, person: Person) -> Candidate:
        """Reject; raise `AlreadyReviewed` when judged."""
        return await self._judge(candidate_id, person, CandidateStatus.REJECTED, None)

    async def _judge(
        self, candidate_id: str, person: Person, status: CandidateStatus, intent: str | None
    ) -> Candidate:
        require(person, Role.REVIEWER)

        async def attempt() -> Candidate:
            now = self.clock.now()
            async with self.store() as work:
                candidate = await work.candidates.get(candidate_id)
                if candidate.status is not CandidateStatus.PENDING:
                    raise AlreadyReviewed(
                        name=candidate.reviewer_name, status=candidate.status.value
                    )
                candidate.status = status
                candidate.intent = intent or candidate.intent
                candidate.reviewer, candidate.reviewer_name = person.id, person.name
                candidate.reviewed_at = now
                await work.candidates.save(candidate)
                await owe(
                    work,
                    OutboxKind.REVIEW,
                    {"candidate_id": candidate.id},
                    f"review:{new_id()}",
                    now,
                    "review",
                    NEXT,
                )
                await work.commit()
            return candidate

        judged = await retry_stale(attempt)
        self.bell.ring("outbox")
        return judged
