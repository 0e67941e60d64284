"""The settings: each bad value is one sentence that names it, and nothing undocumented is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from handoff.bootstrap.gateway import widget_options
from handoff.core.costs import Costs
from handoff.core.errors import BadSetting
from handoff.core.evidence import named
from handoff.core.limits import PolicyLimits
from handoff.core.model import Person, Role
from handoff.core.policy import Policy
from handoff.settings import (
    SIMULATED_TOKEN,
    Settings,
    load_settings,
    parse_people,
    settings_table,
)

PROJECT = Path(__file__).resolve().parents[2]
VARIABLES = {str(field.alias): name for name, field in Settings.model_fields.items()}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine, neither from the environment nor from a `.env`."""
    for name in os.environ:
        if name.upper() in VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


BAD = [
    ("HANDOFF_CORS", "shop.example", "“shop.example” is not an origin such as https://"),
    ("HANDOFF_CORS", "*, https://shop.example/chat", "“https://shop.example/chat” is not an"),
    ("HANDOFF_CORS", "https://shop.example/", "“https://shop.example/” is not an origin"),
    ("HANDOFF_CORS", "https://[", "“https://[” is not an origin"),
    ("HANDOFF_CORS", "https://*.shop.example:x", "is not an origin"),
    ("HANDOFF_JWT_METHOD", "none", "“none” is not one of HS256, "),
    ("HANDOFF_JWT_METHOD", "", "“” is not one of HS256, "),
    ("HANDOFF_OPENING_PAYLOADS", "greet", "“greet” is not a payload such as /get_started"),
    ("HANDOFF_OPENING_PAYLOADS", "/greet, /", "“/” is not a payload"),
    ("HANDOFF_OPENING_PAYLOADS", "/greet{}", "“/greet{}” is not a payload"),
    ("TELEGRAM_BOT_TOKEN", "my token", "does not look like the token"),
    ("TELEGRAM_BOT_TOKEN", "123456", "does not look like the token"),
    ("TELEGRAM_BOT_TOKEN", "abc:DEF", "does not look like the token"),
    ("TELEGRAM_GROUP_ID", "my group", "valid integer"),
    ("TELEGRAM_GROUP_ID", "", "valid integer"),
    ("TELEGRAM_PER_MINUTE", "0", "greater than or equal to 1"),
    ("TELEGRAM_PER_MINUTE", "many", "valid integer"),
    ("HANDOFF_PEOPLE", "Ana", "“Ana” is not of the form id:name:role"),
    ("HANDOFF_PEOPLE", "1:Ana", "“1:Ana” is not of the form id:name:role"),
    ("HANDOFF_PEOPLE", "x:Ana:agent", "“x:Ana:agent” is not of the form"),
    ("HANDOFF_PEOPLE", "1:Ana:", "“1:Ana:” is not of the form"),
    ("HANDOFF_PEOPLE", "1::agent", "“1::agent” is not of the form"),
    ("HANDOFF_PEOPLE", "1:Ana:boss", "“boss” is not a role"),
    ("HANDOFF_PEOPLE", "1:Ana:agent; 1:Bo:lead", "1 is listed twice"),
    ("HANDOFF_PEOPLE", "1: :agent", "“1: :agent” is not of the form"),
    ("HANDOFF_PEOPLE", "1:Ana:,", "“1:Ana:,” is not of the form"),
    ("RASA_URL", "localhost:5005", "“localhost:5005” is not an address such as http://"),
    ("RASA_URL", "", "“” is not an address"),
    ("RASA_URL", "http://[", "“http://[” is not an address"),
    ("RASA_URL", "http://rasa:port", "“http://rasa:port” is not an address"),
    ("TELEGRAM_API_URL", "ftp://bots", "“ftp://bots” is not an address"),
    ("ORDER_STORE_URL", "shop", "“shop” is not an address"),
    ("HANDOFF_PORT", "0", "greater than or equal to 1"),
    ("HANDOFF_PORT", "65536", "less than or equal to 65535"),
    ("HANDOFF_PORT", "http", "valid integer"),
    ("ACTIONS_PORT", "-1", "greater than or equal to 1"),
    ("SANDBOX_PORT", "70000", "less than or equal to 65535"),
    ("HANDOFF_NIGHTLY_AT", "3:00", "“3:00” is not a time such as 03:00"),
    ("HANDOFF_NIGHTLY_AT", "24:00", "“24:00” is not a time"),
    ("HANDOFF_NIGHTLY_AT", "03:60", "“03:60” is not a time"),
    ("HANDOFF_NIGHTLY_AT", "night", "“night” is not a time"),
    ("HANDOFF_NIGHTLY_AT", "", "“” is not a time"),
    ("HANDOFF_TIMEZONE", "Mars/Base", "“Mars/Base” is not a time zone"),
    ("HANDOFF_TIMEZONE", "../etc/passwd", "“../etc/passwd” is not a time zone"),
    ("HANDOFF_TIMEZONE", "", "“” is not a time zone"),
    ("HANDOFF_LANGUAGES", "", "“” is none of the languages known here: ar, cs"),
    ("HANDOFF_LANGUAGES", "en, english", "“english” is none of the languages known here"),
    ("HANDOFF_ASSISTANT", "mine", "input should be 'auto', 'own' or 'foreign'"),
    ("HANDOFF_ENCODER_BACKEND", "gpu", "input should be 'auto', 'onnx', 'onnx-int8' or 'torch'"),
    ("HANDOFF_REMINDER_MINUTES", "0", "greater than or equal to 1"),
    ("HANDOFF_CONFIDENCE", "45", "less than or equal to 1"),
    ("HANDOFF_CONFIDENCE", "-0.1", "greater than or equal to 0"),
    ("HANDOFF_CONFIDENCE", "nan", "less than or equal to 1"),
    ("HANDOFF_ANGRY", "very", "valid number"),
    ("HANDOFF_ANGRY", "1.01", "less than or equal to 1"),
    ("MISSED_HANDOFF_COST", "0", "greater than 0"),
    ("MISSED_HANDOFF_COST", "much", "valid number"),
    ("NEEDLESS_HANDOFF_COST", "-1", "greater than 0"),
    ("NEEDLESS_HANDOFF_COST", "inf", "less than or equal to 1000"),
    ("LATE_TURN_COST", "-0.5", "greater than or equal to 0"),
    ("LATE_TURN_COST", "nan", "less than or equal to 1000"),
    ("HANDOFF_PLACES_PER_AGENT", "0", "greater than or equal to 1"),
]


@pytest.mark.parametrize(("name", "value", "why"), BAD)
def test_a_bad_value_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting) as refusal:
        load_settings()
    sentence = str(refusal.value)
    assert sentence.startswith(f"The setting {name} is not usable: ") and why in sentence
    assert sentence.endswith(".") and "\n" not in sentence
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__


def test_every_setting_that_can_be_wrong_by_itself_is_tried_above() -> None:
    """A new setting with a type or a rule needs its bad values in `BAD`."""
    free = {"DATABASE_URL", "HANDOFF_HOST", "HANDOFF_INTERNAL_TOKEN", "HANDOFF_ENCODER"}
    free |= {"HANDOFF_ENCODER_FOLDER", "HANDOFF_METADATA_SHOWN", "HANDOFF_REST_ACKNOWLEDGEMENT"}
    free |= {"HANDOFF_JWT_KEY"}  # whether it is one follows from the method: see test_widgets.py
    free |= {"RASA_TOKEN", "RASA_VENV", "HANDOFF_VAR", "HANDOFF_TRAINING_DATA", "HANDOFF_BOT"}
    free |= {"HANDOFF_HUMAN_INTENTS", "HANDOFF_PERSON_INTENTS", "HANDOFF_COURTESY_INTENTS"}
    free |= {"ORDER_STORE_TOKEN"}
    assert set(VARIABLES) - free == {name for name, _, _ in BAD}


def test_a_refused_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "half-a-secret")
    with pytest.raises(BadSetting) as refusal:
        load_settings()
    assert "half-a-secret" not in str(refusal.value)
    assert "half-a-secret" not in repr(refusal.value)


# --- what is read --------------------------------------------------------------------------------


def test_nothing_but_documented_variables_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the fields, and names that look alike, mean nothing."""
    usual = load_settings()
    for name in Settings.model_fields:
        if name.upper() not in VARIABLES:
            monkeypatch.setenv(name.upper(), "1")
            monkeypatch.setenv(f"HANDOFF_SETTINGS_{name.upper()}", "1")
    for name in ("HANDOFF_TELEGRAM_BOT_TOKEN", "TELEGRAM_TOKEN", "BOT_TOKEN", "HANDOFF_LOG"):
        monkeypatch.setenv(name, "1:abc")
    assert load_settings() == usual


def test_every_documented_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {int: "17", float: "0.17", Path: "/17", str: "17"}
    special = {
        "TELEGRAM_BOT_TOKEN": "17:abc",
        "HANDOFF_PEOPLE": "17:Ana:agent",
        "HANDOFF_ASSISTANT": "foreign",
        "HANDOFF_ENCODER_BACKEND": "torch",
        "HANDOFF_NIGHTLY_AT": "17:17",
        "HANDOFF_TIMEZONE": "Europe/Berlin",
        "HANDOFF_LANGUAGES": "de, fr",
        "HANDOFF_CORS": "http://17",
        "HANDOFF_JWT_METHOD": "RS512",
        "HANDOFF_OPENING_PAYLOADS": "/17",
        "RASA_URL": "http://17",
        "TELEGRAM_API_URL": "http://17",
        "ORDER_STORE_URL": "http://17",
    }
    usual = load_settings()
    for variable, name in VARIABLES.items():
        kind = Settings.model_fields[name].annotation
        value = special.get(variable) or next((v for k, v in values.items() if k is kind), "17")
        monkeypatch.setenv(variable, value)
    changed = load_settings()
    for variable, name in VARIABLES.items():
        assert getattr(changed, name) != getattr(usual, name), variable


def test_a_file_is_read_and_the_environment_counts_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        'HANDOFF_PORT=8123\nHANDOFF_PEOPLE="11:Ana:agent; 22:Lea:lead"\nUNKNOWN=1\n'
    )
    monkeypatch.setenv("HANDOFF_PORT", "8124")
    settings = load_settings()
    assert settings.port == 8124 and sorted(settings.staff) == [11, 22]


def test_the_code_reads_the_environment_in_the_settings_only() -> None:
    """Elsewhere whole environments are handed to children, and two libraries are told something."""
    allowed = {
        "handoff/supervisor.py": {"os.environ.items() if name not in part.hidden"},
        "handoff/learning/rasa_process.py": {"os.environ.items()"},
        "handoff/__main__.py": {'os.environ.setdefault("OMP_NUM_THREADS"'},
        "handoff/adapters/encoder_backends.py": {'os.environ.setdefault("HF_HUB_OFFLINE"'},
    }
    for folder in ("handoff", "agent_console"):
        for path in (PROJECT / folder).rglob("*.py"):
            name, text = str(path.relative_to(PROJECT)), path.read_text()
            uses = re.findall(r"os\.environ[^\n]*|os\.getenv[^\n]*|environb[^\n]*", text)
            for use in uses:
                fine = [start for start in allowed.get(name, set()) if use.startswith(start)]
                assert fine, f"{name}: {use}"


def test_the_table_names_each_setting_once_and_no_secret() -> None:
    table = settings_table()
    rows = re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(VARIABLES)
    assert str(PROJECT) not in table


# --- secrets -------------------------------------------------------------------------------------


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "TELEGRAM_BOT_TOKEN": "123456:telegramsecret",
        "HANDOFF_INTERNAL_TOKEN": "internalsecret",
        "RASA_TOKEN": "rasasecret",
        "DATABASE_URL": "postgresql://desk:databasesecret@db/desk",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    shown = f"{settings!r} {settings}"
    assert settings.bot_token == "123456:telegramsecret"
    for value in secrets.values():
        assert value.split(":")[-1].split("@")[0] not in shown


# --- people --------------------------------------------------------------------------------------


def test_people() -> None:
    found = parse_people(" 11:Ana Maria:agent ;22: Bo :agent, reviewer;; 33:Lea:lead;")
    assert found == {
        11: Person(11, "Ana Maria", frozenset({Role.AGENT})),
        22: Person(22, "Bo", frozenset({Role.AGENT, Role.REVIEWER})),
        33: Person(33, "Lea", frozenset({Role.LEAD})),
    }
    assert found[33].may(Role.REVIEWER) and not found[11].may(Role.REVIEWER)


def test_nobody_is_nobody() -> None:
    """A desk without people lets nobody in, rather than everybody."""
    assert parse_people("") == parse_people(" ; ") == {}


def test_names_are_kept_as_written() -> None:
    assert parse_people("11:Æsa <3 _*[:agent")[11].name == "Æsa <3 _*["


# --- what follows from others --------------------------------------------------------------------


def test_without_a_token_the_simulator_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert settings.simulated and settings.bot_token == SIMULATED_TOKEN
    assert settings.bot_api_url == "http://127.0.0.1:8081"
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123456:abc")
    settings = load_settings()
    assert not settings.simulated and settings.bot_token == "123456:abc"
    assert settings.bot_api_url == "https://api.telegram.org"
    monkeypatch.setenv("TELEGRAM_API_URL", "http://127.0.0.1:8082/")
    assert load_settings().bot_api_url == "http://127.0.0.1:8082"
    monkeypatch.setenv("RASA_URL", "http://rasa.local:5005/")
    assert load_settings().rasa_url == "http://rasa.local:5005"


def test_where_the_database_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_VAR", "/srv/desk")
    assert load_settings().database == "sqlite:////srv/desk/handoff.db"
    monkeypatch.setenv("DATABASE_URL", "postgresql://desk@db/desk")
    assert load_settings().database == "postgresql://desk@db/desk"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "localhost"])
def test_where_this_machine_finds_the_gateway(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HANDOFF_HOST", host)
    assert load_settings().local_url == "http://127.0.0.1:8000"


def test_limits_and_intents(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().policy() == named(Policy())
    monkeypatch.setenv("HANDOFF_CONFIDENCE", "0.6")
    monkeypatch.setenv("HANDOFF_ANGRY", "0.9")
    monkeypatch.setenv("HANDOFF_HUMAN_INTENTS", " complaint, ,delete_account ")
    settings = load_settings()
    policy = settings.policy()
    assert policy.limits == PolicyLimits(confidence=0.6, angry=0.9)
    assert policy.desk.person_intents == {"contact_human_agent"}
    assert policy.desk.human_intents == {"complaint", "delete_account"}
    assert policy.id == named(policy).id != named(Policy()).id


def test_costs_of_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISSED_HANDOFF_COST", "8")
    monkeypatch.setenv("NEEDLESS_HANDOFF_COST", "2")
    monkeypatch.setenv("LATE_TURN_COST", "0")
    assert load_settings().policy().costs == Costs(missed=8.0, needless=2.0, late=0.0)


def test_places_are_those_of_everybody_who_may_take_a_conversation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HANDOFF_PEOPLE", "1:A:agent; 2:B:reviewer; 3:C:lead; 4:D:agent")
    assert load_settings().places == 12
    monkeypatch.setenv("HANDOFF_PLACES_PER_AGENT", "2")
    assert load_settings().places == 6
    monkeypatch.setenv("HANDOFF_PEOPLE", "2:B:reviewer")
    assert load_settings().places == 2


def test_what_is_listed_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_CORS", " https://Shop.example , null,, https://shop.example:8443,")
    monkeypatch.setenv("HANDOFF_OPENING_PAYLOADS", "/welcome,/say hello")
    monkeypatch.setenv("HANDOFF_METADATA_SHOWN", "page, customer.tier ,page")
    settings = load_settings()
    assert settings.origins == ("https://shop.example", "null", "https://shop.example:8443")
    assert settings.opening_intents == {"welcome", "say hello"}
    assert settings.shown_fields == ("page", "customer.tier")


def test_a_key_that_checks_no_token_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_JWT_KEY", "half-a-secret")
    monkeypatch.setenv("HANDOFF_JWT_METHOD", "RS256")
    with pytest.raises(BadSetting) as refusal:
        widget_options(load_settings())
    assert "HANDOFF_JWT_KEY" in str(refusal.value) and "half-a-secret" not in str(refusal.value)
