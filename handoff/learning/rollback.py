"""Which release is in use, and going back to the one before.

The row with status `CURRENT` is the truth. Training files and the live model follow it: `heal`
makes them agree after whatever happened in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from handoff.app.lines import owe
from handoff.core.errors import (
    AssistantUnavailable,
    BadData,
    NothingToRollBack,
    NotOurAssistant,
)
from handoff.core.model import (
    CandidateStatus,
    OutboxKind,
    Release,
    ReleaseStatus,
    new_id,
)
from handoff.learning.training_files import put_folder, read_folder
from handoff.ports import Assistant, Clock, Store, Work

DIGEST = "digest"
"""Key of the topic the leads read."""

AskWhose = Callable[[], Awaitable[NotOurAssistant | None]]
"""Asks the live assistant anew whose it is; returns why its model must stay, where it must."""


async def register_initial(store: Store, clock: Clock, model: Path, learned: Path) -> Release:
    """Take a model that was trained outside the nightly learning into use, and return its release.

    The first one gets the folder `learned` for its learned files, made empty. A later one (the
    shipped training data changed) was trained with the learned files in use and keeps them. Doing
    it again with the same model changes nothing. Every model needs a file name of its own, by
    which `heal` tells them apart.
    """
    path = str(model.resolve())
    async with store() as work:
        current = await work.releases.current()
        if current is not None and current.model_path == path:
            return current
        release = Release(
            id=new_id(),
            created_at=clock.now(),
            model_path=path,
            learned_path=current.learned_path if current else str(learned.resolve()),
            status=ReleaseStatus.CURRENT,
        )
        if current is None:
            put_folder({}, learned)
        await supersede(work, current, release)
        await work.commit()
    return release


async def supersede(work: Work, current: Release | None, release: Release) -> None:
    """Store `release` as the one in use, after `current`."""
    if current is not None:
        current.status = ReleaseStatus.SUPERSEDED
        await work.releases.save(current)
        release.previous_id = current.id
    await work.releases.add(release)


async def heal(
    store: Store,
    learned: Path,
    assistant: Assistant | None = None,
    whose: AskWhose | None = None,
) -> Release | None:
    """Make the learned training files and the live model agree with the release in use.

    Args:
        store: holds the releases.
        learned: the folder of the learned files in use.
        assistant: the live one; None where only files matter (it is not started yet).
        whose: asked right before a model is replaced that this desk has not trained, since another
            assistant may answer by then; without it no such model is replaced.

    Returns:
        The release in use, None before the first.

    Raises:
        AssistantUnavailable: the files agree now, the live model may not.
        NotOurAssistant: the files agree now; the live model is none of the desk's, and stays.
        BadData: the release's own files are gone.
    """
    async with store() as work:
        current = await work.releases.current()
        ours = {Path(path).name for path in await work.releases.model_paths()}
    if current is None:
        return None
    model = _whole(current)
    wanted = read_folder(Path(current.learned_path))
    if not learned.is_dir() or read_folder(learned) != wanted:
        put_folder(wanted, learned)
    live = model.name if assistant is None else await assistant.status()
    if assistant is not None and live != model.name:
        if live not in ours:
            refusal = await whose() if whose else not_trained_here(live)
            if refusal:
                raise refusal
        await assistant.load_model(model)
    return current


def not_trained_here(model: str) -> NotOurAssistant:
    """Return the refusal to replace a model of somebody else's."""
    why = f"the Rasa at RASA_URL answers with {model}, a model this desk has not trained"
    return NotOurAssistant(why=why)


def _whole(release: Release) -> Path:
    """Return the release's model; raise `BadData` unless it and the learned files are there."""
    model, learned = Path(release.model_path), Path(release.learned_path)
    if not model.is_file():
        raise BadData(path=model, why=f"the model of release {release.id} is missing")
    if not learned.is_dir():
        raise BadData(path=learned, why=f"the learned files of release {release.id} are missing")
    return model


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What going back did. `not_live` says why the live model has not followed yet, or is empty."""

    left: Release
    now: Release
    forgotten: int
    not_live: str = ""

    @property
    def sentence(self) -> str:
        """Return it in words."""
        when = self.now.created_at.strftime("%Y-%m-%d %H:%M UTC")
        things = "1 candidate was" if self.forgotten == 1 else f"{self.forgotten} candidates were"
        said = f"Rolled back to the release of {when}; {things} unlearned."
        return f"{said} {NOT_LIVE.format(why=self.not_live)}" if self.not_live else said


NOT_LIVE = "The assistant is not using it yet and will after its next start: {why}"
"""What is added when the database and the files changed and the live model could not."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """Go back to the release before: its model, its learned files.

    What the left release had learned becomes `ROLLED_BACK`, so that it is not learned again by
    itself. Several in a row walk further back.
    """

    store: Store
    clock: Clock
    learned: Path
    assistant: Assistant
    whose: AskWhose | None = None

    async def __call__(self) -> RolledBack:
        """Raise `NothingToRollBack`, or `BadData` when the earlier release's files are gone."""
        done = await self._record()
        try:
            await heal(self.store, self.learned, self.assistant, self.whose)
        except (AssistantUnavailable, NotOurAssistant) as error:
            return RolledBack(done.left, done.now, done.forgotten, str(error))
        return done

    async def _record(self) -> RolledBack:
        async with self.store() as work:
            left = await work.releases.current()
            if left is None or left.previous_id is None:
                raise NothingToRollBack()
            now = await work.releases.get(left.previous_id)
            _whole(now)
            left.status, now.status = ReleaseStatus.ROLLED_BACK, ReleaseStatus.CURRENT
            await work.releases.save(left)
            await work.releases.save(now)
            done = RolledBack(left, now, await self._forget(work, left))
            await self._tell(work, done)
            await work.commit()
        return done

    async def _forget(self, work: Work, left: Release) -> int:
        learned = await work.candidates.with_status(CandidateStatus.LEARNED)
        gone = [c for c in learned if c.release_id == left.id]
        for candidate in gone:
            candidate.status = CandidateStatus.ROLLED_BACK
            await work.candidates.save(candidate)
        return len(gone)

    async def _tell(self, work: Work, done: RolledBack) -> None:
        payload, key = {"text": f"↩️ {done.sentence}"}, f"notice:rollback:{done.left.id}"
        await owe(work, OutboxKind.NOTICE, payload, key, self.clock.now(), DIGEST)
