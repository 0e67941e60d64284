"""What intents are called when a customer is asked which was meant, read from training files."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from handoff.core.errors import BadData
from handoff.core.model import CandidateKind

TITLE_CHARACTERS = 40
"""Longest title, in characters: a button on a phone holds about as much in one line."""

log = logging.getLogger(__name__)


class Titles:
    """Gives the titles as the files stand now; they are read again when they have changed.

    The nightly learning puts new topics into the learned files while the gateway runs. Files that
    cannot be read are an error at the start; later the titles known so far are kept.
    """

    def __init__(self, training_data: Path, learned: Path | None = None) -> None:
        self._folders = (training_data, learned or training_data / "learned")
        self._stamp = _stamp(*self._folders)
        self._titles = read_titles(*self._folders)

    def __call__(self) -> Mapping[str, str]:
        stamp = _stamp(*self._folders)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._titles = read_titles(*self._folders)
            except BadData as error:
                log.error("the titles of intents stay as they were: %s", error)
        return self._titles


def read_titles(training_data: Path, learned: Path | None = None) -> dict[str, str]:
    """Return the title of each intent: of the shop's own, and of topics learned from agents.

    The title of a learned topic is its question. Raises `BadData`.
    """
    titles = _shipped(training_data / "titles.yml")
    for intent, text in _questions((learned or training_data / "learned") / "provenance.jsonl"):
        title = as_title(text)
        if intent not in titles and title not in titles.values():
            titles[intent] = title
    return titles


def as_title(question: str) -> str:
    """Return a customer's question as a title, cut between words where it is too long."""
    words = question.split()
    title = " ".join(words)
    while len(title) > TITLE_CHARACTERS and len(words) > 1:
        words.pop()
        title = " ".join(words).rstrip(" ,;:.?!-") + "…"
    if len(title) > TITLE_CHARACTERS:
        title = title[: TITLE_CHARACTERS - 1] + "…"
    return title[:1].upper() + title[1:]


def _shipped(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        found = (YAML(typ="safe", pure=True).load(path) or {}).get("titles") or {}
        return {str(intent): " ".join(str(title).split()) for intent, title in found.items()}
    except (OSError, UnicodeDecodeError, YAMLError, AttributeError) as error:
        why = f"it is no list of titles by intent ({type(error).__name__})"
        raise BadData(path=path, why=why) from None


def _questions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (intent, question) of each learned topic; the answer reviewed last comes first."""
    if not path.is_file():
        return
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        origins = [json.loads(line) for line in lines if line]
        for origin in reversed(origins):
            if origin["kind"] == CandidateKind.ANSWER.value and origin["texts"]:
                yield str(origin["intent"]), str(origin["texts"][0])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"it does not say where examples come from ({type(error).__name__})"
        raise BadData(path=path, why=why) from None


def _stamp(training_data: Path, learned: Path) -> tuple[tuple[int, int], ...]:
    """Return what changes when one of the files does."""
    paths = (training_data / "titles.yml", learned / "provenance.jsonl")
    return tuple(_changed(path) for path in paths)


def _changed(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # not there, which is no error: the learned folder is swapped as a whole
        return 0, 0
    return stat.st_mtime_ns, stat.st_ino
