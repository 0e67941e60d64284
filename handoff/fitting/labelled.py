"""Labelled data from files, and what is said when such a file is wrong."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handoff.core.errors import BadData, DeskError
from handoff.core.text import check_text

SHOWN = 40
"""How many characters of a wrong value a refusal quotes."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message with its intent; `line` is where it begins in its file, counted from 1."""

    text: str
    intent: str
    line: int


def read_rows(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Return (line, row) of a CSV file with at least these columns.

    The file is read once: it may be a pipe. Empty lines are left out.

    Args:
        path: the file.
        columns: every row has them; one of them is `text`.
        optional: every row has those that stand in the header.

    Raises:
        BadData: there is no such file, it is not UTF-8 or not CSV, a column is missing or named
            twice, there is no row, or a row is too short, too long or has a text the desk would
            refuse.
    """
    table = _cells(path, _read(path))
    _, header = next(table, (1, []))
    if not header:
        raise BadData(path=path, why="it is empty")
    _check_header(path, header, columns, optional)
    wanted = [name for name in (*columns, *optional) if name in header]
    rows: list[tuple[int, dict[str, str]]] = []
    for line, cells in table:
        if len(cells) > len(header):
            why = f"line {line} has {len(cells)} cells and the header {len(header)}; a text with a"
            raise BadData(path=path, why=f"{why} comma needs quotation marks around it")
        row = dict(zip(header, cells, strict=False))
        _check(path, line, row, wanted)
        rows.append((line, row))
    if not rows:
        raise BadData(path=path, why="it holds no rows")
    return rows


def _read(path: Path) -> str:
    """Return what a file holds, without a byte order mark."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadData(path=path, why="there is no such file") from None
    except OSError as error:
        raise BadData(path=path, why=f"it cannot be read ({error.strerror})") from None
    try:
        # Not utf-8-sig, whose errors count from behind the mark.
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = 1 + len(_LINE_END.findall(data, 0, error.start))
        raise BadData(
            path=path, why=f"it is not UTF-8 at byte {error.start}, line {line}"
        ) from None


def _cells(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row with the line it begins on; empty lines are left out."""
    # The content is in memory as it is, and a cell that is too long gets its own refusal.
    csv.field_size_limit(max(csv.field_size_limit(), len(content)))
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        fault = "not CSV" + f" ({error})"
        if "unexpected end" in str(error):
            fault = "not CSV: a quotation mark in it is never closed"
        raise BadData(path=path, why=f"what begins on line {line} is {fault}") from None


def _check_header(
    path: Path, header: Sequence[str], columns: Sequence[str], optional: Sequence[str]
) -> None:
    named = [name for name in header if name.strip()]
    for name in named:
        if named.count(name) > 1:
            raise BadData(path=path, why=f"the column “{name}” is named twice")
    for name in (*columns, *optional):
        if name in header:
            continue
        meant = next((own for own in named if own.strip().lower() == name), None)
        if meant is not None:
            raise BadData(path=path, why=f"the column “{meant}” must be called “{name}”")
        if name in columns:
            raise BadData(path=path, why=f"the column “{name}” is missing")


def _check(path: Path, line: int, row: dict[str, str], columns: Sequence[str]) -> None:
    for name in columns:
        if not row.get(name, "").strip():
            raise BadData(path=path, why=f"line {line} has no {name}")
    _check_text(path, line, row["text"])


def _check_text(path: Path, line: int, text: str) -> str:
    """Return a text as the desk would take it."""
    try:
        return check_text(text)
    except DeskError as error:
        raise BadData(path=path, why=f"line {line}: {str(error).rstrip('.')}") from None


def read_intents(path: Path) -> list[Labelled]:
    """Read `text,intent`; raise `BadData` when the file is not of that form."""
    rows = read_rows(path, ("text", "intent"))
    return [Labelled(row["text"].strip(), row["intent"].strip(), line) for line, row in rows]


def read_flags(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> tuple[list[str], dict[str, list[int]]]:
    """Read `text` and columns of 0 and 1; return the texts and the flags by column.

    Columns of `optional` are among the flags where the file has them.

    Raises:
        BadData: the file is not of that form.
    """
    rows = read_rows(path, ("text", *columns), optional)
    found = [name for name in (*columns, *optional) if name in rows[0][1]]
    flags = {name: [_flag(path, line, row, name) for line, row in rows] for name in found}
    return [row["text"].strip() for _, row in rows], flags


def _flag(path: Path, line: int, row: dict[str, str], name: str) -> int:
    value = row[name].strip()
    if value not in ("0", "1"):
        why = f"line {line}: {name} must be 0 or 1, not “{_shortened(value)}”"
        raise BadData(path=path, why=why)
    return int(value)


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


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
    # Not splitlines: JSON lets a text hold U+2028 and its like as they are.
    lines = _read(path).split("\n")
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
    if row.get("text") is None:
        raise BadData(path=path, why=f"line {number} has no text")
    if not isinstance(row["text"], str):
        raise _wrong(path, number, row, "text", "text in quotation marks")
    id, intent = (_name(path, number, row, name) for name in ("conversation", "intent"))
    at = row.get("turn")
    if isinstance(at, bool) or not isinstance(at, int | float) or at != at:
        raise _wrong(path, number, row, "turn", "a number")
    if not abs(at) < LAST_TURN:
        raise _wrong(path, number, row, "turn", "a number of nine digits at most")
    if row.get("handoff") not in (0, 1):
        raise _wrong(path, number, row, "handoff", "0 or 1")
    text = _check_text(path, number, row["text"]) if row["text"].strip() else ""
    return id, float(at), CustomerTurn(text, intent, bool(row["handoff"]))


def _name(path: Path, number: int, row: dict[str, Any], name: str) -> str:
    """Return an id or a label as text; data sets number both."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadData(path=path, why=f"line {number} has no {name}")
    if not isinstance(value, str):
        raise _wrong(path, number, row, name, "text or a whole number")
    return value.strip() if name == "intent" else value


def _wrong(path: Path, number: int, row: dict[str, Any], name: str, wanted: str) -> BadData:
    """Return the refusal of a value, which it shows as it stands in the file."""
    if name not in row:
        return BadData(path=path, why=f"line {number} has no {name}")
    stands = _shortened(json.dumps(row[name], ensure_ascii=False))
    return BadData(path=path, why=f"line {number}: {name} must be {wanted}, not {stands}")
