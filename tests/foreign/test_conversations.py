"""Scripted conversations end as before the assistant alone, but where a person is due.

A turn is a text, and what the desk does other than Rasa alone: nothing, or it asks for other
words, or a person is due. After a person the conversation is theirs. What an assistant is asked was
taught to it, so that every training understands it alike; a question that loses it is looked for
(`LOST`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest

from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import FeelingsModel
from handoff.adapters.rasa import RasaAssistant
from handoff.core.assistant import NLU_FALLBACK
from tests.foreign.assistants import (
    light,
    moodbot,
    public,
    same_every_time,
    served,
    train,
    variants,
)
from tests.foreign.duckling import duckling
from tests.foreign.talk import Behind, alike, alone

PERSON, ASKS = "hand_off", "clarify"
LOST = ""
"""Stands for a question that the assistant falls back on, another one each time."""

QUESTIONS = [
    f"{opening} {thing}"
    for thing, opening in product(
        (
            "a good book",
            "two gift cards",
            "the weather in Berlin",
            "shipping to Mars",
            "an invoice",
        ),
        (
            "can you recommend",
            "what is",
            "how much is",
            "translate",
            "tell me about",
            "do you sell",
        ),
    )
]
"""Nobody taught these, and what a training makes of such words is luck."""

THANKS = ["thanks", "thank you", "thanks", "thanks"]
ANGRY = ("This is the worst service ever, you useless idiots! I am furious!", PERSON)
DANGER = ("help, the battery caught fire and there is smoke everywhere", PERSON)
WANTS = ("I want to talk to a human", PERSON)

MOODBOT = [
    ["hi", "I am great", "bye"],
    ["hello", "I am sad", "yes"],
    ["hey", "not good", "no"],
    ["are you a bot?"] * 5,
    ["hi"] * 5,
    [(LOST, ASKS), (LOST, PERSON)],
    [WANTS],
    ["hi", ANGRY],
    [DANGER],
]
HELPDESK = [
    ["hi", "are you a bot?", *THANKS, "bye"],
    ["open an incident", "ana@example.com", "high", "Laptop broken", "Screen is black", "/affirm"],
    [
        "open an incident",
        "ana@example.com",
        '/inform{"priority":"low"}',
        "It is slow",
        "Slow laptop",
    ],
    ["problem with my email", "ana@example.com", "low", "cannot send attachments", "mail", "yes"],
    ["what's the status of my ticket", "kim@example.com", "thank you"],
    [("I want to order a pizza", ASKS), ("what is the weather today", PERSON)],
    ["help", "I can't reset my password", "kim@example.com", "medium", DANGER],
    ["open an incident", "ana@example.com", "high", ANGRY],
    [WANTS],
]
RETAIL = [
    ["hi", "what kind of payment do you take?", *THANKS],
    ["where is my order?", "example@rasa.com", "5", "it was great"],
    ["i need to cancel my order", "example@rasa.com", "1", "it was not so good"],
    ["check inventory", "9", "blue", "3", "fine"],
    ["I want to return my shoes", "it's example@rasa.com", "4", "nothing"],
    ["subscribe to product updates", "example@rasa.com"],
    ["get order status", "never"],
    [("I want a pizza", ASKS), ("why is the sky blue", PERSON)],
    ["are you a bot?"] * 4,
    ["check inventory", ANGRY],
    [WANTS],
]
FINANCIAL = [
    ["hi", "what's my balance?", "thank you", "thanks", "thanks", "thanks", "bye"],
    ["is there a transfer charge", "how do I use this"],
    ["I want to transfer money"],
    ["I want to transfer money", "thanks", "no"],
    ["pay my credit card", "emblem", "yes", "20 dollars", "tomorrow", "/affirm"],
    ["pay my credit card", "emblem", ("emblem", PERSON)],
    [("order a pizza", ASKS), ("what is the weather", PERSON)],
    ["are you a bot?"] * 4,
    ["I want to transfer money", ANGRY],
    [("human handoff", PERSON)],
]


async def as_with_rasa_alone(project: Path, model: Path, desk, scripts: list) -> None:
    """Take every script twice and compare, turn by turn."""
    encoder, feelings = desk
    wordings = variants(project)
    async with served(project, model) as assistant:
        behind = Behind(assistant, encoder, feelings, project / "var")
        lost = _falling_back(assistant)
        for number, script in enumerate(scripts):
            for turn in script:
                text, differs = turn if isinstance(turn, tuple) else (turn, "")
                if text == LOST:
                    text = await anext(lost)
                by_itself = await alone(assistant, f"c{number}", text)
                done, said = await behind.says(f"c{number}", text)
                what = f"{text!r} in {script}: alone {by_itself}, behind the desk {said}"
                if differs:
                    assert done == differs, f"{what} ({behind.why})"
                else:
                    assert done == "answer", f"{what} ({done}: {behind.why})"
                    assert by_itself and alike(by_itself, said, wordings), what


async def _falling_back(assistant: RasaAssistant) -> AsyncIterator[str]:
    for text in QUESTIONS:
        if (await assistant.parse(text)).best.intent == NLU_FALLBACK:
            yield text
    pytest.fail(f"the assistant is lost by fewer of {len(QUESTIONS)} questions than were wanted")


@pytest.fixture
def desk(encoder: SentenceEncoder, shipped: FeelingsModel) -> tuple:
    """Return the readers as a desk ships them, the shop's precedents with them."""
    return encoder, shipped


@pytest.mark.rasa
@pytest.mark.timeout(900)
async def test_moodbot_in_every_run(tmp_path: Path, desk) -> None:
    project = light(moodbot(tmp_path))
    model = project / "models" / "moodbot.tar.gz"
    await train(project, model)
    # Without TED it is silent after a greeting it was not taught to expect, and a linear classifier
    # is not as sure of what it never heard: those scripts are for its own pipeline.
    asked = (s for s in MOODBOT if not any(isinstance(t, tuple) and t[1] == ASKS for t in s))
    sure = [script for script in asked if script.count("hi") < 2]
    await as_with_rasa_alone(project, model, desk, sure)


@pytest.mark.rasa
@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_moodbot_with_its_own_pipeline(tmp_path: Path, desk) -> None:
    project = moodbot(tmp_path)
    same_every_time(project / "config.yml")
    model = project / "models" / "moodbot.tar.gz"
    await train(project, model)
    await as_with_rasa_alone(project, model, desk, MOODBOT)


@pytest.mark.rasa
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("name", "scripts"),
    [("helpdesk-assistant", HELPDESK), ("retail-demo", RETAIL), ("financial-demo", FINANCIAL)],
)
async def test_public_assistants(tmp_path: Path, monkeypatch, desk, name, scripts) -> None:
    project = await public(name, tmp_path)
    with duckling() as url:
        monkeypatch.setenv("RASA_DUCKLING_HTTP_URL", url)
        await as_with_rasa_alone(project, project / f"models/{name}.tar.gz", desk, scripts)
