"""Reading a call's parameters as the Bot API does: JSON bodies, forms, multipart, query strings.

In a form every value is a string and nested objects are JSON in a string.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from .errors import bad_request

UPLOAD_LIMIT = 50 * 1024 * 1024
"""Bytes of one request; Telegram takes 50 MB."""


@dataclass
class Upload:
    """One file of a multipart body."""

    name: str
    mime: str
    data: bytes


@dataclass
class Params:
    """A call's parameters by name, and its uploaded files."""

    values: dict[str, Any]
    files: dict[str, Upload]

    def text(self, name: str, default: str = "") -> str:
        """A string; numbers are written out. Refuses (400) text that is not valid Unicode."""
        value = self.values.get(name)
        if value is None:
            return default
        value = value if isinstance(value, str) else json.dumps(value)
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise bad_request("strings must be encoded in UTF-8") from None
        return value

    def number(self, name: str, default: int = 0) -> int:
        """A whole number; anything that is none counts as `default`, as with Telegram."""
        value = self.values.get(name)
        if isinstance(value, bool) or value is None:
            return default
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            return default

    def flag(self, name: str) -> bool:
        """A boolean: true, yes and 1 in any case."""
        return str(self.values.get(name, "")).lower() in ("true", "yes", "1")

    def nested(self, name: str, what: str) -> Any:
        """An object or array, given as such or as JSON in a string; None when absent.

        Raises ApiError (400) naming `what` when it is no JSON.
        """
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None

    def loggable(self) -> dict[str, Any]:
        """The parameters for the list of calls, files as their names."""
        return {**self.values, **{name: f"<file {f.name}>" for name, f in self.files.items()}}


def read_params(query: str, content_type: str, body: bytes) -> Params:
    """Parameters from the query string and the body together.

    Raises ApiError (400) on a body that cannot be read.
    """
    values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/json" and body:
        values |= _json_object(body)
    elif kind == "application/x-www-form-urlencoded":
        values |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    elif kind == "multipart/form-data":
        fields, files = read_multipart(content_type, body)
        return Params(values | fields, files)
    return Params(values, {})


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        raise bad_request("can't parse request JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("can't parse request: JSON object expected")
    return value


def read_multipart(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, Upload]]:
    """Fields and files of a multipart/form-data body (RFC 7578).

    Written here because the one thing needed is small and the usual package is no dependency of
    the project. Raises ApiError (400) on a body without its boundary.
    """
    boundary = _header_value(content_type, "boundary").encode()
    if not boundary or b"--" + boundary not in body:
        raise bad_request("can't parse multipart request body")
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    # Every part, the first included, then begins with a line break and its boundary.
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if part.startswith(b"--"):
            break
        head, _, data = part.partition(b"\r\n\r\n")
        headers = _part_headers(head)
        disposition = headers.get("content-disposition", "")
        name = _header_value(disposition, "name")
        if "filename" in disposition:
            mime = headers.get("content-type", "application/octet-stream")
            files[name] = Upload(_header_value(disposition, "filename") or "file", mime, data)
        else:
            fields[name] = data.decode("utf-8", "replace")
    return fields, files


def _part_headers(head: bytes) -> dict[str, str]:
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def _header_value(header: str, name: str) -> str:
    for piece in header.split(";")[1:]:
        key, _, value = piece.strip().partition("=")
        if key.lower() == name:
            return value.strip().strip('"')
    return ""
