"""The real config.yml, trained and asked by Rasa itself on a handful of examples."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Dict

import pytest

from bot.tests.conftest import FakeEncoder
from rasa.core.agent import load_agent
from rasa.model_training import train

CONFIG = Path(__file__).resolve().parents[1] / "config.yml"
NLU = """
version: "3.1"
nlu:
- regex: order_number
  examples: |
    - (?<!\\d)\\d{5}(?!\\d)
- intent: greet
  examples: |
    - hello
    - hello there friend
    - good morning friend
    - good morning
- intent: track_order
  examples: |
    - where is my parcel [10042](order_number)
    - where is my order
    - when does my parcel arrive
    - track my order
rules:
- rule: greet
  steps:
  - intent: greet
  - action: utter_greet
- rule: track
  steps:
  - intent: track_order
  - action: utter_track
"""
DOMAIN = """
version: "3.1"
intents: [greet, track_order, inform_order_number]
entities: [order_number]
responses:
  utter_greet: [{text: hi}]
  utter_track: [{text: soon}]
"""


@pytest.fixture
def model(encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A trained model's path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RASA_TELEMETRY_ENABLED", "false")
    (tmp_path / "data.yml").write_text(NLU)
    (tmp_path / "domain.yml").write_text(DOMAIN)
    found = train("domain.yml", str(CONFIG), ["data.yml"], "models", force_training=True).model
    assert found
    return found


def test_rasa_trains_it_and_returns_what_the_desk_needs(model: str) -> None:
    async def ask() -> Dict[str, Any]:
        agent = await load_agent(model_path=model)
        texts = ("where is my parcel 10042", "10043", "")
        return {text: await agent.parse_message(text) for text in texts}

    found = asyncio.run(ask())
    known = found["where is my parcel 10042"]
    assert known["intent"]["name"] == "track_order"
    assert [e["value"] for e in known["entities"]] == ["10042"]
    assert 0.0 <= known["novelty"] <= 1.0
    assert known["intent_ranking"][0] == known["intent"]
    assert {r["name"] for r in known["intent_ranking"]} == {"greet", "track_order"}
    assert found["10043"]["intent"] == {"name": "inform_order_number", "confidence": 1.0}
    assert found[""]["intent"] == {"name": None, "confidence": 0.0}
    assert found[""]["novelty"] == 1.0
