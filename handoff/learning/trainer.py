"""Training the assistant: `rasa train` in Rasa's own environment."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from handoff.core.errors import TrainingFailed
from handoff.learning import rasa_process, workspace

Progress = Callable[[str], None]
"""Gets each line of Rasa's log while it trains."""

TRAINING_SECONDS = 1800.0
"""Longest training, in seconds: a run that hangs must not block learning for ever."""

NAME = "model.tar.gz"


def _quiet(line: str) -> None:
    """Say nothing."""


class Trainer:
    """Trains models with the assistant's project and training data.

    Args:
        bot: the assistant's project; its parent is what Python imports the components from.
        training_data: folder with `nlu/`, `rules/`, `stories/`, `responses/`.
        rasa_venv: Rasa's environment.
        encoder_url: where the components find the shared encoder.
        internal_token: opens the encoder.
    """

    def __init__(
        self, bot: Path, training_data: Path, rasa_venv: Path, encoder_url: str, internal_token: str
    ) -> None:
        self._bot = bot
        self._training_data = training_data
        self._venv = rasa_venv.absolute()
        self._encoder_url = encoder_url
        self._token = internal_token

    async def train(
        self,
        learned: Path | None,
        out: Path,
        nlu_only: bool = False,
        progress: Progress = _quiet,
    ) -> Path:
        """Train on the project's data plus the `learned` files and return `out`.

        Args:
            learned: folder of learned training files, or None.
            out: final path of the model file (`*.tar.gz`). It appears whole or not at all.
            nlu_only: leave the policies out.
            progress: called with each line of Rasa's log.

        Raises:
            TrainingFailed: with Rasa's last lines.
            BadData: the project or its training data are incomplete.
        """
        with self._building(out) as folder:
            build = Path(folder) / "build"
            workspace.assemble(build, self._bot, self._training_data, learned)
            return await self._run(build, out, nlu_only, progress)

    async def train_nlu(
        self, examples: Mapping[str, Sequence[str]], out: Path, progress: Progress = _quiet
    ) -> Path:
        """Train the shipped pipeline on `examples` by intent alone and return `out`."""
        with self._building(out) as folder:
            build = Path(folder) / "build"
            workspace.assemble_nlu(build, self._bot, examples)
            return await self._run(build, out, True, progress)

    def _building(self, out: Path) -> tempfile.TemporaryDirectory[str]:
        """Return a folder beside `out`, so that the finished model is only renamed."""
        out.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".training-", dir=out.resolve().parent)

    async def _run(self, build: Path, out: Path, nlu_only: bool, progress: Progress) -> Path:
        models = build.parent / "models"
        lines = await self._rasa(_arguments(build, models, nlu_only), build, progress)
        if not (models / NAME).is_file():
            raise TrainingFailed(why=rasa_process.last_words(lines, self._token))
        return (models / NAME).replace(out)

    async def _rasa(self, arguments: list[str], build: Path, progress: Progress) -> list[str]:
        """Run Rasa to its end and return what it said; end it when cancelled."""
        if not rasa_process.python_of(self._venv).exists():
            raise TrainingFailed(why=f"there is no Rasa environment at {self._venv}")
        env = rasa_process.environment(self._bot, self._encoder_url, self._token)
        process = await rasa_process.start(
            self._venv, arguments, env, build, asyncio.subprocess.PIPE
        )
        lines: list[str] = []
        try:
            async with asyncio.timeout(TRAINING_SECONDS):
                assert process.stdout is not None
                while line := await _line(process.stdout):
                    lines.append(line)
                    if said := rasa_process.news(line):
                        progress(said)
                code = await process.wait()
        except TimeoutError:
            raise TrainingFailed(why=f"it took longer than {TRAINING_SECONDS:g} seconds") from None
        finally:
            await rasa_process.stop(process)
        if code:
            raise TrainingFailed(why=rasa_process.last_words(lines, self._token))
        return lines


async def _line(stream: asyncio.StreamReader) -> str:
    """Return the next line; progress bars write lines longer than the reader's limit."""
    try:
        raw = await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as end:
        raw = end.partial
    except asyncio.LimitOverrunError as over:
        raw = await stream.readexactly(over.consumed)
    return raw.decode("utf-8", errors="replace")


def _arguments(build: Path, models: Path, nlu_only: bool) -> list[str]:
    given = ["--config", str(build / "config.yml"), "--out", str(models)]
    given += ["--fixed-model-name", NAME]
    data = str(build / "data")
    if nlu_only:
        return ["train", "nlu", "--nlu", data, *given]
    return ["train", "--data", data, "--domain", str(build / "domain"), *given]
