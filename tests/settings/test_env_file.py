"""Which `.env` is read, in which encodings, and what in it means nothing: all of it is said."""

from __future__ import annotations

import codecs
import subprocess
from pathlib import Path

import pytest

from handoff import env_file
from handoff.core.errors import BadData, BadSetting
from handoff.env_file import read_env_file
from handoff.settings import (
    SIMULATED_GROUP,
    check_real_desk,
    load_settings,
    told_at_start,
)
from tests.settings.test_command_line import assert_one_sentence, handoff
from tests.settings.test_settings import clean

__all__ = ["clean"]

REAL = "TELEGRAM_BOT_TOKEN=123456:abc\nTELEGRAM_GROUP_ID=-1009\nHANDOFF_PEOPLE=11:Ana:agent\n"


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of the desk that is not this one, and another to start from."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (tmp_path / "start").mkdir()
    monkeypatch.setattr(env_file, "PROJECT", folder)
    monkeypatch.chdir(tmp_path / "start")
    return folder


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_of_any_editor_is_read(mark: bytes, encoding: str, newline: str) -> None:
    text = "HANDOFF_PEOPLE=11:Zoë:agent\nHANDOFF_PORT=8123\n".replace("\n", newline)
    Path(".env").write_bytes(mark + text.encode(encoding))
    settings = load_settings()
    assert settings.staff[11].name == "Zoë" and settings.port == 8123
    assert told_at_start(settings)[0].startswith(f"Settings come from {Path('.env').absolute()}")


@pytest.mark.parametrize(
    "content",
    [
        "HANDOFF_PEOPLE=11:Ana:agent\n".encode("utf-16-le"),
        "HANDOFF_PEOPLE=11:Zoë:agent\n".encode("latin-1"),
        b"HANDOFF_PORT=8123\n\x00",
        codecs.BOM_UTF16_LE + b"H",
    ],
)
def test_a_file_that_is_no_text_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(BadData, match=r"\.env: it is not text in UTF-8; save it again") as refusal:
        load_settings()
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__
    done = handoff(tmp_path / "start", "migrate")
    assert_one_sentence(done, str(tmp_path / "start" / ".env"), "UTF-8")


def test_a_folder_of_that_name_is_one_sentence() -> None:
    Path(".env").mkdir()
    with pytest.raises(BadData, match=r"\.env: it cannot be read"):
        load_settings()


def test_the_file_of_the_desk_is_found_from_every_folder(project: Path) -> None:
    (project / ".env").write_text(
        f"{REAL}HANDOFF_VAR=data\nDATABASE_URL=sqlite:///data/x.db\nHANDOFF_BOT=~/bot\n"
    )
    settings = load_settings()
    assert sorted(settings.staff) == [11] and not settings.simulated
    assert settings.var == project / "data", "a path begins where the file is"
    assert settings.database == f"sqlite:///{project}/data/x.db"
    assert settings.bot == Path("~/bot").expanduser()
    assert str(project / ".env") in told_at_start(settings)[0]
    Path(".env").write_text("HANDOFF_PORT=8123\n")
    assert load_settings().simulated, "the current folder's comes first"


def test_where_no_file_is_the_places_are_named(project: Path) -> None:
    settings = load_settings()
    told = told_at_start(settings)
    assert str(project) in told[0] and str(Path.cwd()) in told[0] and "no .env" in told[0]
    assert "simulator" in told[-1] and "made-up agents" in told[-1]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HANDOFF_PEPLE", "HANDOFF_PEOPLE"),
        ("TELEGRAM_TOKEN", "TELEGRAM_BOT_TOKEN"),
        ("TELEGRAM_GROUP", "TELEGRAM_GROUP_ID"),
        ("HANDOFF_TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN"),
        ("HANDOFF_NIGHTLY", "HANDOFF_NIGHTLY_AT"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("HANDOFF_SOMETHING_ELSE_ENTIRELY", ""),
    ],
)
def test_a_name_that_means_nothing_is_told(name: str, meant: str) -> None:
    Path(".env").write_text(f"{REAL}{name}=sesame\n")
    told = [sentence for sentence in told_at_start(load_settings()) if name in sentence]
    assert len(told) == 1 and ".env means nothing" in told[0] and "sesame" not in told[0]
    assert (f"perhaps {meant} was meant" in told[0]) if meant else ("perhaps" not in told[0])


def test_a_name_in_the_environment_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_PROT", "1")
    monkeypatch.setenv("SOMEBODY_ELSES", "1")
    monkeypatch.setenv("HANDOFF_ENCODER_URL", "http://127.0.0.1:1")
    told = "\n".join(told_at_start(load_settings()))
    assert "HANDOFF_PROT in the environment means nothing" in told and "HANDOFF_PORT" in told
    assert "SOMEBODY" not in told and "ENCODER_URL" not in told


def test_lines_that_cannot_be_read_are_told_by_number_and_not_shown() -> None:
    Path(".env").write_text(
        f"# one\n\n{REAL}\nTELEGRAM_BOT_TOKEN 99:other\n\n\nHANDOFF_PORT\nexport RASA_TOKEN=x\n"
    )
    file = read_env_file()
    assert file is not None and file.unread == (7, 10)
    told = "\n".join(told_at_start(load_settings()))
    assert "Line 7 of" in told and "Line 10 of" in told and "99:other" not in told


# --- a real desk is never the simulator ----------------------------------------------------------


def test_with_a_token_alone_nobody_works_here() -> None:
    """The first start of a real desk: everybody is a stranger, nobody is made up."""
    Path(".env").write_text("TELEGRAM_BOT_TOKEN=123456:abc\n")
    settings = load_settings()
    check_real_desk(settings)
    assert settings.staff == {}
    assert any("HANDOFF_PEOPLE names nobody" in sentence for sentence in told_at_start(settings))


@pytest.mark.parametrize(
    "text",
    [
        "TELEGRAM_GROUP_ID=-1002222222222",
        "HANDOFF_PEOPLE=11:Ana:agent",
        "TELEGRAM_TOKEN=123456:abc",
        "TELEGRAM_BOT_TOKE=123456:abc",
        "TELEGRAM_CHAT=-1009",
        "HANDOFF_PEPLE=11:Ana:agent",
        "TELEGRAM_BOT_TOKEN=\nTELEGRAM_GROUP_ID=-1002222222222",
    ],
)
def test_anything_of_a_real_desk_keeps_the_simulator_away(text: str, tmp_path: Path) -> None:
    Path(".env").write_text(f"{text}\n")
    with pytest.raises(BadSetting, match=r"TELEGRAM_BOT_TOKEN.*is missing"):
        check_real_desk(load_settings())
    for command in ("up", "serve"):
        assert_one_sentence(handoff(tmp_path / "start", command), "TELEGRAM_BOT_TOKEN")


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"TELEGRAM_GROUP_ID={SIMULATED_GROUP}",
        "HANDOFF_PEOPLE=1001:Ana:agent,lead",
        "TELEGRAM_API_URL=http://127.0.0.1:8081\nHANDOFF_PEOPLE=11:Ana:agent",
        "TELEGRAM_BOT_TOKEN=123456:abc\nTELEGRAM_GROUP_ID=-1002222222222",
        "HANDOFF_PORT=8123",
    ],
)
def test_a_desk_to_try_and_a_whole_real_one_start(text: str) -> None:
    Path(".env").write_text(f"{text}\n")
    check_real_desk(load_settings())


def test_a_token_for_a_server_elsewhere_is_asked_for() -> None:
    settings = load_settings(TELEGRAM_API_URL="https://bots.example.org")
    assert settings.staff == {}, "no made-up agents at somebody's server"
    with pytest.raises(BadSetting, match=r"TELEGRAM_BOT_TOKEN.*TELEGRAM_API_URL"):
        check_real_desk(settings)


def test_every_start_says_what_was_read(tmp_path: Path) -> None:
    """A command refused later on has said it as well."""
    Path(".env").write_text(
        f"HANDOFF_PROT=1\nRASA_URL=http://127.0.0.1:1\nHANDOFF_VAR={tmp_path}\n"
    )
    done: subprocess.CompletedProcess[str] = handoff(tmp_path / "start", "migrate")
    assert done.returncode == 0, done.stderr
    assert "HANDOFF_PROT in" in done.stderr and done.stderr.count("\n") == 1
