"""What buttons carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_console.callbacks import (
    DATA_BYTES,
    BadCallback,
    Callback,
    Do,
    decode,
    digest,
    intent_of,
)
from handoff.core.model import new_id

CHOICE = st.text("0123456789abcdefghijklmnopqrstuvwxyz", max_size=8)


@given(st.sampled_from(Do), st.integers(0, 999_999), CHOICE)
def test_what_is_encoded_is_decoded(do: Do, version: int, choice: str) -> None:
    button = Callback(do, new_id(), version, choice)
    data = button.encode()
    assert len(data.encode()) <= DATA_BYTES
    assert decode(data) == button


@pytest.mark.parametrize(
    "data",
    [
        None, 7, "", "claim", "v2:claim:abc:0", "v1:claim:abc", "v1:claim:abc:-1", "v1:sell:abc:0",
        "v1:claim:abc:0:ä", "v1:claim:a b:0", "v1:claim:abc:0:x:y", "v1:claim:abc:٣", "x" * 65,
        "v1:claim:abc:0\n",
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: object) -> None:
    with pytest.raises(BadCallback):
        decode(data)


def test_a_part_of_the_wrong_form_is_not_encoded() -> None:
    for button in (Callback(Do.CLAIM, "a:b"), Callback(Do.CLAIM, "a" * 40), Callback(Do.CLAIM, "")):
        with pytest.raises(BadCallback):
            button.encode()


def test_an_intent_is_found_by_its_digest() -> None:
    intents = ["track_order", "get_refund"]
    assert intent_of(digest("get_refund"), intents) == "get_refund"
    with pytest.raises(BadCallback):
        intent_of(digest("cancel_order"), intents)
