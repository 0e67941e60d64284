"""What intents are called on buttons: the shop's own titles, and learned topics' questions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from handoff.core.errors import BadData
from handoff.core.policy import Desk
from handoff.learning.titles import TITLE_CHARACTERS, Titles, as_title, read_titles
from handoff.learning.training_files import intents_in
from tests.environment import PROJECT

DATA = PROJECT / "training_data"


def never_asked_about() -> frozenset[str]:
    desk = Desk()
    courtesy, people = desk.courtesy_intents, desk.person_intents | desk.human_intents
    return courtesy | people | desk.unknown_intents


def test_every_intent_that_may_be_asked_about_has_a_title_of_its_own():
    titles, askable = read_titles(DATA), set(intents_in(DATA)) - never_asked_about()
    assert len(askable) > 20
    assert set(titles) == askable
    assert len({title.casefold() for title in titles.values()}) == len(titles)
    assert all(0 < len(title) <= TITLE_CHARACTERS for title in titles.values())
    assert all(title[0].isupper() and title[-1] not in ".?!" for title in titles.values())


def data(folder: Path, titles: str = "", *topics: dict) -> Path:
    (folder / "learned").mkdir(parents=True, exist_ok=True)
    (folder / "titles.yml").write_text(titles or "titles: {track_order: Where my order is}")
    lines = "".join(json.dumps(topic, ensure_ascii=False) + "\n" for topic in topics)
    (folder / "learned" / "provenance.jsonl").write_text(lines, encoding="utf-8")
    return folder


def topic(intent: str, *texts: str, kind: str = "answer") -> dict:
    return {"intent": intent, "texts": list(texts), "kind": kind, "agent": "Ana\u2028Bo"}


def test_a_learned_topic_is_called_by_its_question(tmp_path):
    read = read_titles(
        data(
            tmp_path,
            "",
            topic("learned_gift_cards", "can I use two gift cards?"),
            topic("learned_gift_cards", "is it possible to pay with gift cards", kind="example"),
            topic("learned_shop", "where is your shop?"),
            topic("learned_shop", "do you have a real shop somewhere?", "a shop?"),
            topic("learned_same", "can i use  two gift cards?"),
            topic("track_order", "where is it?"),
        )
    )
    assert read == {
        "track_order": "Where my order is",
        "learned_shop": "Do you have a real shop somewhere?",
        "learned_same": "Can i use two gift cards?",
        "learned_gift_cards": "Can I use two gift cards?",
    }


def test_two_topics_never_stand_under_one_title(tmp_path):
    long = "is it possible to pay for a single order with two"
    topics = topic("learned_one", f"{long} gift cards"), topic("learned_two", f"{long} people")
    assert list(read_titles(data(tmp_path, "", *topics)).values()).count(as_title(long)) == 1


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("can i\nsend it?", "Can i send it?"),
        ("can I pay with two gift cards at once?", "Can I pay with two gift cards at once?"),
        ("can I pay with two gift cards, or three?", "Can I pay with two gift cards, or three?"),
        (
            "can I pay with two gift cards, or with three?",
            "Can I pay with two gift cards, or with…",
        ),
        (
            "do you deliver to the islands up north, please",
            "Do you deliver to the islands up north…",
        ),
        ("x" * 60, "X" + "x" * 38 + "…"),
    ],
)
def test_a_question_is_cut_to_the_length_of_a_button(question, title):
    assert as_title(question) == title
    assert len(title) <= TITLE_CHARACTERS


def test_a_desk_without_titles_has_none(tmp_path):
    assert Titles(tmp_path)() == {}


@pytest.mark.parametrize("content", ["titles: [a, b]", "- a", "titles: {a: [", "\x00"])
def test_a_broken_file_is_refused_at_the_start(tmp_path, content):
    with pytest.raises(BadData, match=r"titles\.yml"):
        Titles(data(tmp_path, content))


@pytest.mark.parametrize("line", ["{", '{"kind": "answer"}', "[1]", '"text"'])
def test_broken_learned_files_are_refused_at_the_start(tmp_path, line):
    data(tmp_path)
    (tmp_path / "learned" / "provenance.jsonl").write_text(line)
    with pytest.raises(BadData, match=r"provenance\.jsonl"):
        Titles(tmp_path)


def test_what_the_night_learns_is_known_without_a_restart(tmp_path):
    titles = Titles(data(tmp_path))
    assert titles() == {"track_order": "Where my order is"}
    (tmp_path / "learned").rename(tmp_path / "before")
    assert titles() == {"track_order": "Where my order is"}
    data(tmp_path, "", topic("learned_shop", "where is your shop?"))
    assert titles()["learned_shop"] == "Where is your shop?"


def test_files_that_break_later_leave_the_titles_as_they_were(tmp_path, caplog):
    path = data(tmp_path) / "titles.yml"
    titles = Titles(tmp_path)
    path.write_text("titles: {a: [")
    os.utime(path, ns=(1, 1))
    assert titles() == {"track_order": "Where my order is"}
    assert "titles.yml" in caplog.text
