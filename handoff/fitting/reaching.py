"""Words of somebody who would reach a person, and how near each other they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

REACH = 5
"""Words from one word to another up to which the two are taken to be about each other."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")

_CLASSES = {
    "staff": """adviser advisers advisor advisors agent agents assistant associate boss clerk
        colleague colleagues consultant counsellor department employee expert helpdesk human humans
        manager managers operator operators receptionist rep representative representatives reps
        specialist staff supervisor supervisors support team teammate technician""",
    "anybody": """anybody anyone guy individual lady man member people person persons somebody
        someone woman""",
    "speaking": """call called calling chat chats chatting contact conversation discuss phone reach
        ring speak speaking spoken talk talking word""",
    "giving": """ask bring connect connected direct escalate escalated fetch find forward get give
        hand have let move pass passed prefer put redirect refer send switch transfer
        transferred""",
    "wanting": """can could demand like love may might must need prefer rather wanna want wish
        would""",
    "partner": "to with",
}
"""Words of common speech that somebody says who would reach a person, in classes."""

_CLASSES_OF = {
    word: [name for name, others in _CLASSES.items() if word in others.split()]
    for words in _CLASSES.values()
    for word in words.split()
}


def reaching(text: str) -> list[float]:
    """Return which word classes of reaching a person occur in a text, each 0 or 1.

    Staff, anybody, speaking, speaking to or with; then, the second at most `REACH` words after the
    first: speaking and a person, giving and a person, anybody and speaking, staff and speaking,
    wanting and speaking, wanting and a person.
    """
    places: dict[str, list[int]] = {name: [] for name in _CLASSES}
    for place, word in enumerate(_WORD.findall(text.lower().replace("’", "'"))):
        for name in _CLASSES_OF.get(word, ()):
            places[name].append(place)
    staff, anybody, speaking = places["staff"], places["anybody"], places["speaking"]
    person = staff + anybody
    found = [
        bool(staff),
        bool(anybody),
        bool(speaking),
        _follows(speaking, places["partner"], 1),
        _follows(speaking, person),
        _follows(places["giving"], person),
        _follows(anybody, speaking),
        _follows(staff, speaking),
        _follows(places["wanting"], speaking),
        _follows(places["wanting"], person),
    ]
    return [float(one) for one in found]


def _follows(first: Sequence[int], second: Sequence[int], reach: int = REACH) -> bool:
    """Return whether one of the second places comes at most `reach` after one of the first."""
    if not first or not second:
        return False
    near = {place + step for place in first for step in range(1, reach + 1)}
    return not near.isdisjoint(second)
