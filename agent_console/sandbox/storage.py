"""The state file: one SQLite table, a row for each record, only changed rows written."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .model import Callback, Chat, Member, Message, StoredFile, Topic, Update, User
from .state import Webhook, World

_RECORDS: dict[str, tuple[str, type]] = {
    "user": ("users", User),
    "topic": ("topics", Topic),
    "message": ("messages", Message),
    "file": ("files", StoredFile),
    "callback": ("callbacks", Callback),
    "update": ("updates", Update),
}
_META = ("counters", "commands", "reads", "allowed_updates")


class StateFile:
    """Keeps a World in a file so that a restarted demo goes on where it was.

    Raises sqlite3.Error when the file cannot be opened or is no SQLite database.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made by one thread and used by another when a test starts the server in a thread; never
        # by two at once.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS record "
            "(kind TEXT, key TEXT, body TEXT, blob BLOB, PRIMARY KEY (kind, key))"
        )

    def bot_id(self) -> int | None:
        """The bot the file belongs to, or None when the file is new."""
        row = self._db.execute("SELECT body FROM record WHERE kind='meta' AND key='bot'").fetchone()
        return json.loads(row[0]) if row else None

    def save(self, world: World) -> None:
        """Write every row noted as dirty, in one transaction."""
        if not world.dirty:
            return
        rows = [(kind, _key(key), *_body(world, kind, key)) for kind, key in world.dirty]
        rows.append(("meta", "bot", json.dumps(world.bot.id), None))
        gone = [(kind, key) for kind, key, body, _ in rows if body is None]
        kept = [row for row in rows if row[2] is not None]
        self._db.execute("BEGIN")
        self._db.executemany("DELETE FROM record WHERE kind=? AND key=?", gone)
        self._db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", kept)
        self._db.execute("COMMIT")
        world.dirty.clear()

    def load(self, world: World) -> None:
        """Fill a bare `world` with what the file holds."""
        for kind, key, body, blob in self._db.execute("SELECT * FROM record"):
            _restore(world, kind, key, json.loads(body), blob)
        world.bot = world.users[world.bot.id]
        world.rebuild_order()
        world.dirty.clear()

    def close(self) -> None:
        """Release the file."""
        self._db.close()


def _key(key: Any) -> str:
    return json.dumps(key)


def _body(world: World, kind: str, key: Any) -> tuple[str | None, bytes | None]:
    if kind == "meta":
        value = asdict(world.webhook) if key == "webhook" else getattr(world, key)
        return json.dumps(value), None
    table = world.chats if kind == "chat" else getattr(world, _RECORDS[kind][0])
    record = table.get(key)
    blob = world.blobs.get(key) if kind == "file" else None
    return (json.dumps(asdict(record)) if record is not None else None), blob


def _restore(world: World, kind: str, raw_key: str, body: Any, blob: bytes | None) -> None:
    if kind == "meta":
        _restore_meta(world, raw_key if raw_key == "bot" else json.loads(raw_key), body)
        return
    key: Any = json.loads(raw_key)
    if isinstance(key, list):
        key = tuple(key)
    if kind == "chat":
        members = {number: Member(**member) for number, member in body.pop("members").items()}
        world.chats[key] = Chat(**body, members=members)
        return
    attribute, record = _RECORDS[kind]
    getattr(world, attribute)[key] = record(**body)
    if kind == "file" and blob is not None:
        world.blobs[key] = blob


def _restore_meta(world: World, key: str, body: Any) -> None:
    if key == "webhook":
        world.webhook = Webhook(**body)
    elif key in _META:
        setattr(world, key, body)
