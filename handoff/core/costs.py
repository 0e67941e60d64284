"""What mistakes cost, and the limit that follows, over replayed conversations. Pure.

A risk is a probability that a person is needed. Handing over costs `needless` where none was, going
on costs `missed` where one was, and `late` for every customer turn after the first that needed one.
For a single message the limit with the least expected cost is `needless / (needless + missed)`
(Elkan 2001, "The Foundations of Cost-Sensitive Learning", eq. 2). In a conversation the next turn
may still tell, so where labelled conversations are at hand the limit is the one with the least
cost when they are replayed turn by turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GRID_STEP, GRID_STEPS = 0.05, 100
"""Limits are tried at so many log-odds from one another, so many steps to either side of 0.5."""

SMOOTHING = 0.5
"""Width (standard deviation, in log-odds) over which costs are smoothed."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of mistakes in units of one needless handoff, the last a customer turn."""

    missed: float = 5.0
    needless: float = 1.0
    late: float = 0.5

    def break_even(self) -> float:
        """Return the risk at which handing over one message costs as much as going on."""
        return self.needless / (self.needless + self.missed)


@dataclass(frozen=True, slots=True)
class Replay:
    """A conversation replayed: the risk at each customer turn, and whether it needed a person."""

    risks: tuple[float, ...]
    needed: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a limit did to conversations; `cost` and the rates are means a conversation."""

    conversations: int
    missed: int
    needless: int
    turns_late: int
    caught: int
    costs: Costs

    @property
    def cost(self) -> float:
        """Return the mean cost of a conversation; 0 where there was none."""
        total = (
            self.costs.missed * self.missed
            + self.costs.needless * self.needless
            + self.costs.late * self.turns_late
        )
        return total / max(1, self.conversations)

    @property
    def f1(self) -> float | None:
        """Return the F1 of handing a conversation over; None where nothing was or should be."""
        wrong = self.missed + self.needless
        return 2 * self.caught / (2 * self.caught + wrong) if self.caught + wrong else None


def judge_replay(replay: Replay, limit: float) -> tuple[int, int, int, int]:
    """Return (missed, needless, turns late, caught) of one conversation.

    The first turn at or above the limit ends it. A handoff before the first turn that needed a
    person counts as caught: that customer needed one, and waits for nothing.
    """
    handed = next((turn for turn, risk in enumerate(replay.risks) if risk >= limit), None)
    needed = next((turn for turn, need in enumerate(replay.needed) if need), None)
    if needed is None:
        return (0, int(handed is not None), 0, 0)
    if handed is None:
        return (1, 0, 0, 0)
    return (0, 0, max(0, handed - needed), 1)


def judge_replays(replays: Sequence[Replay], limit: float, costs: Costs) -> Outcome:
    """Return what a limit does to all of these conversations."""
    counted = [judge_replay(replay, limit) for replay in replays]
    missed, needless, late, caught = (
        (sum(column) for column in zip(*counted, strict=True)) if (counted) else (0, 0, 0, 0)
    )
    return Outcome(len(replays), missed, needless, late, caught, costs)


def best_limit(replays: Sequence[Replay], costs: Costs) -> float:
    """Return the limit with the least cost over replayed conversations.

    Costs are looked at on a grid of log-odds and smoothed by a Gaussian of `SMOOTHING`: the exact
    minimum over a few hundred conversations lies wherever two or three of them happen to put it.
    """
    steps = range(-GRID_STEPS, GRID_STEPS + 1)
    limits = [1.0 / (1.0 + math.exp(-step * GRID_STEP)) for step in steps]
    found = [judge_replays(replays, limit, costs).cost for limit in limits]
    reach = round(3 * SMOOTHING / GRID_STEP)
    bell = [math.exp(-0.5 * (k * GRID_STEP / SMOOTHING) ** 2) for k in range(-reach, reach + 1)]
    last = len(found) - 1

    def smooth(at: int) -> float:
        near = (found[min(last, max(0, at + k))] for k in range(-reach, reach + 1))
        return sum(weight * cost for weight, cost in zip(bell, near, strict=True))

    return limits[min(range(len(limits)), key=smooth)]


def odds_times(limit: float, factor: float) -> float:
    """Return the probability whose odds are `factor` times those of `limit`."""
    odds = limit / max(1e-12, 1.0 - limit) * factor
    return odds / (1.0 + odds)


def limit_when_busy(limit: float, free: float) -> float:
    """Return the limit when a share `free` (0 to 1) of the agents' places is free.

    Somebody else waits for every needless handoff when nobody is free: it then counts twice, which
    doubles the odds of the limit.
    """
    return odds_times(limit, 2.0 - min(1.0, max(0.0, free)))


def limit_at_costs(limit: float, found_at: Costs, now: Costs) -> float:
    """Return what a limit found at some costs becomes at others.

    The odds of the limit with the least expected cost are `needless / missed`; they move in the
    same proportion until episodes have been replayed at the new costs.
    """
    return odds_times(limit, now.needless / now.missed / (found_at.needless / found_at.missed))


def within(limit: float, floor: float, ceiling: float) -> float:
    """Return the limit, held between what a lead has set."""
    return min(max(limit, floor), ceiling)
