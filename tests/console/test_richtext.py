"""Splitting and cutting in UTF-16 units."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_console.richtext import TEXT_UNITS, Rich, cut, one_line, split, utf16_len
from agent_console.views import view_of

TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(["👩‍👩‍👧‍👦", "🇩🇪", "é", "👍🏽", " ", "\n", "\r\n"]),
    ).map(lambda part: part[:1])
    | st.sampled_from("\u200d\u0301🏽🇩🇪👩 \n")
)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(TEXT)
def test_length_is_what_utf16_says(text: str) -> None:
    assert utf16_len(text) == units(text)


@given(TEXT, st.integers(2, 40))
@example("\u0301" * 50, 4)
@example("🇩" * 21, 6)
def test_pieces_fit_and_join_to_the_input(text: str, most: int) -> None:
    pieces = split(text, most)
    assert "".join(pieces) == text
    assert all(0 < units(piece) <= most for piece in pieces)


@given(TEXT, st.integers(2, 40))
def test_cut_fits_and_keeps_the_beginning(text: str, most: int) -> None:
    short = cut(text, most)
    assert units(short) <= most
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_a_long_message_of_emoji_is_cut_between_characters() -> None:
    family = "👩‍👩‍👧‍👦"
    pieces = split(family * 700)
    assert len(pieces) == 2 + (utf16_len(family * 700) > 2 * TEXT_UNITS)
    assert all(len(piece) % len(family) == 0 for piece in pieces)


@pytest.mark.parametrize("whole", ["e\u0301", "🇩🇪", "👍🏽", "👩‍🚀", "\r\n"])
def test_what_is_seen_as_one_is_not_cut(whole: str) -> None:
    for lead in range(4, 8):
        pieces = split("x" * lead + whole + "y" * 9, 8)
        assert any(whole in piece for piece in pieces)


def test_a_piece_ends_after_a_line_break_or_a_blank_near_its_end() -> None:
    assert split("aaaaaa\nbbb ccc", 8) == ["aaaaaa\n", "bbb ccc"]
    assert split("aaaaaa bbbbbb", 8) == ["aaaaaa ", "bbbbbb"]
    assert split("a bbbbbbbbbbb", 8) == ["a bbbbbb", "bbbbb"]


def test_one_line_is_one_line() -> None:
    assert one_line(" a\n\tb  c ", 10) == "a b c"


@given(st.lists(st.tuples(TEXT, st.sampled_from(["", "bold", "blockquote"]))))
def test_entities_lie_inside_the_text(parts: list[tuple[str, str]]) -> None:
    rich = Rich()
    for text, kind in parts:
        rich.add(text, *([kind] if kind else []))
    view = view_of(rich)
    total = units(view.text)
    assert all(e.length > 0 and 0 <= e.offset < e.offset + e.length <= total for e in view.entities)


def test_offsets_count_utf16_units() -> None:
    view = view_of(Rich().add("😀 ").add("bold", "bold"))
    assert (view.entities[0].offset, view.entities[0].length) == (3, 4)
