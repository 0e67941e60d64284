"""When things happen by themselves: learning every night, the sweep every few seconds.

A night belongs to a local date and begins once (`core/nights.py`): the trigger gives each date one
moment, whatever is done to the clocks, and the process it starts stores the date before it learns.

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
from datetime import UTC, datetime, time, timedelta
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
from apscheduler.triggers.base import BaseTrigger
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from handoff.core.nights import next_night, night_of
from handoff.settings import Settings, load_settings

NIGHTLY = "nightly-learning"
"""Id of the nightly job."""

REQUESTED = "requested-learning"
"""Id of the job of a run somebody asked for, which is no night."""

SWEEP = "sweep"
"""Id of the sweep's job."""

SWEEP_SECONDS = 5
"""Pause between two sweeps, in seconds; a requested learning run starts no later than that."""

GRACE_SECONDS = 12 * 3600
"""A night that was missed is made up for within so many seconds."""

SLACK_SECONDS = 60
"""A clock put back so many seconds while a night begins does not make it the night before."""

LOCK_SECONDS = 10
"""How long the job store waits for a lock of the database, in seconds."""

RETRY_SECONDS = 10
"""Pause after the job store could not be used, in seconds."""

STOP_SECONDS = 20
"""How long a learning run may take to end its own processes when the desk stops, in seconds."""

COMMAND = (sys.executable, "-m", "handoff", "learn", "--by-itself")
"""What the nightly job runs, as a process of its own: training must not slow the desk down."""

log = logging.getLogger(__name__)

_running: dict[subprocess.Popen[bytes], str] = {}
"""Learning processes this process has started, with the job each belongs to: what has to end with
it, not state of the desk."""

_waiting: set[str] = set()
"""The nightly job, while it waits for a requested run to end."""

_change = threading.Condition()
"""Held by whoever reads or changes `_running` and `_waiting`. Jobs run in threads: between a look
at what runs and the start of a process no other thread may start one."""

_stopping = threading.Event()


def run_learning() -> None:
    """Run the learning of the night that began last, and wait for it.

    Raises `CalledProcessError` when it fails. The persistent job store finds this function and the
    next by their names: they must stay importable.
    """
    settings = load_settings()
    # The clock may have been put back a little since the job became due.
    now = datetime.now(UTC) + timedelta(seconds=SLACK_SECONDS)
    night = night_of(now, time.fromisoformat(settings.nightly_at), ZoneInfo(settings.timezone))
    _run(NIGHTLY, "--night", night.isoformat())


def run_requested() -> None:
    """Run a learning run somebody asked for, unless one is going on."""
    _run(REQUESTED)


def _run(job: str, *options: str) -> None:
    command = (*COMMAND, *options)
    with _change:
        if job == NIGHTLY:
            # A night that is due while a requested run goes on follows it, and is not lost.
            _waiting.add(job)
            _change.wait_for(lambda: _stopping.is_set() or not _running)
            _waiting.discard(job)
        if _stopping.is_set():
            return
        if _running:
            log.info("a learning run is going on already")
            return
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        _running[process] = job
    try:
        code = process.wait()
    finally:
        with _change:
            del _running[process]
            _change.notify_all()
    if code and not _stopping.is_set():
        raise subprocess.CalledProcessError(code, command)


class NightTrigger(BaseTrigger):
    """Fires when a night begins: once for each local date."""

    def __init__(self, at: str, timezone: str) -> None:
        self.at, self.timezone = at, timezone

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the next night after the one before, or from now on."""
        after = previous_fire_time or now - timedelta(microseconds=1)
        zone = ZoneInfo(self.timezone)
        return next_night(after, time.fromisoformat(self.at), zone).astimezone(zone)

    def __str__(self) -> str:
        return f"night[{self.at} {self.timezone}]"


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
        with _change:
            _stopping.set()
            running = list(_running)
            interrupted = {*_running.values(), *_waiting}
            _change.notify_all()
        self._scheduler.pause()
        if self._sweeping is not None:
            self._loop.call_soon_threadsafe(self._sweeping.cancel)
        for process in running:
            _stop(process)
        for job in sorted(interrupted):
            self._put_off(job)
        self._scheduler.shutdown(wait=wait)

    def _put_off(self, job: str) -> None:
        try:
            if job == REQUESTED:
                _put_requested(self._scheduler)
            else:
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
    """Have the learning run now, which is no night; return a sentence to show.

    Works from any process, through the job store: the running schedule sees it with its next
    sweep. While a run is going on the request changes nothing.
    """
    await asyncio.to_thread(_run_now, settings)
    return "A learning run starts within a few seconds. Its digest will tell what came of it."


def _run_now(settings: Settings) -> None:
    scheduler = make_scheduler(settings)
    scheduler.start(paused=True)
    try:
        _put_requested(scheduler)
    finally:
        scheduler.shutdown()


def _put_requested(scheduler: Scheduler) -> None:
    scheduler.add_job(
        run_requested,
        "date",
        run_date=datetime.now(UTC),
        id=REQUESTED,
        name="requested learning",
        replace_existing=True,
        misfire_grace_time=GRACE_SECONDS,
        max_instances=1,
    )


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
    trigger = NightTrigger(settings.nightly_at, settings.timezone)
    known = scheduler.get_job(NIGHTLY)
    keep: dict[str, Any] = {}
    if known is not None and str(known.trigger) == str(trigger) and known.next_run_time:
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
