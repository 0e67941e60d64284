"""One customer, twice: before an assistant alone, and before the same assistant behind the desk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from handoff.adapters.clock import WallClock
from handoff.adapters.doorbell import LocalDoorbell
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import FeelingsModel
from handoff.adapters.memory import MemoryStore
from handoff.adapters.rasa import RasaAssistant
from handoff.app.receive import Inbound, Receive
from handoff.app.take_turn import TakeTurn
from handoff.bootstrap.assistant import DeskPolicy
from handoff.core.model import Action, Author, State
from handoff.settings import load_settings


@dataclass
class Behind:
    """A desk before somebody else's assistant, on a store in memory."""

    assistant: RasaAssistant
    encoder: SentenceEncoder
    feelings: FeelingsModel
    var: Path

    def __post_init__(self) -> None:
        self.store, clock, bell = MemoryStore(), WallClock(), LocalDoorbell()
        settings = load_settings(_env_file=None, HANDOFF_VAR=self.var)
        self.policy = DeskPolicy(settings, self.store, self.assistant)
        self.receive = Receive(self.store, clock, bell)
        self.turn = TakeTurn(
            self.store,
            clock,
            bell,
            self.assistant,
            self.encoder,
            self.feelings,
            settings.policy(),
            self.policy,
        )

    async def says(self, customer: str, text: str) -> tuple[str, list[str]]:
        """Let a customer write; return what was decided, and the lines the customer then sees."""
        received = await self.receive(Inbound("test", customer, text, None))
        await self.turn(received.conversation_id, received.message.id)
        async with self.store() as work:
            conversation = await work.conversations.get(received.conversation_id)
            lines = await work.messages.after(received.conversation_id, received.message.seq)
            decisions = await work.decisions.of_message(received.message.id)
        done = decisions[-1].action if decisions else Action.HAND_OFF
        assert (conversation.state is State.BOT) == (done is not Action.HAND_OFF)
        said = [m.text or str(m.image or "") for m in lines if m.author is not Author.CUSTOMER]
        why = ", ".join(f.reason.value for f in decisions[-1].findings) if decisions else ""
        self.why = why
        return done.value, said


async def alone(assistant: RasaAssistant, customer: str, text: str) -> list[str]:
    """Return what the assistant says to a customer by itself."""
    lines = await assistant.respond(f"alone-{customer}", text)
    return [line.text or str(line.image or "") for line in lines]


def alike(one: Sequence[str], other: Sequence[str], variants: Mapping[str, str]) -> bool:
    """Say whether the same was said, in whichever of a response's wordings.

    Figures are left out: financial-demo makes them up, others for each customer.
    """
    plain = [
        [re.sub(r"\d[\d.,]*", "#", variants.get(t.strip(), t)) for t in s] for s in (one, other)
    ]
    return plain[0] == plain[1]
