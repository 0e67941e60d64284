"""What a bad CSV file gets: one sentence naming the file and the row."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoff.core.errors import BadData
from handoff.fitting.labelled import Labelled, has_column, read_flags, read_intents


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
