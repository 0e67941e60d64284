"""When things happen by themselves: learning every night, the sweep every few seconds.

The nightly job lives in the desk's own database, so a night missed because the machine was off is
made up for within `GRACE_SECONDS`. The sweep keeps nothing and lives in memory.

APScheduler runs in a thread of its own, not in the event loop: its job store writes synchronously,
and waiting inside the loop for a write lock that a coroutine of the same loop holds would block
both until the database gives up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from handoff.settings import Settings

NIGHTLY = "nightly-learning"
"""Id of the nightly job."""

SWEEP = "sweep"
"""Id of the sweep's job."""

SWEEP_SECONDS = 5
"""Pause between two sweeps, in seconds; a requested learning run starts no later than that."""

GRACE_SECONDS = 12 * 3600
"""A night that was missed is made up for within so many seconds."""

LOCK_SECONDS = 10
"""How long the job store waits for a lock of the database, in seconds."""

RETRY_SECONDS = 10
"""Pause after the job store could not be used, in seconds."""

STOP_SECONDS = 20
"""How long a learning run may take to end its own processes when the desk stops, in seconds."""

COMMAND = (sys.executable, "-m", "handoff", "learn", "--by-itself")
"""What the nightly job runs, as a process of its own: training must not slow the desk down."""

log = logging.getLogger(__name__)

_running: set[subprocess.Popen[bytes]] = set()
"""Learning processes this process has started: what has to end with it, not state of the desk."""

_stopping = threading.Event()


def run_learning() -> None:
    """Run the learning job and wait for it; raise `CalledProcessError` when it fails.

    The persistent job store finds this function by its name: it must stay importable.
    """
    process = subprocess.Popen(COMMAND, stdin=subprocess.DEVNULL)
    _running.add(process)
    try:
        code = process.wait()
    finally:
        _running.discard(process)
    if code and not _stopping.is_set():
        raise subprocess.CalledProcessError(code, COMMAND)


class Scheduler(BackgroundScheduler):
    """A scheduler that outlives a database that could not be written for a while.

    APScheduler looks for due jobs once more while it is shutting down, with its executors closed
    already: a job that is due then would count as started and be lost. This one leaves it due.
    """

    def _process_jobs(self) -> float | None:
        if self.state == STATE_STOPPED:
            return None
        try:
            return super()._process_jobs()
        except Exception:
            log.exception("the job store could not be used; trying again")
            return RETRY_SECONDS


class Schedule:
    """The running schedule. Made by `start_scheduler`, ended by `shutdown`."""

    def __init__(self, settings: Settings, sweep: Callable[[], Awaitable[None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep = sweep
        self._sweeping: asyncio.Task[None] | None = None
        self._scheduler = make_scheduler(settings)

    def start(self, settings: Settings) -> None:
        """Begin. Nothing else may be writing from this event loop yet."""
        _stopping.clear()
        self._scheduler.start(paused=True)
        put_nightly(self._scheduler, settings)
        self._scheduler.add_job(
            self._sweep_once,
            "interval",
            seconds=SWEEP_SECONDS,
            id=SWEEP,
            jobstore="memory",
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        self._scheduler.resume()

    def _sweep_once(self) -> None:
        if _stopping.is_set() or self._loop.is_closed():
            return
        with contextlib.suppress(CancelledError):
            asyncio.run_coroutine_threadsafe(self._swept(), self._loop).result()

    async def _swept(self) -> None:
        # Noted here and not by the waiting thread: that may come to it later than a shutdown does.
        self._sweeping = asyncio.current_task()
        if not _stopping.is_set():
            await self._sweep()

    def shutdown(self, wait: bool = True) -> None:
        """End the schedule, and the learning run it may have started; that is due again then.

        Args:
            wait: return only when everything has ended. Not from the event loop: a sweep needs it.
        """
        _stopping.set()
        self._scheduler.pause()
        if self._sweeping is not None:
            self._loop.call_soon_threadsafe(self._sweeping.cancel)
        interrupted = list(_running)
        for process in interrupted:
            _stop(process)
        if interrupted:
            self._put_off()
        self._scheduler.shutdown(wait=wait)

    def _put_off(self) -> None:
        try:
            self._scheduler.modify_job(NIGHTLY, next_run_time=datetime.now(UTC))
        except (JobLookupError, SQLAlchemyError):
            log.exception("the interrupted learning run waits for its next night")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a learning run to end, as Ctrl-C would, so that it ends its own processes."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def start_scheduler(settings: Settings, sweep: Callable[[], Awaitable[None]]) -> Schedule:
    """Start the schedule in the running event loop and return it.

    Args:
        settings: time and time zone of the nightly job, and the database it is kept in.
        sweep: called every `SWEEP_SECONDS` in this event loop, never twice at once.
    """
    schedule = Schedule(settings, sweep)
    schedule.start(settings)
    return schedule


async def request_learning(settings: Settings) -> str:
    """Have the nightly job run now; return a sentence to show.

    Works from any process, through the job store: the running schedule sees it with its next
    sweep. While a run is going on the request changes nothing.
    """
    await asyncio.to_thread(_run_now, settings)
    return "A learning run starts within a few seconds. Its digest will tell what came of it."


def _run_now(settings: Settings) -> None:
    scheduler = make_scheduler(settings)
    scheduler.start(paused=True)
    try:
        if scheduler.get_job(NIGHTLY) is None:
            put_nightly(scheduler, settings)
        scheduler.modify_job(NIGHTLY, next_run_time=datetime.now(UTC))
    finally:
        scheduler.shutdown()


def make_scheduler(settings: Settings) -> Scheduler:
    """Return a scheduler on the desk's database, not started."""
    store = SQLAlchemyJobStore(engine=_engine(settings.database))
    scheduler = Scheduler(
        jobstores={"default": store, "memory": MemoryJobStore()},
        executors={"default": ThreadPoolExecutor(3)},
        timezone=ZoneInfo(settings.timezone),
    )
    scheduler.add_listener(report, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
    return scheduler


def _engine(url: str) -> Any:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        options = f"-c lock_timeout={LOCK_SECONDS}s"
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={"options": options},
            pool_pre_ping=True,
        )
    return create_engine(parsed, connect_args={"timeout": LOCK_SECONDS})


def put_nightly(scheduler: Scheduler, settings: Settings) -> Job:
    """Store the nightly job. One that is due already (a missed night) stays due."""
    hour, minute = settings.nightly_at.split(":")
    zone = ZoneInfo(settings.timezone)
    trigger = CronTrigger(hour=int(hour), minute=int(minute), timezone=zone)
    known = scheduler.get_job(NIGHTLY)
    keep: dict[str, Any] = {}
    if known is not None and _same(known.trigger, trigger) and known.next_run_time:
        keep["next_run_time"] = known.next_run_time
    return scheduler.add_job(
        run_learning,
        trigger,
        id=NIGHTLY,
        name="nightly learning",
        replace_existing=True,
        misfire_grace_time=GRACE_SECONDS,
        coalesce=True,
        max_instances=1,
        **keep,
    )


def _same(one: CronTrigger, other: CronTrigger) -> bool:
    return (str(one), str(one.timezone)) == (str(other), str(other.timezone))


def report(event: JobEvent) -> None:
    """Log a job that failed, was missed, or was due while it was still running."""
    if event.code == EVENT_JOB_ERROR:
        if not _stopping.is_set():
            error = getattr(event, "exception", None)
            log.error("the job %s failed: %s", event.job_id, error, exc_info=error)
        return
    missed = event.code == EVENT_JOB_MISSED
    why = "was missed" if missed else "was skipped: it is still running"
    log.log(
        logging.INFO if event.job_id == SWEEP else logging.WARNING,
        "the job %s %s",
        event.job_id,
        why,
    )
