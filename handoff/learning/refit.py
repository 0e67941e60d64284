"""Refits risk and limit to what agents said of resolved episodes, and proposes what comes of it.

An agent who resolves a conversation says with one tap whether the handoff was needed. Together with
the conversations this project brings along, those episodes are the labels. A policy that does
better on them, each judged by a model that has not seen it, runs in the shadow from then on: a lead
looks at where it disagrees and switches it on, or drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from handoff.app.policies import adopt, propose
from handoff.app.understand import parse_all
from handoff.core.costs import Outcome, judge_replays, within
from handoff.core.errors import BadData, TooFewEpisodes
from handoff.core.evidence import named, signals_from
from handoff.core.model import Author, Handoff
from handoff.core.policy import Policy, risk_figures, rules_of
from handoff.core.text import plain_for_assistant
from handoff.fitting.labelled import read_conversations
from handoff.fitting.refit import Episode, episodes_of, fit_precedents, refit, replayed
from handoff.fitting.understood import ReadsMany, understand
from handoff.ports import Assistant, Clock, Encoder, Store, Work

JUDGED_EPISODES = 20
"""From so many judged episodes on a refit says something about this desk."""

WORTH_IT = 0.01
"""By how much a policy must be cheaper a conversation to be proposed, as a share of the cost."""

MADE_BY = "nightly refit"

Readers = Callable[[], AbstractAsyncContextManager[tuple[Encoder, ReadsMany]]]
"""Opens the encoder and the feelings, which take a second to load: only when they are needed."""


@dataclass(frozen=True, slots=True)
class Refit:
    """What a refit found: the policy now and the refitted one over the same episodes."""

    judged: int
    before: Outcome
    after: Outcome
    policy: Policy
    proposed: bool

    @property
    def sentence(self) -> str:
        """Return the outcome in words."""
        figures = f"{self.before.cost:.3f} → {self.after.cost:.3f} a conversation"
        if self.proposed:
            return f"Policy {self.policy.id} runs in the shadow from now on: {figures}."
        return f"The policy stays as it is: {figures} over {self.after.conversations} episodes."


@dataclass(slots=True)
class RefitPolicy:
    """Use case of the nightly job: fit, compare, propose.

    `conversations` are those this project brings along, of the shop; None before another assistant.
    """

    store: Store
    clock: Clock
    assistant: Assistant
    readers: Readers
    configured: Policy
    conversations: Path | None

    async def __call__(self) -> Refit:
        """Fit, compare, and propose what does better.

        Raises:
            TooFewEpisodes: fewer than `JUDGED_EPISODES` have been judged.
            BadData: the file of conversations is not of its form, or has only one label.
            AssistantUnavailable: the assistant could not be asked what they mean.
        """
        async with self.store() as work:
            active = await adopt(work, self.configured, self.clock.now())
            judged = await judged_episodes(work, active)
            await work.commit()
        if len(judged) < JUDGED_EPISODES:
            raise TooFewEpisodes(judged=len(judged), needed=JUDGED_EPISODES)
        return await self._refit(active, judged)

    async def _refit(self, active: Policy, judged: Sequence[Episode]) -> Refit:
        episodes = [*await self.shipped_episodes(active), *judged]
        wanted, after = refitted(active, episodes)
        before = judge_replays(replayed(active.risk, episodes), active.limits.risk, active.costs)
        better = after.cost < before.cost * (1 - WORTH_IT)
        if better:
            async with self.store() as work:
                figures = {"cost_before": before.cost, "cost_after": after.cost}
                note = f"refitted to {len(judged)} judged episodes"
                await propose(work, wanted, self.clock.now(), MADE_BY, note, figures)
                await work.commit()
        return Refit(len(judged), before, after, wanted, better)

    async def shipped_episodes(self, policy: Policy) -> list[Episode]:
        """Return the conversations of the training data, as the assistant of today sees them."""
        if self.conversations is None:
            return []
        conversations = read_conversations(self.conversations)
        if len({turn.needs_person for c in conversations for turn in c.turns}) < 2:
            raise BadData(path=self.conversations, why="all its turns are labelled the same")
        texts = sorted({turn.text for c in conversations for turn in c.turns})
        plain = [plain_for_assistant(text) for text in texts]
        parses = dict(zip(texts, await parse_all(self.assistant, plain), strict=True))
        async with self.readers() as (encoder, feelings):
            known = await understand(conversations, parses, encoder, feelings)
        return episodes_of(known, fit_precedents(known).held_out, policy)


def refitted(active: Policy, episodes: Sequence[Episode]) -> tuple[Policy, Outcome]:
    """Return the policy with risk and limit fitted to episodes, and what it costs on them.

    Each episode is judged by a model that has not seen it. Floor and ceiling are a lead's.
    """
    fitted, limits = refit(episodes, active, active.risk), active.limits
    limit = within(fitted.limit, limits.risk_floor, limits.risk_ceiling)
    policy = replace(active, risk=fitted.risk, limits=replace(limits, risk=limit))
    return named(policy), judge_replays(fitted.replays, limit, active.costs)


async def judged_episodes(work: Work, policy: Policy) -> list[Episode]:
    """Return every ended handoff an agent has judged, with what was decided on the way to it."""
    found = []
    for handoff in await work.handoffs.judged():
        if episode := await _episode(work, handoff, policy):
            found.append(episode)
    return found


async def _episode(work: Work, handoff: Handoff, policy: Policy) -> Episode | None:
    """Return the customer's turns up to the handoff; None where their evidence is of before."""
    figures, ruled = [], []
    for message in await work.messages.of_episode(handoff.conversation_id, handoff.episode):
        if message.author is not Author.CUSTOMER:
            continue
        for decision in await work.decisions.of_message(message.id):
            if "outcome" not in decision.evidence:
                return None
            signals = signals_from(decision.evidence["signals"])
            if signals.parse is None:
                return None  # the assistant was away: that says nothing about the policy
            figures.append(risk_figures(signals, policy))
            ruled.append(bool(rules_of(signals, policy)))
            if decision.id == handoff.decision_id:
                needed = (False,) * (len(figures) - 1) + (bool(handoff.needed),)
                return Episode(tuple(figures), needed, tuple(ruled))
    return None
