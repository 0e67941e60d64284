"""What a lead does with policies: propose one, switch it on, drop it, move floor and ceiling."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

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
from handoff.core.errors import BadLimits, NotFound, PolicyConflict, SameLimits
from handoff.core.evidence import before_speaking, signals_from
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
from handoff.core.policy import POLICY_VERSION, Policy, Verdict, decide
from handoff.core.reasons_in_words import share_in_words
from handoff.ports import Store, Work

CHANGES = "digest"
"""Key of the console topic in which changes of the policy are told."""

MOVED = "limits moved"
"""Note of a policy that a lead has made by moving limits: its limits are shown beside it."""

WORD_CHARACTERS = 20
"""How much of what is no number is quoted, in characters."""

_NUMBER = re.compile(r"(\d{1,9}(?:[.,]\d{1,9})?|[.,]\d{1,9})(%?)", re.ASCII)

ANYTHING_BUT_ACTIVE = (PolicyStatus.SHADOW, PolicyStatus.RETIRED)


def read_shares(text: str) -> list[float]:
    """Return risks (0 to 1) as people write them: `5%`, `5 %`, `0.05`, `0,05`; 5 is 5 % too.

    Raises:
        BadLimits: a word is no number, or may mean two things: 1 without a sign (1 % or 100 %?),
            and a number below 1 without a sign beside percentages (0.5 or 0.5 %?).
    """
    words = re.sub(r"\s+%", "%", text).split()
    numbers = [(word, *_number(word)) for word in words]
    percentages = any(signed or value > 1 for _, value, signed in numbers)
    return [_share(word, value, signed, percentages) for word, value, signed in numbers]


def _number(word: str) -> tuple[Decimal, bool]:
    """Return a number, and whether a percent sign follows it."""
    found = _NUMBER.fullmatch(word)
    if found is None:
        shown = word if len(word) <= WORD_CHARACTERS else f"{word[:WORD_CHARACTERS]}…"
        raise BadLimits(why=f"“{shown}” is not a percentage, such as 5% or 0.05")
    return Decimal(found[1].replace(",", ".")), bool(found[2])


def _share(word: str, value: Decimal, signed: bool, percentages: bool) -> float:
    if signed or value > 1:
        return float(value / 100)  # by decimals: 5.1 / 100 is not 0.051
    if value == 1:
        why = f"“{word}” may mean 1 % or 100 %: write 1% or 0.01 for the one, 100% for the other"
        raise BadLimits(why=why)
    if value and percentages:
        share, percent = f"{(value * 100).normalize():f}", f"{value.normalize():f}"
        why = f"“{word}” may mean {share} % or {percent} %: write {share}% or {percent}%"
        raise BadLimits(why=why)
    return float(value)


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
                raise BadLimits(why=_not_a_share(name, value))
        floor, ceiling = share_in_words(self.floor), share_in_words(self.ceiling)
        if self.floor > self.ceiling:
            raise BadLimits(why=f"the floor {floor} lies above the ceiling {ceiling}")
        if self.risk is None:
            return
        risk = share_in_words(self.risk)
        if self.risk < self.floor:
            raise BadLimits(why=f"the limit {risk} lies below the floor {floor}")
        if self.risk > self.ceiling:
            raise BadLimits(why=f"the limit {risk} lies above the ceiling {ceiling}")

    def of(self, policy: Policy) -> Policy:
        """Return the policy with these limits."""
        if self.risk is not None:
            policy = replace(policy, limits=replace(policy.limits, risk=self.risk))
        return between(policy, self.floor, self.ceiling)


def _not_a_share(name: str, value: float) -> str:
    if math.isnan(value):
        return f"the {name} {value} is not a number"
    means = share_in_words(value)
    return f"the {name} has to lie between 0 % and 100 %; {value:g} means {means}"


def limits_in_words(policy: Policy) -> str:
    """Return floor, ceiling and limit of a policy as percentages; the limit holds between them."""
    limits = policy.limits
    floor, ceiling = share_in_words(limits.risk_floor), share_in_words(limits.risk_ceiling)
    return f"floor {floor}, ceiling {ceiling}, limit {share_in_words(policy.risk_limit(1.0))}"


def retired_by(proposed: StoredPolicy, shadow: StoredPolicy | None) -> str:
    """Return what is said of the policy a proposed one has taken out of the shadow; "" of none."""
    if shadow is None or shadow.id == proposed.id:
        return ""
    return f"The policy {shadow.id}, which ran there until now, is retired"


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
            BadLimits: what is asked for makes no sense.
            SameLimits: nothing would change.
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
                raise SameLimits()
            words = limits_in_words(wanted)
            if not at_once:
                stored = await propose(work, wanted, now, by.name, MOVED, {})
                done = f"put the policy {stored.id} into the shadow: {words}"
                retired = retired_by(stored, shadow)
                return stored, f"{done}. {retired}" if retired else done
            stored = await switch_on(work, wanted, now, by.name, MOVED)
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

    `done` is what was decided before the bot spoke: the bot's turn is no policy's business. `again`
    is the verdict of the one in the shadow with its risk and limit, which are not stored but follow
    from the same signals; None where the rules have changed since.
    """

    message: Message
    decision: Decision
    verdict: ShadowVerdict
    again: Verdict | None = None

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
                await _disagreement(work, verdict)
                for verdict in await work.shadows.disagreements(id, limit)
            ]

    async def latest(self, limit: int = 20) -> list[Judged]:
        """Return the policies made last, newest first."""
        async with self.store() as work:
            return [await _judged(work, policy) for policy in await work.policies.latest(limit)]


async def _judged(work: Work, policy: StoredPolicy) -> Judged:
    return Judged(policy, *await work.shadows.counts(policy.id))


async def _disagreement(work: Work, verdict: ShadowVerdict) -> Disagreement:
    message = await work.messages.get(verdict.message_id)
    decision = await work.decisions.get(verdict.decision_id)
    again = None
    if decision.policy_version == POLICY_VERSION:
        policy = policy_of(await work.policies.get(verdict.policy_id))
        again = decide(signals_from(decision.evidence["signals"]), policy)
    return Disagreement(message, decision, verdict, again)
