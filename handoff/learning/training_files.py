"""Learned training files: made from candidates alone, read back, and put in place.

The files are a function of the candidates, so that they can be written again at any time, and
nothing that is only in a file can be lost or learned twice.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from handoff.core.errors import BadData
from handoff.core.learning import neutralise
from handoff.core.mining import Known, normalised
from handoff.core.model import Candidate, CandidateKind
from handoff.learning.project import examples_in
from handoff.learning.workspace import nlu_yaml

NAMES = ("nlu.yml", "domain.yml", "rules.yml", "provenance.jsonl")
"""The learned files."""

_HEADER = (
    "# Written by `handoff learn` from reviewed conversations; changes here are overwritten.\n"
)

_ENTITY = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\}|\[[^\]]*\])")

_INTENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class LearnedFiles:
    """What candidates become.

    `files` holds the content by name (empty where there is nothing to learn), `used` the ids of
    the candidates that stand in them. `questions` gives, by candidate id, the own question of each
    new topic: its first text that stands in the files.
    """

    files: Mapping[str, str]
    used: frozenset[str]
    questions: Mapping[str, str]


def render(
    candidates: Iterable[Candidate], agents: Mapping[str, str], known: Known
) -> LearnedFiles:
    """Return the learned files of these candidates.

    A golden text never enters, nor one the assistant is trained on already. Of one text under two
    intents, and of two answers to one topic, the one reviewed last counts. A new topic relabelled
    to an intent of the shop teaches that intent and keeps the shop's own answer. Examples of an
    intent that nobody answers (a topic rolled back, say) stay out.

    Args:
        candidates: those that are learned or to be learned.
        agents: name of the agent by handoff id.
        known: what the assistant is trained and measured on.
    """
    ordered = sorted(candidates, key=_reviewed)
    # An intent of the owner's may be called anything: one of a retrieval intent's answers, say.
    ordered = [c for c in ordered if c.intent in known.intents or _INTENT.fullmatch(c.intent)]
    answers = {c.intent: plain_answer(c.answer) for c in ordered if _is_topic(c, known)}
    placed = _place_texts(ordered, known, known.intents | answers.keys())
    examples: dict[str, list[str]] = {}
    for candidate, text in placed.values():
        examples.setdefault(candidate.intent, []).append(text)
    answers = {intent: answers[intent] for intent in sorted(answers.keys() & examples.keys())}
    used = [c for c in ordered if _own(c, placed)]
    if not used:
        return LearnedFiles({}, frozenset(), {})
    files = {
        "nlu.yml": _HEADER + nlu_yaml({name: sorted(examples[name]) for name in sorted(examples)}),
        "domain.yml": _HEADER + _yaml(_domain(answers)),
        "rules.yml": _HEADER + _yaml(_rules(answers)),
        "provenance.jsonl": "".join(_origin(c, agents, placed) for c in used),
    }
    questions = {c.id: _own(c, placed)[0] for c in used if _is_topic(c, known)}
    return LearnedFiles(files, frozenset(c.id for c in used), questions)


def plain_answer(answer: str) -> str:
    """Return an agent's answer as Rasa says it word for word, line by line.

    Rasa fills `{slot}` in a response, and an unmatched brace makes it fail in the middle of a turn
    (`rasa.core.nlg.interpolator`), so braces become round ones, as everything else `neutralise`
    takes out.
    """
    return "\n".join(neutralise(line) for line in answer.splitlines() if line.strip())


def _reviewed(candidate: Candidate) -> tuple[Any, str]:
    return candidate.reviewed_at or candidate.created_at, candidate.dedupe_key


def _is_topic(candidate: Candidate, known: Known) -> bool:
    new = candidate.intent not in known.intents
    return new and candidate.kind is CandidateKind.ANSWER and bool(plain_answer(candidate.answer))


Placed = dict[str, tuple[Candidate, str]]
"""By normalised text: the candidate it comes from, and the text as it is written."""


def _place_texts(candidates: Iterable[Candidate], known: Known, intents: Iterable[str]) -> Placed:
    answerable = frozenset(intents)
    placed: Placed = {}
    for candidate in candidates:
        if candidate.intent not in answerable:
            continue
        for text in map(neutralise, candidate.texts):
            key = normalised(text)
            if key not in known.golden and key not in known.training:
                placed[key] = (candidate, text)
    return placed


def _own(candidate: Candidate, placed: Placed) -> list[str]:
    """Return the candidate's texts that stand in the files."""
    return [text for owner, text in placed.values() if owner.id == candidate.id]


def _domain(answers: Mapping[str, str]) -> dict[str, Any]:
    said = {f"utter_{name}": [{"text": _quoted(text)}] for name, text in answers.items()}
    return {"version": _quoted("3.1"), "intents": list(answers), "responses": said}


def _rules(answers: Mapping[str, str]) -> dict[str, Any]:
    rules = [
        {"rule": name, "steps": [{"intent": name}, {"action": f"utter_{name}"}]} for name in answers
    ]
    return {"version": _quoted("3.1"), "rules": rules}


def _quoted(text: str) -> str:
    # Only plain scalars are searched for `${VARIABLE}` and taken for numbers or booleans.
    return DoubleQuotedScalarString(text)


def _yaml(data: dict[str, Any]) -> str:
    writer = YAML()
    writer.width = 1_000_000
    text = io.StringIO()
    writer.dump(data, text)
    return text.getvalue()


def _origin(candidate: Candidate, agents: Mapping[str, str], placed: Placed) -> str:
    """Return the line that says where an example comes from and who let it in."""
    line = {
        "candidate": candidate.id,
        "kind": candidate.kind.value,
        "intent": candidate.intent,
        "texts": _own(candidate, placed),
        "handoff": candidate.handoff_id,
        "messages": list(candidate.message_ids),
        "agent": agents.get(candidate.handoff_id, ""),
        "reviewer": candidate.reviewer,
        "reviewer_name": candidate.reviewer_name,
        "reviewed_at": candidate.reviewed_at.isoformat() if candidate.reviewed_at else None,
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def read_known(training_data: Path) -> Known:
    """Read the shipped examples, every text of the golden set, and the shipped intents.

    Learned files are left out: their content stands in the database. Raises `BadData`.
    """
    examples = shipped_examples(training_data)
    golden = [
        text for path in sorted((training_data / "golden").glob("*.csv")) for text in _texts(path)
    ]
    return Known(
        training=frozenset(normalised(text) for _, text in examples),
        golden=frozenset(normalised(text) for text in golden),
        intents=frozenset(intent for intent, _ in examples),
    )


def shipped_examples(training_data: Path) -> list[tuple[str, str]]:
    """Return (intent, text) of every example the desk is shipped with. Raises `BadData`."""
    return [(intent, _ENTITY.sub(r"\1", text)) for intent, text in examples_in(training_data)]


def intents_in(*folders: Path) -> list[str]:
    """Return every intent that has examples in these folders, sorted. Raises `BadData`."""
    return sorted({intent for folder in folders for intent, _ in examples_in(folder)})


def _texts(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row["text"] for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise BadData(path=path, why=f"it is no CSV with a column text ({error})") from None


def read_folder(folder: Path) -> dict[str, str]:
    """Return the learned files in a folder, by name; empty when it is not there."""
    paths = (folder / name for name in NAMES)
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}


def put_folder(files: Mapping[str, str], folder: Path) -> None:
    """Make `folder` hold exactly these files, all at once.

    The new folder is complete before it takes the name. Between two renames the name is free for
    an instant; a process that dies right there leaves what `rollback.heal` puts right.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_over in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(left_over)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    fresh.chmod(0o755)
    for name, content in files.items():
        (fresh / name).write_text(content, encoding="utf-8")
    if folder.exists():
        folder.rename(fresh.with_name(fresh.name + "-old"))
    fresh.rename(folder)
    shutil.rmtree(fresh.with_name(fresh.name + "-old"), ignore_errors=True)
