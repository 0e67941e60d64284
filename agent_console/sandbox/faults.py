"""Faults a test asks for: an answer that never comes, a 5xx, a 429, a dropped connection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .errors import SimError
from .people import Fields

KINDS = ("accept_timeout", "error", "flood", "drop")


@dataclass
class Fault:
    """What happens to the next `count` calls that match."""

    kind: str
    """accept_timeout: done, but not answered; error: `status`, not done; flood: 429, not done;
    drop: the connection is closed, not done."""
    count: int = 1
    methods: tuple[str, ...] = ()
    """Lower-case method names; empty means every method but getUpdates."""
    status: int = 502
    retry_after: int = 5
    """Seconds, for a flood."""
    hold: float = 0.0
    """Seconds an accept_timeout keeps the connection open before closing it."""

    def matches(self, method: str) -> bool:
        """Whether a call of `method` (lower case) meets this fault."""
        return method in self.methods if self.methods else method != "getupdates"

    def view(self) -> dict[str, Any]:
        """The fault as JSON."""
        return asdict(self)


class Faults:
    """The faults still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def take(self, method: str) -> Fault | None:
        """The fault this call meets, counted down; None if it meets none."""
        for fault in self.waiting:
            if fault.matches(method):
                fault.count -= 1
                if fault.count == 0:
                    self.waiting.remove(fault)
                return fault
        return None


def read_fault(body: Any) -> Fault:
    """A fault from a /sim request. Raises SimError (400)."""
    names = {"kind", "count", "methods", "status", "retry_after", "hold"}
    fields = Fields(body, names)
    kind, methods = fields.text("kind"), fields.get("methods") or []
    if kind not in KINDS:
        raise SimError(400, f"The kind must be one of {', '.join(KINDS)}.")
    if not isinstance(methods, list) or not all(isinstance(m, str) for m in methods):
        raise SimError(400, "The field 'methods' must be a list of method names.")
    hold = fields.get("hold") or 0
    if isinstance(hold, bool) or not isinstance(hold, int | float) or not 0 <= hold <= 600:
        raise SimError(400, "The field 'hold' must be a number of seconds from 0 to 600.")
    fault = Fault(
        kind,
        fields.number("count", 1),
        tuple(m.lower() for m in methods),
        fields.number("status", 502),
        fields.number("retry_after", 5),
        float(hold),
    )
    if fault.count < 1 or fault.retry_after < 1 or not 500 <= fault.status <= 599:
        raise SimError(400, "The count and retry_after start at 1, the status at 500 (to 599).")
    return fault
