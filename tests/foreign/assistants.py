"""Public assistants as their owners run them: found, trained, served, with their own actions.

moodbot comes with Rasa (`rasa init`), so it is always there. The others are repositories of RasaHQ
on GitHub: helpdesk-assistant, retail-demo, financial-demo. Put clones of them into one folder and
name it in `FOREIGN_PROJECTS`; the tests train what is not trained yet and put the model into
`models/` there, all else is done in a copy. Some things are replaced: Duckling by `duckling.py`;
financial-demo's SpacyEntityExtractor is left out (DIET finds names of people as well); in two
action servers, written for Rasa 2, `utter_message(template=…)` is called `response=`, as its SDK
calls it since version 3. What is drawn by lot is drawn alike each time, so that two conversations
can be compared: the weights a training begins with, and the status helpdesk-assistant makes up.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from handoff.adapters.rasa import RasaAssistant
from handoff.learning import rasa_process
from handoff.learning.rasa_server import RasaServer, free_port
from tests.environment import rasa_venv, require_rasa

PUBLIC = ("helpdesk-assistant", "retail-demo", "financial-demo")
DRAWN_BY_LOT = ("DIETClassifier", "ResponseSelector", "TEDPolicy", "UnexpecTEDIntentPolicy")
"""Components of Rasa whose weights begin at random."""

TRAINING_SECONDS = 3600.0
READY_SECONDS = 60.0


def moodbot(folder: Path) -> Path:
    """Copy the project that `rasa init` makes; return its folder."""
    require_rasa()
    (made,) = rasa_venv().glob("lib/python3*/site-packages/rasa/cli/initial_project")
    return Path(shutil.copytree(made, folder / "moodbot", ignore=_compiled))


def light(project: Path) -> Path:
    """Give a project a pipeline that trains in seconds, with Rasa's own fallback; return it."""
    (project / "config.yml").write_text(
        "recipe: default.v1\nlanguage: en\nassistant_id: theirs\npipeline:\n"
        "- name: WhitespaceTokenizer\n- name: CountVectorsFeaturizer\n"
        "- name: CountVectorsFeaturizer\n  analyzer: char_wb\n  min_ngram: 1\n  max_ngram: 4\n"
        "- name: LogisticRegressionClassifier\n- name: FallbackClassifier\n  threshold: 0.3\n"
        "policies:\n- name: MemoizationPolicy\n- name: RulePolicy\n"
    )
    return project


async def public(name: str, folder: Path) -> Path:
    """Copy a public project into a folder; skip where nobody has fetched it."""
    require_rasa()
    projects = os.environ.get("FOREIGN_PROJECTS", "")
    source = Path(projects).absolute() / name
    if not projects or not (source / "domain.yml").is_file():
        pytest.skip(f"clone RasaHQ/{name} into a folder and name it in FOREIGN_PROJECTS")
    copy = Path(shutil.copytree(source, folder / name, ignore=_compiled))
    same_every_time(copy / "config.yml")
    model = copy / "models" / f"{name}.tar.gz"
    if not model.is_file():
        await train(copy, model)
        (source / "models").mkdir(exist_ok=True)
        shutil.copy(model, source / "models")
    for code in (copy / "actions").glob("*.py"):
        text = code.read_text().replace("(template=", "(response=")
        code.write_text(text.replace("random.choice(", "min("))
    return copy


def _compiled(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("__pycache__", ".git", ".rasa")]


def same_every_time(config: Path) -> None:
    """Write the pipeline out that a project trains with, with a seed for what is drawn by lot.

    Without one every training understands what it was never taught in another way. spaCy's
    components are left out: their model is on no package index.
    """
    (usual,) = rasa_venv().glob(
        "lib/python3*/site-packages/rasa/engine/recipes/config_files/default_config.yml"
    )
    yaml = YAML()
    found = yaml.load(config)
    for part in ("pipeline", "policies"):
        kept = found.get(part) or yaml.load(usual)[part]  # Rasa fills in what an owner leaves empty
        found[part] = [c for c in kept if not c["name"].startswith("Spacy")]
        for component in found[part]:
            if component["name"] in DRAWN_BY_LOT:
                component.setdefault("random_seed", 1)
    yaml.dump(found, config)


async def train(project: Path, model: Path) -> None:
    """Train as the owner does, with `rasa train`."""
    arguments = ["train", "--out", str(model.parent), "--fixed-model-name", model.stem[:-4]]
    env = rasa_process.environment(project, "", "")
    started = await rasa_process.start(
        rasa_venv(), arguments, env, project, asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(TRAINING_SECONDS):
            assert await started.wait() == 0
    finally:
        await rasa_process.stop(started)
    assert model.is_file()


@asynccontextmanager
async def served(project: Path, model: Path) -> AsyncIterator[RasaAssistant]:
    """Serve an assistant with its own actions, and yield the way to it."""
    async with _actions(project) as actions:
        server = RasaServer(model, project, rasa_venv(), "", "", actions)
        async with server, RasaAssistant(server.url, server.token) as assistant:
            yield assistant


@asynccontextmanager
async def _actions(project: Path) -> AsyncIterator[str]:
    """Run the project's action server, where it has one that does something."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(rasa_venv() / "bin/python"), "-m", "rasa_sdk", "--actions", "actions"]
    with (project / "actions.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--port", str(port), cwd=project, stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(project), "SANIC_HOST": "127.0.0.1"},
            start_new_session=True,
        )  # fmt: skip
    try:
        await _until_healthy(f"{url}/health", process, project / "actions.log")
        yield f"{url}/webhook"
    finally:
        await rasa_process.stop(process)


async def _until_healthy(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False) as client:
        while True:
            assert process.returncode is None, log.read_text()
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.2)


def variants(project: Path) -> dict[str, str]:
    """Return the name of the response by each of its texts: Rasa chooses among them by chance."""
    found: dict[str, Any] = YAML(typ="safe").load(project / "domain.yml")["responses"]
    return {v["text"].strip(): name for name, said in found.items() for v in said if "text" in v}
