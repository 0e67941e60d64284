"""Real processes around moodbot, which `rasa init` makes: first as somebody else's, then as own.

The pipeline is a light one, so that every run of the tests can train it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.desk import ANA, PROJECT, RITA, Desk
from tests.foreign.assistants import light, moodbot, served, train

pytestmark = [pytest.mark.rasa, pytest.mark.slow, pytest.mark.timeout(1500)]

QUESTION = "can I pay with two gift cards at once?"
ANSWER = "Yes, you can combine up to two gift cards in one order."


class OwnersDesk(Desk):
    """A desk with an owner's project, or before an owner's Rasa."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder)
        self.settings = settings

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every process of this desk."""
        usual = {n: v for n, v in super().environment.items() if n != "HANDOFF_TRAINING_DATA"}
        return {**usual, **self.settings}

    def refused(self, *command: str) -> str:
        """Run a command that is refused; return what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "handoff", *command],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, ""), done
        return done.stderr


def test_somebody_elses_assistant_stays_as_it_is(tmp_path: Path) -> None:
    project = light(moodbot(tmp_path))
    model = project / "models" / "moodbot.tar.gz"

    async def beside() -> None:
        await train(project, model)
        async with served(project, model) as live:
            settings = {"RASA_URL": live._url, "RASA_TOKEN": live._token}
            await asyncio.to_thread(_behind_a_desk, OwnersDesk(tmp_path / "desk", **settings))
            assert await live.status() == "moodbot.tar.gz"

    (tmp_path / "desk").mkdir()
    asyncio.run(beside())


def _behind_a_desk(desk: OwnersDesk) -> None:
    try:
        desk.start()
        assert sorted(p.stem for p in (desk.folder / "var/logs").glob("*.log")) == [
            "gateway",
            "simulator",
        ]
        customer = desk.customer()
        assert customer.asks("hello") == "Hey! How are you?"
        for _ in range(4):
            assert customer.asks("are you a bot?") == "I am a bot, powered by Rasa."
        assert customer.owner()["state"] == "bot"
        for command in ("learn", "train", "rollback"):
            said = desk.refused(command)
            assert said.count("\n") == 1 and "moodbot.tar.gz" in said and "HANDOFF_BOT" in said
        assert desk.output_since_start().count("Learning and training are off") == 1
        gateway = (desk.folder / "var/logs/gateway.log").read_text()
        assert gateway.count("Learning and training are off") == 1 and "Traceback" not in gateway
    finally:
        desk.stop()


def test_the_night_works_for_an_owners_project(tmp_path: Path) -> None:
    project = light(moodbot(tmp_path))
    untouched = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    (tmp_path / "desk").mkdir()
    desk = OwnersDesk(tmp_path / "desk", HANDOFF_BOT=str(project))
    try:
        desk.start()
        customer = desk.customer()
        assert customer.asks("hello") == "Hey! How are you?"
        # A bot of seven intents takes much for one of them: this customer does not even ask it.
        customer.asks("I want to talk to a human, please")
        ana, rita = desk.person(ANA), desk.person(RITA)
        topic = ana.topic("Visitor")
        ana.press(ana.sees(topic, "Waiting for a person"), "Claim")
        customer.reads("system", contains="Ana")
        customer.write(QUESTION)
        ana.sees(topic, QUESTION)
        ana.write(topic, ANSWER)
        assert customer.reads("agent") == ANSWER
        ana.press(ana.sees(topic, "With Ana"), "Resolve")
        card = ana.sees(topic, "Resolved by")
        assert any("Mood unhappy" in b["text"] or "Other" in b["text"]
                   for row in card["buttons"] for b in row)  # fmt: skip
        ana.press(card, "New topic")
        desk.run("learn")
        review = rita.topic("review")
        candidate = rita.sees(review, "A new answer to learn?")
        rita.press(candidate, "Accept")
        rita.sees(review, "Accepted")
        before = desk.model()
        said = desk.run("learn")
        assert "Learned 1" in said and "of the assistant's own examples" in said, said
        assert desk.model() != before
        assert desk.customer().asks(QUESTION) == ANSWER
        assert desk.customer().asks("hello") == "Hey! How are you?"
        desk.run("rollback")
        assert desk.model() == before
        assert httpx.get(f"{desk.url}/readyz").status_code == 200
    finally:
        desk.stop()
    left = {p: p.read_bytes() for p in project.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert {p: left.get(p) for p in untouched} == untouched
