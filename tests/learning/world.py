"""A small desk for the tests of the nightly learning: real files and store, a model that is a list.

A "model" is a JSON file of normalised texts and intents; it understands exactly these texts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from handoff.adapters.memory import MemoryStore
from handoff.core.assistant import AssistantDomain
from handoff.core.errors import AssistantUnavailable
from handoff.core.mining import normalised
from handoff.core.model import (
    Action,
    Author,
    BotLine,
    Candidate,
    CandidateKind,
    CandidateStatus,
    Conversation,
    Decision,
    Handoff,
    IntentScore,
    LearningRun,
    Message,
    OutboxItem,
    OutboxStatus,
    Parse,
    Truth,
)
from handoff.core.policy import Desk, Policy
from handoff.learning.gate import read_assistant
from handoff.learning.mine import Mine
from handoff.learning.nightly import Learn
from handoff.learning.rollback import Rollback, register_initial
from handoff.learning.training_files import read_folder, read_known
from handoff.ports import Assistant, Store, Work
from tests.fakes import FakeClock

GIFT = "can I pay with two gift cards at once?"
GIFT_ANSWER = "Yes, you can use two gift cards per order."
GIFT_INTENT = "learned_pay_two_gift_cards_once"

NLU = """
version: "3.1"
nlu:
- intent: track_order
  examples: |
    - where is my order
    - track order [10042](order_number)
- intent: greet
  examples: |
    - hi
"""
INTENTS = "text,intent\r\nwhere is my parcel,track_order\r\nhello you,greet\r\n"
OUT_OF_SCOPE = "text,intent\r\ndo you sell gift cards,out_of_scope\r\n"


class Killed(BaseException):
    """What `kill -9` looks like from inside: nobody catches it."""


class Plain:
    """A redactor with one rule, so that its use can be seen."""

    def redact(self, text: str, names=()) -> str:
        for name in names:
            text = text.replace(name, "someone")
        return text


@dataclass
class ListModel:
    """An assistant that understands exactly the texts of its model file."""

    path: Path | None = None
    down: str = ""
    loads: int = 0

    async def parse(self, text: str) -> Parse:
        assert self.path is not None
        known: dict[str, str] = json.loads(self.path.read_text())
        intent = known.get(normalised(text))
        found = IntentScore(intent, 0.95) if intent else IntentScore("nothing", 0.1)
        return Parse((found,), model=self.path.name)

    async def respond(
        self, sender: str, text: str, metadata: Mapping[str, Any] | None = None
    ) -> list[BotLine]:
        return []

    async def awaiting_slot(self, sender: str) -> str | None:
        return None

    async def domain(self) -> AssistantDomain:
        return AssistantDomain()

    async def status(self) -> str:
        if self.down:
            raise AssistantUnavailable(why=self.down)
        return self.path.name if self.path else ""

    async def load_model(self, path: Path) -> None:
        if self.down:
            raise AssistantUnavailable(why=self.down)
        self.path, self.loads = path, self.loads + 1


def examples_of(learned: Path) -> dict[str, str]:
    """Return the learned texts, normalised, with their intents."""
    path = learned / "nlu.yml"
    items = YAML(typ="safe").load(path)["nlu"] if path.is_file() else []
    lines = ((line[2:], item["intent"]) for item in items for line in item["examples"].splitlines())
    return {normalised(text): intent for text, intent in lines}


@dataclass
class World:
    """A desk with its files; `spoil` changes what a trained model knows before it is written."""

    folder: Path
    store: Store = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    live: ListModel = field(default_factory=ListModel)
    steps: list[str] = field(default_factory=list)
    trained: list[Path] = field(default_factory=list)
    spoil: Callable[[dict[str, str]], None] = lambda known: None
    on_step: Callable[[str], None] = lambda step: None

    def __post_init__(self) -> None:
        data = self.folder / "training_data"
        (data / "nlu").mkdir(parents=True)
        (data / "golden").mkdir()
        (data / "nlu" / "all.yml").write_text(NLU)
        (data / "golden" / "intents.csv").write_text(INTENTS)
        (data / "golden" / "out_of_scope.csv").write_text(OUT_OF_SCOPE)
        self.data, self.learned = data, data / "learned"
        self.releases = self.folder / "releases"

    async def begin(self) -> World:
        """Train and register the first model."""
        first = self._write({}, self.folder / "first.tar.gz")
        await register_initial(self.store, self.clock, first, self.releases / "initial" / "learned")
        self.live.path = first
        return self

    def _write(self, learned: dict[str, str], out: Path) -> Path:
        golden = {"where is my parcel": "track_order", "hello you": "greet"}
        known = {**golden, **learned}
        self.spoil(known)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(known, sort_keys=True))
        return out

    async def train(self, learned: Path | None, out: Path) -> Path:
        self.trained.append(out)
        return self._write(examples_of(learned) if learned else {}, out)

    @asynccontextmanager
    async def serve(self, model: Path) -> AsyncIterator[Assistant]:
        yield ListModel(model)

    def step(self, step: str) -> None:
        self.steps.append(step)
        self.on_step(step)

    def learn(self, store: Store | None = None) -> Learn:
        """Return a learning job as a fresh process would have it."""
        store = store or self.store
        plain, policy = Plain(), Policy()
        return Learn(
            store=store,
            clock=self.clock,
            mine=Mine(store, self.clock, plain, plain, partial(read_known, self.data), Desk()),
            train=self.train,
            serve=self.serve,
            read=partial(read_assistant, golden=self.data / "golden", limits=policy.limits),
            assistant=self.live,
            releases=self.releases,
            learned=self.learned,
            policy=policy,
            on_step=self.step,
        )

    def rollback(self) -> Rollback:
        return Rollback(self.store, self.clock, self.learned, self.live)

    # -- what happened at the desk ---------------------------------------------------------------

    async def resolved(
        self,
        id: str,
        *lines: tuple[Author, str],
        truth: Truth = Truth.NEW_TOPIC,
        intent: str | None = None,
    ) -> None:
        """Store a resolved handoff; the customer's first line is the one handed over."""
        now = self.clock.now()
        async with self.store() as work:
            await work.conversations.add(
                Conversation(f"c-{id}", "web", f"k-{id}", "Sam Fox", now, now, last_seq=len(lines))
            )
            for seq, (author, text) in enumerate(lines, 1):
                name = "Ana" if author is Author.AGENT else ""
                line = Message(
                    f"{id}-{seq}", f"c-{id}", 1, seq, author, text, now, author_name=name
                )
                await work.messages.add(line)
            decision = Decision(
                f"d-{id}", f"{id}-1", f"c-{id}", Action.HAND_OFF, (), {}, "1", "first", now
            )
            await work.decisions.add(decision)
            await work.handoffs.add(
                Handoff(
                    id=id,
                    conversation_id=f"c-{id}",
                    episode=1,
                    decision_id=decision.id,
                    findings=(),
                    requested_at=now,
                    claimed_by_name="Ana",
                    ended_at=now + timedelta(minutes=5),
                    outcome="resolved",
                    truth=truth,
                    truth_intent=intent,
                )
            )
            await work.commit()

    async def gift_handoff(self, id: str = "h-gift", question: str = GIFT) -> None:
        await self.resolved(
            id,
            (Author.CUSTOMER, question),
            (Author.SYSTEM, "Ana has joined."),
            (Author.AGENT, "Hi Sam, Ana here!"),
            (Author.AGENT, GIFT_ANSWER),
        )

    async def accepted(self, id: str, **fields: Any) -> Candidate:
        """Store a candidate that a reviewer has accepted (and the handoff it comes from)."""
        now = self.clock.now()
        await self.resolved(f"h-{id}", (Author.CUSTOMER, "ok"), truth=Truth.DO_NOT_LEARN)
        defaults: dict[str, Any] = {
            "kind": CandidateKind.ANSWER,
            "texts": (GIFT,),
            "intent": GIFT_INTENT,
            "answer": GIFT_ANSWER,
        }
        candidate = Candidate(
            id=id,
            handoff_id=f"h-{id}",
            message_ids=(f"h-{id}-1",),
            dedupe_key=f"key-{id}",
            created_at=now,
            status=CandidateStatus.ACCEPTED,
            reviewer=1003,
            reviewer_name="Rita",
            reviewed_at=now,
            **(defaults | fields),
        )
        async with self.store() as work:
            await work.candidates.add(candidate)
            await work.commit()
        return candidate

    async def accept_all(self) -> None:
        """Accept everything that waits for a reviewer."""
        async with self.store() as work:
            for candidate in await work.candidates.with_status(CandidateStatus.PENDING):
                candidate.status = CandidateStatus.ACCEPTED
                candidate.reviewer_name, candidate.reviewed_at = "Rita", self.clock.now()
                await work.candidates.save(candidate)
            await work.commit()

    # -- what can be seen ------------------------------------------------------------------------

    async def candidates(self) -> dict[str, Candidate]:
        async with self.store() as work:
            return {c.dedupe_key: c for c in await work.candidates.with_status(*CandidateStatus)}

    async def latest(self) -> LearningRun:
        async with self.store() as work:
            run = await work.runs.latest()
        assert run is not None
        return run

    async def owed(self) -> list[OutboxItem]:
        """Send everything that is owed; return it in order."""
        items: list[OutboxItem] = []
        async with self.store() as work:
            while (
                item := await work.outbox.take(self.clock.now() + timedelta(days=1))
            ) is not None:
                item.status = OutboxStatus.SENT
                await work.outbox.save(item)
                items.append(item)
            await work.commit()
        return items

    async def run(self, id: str) -> LearningRun:
        async with self.store() as work:
            return await work.runs.get(id)

    def files(self) -> dict[str, str]:
        return read_folder(self.learned)

    async def understands(self, text: str) -> str:
        return (await self.live.parse(text)).ranking[0].intent


@dataclass
class KillingStore:
    """A store whose n-th commit is the last thing a process does, or is not done any more."""

    inner: Store
    left: int
    before: bool

    def __call__(self) -> AbstractAsyncContextManager[Work]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Work]:
        async with self.inner() as work:
            commit = work.commit

            async def counted() -> None:
                self.left -= 1
                if self.left == 0 and self.before:
                    raise Killed
                await commit()
                if self.left == 0:
                    raise Killed

            work.commit = counted  # type: ignore[method-assign]
            yield work
