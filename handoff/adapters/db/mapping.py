"""Entities to plain column values and back, exactly, driven by the type hints of the dataclasses.

Only the standard library is used, so that the in-memory store copies its entities by the same rules
the database does: what a test stores in memory, a database can store too.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

E = TypeVar("E")
Convert = Callable[[Any], Any]
_PLAIN = (str, int, bool, Any)


def to_json(value: Any) -> str:
    """Return `value` as ASCII JSON text.

    ASCII, because PostgreSQL refuses NUL and lone surrogates unless they are escaped. Raises
    `ValueError` for NaN and infinity, which are not JSON, and `TypeError` for anything JSON lacks.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def to_values(entity: Any) -> dict[str, Any]:
    """Return column values by field name: times in UTC, enums as text, nested values as JSON data.

    Raises `ValueError` for a time without a time zone.
    """
    return {name: encode(getattr(entity, name)) for name, encode, _ in _fields(type(entity))}


def from_values(cls: type[E], values: Mapping[str, Any]) -> E:
    """Return the entity that `to_values` took apart.

    Values the entity has no field for are ignored, and a missing one takes the field's default, so
    that nested values stored by an older version can still be read.
    """
    return cls(**{name: decode(values[name]) for name, _, decode in _fields(cls) if name in values})


def is_nested(hint: Any) -> bool:
    """Say whether a field of this type needs a JSON column."""
    if _is_union(hint):
        return any(is_nested(part) for part in get_args(hint))
    return get_origin(hint) in (tuple, dict) or is_dataclass(hint)


@cache
def _fields(cls: type) -> tuple[tuple[str, Convert, Convert], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, *_codec(hints[field.name])) for field in fields(cls))


def _codec(hint: Any) -> tuple[Convert, Convert]:
    """Return how a value of this type is encoded and decoded."""
    if hint in _PLAIN:
        return _same, _same
    if hint is float:
        return float, float
    if hint is datetime:
        return _utc, _same
    if _is_union(hint):
        return _optional(hint)
    if get_origin(hint) is tuple:
        return _sequence(hint)
    if get_origin(hint) is dict:
        return _dictionary(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return to_values, lambda data: from_values(hint, data)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda member: hint(member).value, hint
    raise TypeError(f"no column can hold a {hint}")


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _same(value: Any) -> Any:
    return value


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"a time without a time zone cannot be stored: {moment}")
    return moment.astimezone(UTC)


def _optional(hint: Any) -> tuple[Convert, Convert]:
    inner, *others = (part for part in get_args(hint) if part is not types.NoneType)
    if others:
        raise TypeError(f"no column can hold a {hint}")
    encode, decode = _codec(inner)
    return (
        lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
    )


def _sequence(hint: Any) -> tuple[Convert, Convert]:
    inner, dots = get_args(hint)
    if dots is not ...:
        raise TypeError(f"no column can hold a {hint}")
    encode, decode = _codec(inner)
    return (
        lambda values: [encode(value) for value in values],
        lambda values: tuple(decode(value) for value in values),
    )


def _dictionary(hint: Any) -> tuple[Convert, Convert]:
    _, inner = get_args(hint)
    encode, decode = _codec(inner)
    return (
        lambda values: {key: encode(value) for key, value in values.items()},
        lambda values: {key: decode(value) for key, value in values.items()},
    )
