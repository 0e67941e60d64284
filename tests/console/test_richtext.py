"""Splitting and cutting in UTF-16 units."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_console.richtext import (
    TEXT_UNITS,
    Entity,
    Rich,
    as_plain,
    cut,
    one_line,
    quote,
    split,
    utf16_len,
)
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


SHOP = "https://shop.example/size?x=(1)"


def formatted(*parts: str | tuple[str, str] | tuple[str, str, str]) -> tuple[str, list[Entity]]:
    """Return a text and its entities; a part may be (words, type) or (words, type, address)."""
    rich = Rich()
    for part in parts:
        words, *how = (part,) if isinstance(part, str) else part
        rich.add(words, *how[:1], url=how[1] if len(how) > 1 else None)
    return rich.text, rich.entities


@pytest.mark.parametrize(
    ("parts", "plain"),
    [
        (("See ", ("our table", "text_link", SHOP), "."), f"See our table ({SHOP})."),
        (("😀👩‍🚀 ", ("الجدول", "text_link", SHOP)), f"😀👩‍🚀 الجدول ({SHOP})"),
        ((("words \n", "text_link", SHOP), "next"), f"words ({SHOP}) \nnext"),
        ((("a", "text_link", SHOP), ("b", "text_link", SHOP)), f"ab ({SHOP})"),
        ((("a", "text_link", SHOP), ("b", "text_link", "https://b.example")),
         f"a ({SHOP})b (https://b.example)"),
        ((("shop.example", "text_link", "http://shop.example/"),), "shop.example"),
        (((SHOP, "text_link", SHOP),), SHOP),
        ((("https://bank.example", "text_link", "https://evil.example"),),
         "https://bank.example (https://evil.example)"),
        ((("write us", "text_link", "mailto:help@shop.example"),), "write us (help@shop.example)"),
        ((("first\nsecond", "blockquote"), "\nanswer"), "> first\n> second\n\nanswer"),
        ((("first\n", "expandable_blockquote"), "answer"), "> first\n\nanswer"),
        (("before", ("said", "blockquote"), "\n\nafter"), "before\n> said\n\nafter"),
        ((("said", "blockquote"),), "> said"),
        ((("bold", "bold"), " ", ("code", "code"), " ", ("s", "spoiler")), "bold code s"),
        ((("  ", "text_link", SHOP), "x"), "  x"),
    ],
)  # fmt: skip
def test_formatting_that_says_something_stays_in_plain_text(parts, plain) -> None:
    assert as_plain(*formatted(*parts)) == plain


def test_a_link_inside_a_quote_keeps_its_address() -> None:
    text = "see here\nok"
    entities = [Entity("blockquote", 0, 8), Entity("text_link", 4, 4, SHOP)]
    assert as_plain(text, entities) == f"> see here ({SHOP})\n\nok"


def test_what_stands_before_the_start_is_left_out() -> None:
    text, entities = formatted("/note see ", ("here", "text_link", SHOP))
    assert as_plain(text, entities, len("/note ")) == f"see here ({SHOP})"
    text, entities = formatted("/", ("/a", "text_link", SHOP))
    assert as_plain(text, entities, 1) == f"/a ({SHOP})"


@given(TEXT, st.lists(st.tuples(st.sampled_from(["text_link", "blockquote", "bold"]),
                                st.integers(0, 60), st.integers(0, 60)), max_size=4))  # fmt: skip
def test_no_character_is_lost_whatever_the_entities(text, spans) -> None:
    plain = as_plain(text, [Entity(kind, o, n, "https://a.example") for kind, o, n in spans])
    left = iter(plain)
    assert all(character in left for character in text), "the text stands in it, in order"
    assert spans or plain == text


def test_a_quote_is_a_mark_on_every_line() -> None:
    assert quote("a\n\nb") == "> a\n> \n> b"
