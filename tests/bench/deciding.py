"""What a decision costs: one message encoded, parsed and decided, everything on one core."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from handoff.bootstrap.encoders import examples_in, open_encoder, open_feelings
from handoff.bootstrap.jobs import serve_beside, trainer_for
from handoff.bootstrap.parts import encoder_service
from handoff.core.policy import Signals, decide
from handoff.settings import Settings, load_settings

WARM_UP, MESSAGES = 30, 200


def deciding() -> dict[str, float]:
    """Measure new messages one at a time; the encoder, Rasa and this process share one core."""
    settings = load_settings(_env_file=None)
    cores = os.sched_getaffinity(0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(_measure(settings, Path(folder)))
    finally:
        os.sched_setaffinity(0, cores)


async def _measure(settings: Settings, folder: Path) -> dict[str, float]:
    encoder = open_encoder(settings)
    async with encoder_service(settings, encoder) as url:
        feelings = await open_feelings(settings, encoder)
        trainer = trainer_for(settings, url)
        model = await trainer.train(folder / "none", folder / "model.tar.gz")
        # Of this process every thread, and of Rasa all, as a child is where its parent was.
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), {0})
        async with serve_beside(settings, url, model) as assistant:
            texts = [text for text, _ in examples_in(settings.training_data).golden]
            took: list[float] = []
            policy = settings.policy()
            for text in texts[: WARM_UP + MESSAGES]:
                began = time.perf_counter()
                signals = Signals(await assistant.parse(text), await feelings.read(text))
                decide(signals, policy)
                took.append((time.perf_counter() - began) * 1000)
    return {"encoded_parsed_decided_p50_ms": median(took[WARM_UP:])}
