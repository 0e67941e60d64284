"""The learned files: a function of candidates, and to Rasa nothing but plain words."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from handoff.core.errors import BadData
from handoff.core.learning import neutralise
from handoff.core.mining import Known, normalised
from handoff.core.model import Candidate, CandidateKind, CandidateStatus
from handoff.learning.training_files import (
    LearnedFiles,
    intents_in,
    plain_answer,
    put_folder,
    read_folder,
    read_known,
    render,
)
from tests.environment import PROJECT, rasa_venv, require_rasa

NOW = datetime(2025, 3, 1, 3, tzinfo=UTC)
GIFT = "can I pay with two gift cards at once?"
KNOWN = Known(intents=frozenset({"track_order"}))

INJECTIONS = [
    "where is [my order](order_number) now",
    'where is [it]{"entity": "order_number", "value": "1"} now',
    'is [this][{"entity": "a"}, {"entity": "b"}] fine',
    "what is [unclosed{ now",
    "say {order_number} to me",
    "say {{order_number}} to {me}",
    "a lone } and a lone { here",
    "say {order_number.__class__.__init__} to me",
    "my path is ${HOME} or ${DATABASE_URL}",
    "/restart",
    '/greet{"name": "x"} now',
    "//// double slash now",
    "- a list item",
    "first line\n- intent: greet\n  examples: |\n    - pwned",
    "line\u2028separator and\u2029paragraph and\x0bvertical and\x85next",
    "| literal block",
    "> folded block",
    "# a comment here",
    "text # not a comment",
    "key: value pair",
    "'single' and \"double\" quotes",
    '"starts with a quote',
    "'starts with a quote",
    "&anchor *alias !tag",
    "!!python/object/apply:os.system [ls]",
    "@mention and `code` and %percent",
    "--- \nversion: 9",
    "...",
    "yes no true null ~ 3.1",
    "1e3 0x1F 2024-01-15",
    "back\\slash \\n and \\u0041 and \\x41",
    "tab\there and\r\nwindows line",
    "zero\u200bwidth and bell\x07 and nul\x00",
    "emoji 😀🎁 and ünïcödé 礼品卡",
    "<b>html</b> &amp; <3",
    "_*[markdown]*_ ~~x~~",
    "0[x] is fine",
    "  surrounded by spaces  ",
    "%s %d {0} {} {:>10}",
]


def candidate(id: str, **fields: Any) -> Candidate:
    defaults: dict[str, Any] = {
        "kind": CandidateKind.ANSWER,
        "texts": (GIFT,),
        "intent": "learned_gift_cards",
        "answer": "Yes, two.",
        "reviewed_at": NOW,
    }
    return Candidate(
        id=id,
        handoff_id=f"h-{id}",
        message_ids=(f"m-{id}",),
        dedupe_key=f"k-{id}",
        created_at=NOW,
        status=CandidateStatus.ACCEPTED,
        reviewer=1003,
        reviewer_name="Rita",
        **(defaults | fields),
    )


def example(id: str, text: str, intent: str = "track_order", **fields: Any) -> Candidate:
    fields = {"kind": CandidateKind.EXAMPLE, "answer": "", **fields}
    return candidate(id, texts=(text,), intent=intent, **fields)


def loaded(files: LearnedFiles, name: str) -> Any:
    return YAML(typ="safe", pure=True).load(files.files[name])


def examples_of(files: LearnedFiles) -> dict[str, list[str]]:
    items = loaded(files, "nlu.yml")["nlu"]
    return {i["intent"]: [e[2:] for e in i["examples"].splitlines()] for i in items}


def test_an_accepted_topic_becomes_intent_response_and_rule():
    files = render([candidate("a")], {"h-a": "Ana"}, KNOWN)
    assert examples_of(files) == {"learned_gift_cards": [GIFT]}
    domain = loaded(files, "domain.yml")
    assert domain["intents"] == ["learned_gift_cards"]
    assert domain["responses"] == {"utter_learned_gift_cards": [{"text": "Yes, two."}]}
    (rule,) = loaded(files, "rules.yml")["rules"]
    assert rule["steps"] == [
        {"intent": "learned_gift_cards"},
        {"action": "utter_learned_gift_cards"},
    ]
    assert files.used == {"a"} and files.questions == {"a": GIFT}


def test_where_it_comes_from_is_written_beside_it():
    files = render([candidate("a")], {"h-a": "Ana"}, KNOWN)
    assert json.loads(files.files["provenance.jsonl"]) == {
        "candidate": "a",
        "kind": "answer",
        "intent": "learned_gift_cards",
        "texts": [GIFT],
        "handoff": "h-a",
        "messages": ["m-a"],
        "agent": "Ana",
        "reviewer": 1003,
        "reviewer_name": "Rita",
        "reviewed_at": "2025-03-01T03:00:00+00:00",
    }


def test_the_files_depend_on_the_candidates_and_on_nothing_else():
    several = [candidate("a"), example("b", "my lamp never came"), example("c", "parcel astray")]
    learned = [replace(c, status=CandidateStatus.LEARNED, release_id="r1") for c in several]
    agents = {"h-a": "Ana", "h-b": "Bo", "h-c": "Ana"}
    assert render(several, agents, KNOWN) == render(reversed(learned), agents, KNOWN)


def test_golden_and_known_texts_never_enter():
    golden = frozenset({normalised("Do you sell gift-cards?")})
    known = replace(KNOWN, golden=golden, training=frozenset({normalised("track my order")}))
    texts = ("DO YOU SELL GIFT CARDS", "Track my order!", GIFT)
    assert examples_of(render([candidate("a", texts=texts)], {}, known)) == {
        "learned_gift_cards": [GIFT]
    }
    nothing = render([candidate("a", texts=texts[:2])], {}, known)
    assert (nothing.files, nothing.used, nothing.questions) == ({}, frozenset(), {})


def test_of_two_judgements_of_one_text_the_last_counts():
    first = example("a", "my lamp never came", "track_order")
    last = example(
        "b", "My lamp never came!", "learned_gift_cards", reviewed_at=NOW + timedelta(hours=1)
    )
    files = render([last, candidate("topic"), first], {}, KNOWN)
    assert examples_of(files) == {"learned_gift_cards": ["My lamp never came!", GIFT]}
    assert files.used == {"b", "topic"}


def test_of_two_answers_to_one_topic_the_last_counts():
    later = candidate("b", texts=("two vouchers?",), answer="Up to five.")
    later.reviewed_at = NOW + timedelta(hours=1)
    files = render([later, candidate("a")], {}, KNOWN)
    assert loaded(files, "domain.yml")["responses"] == {
        "utter_learned_gift_cards": [{"text": "Up to five."}]
    }
    assert files.used == {"a", "b"}


def test_a_topic_relabelled_to_an_intent_of_the_shop_keeps_the_shops_answer():
    files = render([candidate("a", intent="track_order")], {}, KNOWN)
    assert examples_of(files) == {"track_order": [GIFT]}
    assert not loaded(files, "domain.yml")["responses"] and files.questions == {}


def test_examples_of_a_topic_that_is_gone_stay_out():
    assert render([example("a", GIFT, "learned_gone")], {}, KNOWN).used == frozenset()


@pytest.mark.parametrize("intent", ["a/b", "x: y", "", "a b", "{x}", "learned\nx"])
def test_a_name_rasa_would_read_as_something_else_stays_out(intent: str):
    assert render([candidate("a", intent=intent)], {}, KNOWN).used == frozenset()


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    folder = tmp_path / "data" / "learned"
    put_folder({"nlu.yml": "1", "rules.yml": "2"}, folder)
    (tmp_path / "data" / ".learned-left-over").mkdir()
    put_folder({"nlu.yml": "3"}, folder)
    assert read_folder(folder) == {"nlu.yml": "3"}
    assert [p.name for p in folder.parent.iterdir()] == ["learned"]
    put_folder({}, folder)
    assert folder.is_dir() and read_folder(folder) == {}


def test_examples_are_known_without_their_entity_marks(tmp_path: Path):
    (tmp_path / "nlu").mkdir()
    (tmp_path / "nlu" / "a.yml").write_text(
        "nlu:\n- intent: track\n  examples: |\n"
        '    - track [10042](order_number) to [Rome]{"entity": "city"}\n'
        "- intent: greet\n  examples:\n  - text: |\n      hi there\n"
        "- regex: n\n  examples: |\n    - x\n"
    )
    known = read_known(tmp_path)
    assert known.training == {"track 10042 to rome", "hi there"}
    assert known.intents == {"track", "greet"} and known.golden == frozenset()


def test_every_golden_file_counts_as_golden():
    known = read_known(PROJECT / "training_data")
    assert len(known.intents) >= 33 and len(known.training) > 900 and len(known.golden) > 700
    for name in ("intents", "out_of_scope", "handoff", "sentiment"):
        first = (PROJECT / "training_data/golden" / f"{name}.csv").read_text().splitlines()[1]
        text = first.rsplit(",", 2 if name == "sentiment" else 1)[0].strip('"')
        assert normalised(text) in known.golden


def test_intents_are_those_shipped_and_those_learned(tmp_path: Path):
    (tmp_path / "nlu").mkdir()
    (tmp_path / "nlu" / "a.yml").write_text("nlu:\n- intent: greet\n  examples: |\n    - hi\n")
    put_folder(render([candidate("a")], {}, KNOWN).files, tmp_path / "learned")
    assert intents_in(tmp_path, tmp_path / "learned") == ["greet", "learned_gift_cards"]


@pytest.mark.parametrize("content", ["nlu: [1", "nlu: 3", "- a\n- b", "\x00"])
def test_a_broken_training_file_is_named(tmp_path: Path, content: str):
    (tmp_path / "nlu").mkdir()
    (tmp_path / "nlu" / "broken.yml").write_text(content)
    with pytest.raises(BadData, match=r"broken\.yml"):
        read_known(tmp_path)


READ_BY_RASA = """
import asyncio, json, sys
from pathlib import Path
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.training_data.story_reader.yaml_story_reader import YAMLStoryReader
from rasa.shared.nlu.training_data.loading import load_data

folder = Path(sys.argv[1])
nlu = load_data(str(folder / "nlu.yml"))
domain = Domain.load(str(folder / "domain.yml"))
slots = {"order_number": "SLOT", "me": "SLOT", "x": "SLOT"}
nlg = TemplatedNaturalLanguageGenerator(domain.responses)
answers = {}
for name in domain.responses:
    for given in (slots, {}):
        said = nlg.generate_from_slots(name, given, "rest")
        answers.setdefault(name, []).append(said["text"])
steps = YAMLStoryReader(domain).read_from_file(str(folder / "rules.yml"))
print(json.dumps({
    "examples": [[e.get("text"), e.get("intent"), e.get("entities") or []]
                 for e in nlu.training_examples],
    "synonyms": nlu.entity_synonyms,
    "intents": sorted(domain.intents),
    "answers": answers,
    "rules": [s.block_name for s in steps],
}))
"""


@pytest.mark.rasa
def test_rasa_reads_hostile_texts_and_answers_as_plain_words(tmp_path: Path):
    require_rasa()
    candidates = [
        candidate(f"c{n:02}", texts=(f"question {n} {text}", text), intent=f"learned_{n}",
                  answer=f"{text}\nand {text}")
        for n, text in enumerate(INJECTIONS)
    ]  # fmt: skip
    put_folder(render(candidates, {}, KNOWN).files, tmp_path / "learned")
    found = subprocess.run(
        [str(rasa_venv() / "bin" / "python"), "-c", READ_BY_RASA, str(tmp_path / "learned")],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": "/home/SECRET", "DATABASE_URL": "SECRET", "RASA_TELEMETRY_ENABLED": "false"},
    )
    assert found.returncode == 0, found.stderr[-3000:]
    read = json.loads(found.stdout.splitlines()[-1])

    expected = {
        neutralise(text): f"learned_{n}"
        for n, hostile in enumerate(INJECTIONS)
        for text in (f"question {n} {hostile}", hostile)
    }
    seen = {text: intent for text, intent, _ in read["examples"]}
    assert {normalised(t) for t in seen} == {normalised(t) for t in expected}
    for text, intent in seen.items():
        assert expected[text] == intent
    assert [entities for _, _, entities in read["examples"] if entities] == []
    assert read["synonyms"] == {}
    assert {f"learned_{n}" for n in range(len(INJECTIONS))} <= set(read["intents"])
    assert len(read["rules"]) == len(INJECTIONS)
    for n, hostile in enumerate(INJECTIONS):
        wanted = plain_answer(f"{hostile}\nand {hostile}")
        assert read["answers"][f"utter_learned_{n}"] == [wanted, wanted]
    assert "SECRET" not in found.stdout and "SLOT" not in found.stdout
