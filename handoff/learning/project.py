"""An assistant's project as Rasa has it: what is trained, what is served, and what the desk adds.

The shipped assistant keeps its domain in `bot/domain/` and its data in `training_data/`; a project
of `rasa init` has `config.yml`, `domain.yml`, `endpoints.yml`, `credentials.yml`, `data/` and
`actions/`. Both are read by what stands in a file, not by where it stands. Nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from handoff.core.assistant import AssistantDomain, domain_from
from handoff.core.errors import BadData

SUFFIXES = frozenset({".yml", ".yaml"})

NOT_TRAINED = frozenset({"golden", "learned", "handoffs", "tests", "results", "models", "actions"})
"""Folders beside training data that hold something else."""

ENVIRONMENTS = frozenset({"venv", "site-packages", "node_modules"})


class Kind(Enum):
    """What a YAML file of a project is, with what gives it away."""

    TRAINED = re.compile(r"^(?:nlu|rules|stories)[ \t]*:", re.MULTILINE)
    DOMAIN = re.compile(
        r"^(?:intents|entities|slots|responses|forms|actions|e2e_actions|session_config)[ \t]*:",
        re.MULTILINE,
    )


FOLDERS = {
    "nlu": Kind.TRAINED,
    "rules": Kind.TRAINED,
    "stories": Kind.TRAINED,
    "responses": Kind.DOMAIN,
}
"""Folders of training data named after what they hold."""

CREDENTIALS: dict[str, Any] = {"rest": None}
"""The one channel the desk talks through."""

ENDPOINTS: dict[str, Any] = {
    "tracker_store": {"type": "SQL", "dialect": "sqlite", "db": "${RASA_TRACKER_DB}"}
}
"""Where conversations are kept: without it Rasa forgets them whenever a model is swapped."""

ACTIONS: dict[str, Any] = {"action_endpoint": {"url": "${ACTION_ENDPOINT_URL}"}}


@dataclass(frozen=True, slots=True)
class Project:
    """The folders of an assistant: `bot` with `config.yml` and the domain, and `training_data`."""

    bot: Path
    training_data: Path

    @property
    def config(self) -> Path:
        """Return the file that names pipeline and policies; raise `BadData` where it is missing."""
        path = self.bot / "config.yml"
        if not path.is_file():
            raise BadData(path=path, why="there is no such file")
        return path

    def domain_files(self) -> list[tuple[str, Path]]:
        """Return (name in a workspace, file) of every part of the domain.

        Raises `BadData` where the project has none.
        """
        folder = self.bot / "domain"
        found = [(f"domain/bot/{p.relative_to(folder)}", p) for p in _yaml_files(folder)]
        single = [self.bot / f"domain{suffix}" for suffix in sorted(SUFFIXES)]
        if not found:
            found = [(f"domain/bot/{p.name}", p) for p in single if p.is_file()]
        if not found:
            why = "there is neither this file nor a folder “domain” beside it"
            raise BadData(path=single[-1], why=why)
        known = {path for _, path in found}
        more = _files(self.training_data, Kind.DOMAIN)
        return found + [(f"domain/{name}", path) for name, path in more if path not in known]

    def training_files(self) -> list[tuple[str, Path]]:
        """Return (name in a workspace, file) of every training file; raise `BadData` for none."""
        found = [(f"data/{name}", path) for name, path in _files(self.training_data, Kind.TRAINED)]
        if not found:
            raise BadData(path=self.training_data, why="holds no training files")
        return found

    def answers(self) -> list[str]:
        """Return every text the assistant says by itself. Raises `BadData`."""
        texts: list[str] = []
        for _, path in [*self.domain_files(), *self.training_files()]:
            try:
                responses = (_read(path) or {}).get("responses") or {}
                variants = [variant for said in responses.values() for variant in said]
                texts += [str(variant["text"]) for variant in variants if "text" in variant]
            except (AttributeError, TypeError) as error:
                why = f"it is no file of Rasa's responses ({type(error).__name__})"
                raise BadData(path=path, why=why) from None
        return texts

    def domain(self) -> AssistantDomain:
        """Return what the files say of the assistant. Raises `BadData`."""
        whole: dict[str, Any] = {"intents": [], "responses": {}, "slots": {}}
        for _, path in self.domain_files():
            part = _read(path) or {}
            try:
                whole["intents"] += part.get("intents") or []
                whole["responses"].update(part.get("responses") or {})
                whole["slots"].update(part.get("slots") or {})
            except (AttributeError, TypeError, ValueError):
                raise BadData(path=path, why="it is no domain of Rasa") from None
        try:
            return domain_from(whole)
        except (AttributeError, KeyError, TypeError) as error:
            why = f"its domain is not of Rasa's form ({type(error).__name__})"
            raise BadData(path=self.bot, why=why) from None

    @property
    def action_module(self) -> str:
        """Return the module with the assistant's own actions, or nothing."""
        if (self.bot / "__init__.py").is_file():
            return f"{self.bot.name}.actions.actions"
        own = (self.bot / "actions", self.bot / "actions.py")
        return "actions" if any(path.exists() for path in own) else ""

    def serving(self, folder: Path) -> list[str]:
        """Return Rasa's arguments for endpoints and credentials.

        The owner's stay as they are but for what the desk cannot do without: the REST channel, the
        address of the actions it starts, and a tracker store that outlives a swapped model. Where
        something was added, the whole is written to `folder`.
        """
        endpoints = {**ENDPOINTS, **(_read(self.bot / "endpoints.yml") or {})}
        if self.action_module:
            endpoints |= ACTIONS
        credentials = {**CREDENTIALS, **(_read(self.bot / "credentials.yml") or {})}
        arguments: list[str] = []
        writer = YAML(typ="safe", pure=True)
        writer.default_flow_style = False  # Rasa expands `${…}` in plain scalars alone
        for name, content in (("endpoints", endpoints), ("credentials", credentials)):
            own = self.bot / f"{name}.yml"
            path = own if _read(own) == content else folder / own.name
            if path != own:
                folder.mkdir(parents=True, exist_ok=True)
                with path.open("w", encoding="utf-8") as file:
                    writer.dump(content, file)
            arguments += [f"--{name}", str(path)]
        return arguments

    def check_learnable(self) -> None:
        """Raise `BadData` where learned topics could not be answered: they are rules.

        Without policies of its own Rasa chooses some, rules among them.
        """
        policies = (_read(self.config) or {}).get("policies")
        names = [str((entry or {}).get("name")) for entry in policies or ()]
        if policies and not any(name.rpartition(".")[2] == "RulePolicy" for name in names):
            why = "names no RulePolicy, by which the assistant gives the answers it learns"
            raise BadData(path=self.config, why=why)

    def threshold(self) -> float | None:
        """Return the confidence below which the project's FallbackClassifier falls back."""
        for entry in (_read(self.config) or {}).get("pipeline") or ():
            if isinstance(entry, dict) and str(entry.get("name")).endswith("FallbackClassifier"):
                return float(entry.get("threshold", 0.3))
        return None


def examples_in(training_data: Path) -> list[tuple[str, str]]:
    """Return (intent, text as it is written) of every example in a folder. Raises `BadData`."""
    found: list[tuple[str, str]] = []
    for _, path in _files(training_data, Kind.TRAINED):
        try:
            for item in (_read(path) or {}).get("nlu") or []:
                found += [(str(item["intent"]), t) for t in _lines(item) if "intent" in item]
        except (AttributeError, KeyError, TypeError) as error:
            why = f"it is no NLU file of Rasa ({type(error).__name__})"
            raise BadData(path=path, why=why) from None
    return found


def _lines(item: dict[str, Any]) -> Iterator[str]:
    if "intent" not in item:
        return
    examples = item.get("examples") or ""
    if isinstance(examples, list):
        yield from (str(example["text"]).strip() for example in examples)
        return
    yield from (line[1:].strip() for line in examples.splitlines() if line.startswith("-"))


def _files(training_data: Path, wanted: Kind) -> list[tuple[str, Path]]:
    """Return (relative name, file) of what a folder of training data holds of a kind."""
    named = [(path.relative_to(training_data), path) for path in _yaml_files(training_data)]
    return [(str(name), path) for name, path in named if _kind(name, path) is wanted]


def _kind(name: Path, path: Path) -> Kind | None:
    """Say what a file is: by the folder where that is named after it, else by what stands in it."""
    if NOT_TRAINED.intersection(name.parts[:-1]) or name.name.startswith("test_"):
        return None
    if name.parts[0] in FOLDERS and len(name.parts) > 1:
        return FOLDERS[name.parts[0]]
    text = path.read_text(encoding="utf-8", errors="replace")
    return next((kind for kind in Kind if kind.value.search(text)), None)


def _yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files of a folder, sorted; none of hidden folders or environments."""
    found = (path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return sorted(
        path
        for path in found
        if not any(
            part.startswith(".") or part in ENVIRONMENTS for part in path.relative_to(folder).parts
        )
    )


def _read(path: Path) -> Any:
    """Return what a YAML file holds, nothing where there is none; raise `BadData`."""
    try:
        return YAML(typ="safe", pure=True).load(path) if path.is_file() else None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise BadData(path=path, why=f"it is no YAML file ({type(error).__name__})") from None
