"""Labelled files: what is read, and that a bad one gets one sentence naming file and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handoff.core.errors import BadData
from handoff.fitting.labelled import (
    CustomerTurn,
    Labelled,
    LabelledConversation,
    has_column,
    read_conversations,
    read_flags,
    read_intents,
)
from tests.conftest import TRAINING_DATA


def csv(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_rows_are_read_with_their_numbers(tmp_path: Path) -> None:
    path = csv(tmp_path, 'intent,text,more\r\na," two\nlines ",x\r\n" b ",four,y\r\n')
    assert read_intents(path) == [Labelled("two\nlines", "a", 2), Labelled("four", "b", 3)]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = csv(tmp_path, "\ufefftext,intent\nhello,greet\n")
    assert read_intents(path)[0].text == "hello"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the column “text” is missing"),
        ("text,label\nx,y\n", "the column “intent” is missing"),
        ("text,intent\n", "it holds no rows"),
        ("text,intent\nhello,greet\nhi,\n", "row 3 has no intent"),
        ("text,intent\nhello,greet\n  ,greet\n", "row 3 has no text"),
        ("text,intent\nhello\n", "row 2 has no intent"),
        ('text,intent\n"open,greet\n', "it is not CSV"),
        (b"text,intent\ncaf\xe9,greet\n", "it is not UTF-8 at byte 15"),
        (f"text,intent\n{'x' * 5001},greet\n", "row 2: A message may hold 5000 characters"),
        ("text,intent\nbell\x07,greet\n", r"row 2: .*U\+0007"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_row(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    path = csv(tmp_path, content)
    with pytest.raises(BadData, match=why) as refusal:
        read_intents(path)
    assert str(refusal.value).startswith(f"{path}: ")


def test_an_unknown_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="there is no such file"):
        read_intents(tmp_path / "none.csv")
    with pytest.raises(BadData, match="cannot be read"):
        read_intents(tmp_path)


def test_flags_are_zero_or_one(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative,angry\nfine,0,0\nbad,1, 1\n")
    assert read_flags(path, ["negative", "angry"]) == (
        ["fine", "bad"],
        {"negative": [0, 1], "angry": [0, 1]},
    )
    assert has_column(path, "angry")
    assert not has_column(path, "handoff")


@pytest.mark.parametrize("value", ["yes", "2", "-1", "0.5"])
def test_any_other_flag_is_refused(tmp_path: Path, value: str) -> None:
    path = csv(tmp_path, f"text,negative\nfine,0\nbad,{value}\n")
    with pytest.raises(BadData, match=f"row 3: negative must be 0 or 1, not “{value}”"):
        read_flags(path, ["negative"])


# --- conversations -------------------------------------------------------------------------------


def lines(folder: Path, *rows: str | bytes | dict[str, Any]) -> Path:
    path = folder / "conversations.jsonl"
    given = [json.dumps(row) if isinstance(row, dict) else row for row in rows]
    path.write_bytes(b"\n".join(r.encode() if isinstance(r, str) else r for r in given))
    return path


TURN = {"conversation": "a", "turn": 0, "text": "hi", "intent": "greet", "handoff": 0}


def test_conversations_keep_the_order_of_the_file_and_of_their_turns(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {**TURN, "conversation": "b", "more": "is read over"},
        {**TURN, "text": " where is\nit ", "intent": " track "},
        "",
        {**TURN, "conversation": "b", "turn": 2.5, "text": "now!", "handoff": 1},
        {**TURN, "turn": 7, "text": "bye"},
    )
    assert read_conversations(path) == [
        LabelledConversation(
            "b", (CustomerTurn("hi", "greet", False), CustomerTurn("now!", "greet", True))
        ),
        LabelledConversation(
            "a", (CustomerTurn("where is\nit", "track", False), CustomerTurn("bye", "greet", False))
        ),
    ]
    assert [one.needs_person for one in read_conversations(path)] == [True, False]


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_turn_may_say_nothing(tmp_path: Path, text: str) -> None:
    (one,) = read_conversations(lines(tmp_path, {**TURN, "text": text}))
    assert one.turns == (CustomerTurn("", "greet", False),)


def test_conversations_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = lines(tmp_path, "\ufeff" + json.dumps(TURN))
    assert read_conversations(path)[0].id == "a"


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    row = json.dumps({**TURN, "text": "one\u2028two"}, ensure_ascii=False)
    assert read_conversations(lines(tmp_path, row))[0].turns[0].text == "one\u2028two"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{", "line 2 is not JSON"),
        ("[" * 99_999, "line 2 is not JSON"),
        ("[1, 2]", "line 2 is not an object"),
        ("null", "line 2 is not an object"),
        ({"conversation": "a"}, "line 2 has no text"),
        ({**TURN, "text": None}, "line 2 has no text"),
        ({**TURN, "text": 5}, "line 2 has no text"),
        ({**TURN, "conversation": " "}, "line 2 has no conversation"),
        ({**TURN, "conversation": 4}, "line 2 has no conversation"),
        ({**TURN, "intent": ""}, "line 2 has no intent"),
        ({**TURN, "turn": "1"}, "line 2: turn must be a number"),
        ({**TURN, "turn": True}, "line 2: turn must be a number"),
        ({**TURN, "turn": None}, "line 2: turn must be a number"),
        ({**TURN, "turn": 1, "handoff": 2}, "line 2: handoff must be 0 or 1"),
        ({**TURN, "turn": 1, "handoff": "1"}, "line 2: handoff must be 0 or 1"),
        ({**TURN, "turn": 1, "handoff": None}, "line 2: handoff must be 0 or 1"),
        ({**TURN, "turn": 0}, "line 2: turn 0 of a is out of order"),
        ({**TURN, "turn": -1}, "line 2: turn -1 of a is out of order"),
        ({**TURN, "turn": float("nan")}, "line 2: turn must be a number"),
        ({**TURN, "turn": float("inf")}, "line 2: turn must be a number"),
        ({**TURN, "turn": 10**400}, "line 2: turn must be a number"),
        ({**TURN, "turn": 1, "text": "x" * 5001}, "line 2: A message may hold 5000 characters"),
        ({**TURN, "turn": 1, "text": "bell\x07"}, r"line 2: .*U\+0007"),
        (b'{"text": "caf\xe9"}', "it is not UTF-8 at byte"),
    ],
)
def test_a_bad_conversation_is_refused_by_file_and_line(
    tmp_path: Path, row: str | bytes | dict[str, Any], why: str
) -> None:
    path = lines(tmp_path, TURN, row)
    with pytest.raises(BadData, match=why) as refusal:
        read_conversations(path)
    assert str(refusal.value).startswith(f"{path}: ")


def test_no_conversations_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="it holds no rows"):
        read_conversations(lines(tmp_path, "", "  "))
    with pytest.raises(BadData, match="there is no such file"):
        read_conversations(tmp_path / "none.jsonl")
    with pytest.raises(BadData, match="cannot be read"):
        read_conversations(tmp_path)


@pytest.mark.parametrize("name", ["handoffs/conversations.jsonl", "golden/handoffs.jsonl"])
def test_the_shipped_conversations_can_be_read(name: str) -> None:
    found = read_conversations(TRAINING_DATA / name)
    assert {one.needs_person for one in found} == {False, True}
