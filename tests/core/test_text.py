"""What customer text may be, and how it is made safe for the assistant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.errors import EmptyText, InvalidKey, TextTooLong, UnreadableText
from handoff.core.text import (
    check_key,
    check_text,
    plain_for_assistant,
    sentences,
    without_quotes,
)


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "a\nb\tc\r\nd",
        "<3 _*[ /start [text](entity)",
        "🌿" * 5000,
        "مرحبا",
        "e\u0301",
        "\u200b.",
    ],
)
def test_text_that_is_kept_as_typed(text):
    assert check_text(text) == text


def test_white_space_around_is_not_text():
    assert check_text(" \n hello \t") == "hello"
    assert check_text(" " * 3000 + "x" * 5000 + " " * 3000) == "x" * 5000


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", EmptyText, "must contain text"),
        (" \n\t ", EmptyText, "must contain text"),
        ("x" * 5001, TextTooLong, "5001"),
        ("x" * 20_000, TextTooLong, "20000"),
        ("a\x00b", UnreadableText, "U+0000"),
        ("a\x1b[2Jb", UnreadableText, "U+001B"),
        ("a\x85b", UnreadableText, "U+0085"),
        ("a\ud800b", UnreadableText, "U+D800"),
    ],
)
def test_text_that_is_refused(text, error, words):
    with pytest.raises(error) as refused:
        check_text(text)
    assert words in str(refused.value)


@given(st.text(max_size=50))
def test_whatever_is_accepted_is_accepted_again_unchanged(text):
    try:
        accepted = check_text(text)
    except (EmptyText, UnreadableText):
        return
    assert check_text(accepted) == accepted
    accepted.encode()


@pytest.mark.parametrize("key", ["k", "tg:-100:7", "é ü", "x" * 255])
def test_keys_that_are_kept(key):
    assert check_key(key, "A key") == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\x00", "\ud800"])
def test_keys_that_are_refused(key):
    with pytest.raises(InvalidKey, match="A key must be 1 to 255"):
        check_key(key, "A key")


@pytest.mark.parametrize(
    ("typed", "heard"),
    [
        ("hello", "hello"),
        ("/restart", "restart"),
        (" / / /greet", "greet"),
        ("/", "?"),
        ("//", "?"),
        ("/\u00a0/restart", "restart"),
        ("/\u2003/ /\u3000greet", "greet"),
        ("and/or", "and/or"),
    ],
)
def test_a_customer_cannot_name_an_intent(typed, heard):
    assert plain_for_assistant(typed) == heard


@given(st.text("/ \u00a0\u2003\nx"))
def test_the_assistant_never_hears_a_command_nor_nothing(text):
    heard = plain_for_assistant(text)
    assert heard
    assert not heard.startswith("/")
    assert heard == heard.strip()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Where is it? I want a person!", ["Where is it?", "I want a person!"]),
        ("one\ntwo\r\n\nthree", ["one", "two", "three"]),
        ("it costs 3.50 at www.shop.example", ["it costs 3.50 at www.shop.example"]),
        ("Hm... fine.", ["Hm...", "fine."]),
        (" \n ", []),
    ],
)
def test_sentences_end_at_end_marks_and_line_breaks(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@given(st.text())
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("> where is it?\n\nOn its way.", "On its way."),
        ("a\n> b\n> c\n\nd", "a\nd"),
        ("> only a quote", ""),
        ("3 > 2", "3 > 2"),
        ("nothing quoted", "nothing quoted"),
    ],
)
def test_what_is_quoted_is_not_said(text, own):
    assert without_quotes(text) == own
