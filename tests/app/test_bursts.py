"""Many messages of one customer at the same moment, on a real database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from handoff.adapters.clock import WallClock
from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.adapters.doorbell import LocalDoorbell
from handoff.app.receive import Inbound, Receive


async def test_a_burst_of_first_messages_makes_one_conversation_and_loses_nothing(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    await upgrade(url)
    engine = make_engine(url)
    try:
        store = DatabaseStore(engine)
        receive = Receive(store, WallClock(), LocalDoorbell())
        sent = [Inbound("web", "one", f"message {n}", f"m{n}") for n in range(20)]
        received = await asyncio.gather(*(receive(message) for message in sent))
        conversations = {one.conversation_id for one in received}
        assert len(conversations) == 1
        async with store() as work:
            lines = await work.messages.after(conversations.pop(), 0)
        assert [line.seq for line in lines] == list(range(1, 21))
        assert {line.text for line in lines} == {message.text for message in sent}
    finally:
        await engine.dispose()
