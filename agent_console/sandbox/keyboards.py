"""Reading `reply_markup` as strictly as Telegram does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import bad_request
from .params import Params

CALLBACK_DATA_LIMIT = 64
"""Bytes of UTF-8 in a button's callback_data."""
MOST_BUTTONS = 100

Rows = list[list[dict[str, Any]]]


@dataclass
class Markup:
    """What a message carries below its text."""

    rows: Rows = field(default_factory=list)
    asks_reply: bool = False
    """The message opens the reader's answer field (ForceReply)."""


def read_markup(params: Params) -> Markup:
    """The keyboard of a send or edit; empty when none is given.

    Raises ApiError (400). Reply keyboards are refused: the sandbox does not show them.
    """
    raw = params.nested("reply_markup", "reply keyboard markup")
    if raw is None:
        return Markup()
    if not isinstance(raw, dict):
        raise bad_request("object expected as reply markup")
    if raw.get("force_reply") is True:
        return Markup(asks_reply=True)
    if raw.get("remove_keyboard") is True:
        return Markup()
    if "keyboard" in raw:
        raise bad_request("the sandbox shows inline keyboards only, not reply keyboards")
    rows = raw.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("can't parse inline keyboard: array of arrays expected")
    return Markup(rows=[[_read_button(b) for b in row] for row in rows if row])


def _read_button(raw: Any) -> dict[str, Any]:
    where = "can't parse InlineKeyboardButton"
    if not isinstance(raw, dict):
        raise bad_request(f"{where}: expected an Object")
    text = raw.get("text")
    if not isinstance(text, str):
        raise bad_request(f'{where}: Can\'t find field "text"')
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
    for action in ("url", "callback_data", "copy_text"):
        value = raw.get(action)
        if value:
            if action != "copy_text" and not isinstance(value, str):
                raise bad_request(f'{where}: field "{action}" must be of type String')
            return {"text": text, action: value}
    raise bad_request(f"{where}: Text buttons are not allowed in the inline keyboard")


def check_buttons(rows: Rows) -> None:
    """Limits that Telegram checks after the chat: data of 1-64 bytes, at most 100 buttons."""
    buttons = [button for row in rows for button in row]
    if len(buttons) > MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    for button in buttons:
        data = button.get("callback_data")
        if data is not None and len(data.encode()) > CALLBACK_DATA_LIMIT:
            raise bad_request("BUTTON_DATA_INVALID")
        url = button.get("url")
        if url is not None and not url.startswith(("http://", "https://", "tg://")):
            raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
