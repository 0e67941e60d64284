"""Labelled data from files, and what is said when such a file is wrong."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handoff.core.errors import BadData, DeskError
from handoff.core.text import check_text


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message with its intent; `row` is where it stands in its file, the header being row 1."""

    text: str
    intent: str
    row: int


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return (row number, row) of a CSV file with at least these columns.

    Raises:
        BadData: there is no such file, it is not UTF-8 or not CSV, a column is missing, there is
            no row, or a row is too short or has a text the desk would refuse.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise BadData(path=path, why=f"the column “{missing[0]}” is missing")
            rows = list(enumerate(reader, start=2))
    except FileNotFoundError:
        raise BadData(path=path, why="there is no such file") from None
    except OSError as error:
        raise BadData(path=path, why=f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BadData(path=path, why=f"it is not UTF-8 at byte {error.start}") from None
    except csv.Error as error:
        raise BadData(path=path, why=f"it is not CSV ({error})") from None
    if not rows:
        raise BadData(path=path, why="it holds no rows")
    for number, row in rows:
        _check(path, number, row, columns)
    return rows


def _check(path: Path, number: int, row: dict[str, str], columns: Sequence[str]) -> None:
    for name in columns:
        if not (row[name] or "").strip():
            raise BadData(path=path, why=f"row {number} has no {name}")
    try:
        check_text(row["text"])
    except DeskError as error:
        raise BadData(path=path, why=f"row {number}: {error}") from None


def read_intents(path: Path) -> list[Labelled]:
    """Read `text,intent`; raise `BadData` when the file is not of that form."""
    rows = read_rows(path, ("text", "intent"))
    return [Labelled(row["text"].strip(), row["intent"].strip(), n) for n, row in rows]


def read_flags(path: Path, columns: Sequence[str]) -> tuple[list[str], dict[str, list[int]]]:
    """Read `text` and columns of 0 and 1; return the texts and the flags by column.

    Raises:
        BadData: the file is not of that form.
    """
    rows = read_rows(path, ("text", *columns))
    flags = {name: [_flag(path, n, row, name) for n, row in rows] for name in columns}
    return [row["text"].strip() for _, row in rows], flags


def _flag(path: Path, number: int, row: dict[str, str], name: str) -> int:
    value = row[name].strip()
    if value not in ("0", "1"):
        raise BadData(path=path, why=f"row {number}: {name} must be 0 or 1, not “{value}”")
    return int(value)


def has_column(path: Path, name: str) -> bool:
    """Say whether the CSV file at `path` has this column."""
    return all(name in row for _, row in read_rows(path, ("text",))[:1])


@dataclass(frozen=True, slots=True)
class CustomerTurn:
    """One line of a customer in a labelled conversation: does it need a person?"""

    text: str
    intent: str
    needs_person: bool


@dataclass(frozen=True, slots=True)
class LabelledConversation:
    """A customer's lines in order."""

    id: str
    turns: tuple[CustomerTurn, ...]

    @property
    def needs_person(self) -> bool:
        """Say whether any turn does."""
        return any(turn.needs_person for turn in self.turns)


LAST_TURN = 1e9
"""Numbers of turns lie below this; NaN and infinity, which Python reads from JSON, do not."""


def read_conversations(path: Path) -> list[LabelledConversation]:
    """Read JSON Lines of `conversation, turn, text, intent, handoff`, one customer turn a line.

    Raises:
        BadData: there is no such file, it is not UTF-8, a line is not such an object, or the turns
            of a conversation are not in order.
    """
    try:
        # Not splitlines: JSON lets a text hold U+2028 and its like as they are.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise BadData(path=path, why="there is no such file") from None
    except OSError as error:
        raise BadData(path=path, why=f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BadData(path=path, why=f"it is not UTF-8 at byte {error.start}") from None
    found: dict[str, list[CustomerTurn]] = {}
    last: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        id, at, turn = _turn(path, number, line)
        if at <= last.get(id, float("-inf")):
            raise BadData(path=path, why=f"line {number}: turn {at:g} of {id} is out of order")
        last[id] = at
        found.setdefault(id, []).append(turn)
    if not found:
        raise BadData(path=path, why="it holds no rows")
    return [LabelledConversation(id, tuple(turns)) for id, turns in found.items()]


def _turn(path: Path, number: int, line: str) -> tuple[str, float, CustomerTurn]:
    """Return conversation, number and content of the turn on a line."""
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise BadData(path=path, why=f"line {number} is not JSON") from None
    if not isinstance(row, dict):
        raise BadData(path=path, why=f"line {number} is not an object")
    # Data sets hold empty turns, a picture say: they count as turns although they say nothing.
    if not isinstance(row.get("text"), str):
        raise BadData(path=path, why=f"line {number} has no text")
    for name in ("conversation", "intent"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise BadData(path=path, why=f"line {number} has no {name}")
    at = row.get("turn")
    if isinstance(at, bool) or not isinstance(at, int | float) or not abs(at) < LAST_TURN:
        raise BadData(path=path, why=f"line {number}: turn must be a number")
    if row.get("handoff") not in (0, 1):
        raise BadData(path=path, why=f"line {number}: handoff must be 0 or 1")
    try:
        text = check_text(row["text"]) if row["text"].strip() else ""
    except DeskError as error:
        raise BadData(path=path, why=f"line {number}: {error}") from None
    turn = CustomerTurn(text, row["intent"].strip(), bool(row["handoff"]))
    return row["conversation"], float(at), turn
