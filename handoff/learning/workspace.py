"""What `rasa train` reads, put together in one folder, and a digest of everything it depends on.

The golden set never enters a workspace: only the folders named here are copied.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from handoff.core.learning import neutralise
from handoff.learning.project import Project

LEARNED = {"nlu.yml": "data/learned_nlu.yml", "rules.yml": "data/learned_rules.yml"}
"""Files the nightly learning writes, and where they stand in a workspace."""


def assemble(folder: Path, bot: Path, training_data: Path, learned: Path | None = None) -> Path:
    """Fill `folder` (created, or emptied) with `config.yml`, `domain/` and `data/`; return it.

    Args:
        folder: where to build. Its content is replaced.
        bot: the assistant's project with `config.yml` and `domain/` or `domain.yml`.
        training_data: folder with the training files, and with more of the domain, if any.
        learned: folder with `nlu.yml`, `rules.yml`, `domain.yml`, any of which may be missing.

    Raises:
        BadData: the project has no `config.yml`, or no domain, or there is nothing to train on.
    """
    project = Project(bot, training_data)
    _start(folder, project)
    for name, path in [*project.domain_files(), *project.training_files()]:
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    if learned:
        for name, target in {**LEARNED, "domain.yml": "domain/learned.yml"}.items():
            if (learned / name).is_file():
                shutil.copyfile(learned / name, folder / target)
    return folder


def assemble_nlu(folder: Path, bot: Path, examples: Mapping[str, Sequence[str]]) -> Path:
    """Fill `folder` with `config.yml` and `data/nlu.yml` made of examples by intent; return it."""
    _start(folder, Project(bot, bot))
    (folder / "data/nlu.yml").write_text(nlu_yaml(examples), encoding="utf-8")
    return folder


def nlu_yaml(examples: Mapping[str, Sequence[str]]) -> str:
    """Return Rasa's YAML for examples by intent, every text neutralised.

    Examples stand in one literal block an intent: the form Rasa reads fastest, in which a
    neutralised line has no syntax left. Intent names are quoted (`yes` would be a boolean).
    """
    lines = ['version: "3.1"', "nlu:"]
    for intent, texts in examples.items():
        lines += [f"- intent: {json.dumps(intent, ensure_ascii=False)}", "  examples: |"]
        lines += [f"    - {neutralise(text)}" for text in texts]
    return "\n".join(lines) + "\n"


def fingerprint(
    bot: Path,
    training_data: Path,
    learned: Path | None,
    encoder_digest: str,
    requirements: Path,
) -> str:
    """Return hexadecimal digits that change exactly when a newly trained model could differ.

    Covered are the contents and relative names of the assistant's `config.yml`, domain and
    components, of the training files, of the learned files, of the pinned requirements, and the
    encoder. Actions, credentials and endpoints do not enter a model and are left out.

    Raises:
        BadData: the project is incomplete.
    """
    project = Project(bot, training_data)
    parts: list[tuple[str, Path]] = [("config", project.config), ("pins", requirements)]
    parts += [*project.domain_files(), *project.training_files()]
    parts += _named("components", bot / "components", ("*.py", "*.txt"))
    if learned:
        parts += [("learned/" + name, learned / name) for name in (*LEARNED, "domain.yml")]
    digest = hashlib.sha256()
    _add(digest, "encoder", encoder_digest.encode())
    for name, path in parts:
        if path.is_file():
            _add(digest, name, path.read_bytes())
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    """Add one named part; the lengths keep neighbouring parts from running into each other."""
    for piece in (name.encode(), content):
        digest.update(len(piece).to_bytes(8, "big") + piece)


def _named(label: str, folder: Path, patterns: Iterable[str]) -> list[tuple[str, Path]]:
    return [(f"{label}/{path.relative_to(folder)}", path) for path in _files(folder, patterns)]


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.rglob(pattern))


def _start(folder: Path, project: Project) -> None:
    config = project.config
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("domain", "data"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(config, folder / "config.yml")
