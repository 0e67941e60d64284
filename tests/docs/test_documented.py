"""What the documents promise exists, and what exists is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from agent_console.views import COMMANDS
from handoff.__main__ import app
from handoff.core.lifecycle import mermaid
from handoff.settings import Settings, settings_table

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text()
ARCHITECTURE = (PROJECT / "ARCHITECTURE.md").read_text()


def commands() -> set[str]:
    """Return every command of the command line, groups spelled out."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found: set[str] = set()
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            found |= {f"{name} {sub}" for sub in command.commands}
            found |= {name} if command.invoke_without_command else set()
        else:
            found.add(name)
    return found


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    table = README[README.index("## Commands") : README.index("## Settings")]
    documented = set(re.findall(r"^\| `handoff ([a-z -]+)`", table, re.MULTILINE))
    assert documented == commands()


def test_every_telegram_command_is_documented() -> None:
    text = README[README.index("In Telegram:") :].split("\n\n")[0]
    assert set(re.findall(r"`/([a-z]+)`", text)) == {name for name, _, _ in COMMANDS}


def test_the_settings_table_is_that_of_the_code() -> None:
    between = re.search(r"<!-- settings -->\n(.*)<!-- /settings -->", README, re.DOTALL)
    assert between and between[1] == settings_table()


def test_every_setting_named_anywhere_exists() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()}
    # Read by the Rasa environment's own code, or by make and the tests.
    known |= {"RASA_PYTHON", "HANDOFF_ENCODER_URL"}
    named = set(re.findall(r"\b(?:HANDOFF|TELEGRAM|RASA|SANDBOX|ACTIONS|ORDER)_[A-Z_]+\b", README))
    assert named <= known


def test_the_diagram_is_generated() -> None:
    assert f"```mermaid\n{mermaid()}```" in ARCHITECTURE


@pytest.mark.parametrize("target", ["run", "test", "check", "bench", "setup", "clean"])
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


def test_every_test_named_in_the_architecture_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", ARCHITECTURE)
    assert len(named) >= 10
    for path, function in named:
        text = (PROJECT / path).read_text()
        assert not function or f"def {function}(" in text, f"{path} has no {function}"


def test_every_file_linked_exists() -> None:
    pages = [PROJECT / "README.md", PROJECT / "ARCHITECTURE.md", *PROJECT.glob("docs/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
