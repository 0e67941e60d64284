"""The schedule keeps its promises over restarts, and learning runs as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.adapters.memory import MemoryStore
from handoff.core.model import Topic
from handoff.learning import schedule
from handoff.learning.nightly import once_a_night
from handoff.learning.schedule import (
    NIGHTLY,
    NightTrigger,
    make_scheduler,
    put_nightly,
    report,
    request_learning,
    start_scheduler,
)
from handoff.settings import Settings, load_settings
from tests.fakes import FakeClock

LEAVES_A_MARK = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write('ran\\n')"
WAITS = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text('started')
try:
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).write_text('ended itself')
"""


def settings_in(folder: Path, **changes: str) -> Settings:
    database = f"sqlite:///{folder / 'desk.db'}"
    return load_settings(_env_file=None, DATABASE_URL=database, HANDOFF_VAR=folder, **changes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(schedule, "SWEEP_SECONDS", 0.05)
    yield
    schedule._stopping.clear()


async def nothing() -> None:
    """Sweep nothing."""


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; the test's own timeout ends the wait."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


def has_run(mark: Path) -> bool:
    """Say whether a learning process left its mark and ended."""
    return mark.exists() and not schedule._running


def next_run(settings: Settings) -> datetime:
    scheduler = make_scheduler(settings)
    scheduler.start(paused=True)
    try:
        job = scheduler.get_job(NIGHTLY)
        assert job is not None
        return job.next_run_time
    finally:
        scheduler.shutdown()


def store_nightly(settings: Settings, due: datetime | None = None) -> None:
    """Keep the job as a desk that has stopped left it."""
    scheduler = make_scheduler(settings)
    scheduler.start(paused=True)
    put_nightly(scheduler, settings)
    if due is not None:
        scheduler.modify_job(NIGHTLY, next_run_time=due)
    scheduler.shutdown()


def marking(monkeypatch: pytest.MonkeyPatch, mark: Path, program: str = LEAVES_A_MARK) -> None:
    monkeypatch.setattr(schedule, "COMMAND", (sys.executable, "-c", program, str(mark)))


def test_the_nightly_job_is_at_the_desks_own_time(tmp_path: Path):
    settings = settings_in(
        tmp_path, HANDOFF_NIGHTLY_AT="02:30", HANDOFF_TIMEZONE="America/New_York"
    )
    store_nightly(settings)
    local = next_run(settings).astimezone(ZoneInfo("America/New_York"))
    assert (local.hour, local.minute) == (2, 30) and local > datetime.now(UTC)


def test_it_starts_once_late_and_with_hours_of_grace(settings: Settings):
    scheduler = make_scheduler(settings)
    scheduler.start(paused=True)
    job = put_nightly(scheduler, settings)
    assert (job.coalesce, job.max_instances) == (True, 1)
    assert job.misfire_grace_time >= 3600
    assert job.func_ref == "handoff.learning.schedule:run_learning"
    put_nightly(scheduler, settings)
    assert len(scheduler.get_jobs("default")) == 1
    scheduler.shutdown()


def test_another_time_in_the_settings_moves_the_job(tmp_path: Path):
    store_nightly(settings_in(tmp_path, HANDOFF_NIGHTLY_AT="02:30"))
    moved = settings_in(tmp_path, HANDOFF_NIGHTLY_AT="04:45")
    store_nightly(moved)
    assert (next_run(moved).hour, next_run(moved).minute) == (4, 45)


async def test_a_night_missed_because_the_desk_was_off_is_made_up_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    marking(monkeypatch, tmp_path / "mark")
    store_nightly(settings, due=datetime.now(UTC) - timedelta(hours=3))
    running = start_scheduler(settings, nothing)
    await until(lambda: has_run(tmp_path / "mark"))
    running.shutdown(wait=False)
    assert next_run(settings) > datetime.now(UTC)


async def test_learn_now_reaches_the_running_schedule_through_the_database(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    marking(monkeypatch, tmp_path / "mark")
    running = start_scheduler(settings, nothing)
    assert "starts within a few seconds" in await request_learning(settings)
    await until(lambda: has_run(tmp_path / "mark"))
    running.shutdown(wait=False)
    assert next_run(settings) > datetime.now(UTC)


async def test_learn_now_before_any_schedule_is_kept_for_the_next_start(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    marking(monkeypatch, tmp_path / "mark")
    await request_learning(settings)
    running = start_scheduler(settings, nothing)
    await until(lambda: has_run(tmp_path / "mark"))
    running.shutdown(wait=False)


async def test_the_sweep_runs_in_the_loop_again_and_again_and_survives_an_error(
    settings: Settings, caplog: pytest.LogCaptureFixture
):
    sweeps: list[asyncio.AbstractEventLoop] = []

    async def sweep() -> None:
        sweeps.append(asyncio.get_running_loop())
        if len(sweeps) == 2:
            raise ValueError("a broken sweep")

    running = start_scheduler(settings, sweep)
    await until(lambda: len(sweeps) >= 4)
    running.shutdown(wait=False)
    assert set(sweeps) == {asyncio.get_running_loop()}
    assert "the job sweep failed: a broken sweep" in caplog.text


async def test_stopping_does_not_wait_for_a_sweep(settings: Settings):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def sweep() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    running = start_scheduler(settings, sweep)
    async with asyncio.timeout(60):
        await begun.wait()
        running.shutdown(wait=False)
        await cancelled.wait()


async def test_stopping_ends_a_learning_run_by_its_own_handle(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mark = tmp_path / "mark"
    marking(monkeypatch, mark, WAITS)
    store_nightly(settings, due=datetime.now(UTC))
    running = start_scheduler(settings, nothing)
    await until(lambda: mark.exists() and mark.read_text() == "started")
    (process,) = schedule._running
    await asyncio.to_thread(running.shutdown)
    assert process.returncode == 0 and mark.read_text() == "ended itself"
    assert not schedule._running
    assert next_run(settings) <= datetime.now(UTC), "it is due again at the next start"


async def test_a_failed_run_is_logged(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    marking(monkeypatch, tmp_path / "mark", "raise SystemExit(3)")
    store_nightly(settings, due=datetime.now(UTC))
    running = start_scheduler(settings, nothing)
    await until(lambda: "nightly-learning failed" in caplog.text)
    running.shutdown(wait=False)
    assert "exit status 3" in caplog.text


# --- a night runs once a local date --------------------------------------------------------------

SAYS_WHAT_IT_WAS = """
import pathlib, sys
pathlib.Path(sys.argv[1]).open('a').write(' '.join(sys.argv[2:]) + '\\n')
"""


def night_settings(monkeypatch: pytest.MonkeyPatch, folder: Path, at: str, zone: str) -> Settings:
    """Return settings that the job reads from the environment, as it does in a running desk."""
    changes = {"HANDOFF_NIGHTLY_AT": at, "HANDOFF_TIMEZONE": zone}
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    return settings_in(folder, **changes)


@pytest.mark.parametrize(
    ("zone", "at", "first"),
    [
        ("Europe/Berlin", "02:30", date(2026, 10, 23)),
        ("Europe/Berlin", "02:30", date(2026, 3, 27)),
        ("America/Asuncion", "00:00", date(2023, 9, 29)),
        ("Africa/Cairo", "00:15", date(2026, 4, 22)),
        ("America/Havana", "00:30", date(2026, 10, 30)),
    ],
)
def test_the_job_is_due_once_each_date_though_clocks_are_put_on_and_back(
    settings: Settings, zone: str, at: str, first: date
):
    trigger = pickle.loads(pickle.dumps(NightTrigger(at, zone)))
    moment, days = None, []
    now = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(hours=14)
    for _ in range(5):
        moment = trigger.get_next_fire_time(moment, now)
        days.append(moment.astimezone(ZoneInfo(zone)).date())
        now = moment
    assert days == [days[0] + timedelta(days=n) for n in range(5)] and first in days


async def test_the_night_names_its_date_and_one_asked_for_is_no_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    zone, mark = ZoneInfo("Pacific/Auckland"), tmp_path / "mark"
    began = datetime.now(zone) - timedelta(hours=3)
    settings = night_settings(monkeypatch, tmp_path, f"{began:%H:%M}", zone.key)
    marking(monkeypatch, mark, SAYS_WHAT_IT_WAS)
    store_nightly(settings, due=began.astimezone(UTC))
    running = start_scheduler(settings, nothing)
    await until(lambda: has_run(mark))
    await request_learning(settings)
    await until(lambda: len(mark.read_text().splitlines()) == 2 and not schedule._running)
    running.shutdown(wait=False)
    assert mark.read_text() == f"--night {began.date()}\n\n"


async def test_what_was_asked_for_while_a_run_goes_on_changes_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mark = tmp_path / "mark"
    marking(monkeypatch, mark, WAITS)
    await request_learning(settings)
    running = start_scheduler(settings, nothing)
    await until(lambda: mark.exists() and mark.read_text() == "started")
    before = dict(schedule._running)
    await asyncio.to_thread(schedule._run, schedule.REQUESTED)
    assert schedule._running == before
    await asyncio.to_thread(running.shutdown)
    assert mark.read_text() == "ended itself"
    mark.unlink()
    marking(monkeypatch, mark)
    running = start_scheduler(settings, nothing)
    await until(lambda: has_run(mark))  # it was broken off, and is due again at the next start
    running.shutdown(wait=False)


@pytest.mark.parametrize(
    ("jobs", "runs"),
    [
        ((schedule.REQUESTED, schedule.REQUESTED), {1}),
        # A request that comes while the night runs changes nothing; a night follows a request.
        ((schedule.REQUESTED, NIGHTLY), {1, 2}),
    ],
    ids=["two requests", "a request and the night"],
)
def test_of_two_runs_due_at_once_one_waits_or_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: tuple[str, str], runs: set[int]
):
    mark, both, start = tmp_path / "mark", threading.Barrier(2), subprocess.Popen
    started: list[str] = []
    marking(monkeypatch, mark, SAYS_WHAT_IT_WAS)

    def held(command: tuple[str, ...], stdin: int) -> subprocess.Popen[bytes]:
        """Start a process once the other thread is about to as well, or does not come."""
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1.0)
            started.append("beside another")
        return start(command, stdin=stdin)

    monkeypatch.setattr(schedule.subprocess, "Popen", held)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(schedule._run, job, job) for job in jobs]:
            done.result(20)
    assert not started and not schedule._running
    ran = mark.read_text().splitlines()
    assert len(ran) in runs and (NIGHTLY in ran) is (NIGHTLY in jobs)


async def test_a_night_that_waits_for_a_run_is_due_again_after_a_stop(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mark = tmp_path / "mark"
    marking(monkeypatch, mark, WAITS)
    await request_learning(settings)
    running = start_scheduler(settings, nothing)
    await until(lambda: mark.exists() and mark.read_text() == "started")
    running._scheduler.modify_job(NIGHTLY, next_run_time=datetime.now(UTC))
    await until(lambda: NIGHTLY in schedule._waiting)
    await asyncio.to_thread(running.shutdown)
    assert mark.read_text() == "ended itself" and not schedule._waiting
    assert next_run(settings) <= datetime.now(UTC)


async def test_a_date_is_learned_once_and_again_after_it_was_broken_off():
    store, clock, runs = MemoryStore(), FakeClock(), []

    async def learns() -> str:
        runs.append("ran")
        return "Nothing to learn."

    async def is_stopped() -> str:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await once_a_night(store, clock, "2026-10-25", is_stopped)
    assert await once_a_night(store, clock, "2026-10-25", learns) == "Nothing to learn."
    again = await once_a_night(store, clock, "2026-10-25", learns)
    assert again == "The night of 2026-10-25 has run already." and runs == ["ran"]
    await once_a_night(store, clock, "2026-10-26", learns)
    assert runs == ["ran", "ran"]


def test_missed_and_failed_jobs_are_logged(caplog: pytest.LogCaptureFixture):
    now = datetime.now(UTC)
    with caplog.at_level(logging.INFO):
        report(JobExecutionEvent(EVENT_JOB_MISSED, NIGHTLY, "default", now))
        report(
            JobExecutionEvent(
                EVENT_JOB_ERROR, NIGHTLY, "default", now, exception=RuntimeError("no disk")
            )
        )
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "was missed" in caplog.text and "no disk" in caplog.text


async def test_a_writer_in_the_event_loop_and_the_schedule_do_not_block_each_other(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    marking(monkeypatch, tmp_path / "mark")
    await upgrade(settings.database)
    engine = make_engine(settings.database)
    running = start_scheduler(settings, nothing)
    async with DatabaseStore(engine)() as work:
        await work.topics.put(Topic("review", -100, 5))
        request = asyncio.create_task(request_learning(settings))
        await asyncio.sleep(0.2)
        assert not request.done() and not (tmp_path / "mark").exists()
        await work.commit()
    await request
    await until(lambda: has_run(tmp_path / "mark"))
    running.shutdown(wait=False)
    await engine.dispose()
