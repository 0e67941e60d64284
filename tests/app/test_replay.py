"""A decision can be made again from what is stored about it: nothing else went into it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handoff.core.limits import PolicyLimits
from handoff.core.model import Feelings, IntentScore, Parse
from handoff.core.policy import Desk, Signals, decide
from tests.fakes import UNKNOWN, FakeDesk, understood


def signals_from(stored: dict[str, Any]) -> Signals:
    """Return the signals as they stand in a decision's evidence."""
    parse = stored["parse"]
    if parse is not None:
        ranking = tuple(IntentScore(**score) for score in parse["ranking"])
        parse = Parse(**{**parse, "ranking": ranking, "entities": tuple(parse["entities"])})
    feelings = Feelings(**stored["feelings"])
    return Signals(
        **{**stored, "parse": parse, "feelings": feelings, "mood": tuple(stored["mood"])}
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["where is my order?"],
        [UNKNOWN],
        ["this makes me furious"],
        ["human please"],
        ["complaint"],
        ["a question", "a question", "a question"],
        ["this is bad", "this is bad indeed", "I am furious"],
    ],
)
async def test_a_stored_decision_replays_to_itself(texts: list[str]) -> None:
    desk = FakeDesk()
    desk.assistant.parses["complaint"] = understood("complaint", 0.9, ("track_order", 0.05))
    messages = [(await desk.ask(text)).message.id for text in texts]
    async with desk.store() as work:
        decisions = [d for id in messages for d in await work.decisions.of_message(id)]
    assert len(decisions) == len(texts)
    for decision in decisions:
        stored = json.loads(json.dumps(decision.evidence))
        again = decide(signals_from(stored["signals"]), PolicyLimits(**stored["limits"]), Desk())
        assert (again.action, again.findings) == (decision.action, decision.findings)
        assert {name: stored[name] for name in again.evidence} == json.loads(
            json.dumps(again.evidence)
        )
