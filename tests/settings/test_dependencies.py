"""What is imported is declared, what is declared is imported, and imports point one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

BY_NAME = {
    "aiosqlite": "the driver in `sqlite+aiosqlite`, which SQLAlchemy imports",
    "httptools": "uvicorn reads HTTP with it where it is installed",
    "onnx": "torch's exporter and ONNX Runtime's quantiser import it",
    "psycopg": "the driver in `postgresql+psycopg`, which SQLAlchemy imports",
}
"""Dependencies that no file of the desk imports itself, and who does."""

TOOLS = {
    "import-linter": "`make check` and the test below run it",
    "pyright": "`make check` runs it",
    "pytest-asyncio": "pytest loads it",
    "pytest-timeout": "pytest loads it",
    "ruff": "`make check` runs it",
}
"""The same for what only tests and checks need."""

OURS = {"handoff", "agent_console", "tests", "bot"}


def plain(name: str) -> str:
    """Return a distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def foreign(*folders: str) -> set[str]:
    """Return the distributions that the files of some folders import from."""
    known = packages_distributions()
    files = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    tops = {name.split(".")[0] for path in files for name in imports(path)}
    tops -= OURS | set(sys.stdlib_module_names)
    return {plain(known[top][0]) for top in tops}


def test_what_the_desk_imports_is_declared_and_what_is_declared_is_imported() -> None:
    declared = {plain(entry) for entry in DECLARED["dependencies"]}
    assert foreign("handoff", "agent_console") | set(BY_NAME) == declared


def test_what_the_tests_import_is_declared_and_used() -> None:
    declared = {plain(entry) for entry in DECLARED["optional-dependencies"]["dev"]}
    runtime = {plain(entry) for entry in DECLARED["dependencies"]}
    assert foreign("tests") - runtime | set(TOOLS) == declared


def test_the_core_and_the_use_cases_use_the_standard_library_only() -> None:
    for path in (PROJECT / "handoff").rglob("*.py"):
        place = path.relative_to(PROJECT / "handoff")
        if place.parts[0] not in ("core", "app", "ports.py"):
            continue
        allowed = ("handoff.core",) if place.parts[0] != "app" else (
            "handoff.core", "handoff.ports", "handoff.app",
        )  # fmt: skip
        for name in imports(path):
            ours = any(name == a or name.startswith(a + ".") for a in allowed)
            assert ours or name.split(".")[0] in sys.stdlib_module_names, f"{place}: {name}"


def test_the_gateway_imports_nothing_of_the_assistant() -> None:
    for folder in ("handoff", "agent_console"):
        for path in (PROJECT / folder).rglob("*.py"):
            tops = {name.split(".")[0] for name in imports(path)}
            assert not tops & {"bot", "rasa", "rasa_sdk", "tests"}, path


def test_imports_point_one_way() -> None:
    """The layers of pyproject.toml; only `bootstrap` and `__main__` see everything."""
    command = str(Path(sys.executable).parent / "lint-imports")
    done = subprocess.run([command], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "Imports point one way KEPT" in done.stdout
    assert "The simulator knows nothing of the desk KEPT" in done.stdout
