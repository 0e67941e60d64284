"""The command line as a process: a wrong setting is one sentence and exit code 2."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import handoff.__main__ as main_module
from handoff.bootstrap.parts import LOOPBACK, check_exposure
from handoff.bootstrap.processes import check_ports
from handoff.core.errors import BadSetting
from handoff.core.lifecycle import mermaid
from handoff.learning.rasa_server import free_port
from handoff.settings import Settings, load_settings
from handoff.supervisor import PartFailed

PROJECT = Path(__file__).resolve().parents[2]
VARIABLES = {str(field.alias) for field in Settings.model_fields.values()}


def handoff(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m handoff` with these settings alone, in a folder without a `.env`."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "handoff", *command],
        cwd=folder,
        env={**inherited, "HANDOFF_VAR": str(folder / "var"), **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_one_sentence(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Check that the process was refused in one sentence with these parts, and nothing else."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.endswith(".\n"), done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(tmp_path: Path, command: str) -> None:
    done = handoff(tmp_path, command, HANDOFF_PORT="eight thousand")
    assert_one_sentence(done, "The setting HANDOFF_PORT is not usable")
    assert not list(tmp_path.iterdir())


def test_a_public_desk_without_a_token_does_not_start(tmp_path: Path) -> None:
    done = handoff(tmp_path, "serve", HANDOFF_HOST="0.0.0.0")
    assert_one_sentence(done, "HANDOFF_INTERNAL_TOKEN", "0.0.0.0")


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    done = handoff(tmp_path, "migrate", DATABASE_URL="mysql://user:pa55word@host/name")
    assert_one_sentence(done, "DATABASE_URL")
    assert "pa55word" not in done.stderr


def test_a_missing_rasa_environment_is_named(tmp_path: Path) -> None:
    done = handoff(tmp_path, "up", RASA_VENV=str(tmp_path / "nowhere"))
    assert_one_sentence(done, "RASA_VENV", "nowhere")


@pytest.mark.parametrize(
    "options",
    [
        ("intents", "--train", "none", "--test", "none"),
        ("sentiment", "--data", "none"),
        ("requests", "--data", "none"),
        ("handoff", "--train", "none", "--dev", "none", "--test", "none"),
    ],
)
def test_a_file_that_is_not_there_is_told_before_anything_is_loaded(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    # An encoder that is not there either: it was not looked for.
    done = handoff(tmp_path, "eval", *options, HANDOFF_ENCODER=str(tmp_path / "nowhere"))
    assert_one_sentence(done, "none: there is no such file")


def test_the_help_says_what_the_files_must_look_like(tmp_path: Path) -> None:
    said = " ".join(handoff(tmp_path, "eval", "handoff", "--help", COLUMNS="200").stdout.split())
    for name in ("conversation", "turn", "text", "intent", "handoff"):
        assert f'"{name}": ' in said


def test_a_part_that_cannot_start_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise PartFailed(part="gateway", what="ended at once", last_lines="the port is taken")

    monkeypatch.setattr(main_module, "app", fails)
    with pytest.raises(SystemExit) as end:
        main_module.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "gateway ended at once. the port is taken\n"


def test_the_diagram_is_printed_and_nothing_beside_it(tmp_path: Path) -> None:
    done = handoff(tmp_path, "diagram")
    assert (done.returncode, done.stdout, done.stderr) == (0, mermaid(), "")


def test_migrating_makes_a_database_and_doing_it_again_harms_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        done = handoff(tmp_path, "migrate")
        assert done.returncode == 0 and "up to date" in done.stdout, done.stderr
    assert (tmp_path / "var" / "handoff.db").is_file()


# --- check_exposure ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.0.7", "10.0.0.1", "desk.example.org", "127.0.0.1.nip.io"]
)
def test_a_public_host_needs_a_token(host: str) -> None:
    with pytest.raises(BadSetting, match="HANDOFF_INTERNAL_TOKEN"):
        check_exposure(load_settings(HANDOFF_HOST=host, HANDOFF_INTERNAL_TOKEN=""))
    check_exposure(load_settings(HANDOFF_HOST=host, HANDOFF_INTERNAL_TOKEN="secret"))


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_alone_needs_none(host: str) -> None:
    check_exposure(load_settings(HANDOFF_HOST=host, HANDOFF_INTERNAL_TOKEN=""))


def test_a_taken_port_is_named_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = rf"ACTIONS_PORT.*port {port} is taken; perhaps the desk is running already\.$"
        with pytest.raises(BadSetting, match=said):
            check_ports(
                load_settings(
                    HANDOFF_PORT=free_port(),
                    SANDBOX_PORT=free_port(),
                    RASA_URL=f"http://127.0.0.1:{free_port()}",
                    ACTIONS_PORT=port,
                )
            )
