"""What a lead does with policies: propose one, switch it on, drop it, move floor and ceiling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from handoff.app.lines import LAST, owe
from handoff.app.ownership import ConsoleUseCase, require
from handoff.app.policies import (
    between,
    drop,
    follow,
    policy_of,
    propose,
    switch_on,
    switch_on_stored,
)
from handoff.app.retrying import retry_stale
from handoff.core.errors import BadLimits, NotFound, PolicyConflict
from handoff.core.evidence import before_speaking
from handoff.core.model import (
    Action,
    Decision,
    Message,
    OutboxKind,
    Person,
    PolicyStatus,
    Role,
    ShadowVerdict,
    StoredPolicy,
    new_id,
)
from handoff.core.policy import Policy
from handoff.ports import Store, Work

CHANGES = "digest"
"""Key of the console topic in which changes of the policy are told."""

ANYTHING_BUT_ACTIVE = (PolicyStatus.SHADOW, PolicyStatus.RETIRED)


@dataclass(frozen=True, slots=True)
class Move:
    """Where a lead wants floor and ceiling of the risk limit, and the limit itself.

    Without `risk` the limit stays where it is, held between the two. All are risks, 0 to 1.
    """

    floor: float
    ceiling: float
    risk: float | None = None

    def check(self) -> None:
        """Raise `BadLimits` with the first thing that is wrong."""
        named = {"floor": self.floor, "ceiling": self.ceiling, "limit": self.risk}
        for name, value in named.items():
            if value is not None and not 0.0 <= value <= 1.0:
                raise BadLimits(why=f"the {name} {value:g} is no risk between 0 and 1")
        if self.floor > self.ceiling:
            raise BadLimits(why=f"the floor {self.floor:g} lies above the ceiling {self.ceiling:g}")
        if self.risk is not None and self.risk < self.floor:
            raise BadLimits(why=f"the limit {self.risk:g} lies below the floor {self.floor:g}")
        if self.risk is not None and self.risk > self.ceiling:
            raise BadLimits(why=f"the limit {self.risk:g} lies above the ceiling {self.ceiling:g}")

    def of(self, policy: Policy) -> Policy:
        """Return the policy with these limits."""
        if self.risk is not None:
            policy = replace(policy, limits=replace(policy.limits, risk=self.risk))
        return between(policy, self.floor, self.ceiling)


class SwitchPolicy(ConsoleUseCase):
    """Change which policy decides. Everything needs a lead, and who it was is kept.

    `by` is the person, and the name under which the change is recorded.
    """

    async def switch_on(
        self, id: str, by: Person, of: Sequence[PolicyStatus] = ANYTHING_BUT_ACTIVE
    ) -> StoredPolicy:
        """Let a policy with one of these statuses decide from the next message on; return it.

        A retired one is the way back. Raises `PolicyConflict` when its status is another one.
        """

        async def change(work: Work, now: datetime) -> tuple[StoredPolicy, str]:
            status = (await work.policies.get(id)).status
            if status not in of:
                raise PolicyConflict(id=id, wanted="switched on", status=status.value)
            stored = await switch_on_stored(work, id, now, by.name)
            return stored, f"switched on the policy {stored.id}"

        return await self._change(by, change)

    async def drop(self, id: str, by: Person) -> StoredPolicy:
        """Take a policy out of the shadow; return it. Raises `PolicyConflict` when it is not."""

        async def change(work: Work, now: datetime) -> tuple[StoredPolicy, str]:
            stored = await drop(work, id, now, by.name)
            return stored, f"dropped the policy {id} from the shadow"

        return await self._change(by, change)

    async def move(self, to: Move, by: Person, at_once: bool = False) -> StoredPolicy:
        """Move floor, ceiling and limit of the active policy; return what came of it.

        The new policy goes into the shadow, or decides `at_once`: then floor and ceiling of the
        one in the shadow move along, so that switching it on later does not move them back.

        Raises:
            BadLimits: what is asked for makes no sense, or nothing would change.
            NotFound: no policy is stored yet.
        """
        require(by, Role.LEAD)
        to.check()

        async def change(work: Work, now: datetime) -> tuple[StoredPolicy, str]:
            active, shadow = await work.policies.in_use()
            if active is None:
                raise NotFound(what="active policy; the desk has to run", id="once")
            wanted = to.of(policy_of(active))
            if wanted.id == active.id:
                raise BadLimits(why="they are what they are now")
            words = f"floor {to.floor:g}, ceiling {to.ceiling:g}, limit {wanted.limits.risk:g}"
            if not at_once:
                stored = await propose(work, wanted, now, by.name, words, {})
                return stored, f"put the policy {stored.id} into the shadow: {words}"
            stored = await switch_on(work, wanted, now, by.name, words)
            if shadow is not None:
                beside = between(policy_of(shadow), to.floor, to.ceiling)
                await follow(work, beside, now, by.name)
            return stored, f"switched on the policy {stored.id}: {words}"

        return await self._change(by, change)

    async def _change(
        self,
        by: Person,
        change: Callable[[Work, datetime], Awaitable[tuple[StoredPolicy, str]]],
    ) -> StoredPolicy:
        """Make a change in one unit of work and owe the leads a line about it."""
        require(by, Role.LEAD)

        async def attempt() -> StoredPolicy:
            now = self.clock.now()
            async with self.store() as work:
                stored, words = await change(work, now)
                payload = {"text": f"{by.name} {words}."}
                key = f"notice:policy:{new_id()}"
                await owe(work, OutboxKind.NOTICE, payload, key, now, CHANGES, LAST)
                await work.commit()
            return stored

        stored = await retry_stale(attempt)
        self.bell.ring("outbox")
        return stored


@dataclass(frozen=True, slots=True)
class Judged:
    """A stored policy, how many messages it has judged in the shadow, and where it disagreed."""

    policy: StoredPolicy
    judged: int = 0
    disagreed: int = 0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A message with what was decided about it, and what the policy in the shadow would have done.

    `done` is what was decided before the bot spoke: the bot's turn is no policy's business.
    """

    message: Message
    decision: Decision
    verdict: ShadowVerdict

    @property
    def done(self) -> Action:
        """Return what the active policy decided."""
        return before_speaking(self.decision)


@dataclass(slots=True)
class ReadPolicies:
    """What anybody at the desk may read about its policies."""

    store: Store

    async def in_use(self) -> tuple[Judged | None, Judged | None]:
        """Return the active policy and the one in the shadow."""
        async with self.store() as work:
            active, shadow = [
                await _judged(work, policy) if policy else None
                for policy in await work.policies.in_use()
            ]
        return active, shadow

    async def disagreements(self, id: str, limit: int = 20) -> list[Disagreement]:
        """Return where a policy disagreed while it was in the shadow, newest first."""
        async with self.store() as work:
            return [
                Disagreement(
                    await work.messages.get(verdict.message_id),
                    await work.decisions.get(verdict.decision_id),
                    verdict,
                )
                for verdict in await work.shadows.disagreements(id, limit)
            ]

    async def latest(self, limit: int = 20) -> list[Judged]:
        """Return the policies made last, newest first."""
        async with self.store() as work:
            return [await _judged(work, policy) for policy in await work.policies.latest(limit)]


async def _judged(work: Work, policy: StoredPolicy) -> Judged:
    return Judged(policy, *await work.shadows.counts(policy.id))
