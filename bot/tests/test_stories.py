"""Rules and forms as Rasa runs them: the golden stories, and a dead action server.

Trained without NLU, as the intents stand in the stories: what is tested here is the dialogue.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bot.tests.conftest import closed_port_url
from rasa.core.agent import load_agent
from rasa.core.utils import AvailableEndpoints
from rasa.utils.endpoints import EndpointConfig

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "training_data"


def rasa(folder: Path, *arguments: str) -> None:
    """Runs Rasa's command line."""
    command = [sys.executable, "-m", "rasa", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the dialogue alone, `models/core.tar.gz`."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "domain").mkdir()
    for number, source in enumerate((PROJECT / "bot" / "domain", DATA / "responses")):
        for file in source.glob("*.yml"):
            shutil.copy(file, folder / "domain" / f"{number}_{file.name}")
    for name in ("rules", "stories"):
        shutil.copytree(DATA / name, folder / "data" / name)
    arguments = ["--domain", "domain", "--stories", "data", "--out", "models"]
    config = str(PROJECT / "bot" / "config.yml")
    rasa(folder, "train", "core", *arguments, "-c", config, "--fixed-model-name", "core")
    return folder


def test_golden_stories(core: Path) -> None:
    golden = DATA / "golden" / "stories.yml"
    shutil.copy(golden, core / "test_stories.yml")
    rasa(
        core, "test", "core", "-m", "models", "-s", "test_stories.yml", "--out", "out", "--no-plot"
    )
    report = json.loads((core / "out" / "story_report.json").read_text())
    expected = golden.read_text(encoding="utf-8").count("- story:")
    failed = (core / "out" / "failed_test_stories.yml").read_text()
    assert expected >= 12
    assert report["conversation_accuracy"]["total"] == expected
    assert report["conversation_accuracy"]["correct"] == expected, failed


def test_a_dead_action_server_leaves_no_half_answer(core: Path) -> None:
    messages = [
        '/track_order{"order_number": "10042"}',
        '/cancel_order{"order_number": "10001"}',
        "/get_invoice",
        '/inform_order_number{"order_number": "10042"}',
    ]

    async def talk() -> Dict[str, Any]:
        action = EndpointConfig(url=f"{closed_port_url()}/webhook")
        model = str(core / "models" / "core.tar.gz")
        agent = await load_agent(model, endpoints=AvailableEndpoints(action=action))
        said: Dict[str, List[Any]] = {}
        for number, message in enumerate([*messages, "/greet"]):
            said[message] = await agent.handle_text(message, sender_id=str(number)) or []
        return said

    said = asyncio.run(talk())
    assert [said[message] for message in messages] == [[], [], [], []]
    assert len(said["/greet"]) == 1
