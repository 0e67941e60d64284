"""No secret leaves this process through its log."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from handoff.adapters.logs import BLOT, configure_logging

TOKEN = "123456:AAsecretBotToken"
INTERNAL = "internal-token"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Yield what goes to standard error; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    configure_logging([TOKEN, "", INTERNAL])
    yield text
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_message_and_its_arguments(log: io.StringIO) -> None:
    logging.getLogger("any").warning("calling %s with %s", f"/bot{TOKEN}/getMe", INTERNAL)
    assert f"WARNING any: calling /bot{BLOT}/getMe with {BLOT}\n" in log.getvalue()


def test_a_traceback(log: io.StringIO) -> None:
    try:
        raise RuntimeError(f"no answer from /bot{TOKEN}/sendMessage")
    except RuntimeError:
        logging.getLogger("any").exception("it failed")
    said = log.getvalue()
    assert "Traceback" in said and f"/bot{BLOT}/sendMessage" in said
    assert TOKEN not in said


def test_the_cause_of_a_cause(log: io.StringIO) -> None:
    try:
        try:
            raise KeyError(INTERNAL)
        except KeyError as inner:
            raise ValueError("outside") from inner
    except ValueError:
        logging.getLogger("any").exception("it failed")
    assert "KeyError" in log.getvalue() and INTERNAL not in log.getvalue()


def test_the_source_line_of_a_traceback(log: io.StringIO) -> None:
    """The line of code quoted in a traceback may itself hold a secret; so may a stack."""
    logging.getLogger("any").warning("here: %s", 1, stack_info=True)  # 123456:AAsecretBotToken
    said = log.getvalue()
    assert "stack_info=True" in said and TOKEN not in said


def test_a_secret_that_begins_another_hides_no_part_of_it(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", log)
    configure_logging(["abc", "abcdef"])
    logging.getLogger("any").info("the token is abcdef")
    assert log.getvalue().endswith(f"the token is {BLOT}\n")


def test_an_empty_secret_blots_nothing(log: io.StringIO) -> None:
    logging.getLogger("any").info("plain words")
    assert log.getvalue().endswith("INFO any: plain words\n") and BLOT not in log.getvalue()


def test_libraries_that_log_addresses_are_silenced(log: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST /somewhere")
    assert log.getvalue() == ""
    logging.getLogger("httpx").warning("something to know")
    assert "something to know" in log.getvalue()


def test_configuring_again_does_not_write_twice(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", log)
    configure_logging([TOKEN])
    logging.getLogger("any").info("once")
    assert log.getvalue().count("once") == 1
