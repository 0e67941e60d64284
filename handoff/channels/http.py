"""What every HTTP endpoint shares: refusals in one shape, and bodies read with a cap.

A refusal is always `{"error": sentence}` with the status of the typed error behind it.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from handoff.core.errors import DeskError

MESSAGE_BODY_BYTES = 64 * 1024
"""Largest body of a request that carries one message, in bytes."""

LARGEST_SEQ = 2**31 - 1
"""Largest line number a client may name: what a 32-bit column of the database holds."""


class BodyTooLarge(DeskError):
    """A request may hold {limit} bytes at most."""

    status = 413


class NotJson(DeskError):
    """The body must be JSON: {why}."""

    status = 400


class WrongContentType(DeskError):
    """The body must be sent as application/json, not as {sent}."""

    status = 415


class WrongField(DeskError):
    """{field}: {why}."""

    status = 422


class WrongCursor(DeskError):
    """The number of the last line seen must be a whole number from 0 to {limit}."""

    status = 422


class Strict(BaseModel):
    """A body whose fields are exactly those named, of exactly their types."""

    model_config = ConfigDict(extra="forbid", strict=True)


Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body; raise `BodyTooLarge` before more than `limit` bytes are in memory."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > limit:
        raise BodyTooLarge(limit=limit)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(body)


async def read_json(
    request: Request, shape: type[Body], limit: int = MESSAGE_BODY_BYTES, any_type: bool = False
) -> Body:
    """Return the body as `shape`, or raise the refusal that names what is wrong with it.

    `any_type`: JSON is taken whatever the request calls it, as Rasa does.
    """
    sent = request.headers.get("content-type", "")
    if not any_type and sent.partition(";")[0].strip().lower() != "application/json":
        raise WrongContentType(sent=printable(sent) or "nothing")
    raw = await read_body(request, limit)
    try:
        value = json.loads(raw)
    except UnicodeDecodeError:
        raise NotJson(why="it is not UTF-8 text") from None
    except RecursionError:
        raise NotJson(why="it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise NotJson(why=f"{error.msg} at character {error.pos}") from None
    except ValueError:
        raise NotJson(why="a number in it is too long") from None
    if not isinstance(value, dict):
        raise NotJson(why="an object with named fields is expected")
    return checked(value, shape)


def checked(value: object, shape: type[Body]) -> Body:
    """Return `value` as `shape`; raise `WrongField` naming the first field that does not fit."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise WrongField(
            field=_place(first["loc"]), why=_why(first["type"], first["msg"])
        ) from None


def _place(location: tuple[int | str, ...]) -> str:
    return printable(".".join(str(part) for part in location if part != "str")) or "The body"


def _why(kind: str, message: str) -> str:
    known = {"extra_forbidden": "this field is not known", "missing": "this field is required"}
    return known.get(kind, message[:1].lower() + message[1:])


def printable(text: str, limit: int = 60) -> str:
    """Return foreign text so that it can stand in a sentence: short and plain ASCII."""
    return text.encode("ascii", "backslashreplace").decode()[:limit]


def cursor(given: str | None) -> int:
    """Return a line number sent by a client, 0 when it sent none; raise `WrongCursor`."""
    if not given:
        return 0
    if not (given.isascii() and given.isdecimal() and len(given) <= 10):
        raise WrongCursor(limit=LARGEST_SEQ)
    if int(given) > LARGEST_SEQ:
        raise WrongCursor(limit=LARGEST_SEQ)
    return int(given)


class Ascii(JSONResponse):
    """JSON in ASCII, which holds whatever a sender or an assistant has put into a text."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the shape every endpoint uses."""
    return JSONResponse({"error": sentence}, status_code=status, headers=headers)


async def on_desk_error(request: Request, error: Exception) -> JSONResponse:
    """Answer with the error's own sentence and status."""
    assert isinstance(error, DeskError)
    sentence = str(error)
    return refusal(error.status, sentence if sentence.isprintable() else printable(sentence, 500))


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what the router refuses: an unknown address, a wrong method."""
    assert isinstance(error, HTTPException)
    sentences = {
        404: "There is nothing at this address.",
        405: f"{request.method} is not possible at this address.",
    }
    sentence = sentences.get(error.status_code, "This request cannot be answered.")
    return refusal(error.status_code, sentence, dict(error.headers or {}))


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a wrong query or path parameter."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return refusal(422, f"{_place(first['loc'])}: {_why(first['type'], first['msg'])}.")


async def on_disconnect(request: Request, error: Exception) -> JSONResponse:
    """The client went away in the middle of its request: nobody reads this answer."""
    return refusal(400, "The request ended before it was complete.")


async def on_any_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a defect without a word about the inside; the log has the traceback."""
    return refusal(500, "Something went wrong on our side. Please try again.")


HANDLERS = {
    DeskError: on_desk_error,
    HTTPException: on_http_error,
    RequestValidationError: on_validation_error,
    ClientDisconnect: on_disconnect,
    Exception: on_any_error,
}
"""Exception handlers of the application."""
