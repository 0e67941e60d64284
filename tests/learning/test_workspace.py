"""What a workspace holds, and what changes its fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handoff.core.errors import BadData
from handoff.learning.workspace import assemble, assemble_nlu, fingerprint


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project of every kind of file, golden ones too."""
    for name, text in {
        "bot/config.yml": "pipeline: []",
        "bot/domain/domain.yml": "intents: [a]",
        "bot/domain/deep/more.yml": "intents: [b]",
        "bot/components/one.py": "x = 1",
        "bot/actions/act.py": "y = 1",
        "bot/requirements.txt": "rasa==3.6.21",
        "training_data/nlu/a.yml": "nlu: a",
        "training_data/rules/r.yml": "rules: r",
        "training_data/stories/s.yml": "stories: s",
        "training_data/responses/utter.yml": "responses: u",
        "training_data/golden/intents.csv": "text,intent",
        "training_data/golden/stories.yml": "golden",
        "training_data/sentiment/messages.csv": "text,negative",
        "learned/nlu.yml": "nlu: learned",
        "learned/rules.yml": "rules: learned",
        "learned/domain.yml": "intents: [learned]",
        "learned/provenance.json": "{}",
    }.items():
        write(tmp_path / name, text)
    return tmp_path


def built(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_a_workspace_holds_what_is_trained_and_nothing_else(project: Path) -> None:
    bot, data = project / "bot", project / "training_data"
    folder = assemble(project / "build", bot, data, project / "learned")
    assert built(folder) == {
        "config.yml": "pipeline: []",
        "domain/bot/domain.yml": "intents: [a]",
        "domain/bot/deep/more.yml": "intents: [b]",
        "domain/responses/utter.yml": "responses: u",
        "domain/learned.yml": "intents: [learned]",
        "data/nlu/a.yml": "nlu: a",
        "data/rules/r.yml": "rules: r",
        "data/stories/s.yml": "stories: s",
        "data/learned_nlu.yml": "nlu: learned",
        "data/learned_rules.yml": "rules: learned",
    }


def test_an_old_workspace_leaves_nothing_behind(project: Path) -> None:
    bot, data = project / "bot", project / "training_data"
    assemble(project / "build", bot, data, project / "learned")
    folder = assemble(project / "build", bot, data)
    assert not [name for name in built(folder) if "learned" in name]


def test_a_learned_folder_may_be_empty(project: Path) -> None:
    (project / "empty").mkdir()
    bot, data = project / "bot", project / "training_data"
    with_empty = built(assemble(project / "one", bot, data, project / "empty"))
    assert with_empty == built(assemble(project / "two", bot, data))


@pytest.mark.parametrize(
    ("gone", "named"),
    [("bot/config.yml", "config.yml"), ("bot/domain/", "domain"), ("training_data/", "training")],
)
def test_an_incomplete_project_is_refused_by_name(project: Path, gone: str, named: str) -> None:
    for path in project.rglob("*"):
        if path.is_file() and str(path.relative_to(project)).startswith(gone):
            path.unlink()
    with pytest.raises(BadData, match=named):
        assemble(project / "build", project / "bot", project / "training_data")


def test_examples_become_training_data_of_the_shipped_pipeline(project: Path) -> None:
    folder = assemble_nlu(project / "build", project / "bot", {"yes": ["[a](b)", "c\nd"]})
    assert built(folder) == {
        "config.yml": "pipeline: []",
        "data/nlu.yml": 'version: "3.1"\nnlu:\n- intent: "yes"\n  examples: |\n'
        "    - (a)(b)\n    - c d\n",
    }


def digest(project: Path, encoder: str = "e1", learned: bool = True) -> str:
    return fingerprint(
        project / "bot",
        project / "training_data",
        project / "learned" if learned else None,
        encoder,
        project / "bot/requirements.txt",
    )


MATTERS: list[Callable[[Path], None]] = [
    lambda p: write(p / "bot/config.yml", "pipeline: [x]"),
    lambda p: write(p / "bot/domain/deep/more.yml", "intents: [c]"),
    lambda p: write(p / "bot/components/one.py", "x = 2"),
    lambda p: write(p / "bot/requirements.txt", "rasa==3.6.20"),
    lambda p: write(p / "training_data/nlu/a.yml", "nlu: b"),
    lambda p: write(p / "training_data/nlu/new.yml", ""),
    lambda p: write(p / "training_data/stories/s.yml", "stories: t"),
    lambda p: write(p / "training_data/responses/utter.yml", "responses: v"),
    lambda p: (p / "training_data/rules/r.yml").unlink(),
    lambda p: write(p / "learned/nlu.yml", "nlu: more"),
    lambda p: (p / "learned/domain.yml").unlink(),
]

DOES_NOT_MATTER: list[Callable[[Path], None]] = [
    lambda p: write(p / "training_data/nlu/a.yml", "nlu: a"),
    lambda p: write(p / "training_data/golden/intents.csv", "other"),
    lambda p: write(p / "training_data/sentiment/messages.csv", "other"),
    lambda p: write(p / "bot/actions/act.py", "y = 2"),
    lambda p: write(p / "learned/provenance.json", "{1: 2}"),
    lambda p: write(p / "bot/components/one.pyc", "compiled"),
]


@pytest.mark.parametrize("change", MATTERS)
def test_a_change_that_matters_changes_the_fingerprint(
    project: Path, change: Callable[[Path], None]
) -> None:
    before = digest(project)
    change(project)
    assert digest(project) != before


@pytest.mark.parametrize("change", DOES_NOT_MATTER)
def test_any_other_change_leaves_it(project: Path, change: Callable[[Path], None]) -> None:
    before = digest(project)
    change(project)
    assert digest(project) == before


def test_encoder_and_learned_files_are_part_of_it(project: Path) -> None:
    assert len({digest(project), digest(project, "e2"), digest(project, learned=False)}) == 3


def test_where_the_project_lies_is_no_part_of_it(project: Path) -> None:
    before = digest(project)
    moved = project.rename(project.parent / "moved")
    assert digest(moved) == before


def test_text_moved_from_one_file_to_another_counts(project: Path) -> None:
    before = digest(project)
    write(project / "training_data/nlu/b.yml", "nlu: a")
    (project / "training_data/nlu/a.yml").unlink()
    assert digest(project) != before
