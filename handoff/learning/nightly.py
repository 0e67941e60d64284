"""The learning run: mine, train, measure, and let the better model in.

Everything up to the promotion can be done again without harm, and the promotion is one unit of
work. A run that dies is found by its stale heartbeat; the next one takes over its counts and does
the rest. What a run leaves half done outside the database, `rollback.heal` puts right.

A refused candidate stays accepted and is tried again in later nights, marked with the refused
release. So that it does not block others, a refused attempt is followed by a smaller one: without
the new topics that did not answer their own question, or without what had been refused before, or
with new topics alone (`Trial.smaller`).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from handoff.app.lines import owe
from handoff.app.retrying import retry_stale
from handoff.core.errors import (
    AssistantUnavailable,
    DeskError,
    NotFound,
    RunInProgress,
    StaleVersion,
)
from handoff.core.learning import GATED, GateVerdict, gate
from handoff.core.limits import RUN_LEASE_SECONDS
from handoff.core.mining import Known
from handoff.core.model import (
    Action,
    Candidate,
    CandidateKind,
    CandidateStatus,
    Feelings,
    LearningRun,
    OutboxKind,
    Release,
    ReleaseStatus,
    RunStatus,
)
from handoff.core.policy import Policy, Signals, decide
from handoff.core.reasons_in_words import percent
from handoff.core.text import plain_for_assistant
from handoff.learning.gate import GoldenReading, worse
from handoff.learning.mine import Mine
from handoff.learning.rollback import DIGEST, NOT_LIVE, AskWhose, heal, supersede
from handoff.learning.training_files import LearnedFiles, put_folder, render
from handoff.ports import Assistant, Clock, Store, Work

Train = Callable[[Path, Path], Awaitable[Path]]
"""(folder of learned files, model file to write) → the model file; `Trainer.train`."""

Serve = Callable[[Path], AbstractAsyncContextManager[Assistant]]
"""Serves a model beside the live one for as long as the block lasts."""

Read = Callable[[Assistant], Awaitable[GoldenReading]]
"""Measures an assistant on the golden set; `gate.read_assistant` with its golden set."""

ATTEMPTS = 3
"""How many models a run trains at most."""

FIRST_RUN = uuid.UUID("6f1e0a52-6a0c-4f63-9c0a-1d2f5e6f7a10")
"""Namespace of the names of runs."""

log = logging.getLogger(__name__)


class Step(StrEnum):
    """What a run is doing, as the command line and a failed run's digest say it."""

    BEGIN = "Starting"
    MINE = "Reading resolved conversations for something to learn"
    SELECT = "Choosing what to learn from what was accepted"
    MEASURE_BEFORE = "Measuring the model in use"
    TRAIN = "Training a new model"
    MEASURE = "Measuring the new model"
    PROMOTE = "Taking the new model into use"
    ACTIVATE = "Loading the new model into the running assistant"
    DIGEST = "Telling the leads"
    DONE = "Done"


def _silent(step: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a run starts from: the release in use with those before it (`earlier`, itself first),
    what is learned, and what was accepted."""

    current: Release
    earlier: Sequence[Release]
    learned: Sequence[Candidate]
    accepted: Sequence[Candidate]
    agents: Mapping[str, str]
    known: Known


@dataclass(frozen=True, slots=True)
class Trial:
    """One trained model and what the golden set and its own questions say about it."""

    files: LearnedFiles
    new: Sequence[Candidate]
    folder: Path
    model: Path
    after: GoldenReading
    verdict: GateVerdict
    unanswered: Sequence[Candidate]
    limit: float

    @property
    def passed(self) -> bool:
        """Say whether the model may replace the one in use."""
        return self.verdict.passed and not self.unanswered

    @property
    def sentence(self) -> str:
        """Return the verdict in words."""
        said = [self.verdict.sentence]
        said += [
            f"The new topic “{c.intent}” does not answer its own question "
            f"“{self.files.questions[c.id]}” (limit {percent(self.limit)})."
            for c in self.unanswered
        ]
        return " ".join(said)

    def smaller(self) -> list[Candidate]:
        """Return the candidates of the next attempt: fewer, or as many when there is none.

        Where only topics failed their own question, those are left out. Where the golden set said
        no it is not known who is to blame: first what was refused before is left out, then the
        examples, since a topic is worth more and, being apart from the others, harms less.
        """
        bad = {c.id for c in self.unanswered}
        rest = [c for c in self.new if c.id not in bad]
        if self.verdict.passed:
            return rest
        fresh = [c for c in rest if c.release_id is None]
        topics = [c for c in rest if c.kind is CandidateKind.ANSWER]
        parts = (part for part in (fresh, topics) if 0 < len(part) < len(self.new))
        return next(parts, rest)


async def once_a_night(
    store: Store, clock: Clock, night: str, run: Callable[[], Awaitable[str]]
) -> str:
    """Run the night of a local date (`2026-11-26`) unless it has run; return what came of it.

    One that fails or is broken off may begin again.
    """
    async with store() as work:
        begins = await work.nights.begin(night, clock.now())
        await work.commit()
    if not begins:
        return f"The night of {night} has run already."
    try:
        return await run()
    except BaseException:
        async with store() as work:
            await work.nights.undo(night)
            await work.commit()
        raise


@dataclass(slots=True)
class Learn:
    """One pass of the learning job.

    Args:
        mine: turns handoffs into candidates.
        train, serve, read: train a model, serve one beside the live one, measure one.
        assistant: the live one.
        releases: folder with a folder for each release.
        learned: the folder of the learned files in use.
        whose: asked before a model is promoted or put, as in `heal`.
        measured_on: says what stands in for a golden set, where there is none.
        on_step: told each step before it is done.
    """

    store: Store
    clock: Clock
    mine: Mine
    train: Train
    serve: Serve
    read: Read
    assistant: Assistant
    releases: Path
    learned: Path
    policy: Policy
    whose: AskWhose | None = None
    measured_on: str = ""
    on_step: Callable[[str], None] = _silent
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> LearningRun:
        """Run; return the finished run. Raises `RunInProgress`, and what made the run fail."""
        await self._settle_dead()
        run = await retry_stale(self._begin)
        async with self._beating(run.id):
            try:
                return await self._learn(run.id)
            except (Exception, asyncio.CancelledError) as error:
                await self._give_up(run.id, error)
                raise

    async def _learn(self, run_id: str) -> LearningRun:
        await self._heal()
        await self._step(run_id, Step.MINE)
        await self.mine(lambda: self._changing(run_id))
        await self._step(run_id, Step.SELECT)
        batch = await self._batch()
        trial = await self._try(run_id, batch)
        if trial is None:
            return await self._nothing(run_id, batch)
        if not trial.passed:
            return await self._refuse(run_id, batch, trial)
        await self._step(run_id, Step.PROMOTE)
        # Training takes minutes: what is promoted by then must still be for this assistant.
        if self.whose and (refusal := await self.whose()):
            raise refusal
        await self._promote(run_id, batch, trial)
        return await self._activate(run_id)

    # -- the run itself -------------------------------------------------------------------------

    async def _settle_dead(self) -> None:
        """Finish what a dead run had decided already: its model is promoted, nobody was told."""
        async with self.store() as work:
            latest = await work.runs.latest()
        if latest is None or latest.finished_at is not None or self._alive(latest):
            return
        if latest.status is not RunStatus.RUNNING:
            await self._finish(latest.id, await self._heal())

    async def _begin(self) -> LearningRun:
        """Store a new run. Its name follows from the run before: of two at once one is stored."""
        now = self.clock.now()
        async with self.store() as work:
            latest = await work.runs.latest()
            if latest is not None and self._alive(latest):
                raise RunInProgress(since=latest.started_at.strftime("%Y-%m-%d %H:%M UTC"))
            name = uuid.uuid5(FIRST_RUN, latest.id if latest else "").hex
            run = LearningRun(name, started_at=now, heartbeat_at=now, step=Step.BEGIN.value)
            dead = latest if latest and latest.finished_at is None else None
            if dead is not None:
                run.mined = dead.mined
                dead.status, dead.finished_at = RunStatus.FAILED, now
                dead.verdict = f"It died at the step “{dead.step}”; the next run took over."
                await work.runs.save(dead)
            await work.runs.add(run)
            await work.commit()
        if dead is not None:
            shutil.rmtree(self.releases / dead.id, ignore_errors=True)
        return run

    def _alive(self, run: LearningRun) -> bool:
        lease = timedelta(seconds=RUN_LEASE_SECONDS)
        return run.finished_at is None and abs(self.clock.now() - run.heartbeat_at) < lease

    @asynccontextmanager
    async def _beating(self, run_id: str) -> AsyncIterator[None]:
        task = asyncio.create_task(self._beat(run_id))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _beat(self, run_id: str) -> None:
        """Give a sign of life several times a lease."""
        while True:
            await asyncio.sleep(RUN_LEASE_SECONDS / 5)
            try:
                async with self._changing(run_id):
                    log.debug("learning run %s is alive", run_id)
            except DeskError as error:
                log.warning("no sign of life of the learning run could be stored: %s", error)

    @asynccontextmanager
    async def _changing(self, run_id: str) -> AsyncIterator[tuple[Work, LearningRun]]:
        """Open a unit of work with the run; leaving it without an error saves it and commits.

        Raises `StaleVersion` when the run was declared dead: then another one does its work.
        """
        async with self._turn, self.store() as work:
            run = await work.runs.get(run_id)
            if run.finished_at is not None:
                raise StaleVersion(what="learning run", id=run_id)
            yield work, run
            run.heartbeat_at = self.clock.now()
            await work.runs.save(run)
            await work.commit()

    async def _step(self, run_id: str, step: Step) -> None:
        async with self._changing(run_id) as (_, run):
            run.step = step.value
        self.on_step(step.value)

    async def _heal(self) -> str:
        """Make files and live model agree with the release in use; return why they do not."""
        try:
            await heal(self.store, self.learned, self.assistant, self.whose)
        except AssistantUnavailable as error:
            log.warning("the live assistant could not take the release in use: %s", error)
            return NOT_LIVE.format(why=error)
        return ""

    # -- the steps -------------------------------------------------------------------------------

    async def _batch(self) -> Batch:
        async with self.store() as work:
            current = await work.releases.current()
            if current is None:
                raise NotFound(what="release", id="in use: train a model first")
            learned = await work.candidates.with_status(CandidateStatus.LEARNED)
            accepted = await work.candidates.with_status(CandidateStatus.ACCEPTED)
            ids = {c.handoff_id for c in (*learned, *accepted)}
            agents = {id: (await work.handoffs.get(id)).claimed_by_name for id in sorted(ids)}
            earlier = await _line_of(work, current)
        return Batch(current, earlier, learned, accepted, agents, self.mine.known())

    async def _try(self, run_id: str, batch: Batch) -> Trial | None:
        """Train and measure until a model passes or there is nothing left to leave out."""
        trial: Trial | None = None
        before: GoldenReading | None = None
        chosen = list(batch.accepted)
        for number in range(1, ATTEMPTS + 1):
            files = render([*batch.learned, *chosen], batch.agents, batch.known)
            new = [c for c in chosen if c.id in files.used]
            if not new:
                break
            if before is None:
                before = await self._before(run_id, batch)
            if trial is not None:
                trial.model.unlink(missing_ok=True)
            trial = await self._trial(run_id, number, batch, files, new, before)
            chosen = trial.smaller()
            if trial.passed or len(chosen) == len(new):
                break
        return trial

    async def _before(self, run_id: str, batch: Batch) -> GoldenReading:
        await self._step(run_id, Step.MEASURE_BEFORE)
        async with self.serve(Path(batch.current.model_path)) as assistant:
            before = await self.read(assistant)
        async with self._changing(run_id) as (_, run):
            run.figures_before = before.figures
        return before

    async def _trial(
        self,
        run_id: str,
        number: int,
        batch: Batch,
        files: LearnedFiles,
        new: Sequence[Candidate],
        before: GoldenReading,
    ) -> Trial:
        folder = self.releases / run_id
        await self._step(run_id, Step.TRAIN)
        put_folder(files.files, folder / "learned")
        model = await self.train(folder / "learned", folder / f"{run_id[:12]}-{number}.tar.gz")
        await self._step(run_id, Step.MEASURE)
        async with self.serve(model) as assistant:
            after = await self.read(assistant)
            topics = [c for c in new if c.id in files.questions]
            unanswered = [c for c in topics if not await self._answers(assistant, c, files)]
        async with self._changing(run_id) as (_, run):
            run.figures_after = after.figures
        floor = _floor(batch.earlier, before)
        verdict = gate(before.figures, after.figures, worse(before, after), floor)
        limit = self.policy.limits.confidence
        return Trial(files, new, folder, model, after, verdict, unanswered, limit)

    async def _answers(self, assistant: Assistant, topic: Candidate, files: LearnedFiles) -> bool:
        """Say whether a topic's own question gets the topic's answer at this desk's limits."""
        parse = await assistant.parse(plain_for_assistant(files.questions[topic.id]))
        verdict = decide(Signals(parse=parse, feelings=Feelings()), self.policy)
        return parse.best.intent == topic.intent and verdict.action is Action.ANSWER

    async def _promote(self, run_id: str, batch: Batch, trial: Trial) -> None:
        """Let the model in: release, candidates and run change together or not at all.

        Raises `StaleVersion` when the release in use is no longer the one that was measured.
        """
        async with self._changing(run_id) as (work, run):
            current = await work.releases.current()
            if current is None or current.id != batch.current.id:
                raise StaleVersion(what="release", id=batch.current.id)
            await supersede(work, current, self._release(run_id, trial, ReleaseStatus.CURRENT))
            for candidate in await self._accepted(work, trial):
                candidate.status, candidate.release_id = CandidateStatus.LEARNED, run_id
                await work.candidates.save(candidate)
            run.step, run.status = Step.ACTIVATE.value, RunStatus.PROMOTED
            run.learned, run.verdict = len(trial.new), self._told(trial, batch)

    def _told(self, trial: Trial, batch: Batch) -> str:
        """Return the verdict with all a lead should know about it."""
        return " ".join(filter(None, (_with_left_out(trial, batch), self.measured_on)))

    async def _refuse(self, run_id: str, batch: Batch, trial: Trial) -> LearningRun:
        async with self._changing(run_id) as (work, run):
            release = self._release(run_id, trial, ReleaseStatus.REFUSED)
            release.previous_id = batch.current.id
            await work.releases.add(release)
            for candidate in await self._accepted(work, trial):
                candidate.release_id = run_id
                await work.candidates.save(candidate)
            run.status, run.verdict = RunStatus.REFUSED, self._told(trial, batch)
            await self._close(work, run)
        return run

    def _release(self, run_id: str, trial: Trial, status: ReleaseStatus) -> Release:
        return Release(
            id=run_id,
            created_at=self.clock.now(),
            model_path=str(trial.model.resolve()),
            learned_path=str((trial.folder / "learned").resolve()),
            status=status,
            figures=trial.after.figures,
            run_id=run_id,
        )

    async def _accepted(self, work: Work, trial: Trial) -> list[Candidate]:
        """Return the trial's candidates as they are stored now."""
        found = [await work.candidates.get(c.id) for c in trial.new]
        changed = [c for c in found if c.status is not CandidateStatus.ACCEPTED]
        if changed:
            raise StaleVersion(what="candidate", id=changed[0].id)
        return found

    async def _activate(self, run_id: str) -> LearningRun:
        """Swap files and live model, then tell the leads."""
        self.on_step(Step.ACTIVATE.value)
        return await self._finish(run_id, await self._heal())

    async def _nothing(self, run_id: str, batch: Batch) -> LearningRun:
        async with self._changing(run_id) as (work, run):
            run.status = RunStatus.NOTHING_TO_LEARN
            if batch.accepted:
                run.verdict = "What was accepted is known already or has nobody's answer."
            await self._close(work, run)
        return run

    async def _finish(self, run_id: str, remark: str = "") -> LearningRun:
        self.on_step(Step.DIGEST.value)
        async with self._changing(run_id) as (work, run):
            run.verdict = " ".join(filter(None, (run.verdict, remark)))
            await self._close(work, run)
        return run

    async def _close(self, work: Work, run: LearningRun) -> None:
        """End the run and owe the leads its digest."""
        run.pending_review = len(await work.candidates.with_status(CandidateStatus.PENDING))
        run.step, run.finished_at = Step.DONE.value, self.clock.now()
        payload, key = {"run_id": run.id}, f"digest:{run.id}"
        await owe(work, OutboxKind.DIGEST, payload, key, self.clock.now(), DIGEST)

    async def _give_up(self, run_id: str, error: BaseException) -> None:
        """Record why the run failed; a promoted one stays promoted."""
        why = str(error) if isinstance(error, DeskError) else type(error).__name__
        try:
            async with self._changing(run_id) as (work, run):
                if run.status is RunStatus.RUNNING:
                    run.status = RunStatus.FAILED
                remark = f"It stopped at the step “{run.step}”: {why}"
                run.verdict = " ".join(filter(None, (run.verdict, remark)))
                await self._close(work, run)
        except DeskError as stale:
            log.warning("the failed learning run could not be closed: %s", stale)


async def _line_of(work: Work, current: Release) -> list[Release]:
    """Return the release in use and those before it."""
    line = [current]
    while line[-1].previous_id is not None:
        line.append(await work.releases.get(line[-1].previous_id))
    return line


def _floor(earlier: Sequence[Release], before: GoldenReading) -> dict[str, float]:
    """Return the best figures any earlier release had on this very golden set."""
    sizes = {name: n for name, n in before.figures.items() if name.endswith("_messages")}
    same = [r.figures for r in earlier if r.figures and sizes.items() <= r.figures.items()]
    figures = [before.figures, *same]
    return {name: max(f[name] for f in figures if name in f) for name in GATED}


def _with_left_out(trial: Trial, batch: Batch) -> str:
    """Return the verdict, and what of the accepted waits for another night."""
    left = [c for c in batch.accepted if c.id not in {n.id for n in trial.new}]
    if not left:
        return trial.sentence
    names = ", ".join(sorted({c.intent for c in left}))
    return f"{trial.sentence} Left out of this attempt: {len(left)} of {names}."
