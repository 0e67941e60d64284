"""Projects as Rasa has them: what is read from where, and what is named when it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoff.core.errors import BadData
from handoff.learning.gate import EXAMPLES_MEASURED, to_measure
from handoff.learning.project import Project
from handoff.learning.training_files import read_known

DOMAIN = """
version: "3.1"
intents: [greet, {faq: {use_entities: []}}]
responses:
  utter_greet: [{text: Hello}]
  utter_faq/hours: [{text: "Nine to five, call 030 123456"}]
slots:
  email: {type: text, mappings: [{type: from_entity, entity: email}]}
"""
NLU = """
nlu:
- intent: greet
  examples: |
    - hi
- intent: faq/hours
  examples: |
    - when are you [open](state)
- regex: email
  examples: |
    - x@y
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A project as `rasa init` leaves it, with what people put beside it."""
    for name, text in {
        "config.yml": "pipeline: []\npolicies:\n- name: rule_policy.RulePolicy\n",
        "domain.yml": DOMAIN,
        "data/nlu.yml": NLU,
        "data/rules.yml": "rules: []",
        "data/deep/more.yaml": "stories: []",
        "data/notes.yml": "remarks: none",
        "tests/test_stories.yml": "stories: [wrong]",
        "models/x.yml": "nlu: wrong",
        ".cache/y.yml": "nlu: wrong",
        "actions/actions.py": "",
    }.items():
        write(tmp_path / name, text)
    return tmp_path


@pytest.mark.parametrize("data", ["data", "."])
def test_files_are_known_by_what_they_hold(bot: Path, data: str) -> None:
    project = Project(bot, bot / data if data != "." else bot)
    inside = "" if data == "data" else "data/"
    assert [name for name, _ in project.training_files()] == [
        f"data/{inside}{name}" for name in ("deep/more.yaml", "nlu.yml", "rules.yml")
    ]
    assert [name for name, _ in project.domain_files()] == ["domain/bot/domain.yml"]
    assert project.answers() == ["Hello", "Nine to five, call 030 123456"]
    assert project.domain().labels == ["faq/hours", "greet"]
    assert project.action_module == "actions"
    project.check_learnable()


def test_what_is_known_of_an_owners_project(bot: Path) -> None:
    known = read_known(bot / "data")
    assert known.training == {"hi", "when are you open"}
    assert known.intents == {"greet", "faq/hours"} and known.golden == frozenset()


def test_what_the_desk_needs_is_added_and_nothing_is_lost(bot: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write(bot / "endpoints.yml", "action_endpoint: {url: 'http://x'}\nevent_broker: {type: pika}\n")
    own = write(bot / "credentials.yml", "rest:\nslack:\n  token: s\n")
    assert Project(bot, bot).serving(run) == [
        "--endpoints", str(run / "endpoints.yml"), "--credentials", str(own),
    ]  # fmt: skip
    written = (run / "endpoints.yml").read_text()
    # Without quotation marks: Rasa expands variables in plain scalars alone.
    assert "  db: ${RASA_TRACKER_DB}\n" in written and "  url: ${ACTION_ENDPOINT_URL}\n" in written
    assert "pika" in written and "http://x" not in written
    own.write_text("slack:\n  token: s\n")
    Project(bot, bot).serving(run)
    assert "rest" in (run / "credentials.yml").read_text()
    assert own.read_text() == "slack:\n  token: s\n"


def test_without_actions_of_its_own_the_owners_action_server_stays(bot: Path, tmp_path) -> None:
    (bot / "actions/actions.py").unlink()
    (bot / "actions").rmdir()
    write(bot / "endpoints.yml", "action_endpoint: {url: 'http://x'}\n")
    Project(bot, bot).serving(tmp_path / "run")
    assert "http://x" in (tmp_path / "run/endpoints.yml").read_text()


@pytest.mark.parametrize("name", ["config.yml", "domain.yml", "data"])
def test_what_is_missing_is_named(bot: Path, name: str) -> None:
    path = bot / name
    path.rename(bot / "away")
    project = Project(bot, bot / "data")
    with pytest.raises(BadData, match=name):
        _ = (project.config, project.domain_files(), project.training_files())


@pytest.mark.parametrize(
    ("config", "named"),
    [("policies:\n- name: TEDPolicy\n", "RulePolicy"), ("policies: [", "no YAML")],
)
def test_what_the_night_needs_is_named(bot: Path, config: str, named: str) -> None:
    write(bot / "config.yml", config)
    with pytest.raises(BadData, match=named):
        Project(bot, bot / "data").check_learnable()


def test_without_policies_rasa_chooses_some_with_rules(bot: Path) -> None:
    write(bot / "config.yml", "policies:\n")
    Project(bot, bot / "data").check_learnable()


def test_without_a_golden_set_the_assistants_own_examples_stand_in(bot: Path) -> None:
    messages, note = to_measure(bot / "data")
    assert {(m.text, m.intent) for m in messages} == {
        ("hi", "greet"),
        ("when are you open", "faq/hours"),
    }
    assert "Measured on 2 of the assistant's own examples" in note and "intents.csv" in note
    lines = "".join(f"    - example {n}\n" for n in range(EXAMPLES_MEASURED + 50))
    write(bot / "data/nlu.yml", f"nlu:\n- intent: many\n  examples: |\n{lines}")
    first, _ = to_measure(bot / "data")
    assert len(first) == EXAMPLES_MEASURED and first == to_measure(bot / "data")[0]


def test_a_golden_set_may_have_no_out_of_scope_file(bot: Path) -> None:
    write(bot / "data/golden/intents.csv", "text,intent\r\nhello there,greet\r\n")
    messages, note = to_measure(bot / "data")
    assert [m.text for m in messages] == ["hello there"]
    assert note.startswith("Out of scope was not measured")
    write(bot / "data/golden/out_of_scope.csv", "text,intent\r\npizza,out_of_scope\r\n")
    messages, note = to_measure(bot / "data")
    assert [m.intent for m in messages] == ["greet", None] and note == ""
