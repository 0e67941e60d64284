"""Hand-written stand-ins for what the use cases need: deterministic, in memory, no mocks.

`FakeDesk` puts a whole desk together on a `MemoryStore`; a test changes what it wants to see.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from handoff.adapters.doorbell import LocalDoorbell
from handoff.adapters.memory import MemoryStore
from handoff.app.claim import Claim
from handoff.app.give_up import Release, ReturnToBot
from handoff.app.receive import Inbound, Receive, Received
from handoff.app.resolve import Reopen, Resolve
from handoff.app.say import Note, Say
from handoff.app.sweep import Sweep
from handoff.app.take_turn import TakeTurn
from handoff.channels.widgets import WidgetOptions
from handoff.core.assistant import AssistantDomain, SlotMapping
from handoff.core.errors import AssistantUnavailable, EncoderUnavailable
from handoff.core.evidence import named
from handoff.core.model import (
    Author,
    BotLine,
    Conversation,
    Feelings,
    Handoff,
    IntentScore,
    Message,
    OutboxStatus,
    Parse,
    Person,
    Role,
)
from handoff.core.policy import Policy
from handoff.ports import Store
from handoff.web.app import WebServices

ANA = Person(1001, "Ana", frozenset({Role.AGENT}))
BO = Person(1002, "Bo", frozenset({Role.AGENT}))
RITA = Person(1003, "Rita", frozenset({Role.REVIEWER}))
LEA = Person(1004, "Lea", frozenset({Role.LEAD}))

UNKNOWN = "purple elephants"
"""A message with these words is one the fake assistant does not understand."""

START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def understood(intent: str, confidence: float = 0.95, *others: tuple[str, float]) -> Parse:
    """Return a parse with this intent first."""
    scores = [(intent, confidence), *others]
    return Parse(tuple(IntentScore(*score) for score in scores), model="fake-model")


async def nothing(sender: str, text: str) -> None:
    """The default of `FakeAssistant.meanwhile`."""


class OnlyParses:
    """An assistant to be measured: it may be asked what a message means, and nothing else."""

    async def respond(
        self, sender: str, text: str, metadata: Mapping[str, Any] | None = None
    ) -> list[BotLine]:
        raise AssertionError("measuring never lets the bot speak")

    async def awaiting_slot(self, sender: str) -> str | None:
        raise AssertionError("measuring asks for no slot")

    async def domain(self) -> AssistantDomain:
        raise AssertionError("measuring asks for no domain")

    async def status(self) -> str:
        return "only parses"

    async def load_model(self, path: Path) -> None:
        raise AssertionError("measuring swaps no model")


@dataclass
class FakeAssistant:
    """An assistant that understands by exact text, else everything but `UNKNOWN`.

    `down` holds the reason while it cannot be reached; `heard` is what it was given to answer,
    `given` the metadata with it; `meanwhile` runs while it is answering, so that a test can let
    something happen then.
    """

    parses: dict[str, Parse] = field(default_factory=dict)
    answers: dict[str, list[BotLine]] = field(default_factory=dict)
    down: str = ""
    down_for_turns: str = ""
    slot: str | None = None
    any_text: bool = False
    intents: frozenset[str] = frozenset()
    heard: list[tuple[str, str]] = field(default_factory=list)
    given: list[dict[str, Any]] = field(default_factory=list)
    parsed: list[str] = field(default_factory=list)
    loaded: list[Path] = field(default_factory=list)
    meanwhile: Callable[[str, str], Awaitable[None]] = nothing

    def _reach(self) -> None:
        if self.down:
            raise AssistantUnavailable(why=self.down)

    async def parse(self, text: str) -> Parse:
        self._reach()
        self.parsed.append(text)
        default = understood("faq", 0.1 if UNKNOWN in text else 0.95)
        return self.parses.get(text, default)

    async def respond(
        self, sender: str, text: str, metadata: Mapping[str, Any] | None = None
    ) -> list[BotLine]:
        self._reach()
        if self.down_for_turns:
            raise AssistantUnavailable(why=self.down_for_turns)
        self.heard.append((sender, text))
        self.given.append(dict(metadata or {}))
        await self.meanwhile(sender, text)
        return self.answers.get(text, [BotLine(f"About “{text}”: yes.")])

    async def awaiting_slot(self, sender: str) -> str | None:
        self._reach()
        return self.slot

    async def domain(self) -> AssistantDomain:
        self._reach()
        kind = "from_text" if self.any_text else "from_entity"
        slots = {self.slot: (SlotMapping(kind, self.slot),)} if self.slot else {}
        return AssistantDomain("fake-model", self.intents, slots=slots)

    async def status(self) -> str:
        self._reach()
        return "fake-model"

    async def load_model(self, path: Path) -> None:
        self._reach()
        self.loaded.append(path)


@dataclass
class FakeEncoder:
    """Hashed bags of words of unit length: the same words give the same vector."""

    dimension: int = 384
    down: str = ""

    @property
    def digest(self) -> str:
        return "fake-encoder"

    async def encode(self, texts: Sequence[str]) -> list[list[float]]:
        if self.down:
            raise EncoderUnavailable(why=self.down)
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for word in text.lower().split() or [text]:
            digest = hashlib.sha256(word.encode()).digest()
            vector[int.from_bytes(digest[:4], "big") % self.dimension] += 1.0
        length = math.sqrt(sum(value * value for value in vector))
        return [value / length for value in vector]


@dataclass
class FakeFeelings:
    """Reads feelings from key words: `furious`, `bad`, `human please`."""

    encoder: FakeEncoder

    async def read(self, text: str) -> Feelings:
        if self.encoder.down:
            raise EncoderUnavailable(why=self.encoder.down)
        furious, bad = "furious" in text, "bad" in text
        return Feelings(
            negative=0.95 if furious else 0.7 if bad else 0.1,
            angry=0.9 if furious else 0.05,
            asks_for_person=0.9 if "human please" in text else 0.001,
        )


class FakeDesk:
    """A desk on fakes, with short ways to do and to read what tests need."""

    def __init__(self, store: Store | None = None) -> None:
        self.store: Store = store or MemoryStore()
        self.clock = FakeClock()
        self.bell = LocalDoorbell()
        self.assistant = FakeAssistant()
        self.encoder = FakeEncoder()
        self.receive = Receive(self.store, self.clock, self.bell)
        self.take_turn = TakeTurn(
            self.store,
            self.clock,
            self.bell,
            self.assistant,
            self.encoder,
            FakeFeelings(self.encoder),
            named(Policy()),
        )
        console = (self.store, self.clock, self.bell)
        self.sweep = Sweep(*console, self.take_turn, reminder_minutes=5)
        self.claim, self.release = Claim(*console), Release(*console)
        self.return_to_bot = ReturnToBot(*console)
        self.say, self.note = Say(*console), Note(*console)
        self.resolve, self.reopen = Resolve(*console), Reopen(*console)

    def services(
        self, internal_token: str = "", widgets: WidgetOptions | None = None
    ) -> WebServices:
        """Return what the web application needs."""
        return WebServices(
            store=self.store,
            clock=self.clock,
            bell=self.bell,
            receive=self.receive,
            take_turn=self.take_turn,
            encoder=self.encoder,
            assistant=self.assistant,
            internal_token=internal_token,
            widgets=widgets or WidgetOptions(),
        )

    async def write(self, text: str, client_id: str | None = None, key: str = "kim") -> Received:
        """Let a customer write; nothing is decided yet."""
        return await self.receive(Inbound("test", key, text, client_id))

    async def turn(self, received: Received) -> None:
        """Take the turn of a message."""
        await self.take_turn(received.conversation_id, received.message.id)

    async def ask(self, text: str, client_id: str | None = None, key: str = "kim") -> Received:
        """Let a customer write and the desk answer."""
        received = await self.write(text, client_id, key)
        await self.turn(received)
        return received

    async def handed_over(self, key: str = "kim") -> str:
        """Return the id of a conversation that waits for a person."""
        return (await self.ask("human please", key=key)).conversation_id

    async def with_ana(self, key: str = "kim") -> str:
        """Return the id of a conversation that Ana has."""
        conversation_id = await self.handed_over(key)
        await self.claim(conversation_id, ANA)
        return conversation_id

    async def conversation(self, id: str) -> Conversation:
        async with self.store() as work:
            return await work.conversations.get(id)

    async def lines(self, id: str) -> list[Message]:
        async with self.store() as work:
            return await work.messages.after(id, 0, limit=1000)

    async def said(self, id: str, *authors: Author) -> list[str]:
        """Return the texts of a conversation, of these authors or of all."""
        return [m.text for m in await self.lines(id) if not authors or m.author in authors]

    async def handoffs(self) -> list[Handoff]:
        async with self.store() as work:
            return await work.handoffs.requested_since(START - timedelta(days=1))

    async def owed_items(self) -> list[tuple[str, dict[str, object]]]:
        """Send every pending outbox item; return kind and payload, in the order of sending."""
        found = []
        async with self.store() as work:
            while item := await work.outbox.take(self.clock.now()):
                item.status = OutboxStatus.SENT
                await work.outbox.save(item)
                found.append((item.kind.value, item.payload))
            await work.commit()
        return found
