"""Labelled files: what is read, and that a bad one gets one sentence naming file and row."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from handoff.core.errors import BadData
from handoff.fitting.labelled import (
    CustomerTurn,
    Labelled,
    LabelledConversation,
    read_conversations,
    read_flags,
    read_intents,
)
from tests.conftest import TRAINING_DATA


def csv(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_rows_are_read_with_the_lines_they_begin_on(tmp_path: Path, end: str) -> None:
    rows = ["", "intent,text,more", 'a," two\nlines ",x', "", '" b ",four,y', "c,five", ""]
    assert read_intents(csv(tmp_path, end.join(rows))) == [
        Labelled("two\nlines", "a", 3),
        Labelled("four", "b", 6),
        Labelled("five", "c", 7),
    ]


def test_a_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("text,negative,angry\nfine,0,0\n",))
    writer.start()
    assert read_flags(path, ["negative"], ["angry"])[1] == {"negative": [0], "angry": [0]}
    writer.join()


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = csv(tmp_path, "\ufefftext,intent\nhello,greet\n")
    assert read_intents(path)[0].text == "hello"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty.$"),
        ("\ufeff\n\n", "it is empty.$"),
        ("text,label\nx,y\n", "the column “intent” is missing"),
        ("Text,intent\nx,y\n", "the column “Text” must be called “text”"),
        ("text, intent\nx,y\n", "the column “ intent” must be called “intent”"),
        ("text,intent,text\nx,y,z\n", "the column “text” is named twice"),
        ("text,id,intent,id\nx,1,y,2\n", "the column “id” is named twice"),
        ("text,intent\n", "it holds no rows"),
        ("text,intent\nhello,greet\nhi,\n", "line 3 has no intent"),
        ("text,intent\nhello,greet\n  ,greet\n", "line 3 has no text"),
        ("text,intent\nhello\n", "line 2 has no intent"),
        ('text,intent\n\n"two\nlines",greet\n\nhi,\n', "line 6 has no intent"),
        ("text,intent\nhi,greet\nhello, when,open\n", "line 3 has 3 cells and the header 2; a te"),
        (
            'text,intent\nhi,greet\n"open,greet\nhello,greet\n',
            "what begins on line 3 is not CSV: a quotation mark in it is never closed.$",
        ),
        ('text,intent\n"open,greet\n' + "x\n" * 99_999, "begins on line 2 .* is never closed.$"),
        ('text,intent\nhi,greet\n"a"b,greet\n', r"what begins on line 3 is not CSV \(.*\).$"),
        (b"text,intent\ncaf\xe9,greet\n", "it is not UTF-8 at byte 15, line 2"),
        (b"\xef\xbb\xbftext,intent\r\ncaf\xe9,greet\n", "it is not UTF-8 at byte 19, line 2"),
        (b"text,intent\n" + b"hi,greet\n" * 99_999 + b"caf\xe9,a\n", "byte 900006, line 100001"),
        (
            f"text,intent\n{'x' * 5001},greet\n",
            "line 2: A message may hold 5000 characters at most; this one has 5001.$",
        ),
        (f"text,intent\n{'x' * 200_000},greet\n", "line 2: A message .* this one has 200000.$"),
        ("text,intent\nbell\x07,greet\n", r"line 2: .*U\+0007"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_line(
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
    assert read_flags(path, ["negative"])[1] == {"negative": [0, 1]}
    assert read_flags(path, ["negative"], ["angry", "handoff"])[1] == {
        "negative": [0, 1],
        "angry": [0, 1],
    }


def test_an_optional_column_in_other_letters_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,negative,Angry\nfine,0,0\n")
    with pytest.raises(BadData, match="the column “Angry” must be called “angry”"):
        read_flags(path, ["negative"], ["angry"])
    assert read_flags(path, ["negative"])[1] == {"negative": [0]}


@pytest.mark.parametrize("value", ["yes", "2", "-1", "0.5"])
def test_any_other_flag_is_refused(tmp_path: Path, value: str) -> None:
    path = csv(tmp_path, f"text,negative\nfine,0\nbad,{value}\n")
    with pytest.raises(BadData, match=f"line 3: negative must be 0 or 1, not “{value}”"):
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


def test_ids_and_intents_may_be_whole_numbers(tmp_path: Path) -> None:
    rows = [{**TURN, "conversation": 17, "intent": 0}, {**TURN, "conversation": "17", "turn": 1}]
    assert read_conversations(lines(tmp_path, *rows)) == [
        LabelledConversation(
            "17", (CustomerTurn("hi", "0", False), CustomerTurn("hi", "greet", False))
        )
    ]


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
        ({**TURN, "text": 5}, "line 2: text must be text in quotation marks, not 5.$"),
        ({**TURN, "conversation": " "}, "line 2 has no conversation"),
        ({**TURN, "conversation": None}, "line 2 has no conversation"),
        ({**TURN, "conversation": 4.5}, "line 2: conversation must be text or a whole number, no"),
        ({**TURN, "intent": ""}, "line 2 has no intent"),
        ({**TURN, "intent": True}, "line 2: intent must be text or a whole number, not true.$"),
        ({**TURN, "intent": ["x" * 99]}, r'not \["x{38}….$'),
        ({**TURN, "turn": "1"}, 'line 2: turn must be a number, not "1".$'),
        ({**TURN, "turn": True}, "line 2: turn must be a number, not true.$"),
        ({**TURN, "turn": None}, "line 2: turn must be a number, not null.$"),
        ({**TURN, "turn": 1, "handoff": 2}, "line 2: handoff must be 0 or 1, not 2.$"),
        ({**TURN, "turn": 1, "handoff": "1"}, 'line 2: handoff must be 0 or 1, not "1".$'),
        ({**TURN, "turn": 1, "handoff": None}, "line 2: handoff must be 0 or 1, not null.$"),
        ({"conversation": "a", "text": "hi", "intent": "x"}, "line 2 has no turn"),
        ({**TURN, "turn": 0}, "line 2: turn 0 of a is out of order"),
        ({**TURN, "turn": -1}, "line 2: turn -1 of a is out of order"),
        ({**TURN, "turn": float("nan")}, "line 2: turn must be a number"),
        ({**TURN, "turn": float("inf")}, "line 2: turn must be a number of nine digits at mo"),
        ({**TURN, "turn": 10**400}, "turn must be a number of nine digits at most, not 10{39}….$"),
        ({**TURN, "turn": 1, "text": "x" * 5001}, r"this one has 5001\.$"),
        ({**TURN, "turn": 1, "text": "bell\x07"}, r"line 2: .*U\+0007"),
        (b'{"text": "caf\xe9"}', "it is not UTF-8 at byte .*, line 2.$"),
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
