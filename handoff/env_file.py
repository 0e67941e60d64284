"""The file `.env`: where it is looked for, how it is read, and which names in it mean nothing."""

from __future__ import annotations

import codecs
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.main import resolve_variables
from dotenv.parser import parse_stream

from handoff.core.errors import BadData

PROJECT = Path(__file__).resolve().parent.parent

PREFIXES = ("HANDOFF_", "TELEGRAM_")
"""What the names of the desk's own settings begin with: anything else may be somebody else's."""

OF_OTHERS = frozenset({"HANDOFF_ENCODER_URL"})
"""Names that are read by Rasa's side alone."""

LIKE = 0.82
"""How much a name must resemble a setting's, 0 to 1, to be taken for a misspelt one."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""How files of Windows editors begin; UTF-32 first, for its mark begins with that of UTF-16."""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What stands in a `.env`: values by name in upper case, and what could not be read, by line.

    A name without `=` has no value; it stands in `unread` too.
    """

    path: Path
    values: dict[str, str] = field(default_factory=dict, repr=False)
    unread: tuple[int, ...] = ()


def looked_in() -> list[Path]:
    """Return where a `.env` is looked for, in this order: the current folder, the desk's own."""
    return list(dict.fromkeys((Path.cwd() / ".env", PROJECT / ".env")))


def read_env_file() -> EnvFile | None:
    """Read the first `.env` there is; raise `BadData` when its text cannot be read."""
    path = next((path for path in looked_in() if path.exists()), None)
    if path is None:
        return None
    bindings = list(parse_stream(StringIO(_text_of(path))))
    pairs = [(b.key, b.value) for b in bindings if b.key and b.value is not None and not b.error]
    values = resolve_variables(pairs, override=True)
    wrong = [b for b in bindings if b.error or (b.key and b.value is None)]
    return EnvFile(
        path,
        {name.upper(): value for name, value in values.items() if value is not None},
        tuple(b.original.line + _blank_lines(b.original.string) for b in wrong),
    )


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadData(path=path, why=f"it cannot be read ({error.strerror})") from None
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # Not chained: the original message quotes the file, and there are secrets in it.
        raise BadData(path=path, why="it is not text in UTF-8; save it again as UTF-8") from None
    return text


def _blank_lines(text: str) -> int:
    """Return how many empty lines a parsed piece begins with: its number is that of the first."""
    return len(text) - len(text.lstrip("\r\n"))


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A name that means nothing: where it stands, and the setting it resembles (or nothing)."""

    name: str
    where: str
    meant: str = ""

    def __str__(self) -> str:
        hint = f"; perhaps {self.meant} was meant" if self.meant else ""
        return f"{self.name} in {self.where} means nothing to the desk{hint}."


def misspelt(
    file: EnvFile | None, environment: Collection[str], known: Collection[str]
) -> list[Misspelt]:
    """Return the names that mean nothing, in the file and in the environment.

    Those that begin as the desk's settings do; in the file, which is the desk's own, also those
    that resemble any setting.
    """
    places = [(str(file.path), set(file.values))] if file else []
    places.append(("the environment", set(environment)))
    found: dict[str, Misspelt] = {}
    for where, names in places:
        for name in sorted(names - set(known) - OF_OTHERS - found.keys()):
            whole = [setting for setting in known if name.endswith(f"_{setting}")]
            meant = next(iter(whole or get_close_matches(name, list(known), 1, LIKE)), "")
            ours = name.startswith(PREFIXES)
            if ours or (meant and file and where == str(file.path)):
                found[name] = Misspelt(name, where, meant)
    return list(found.values())
