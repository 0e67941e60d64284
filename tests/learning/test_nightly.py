"""The learning run: what it does, when it refuses, and that no death of it loses or doubles."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.core.errors import (
    AssistantUnavailable,
    NotFound,
    NotOurAssistant,
    RunInProgress,
    StaleVersion,
)
from handoff.core.limits import RUN_LEASE_SECONDS
from handoff.core.model import (
    Author,
    CandidateKind,
    CandidateStatus,
    OutboxKind,
    ReleaseStatus,
    RunStatus,
    Truth,
)
from handoff.learning import training_files
from handoff.learning.rollback import heal
from tests.learning.world import (
    GIFT,
    GIFT_ANSWER,
    GIFT_INTENT,
    Killed,
    KillingStore,
    World,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "desk.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path, template: Path):
    if request.param == "memory":
        yield await World(tmp_path).begin()
        return
    shutil.copyfile(template, tmp_path / "desk.db")
    engine = make_engine(f"sqlite:///{tmp_path / 'desk.db'}")
    yield await World(tmp_path, store=DatabaseStore(engine)).begin()
    await engine.dispose()


async def test_a_question_nobody_could_answer_is_answered_the_night_after(world: World):
    await world.gift_handoff()
    first = await world.learn()()
    assert (first.status, first.mined, first.pending_review, first.learned) == (
        RunStatus.NOTHING_TO_LEARN,
        1,
        1,
        0,
    )
    assert await world.understands(GIFT) == "nothing"
    (candidate,) = (await world.candidates()).values()
    assert candidate.kind is CandidateKind.ANSWER
    assert (candidate.texts, candidate.answer) == ((GIFT,), GIFT_ANSWER)
    await world.accept_all()

    second = await world.learn()()
    assert (second.status, second.learned, second.pending_review) == (RunStatus.PROMOTED, 1, 0)
    assert second.figures_before == second.figures_after and second.verdict.startswith("Passed.")
    assert await world.understands("Can I pay with TWO gift cards at once") == GIFT_INTENT
    assert GIFT_ANSWER in world.files()["domain.yml"]
    async with world.store() as work:
        current = await work.releases.current()
        assert current is not None and current.run_id == second.id
        assert (await work.releases.get(current.previous_id or "")).status is (
            ReleaseStatus.SUPERSEDED
        )
    (learned,) = (await world.candidates()).values()
    assert (learned.status, learned.release_id) == (CandidateStatus.LEARNED, current.id)


async def test_the_leads_get_a_digest_of_every_run_and_reviewers_a_card_of_every_candidate(
    world: World,
):
    await world.gift_handoff()
    runs = [await world.learn()(), await world.learn()()]
    owed = await world.owed()
    assert [(i.kind, i.topic) for i in owed] == [
        (OutboxKind.REVIEW, "review"),
        (OutboxKind.DIGEST, "digest"),
        (OutboxKind.DIGEST, "digest"),
    ]
    assert [i.payload["run_id"] for i in owed[1:]] == [run.id for run in runs]
    (candidate,) = (await world.candidates()).values()
    assert owed[0].payload == {"candidate_id": candidate.id}
    assert runs[1].mined == 0 and all(run.finished_at for run in runs)


async def test_an_intent_gives_examples_and_do_not_learn_nothing(world: World):
    said = (Author.CUSTOMER, "Sam Fox wonders whether the parcel is lost")
    await world.resolved("h1", said, truth=Truth.INTENT, intent="track_order")
    await world.resolved("h2", (Author.CUSTOMER, GIFT), truth=Truth.DO_NOT_LEARN)
    await world.learn()()
    (candidate,) = (await world.candidates()).values()
    assert (candidate.kind, candidate.intent) == (CandidateKind.EXAMPLE, "track_order")
    assert candidate.texts == ("someone wonders whether the parcel is lost",)
    async with world.store() as work:
        assert await work.handoffs.to_mine() == []


@pytest.mark.parametrize("text", ["Where is my parcel?!", "Do you sell GIFT cards", "where's?"])
async def test_a_golden_text_is_never_proposed(world: World, text: str):
    await world.resolved("h1", (Author.CUSTOMER, text), truth=Truth.INTENT, intent="track_order")
    await world.learn()()
    assert await world.candidates() == {}


async def test_a_golden_text_that_was_accepted_is_still_not_trained_on(world: World):
    golden = "Do you sell gift cards?"
    await world.accepted("a", texts=(golden, GIFT))
    await world.learn()()
    assert GIFT in world.files()["nlu.yml"]
    assert "sell" not in world.files()["nlu.yml"]
    await world.accepted("b", texts=("where is my parcel",), kind=CandidateKind.EXAMPLE)
    run = await world.learn()()
    assert run.status is RunStatus.NOTHING_TO_LEARN and "known already" in run.verdict


async def test_a_worse_model_is_refused_and_nothing_changes(world: World):
    await world.accepted("a")

    def forget(known: dict[str, str]) -> None:
        known.pop("where is my parcel")
        known.pop("hello you")

    world.spoil = forget
    before = world.live.path
    run = await world.learn()()
    assert run.status is RunStatus.REFUSED and "Refused" in run.verdict
    assert run.figures_after["accuracy"] == 0 and run.figures_before["accuracy"] == 1
    assert world.live.path == before and world.files() == {}
    candidate = (await world.candidates())["key-a"]
    assert (candidate.status, candidate.release_id) == (CandidateStatus.ACCEPTED, run.id)
    async with world.store() as work:
        assert (await work.releases.get(run.id)).status is ReleaseStatus.REFUSED
        current = await work.releases.current()
    assert current is not None and current.id != run.id

    world.spoil = lambda known: None
    assert (await world.learn()()).status is RunStatus.PROMOTED


async def test_what_was_refused_does_not_block_what_is_new(world: World):
    await world.accepted("bad", texts=("poison for the model",), intent="learned_poison")

    def poisoned(known: dict[str, str]) -> None:
        if "poison for the model" in known:
            known.pop("where is my parcel")
            known.pop("hello you")

    world.spoil = poisoned
    assert (await world.learn()()).status is RunStatus.REFUSED
    await world.accepted("good")
    run = await world.learn()()
    assert run.status is RunStatus.PROMOTED and run.learned == 1
    assert "Left out of this attempt: 1 of learned_poison" in run.verdict
    assert await world.understands(GIFT) == GIFT_INTENT
    status = {key: c.status for key, c in (await world.candidates()).items()}
    assert status == {"key-bad": CandidateStatus.ACCEPTED, "key-good": CandidateStatus.LEARNED}


async def test_a_bad_example_does_not_keep_a_topic_out(world: World):
    example = {"kind": CandidateKind.EXAMPLE, "intent": "track_order", "answer": ""}
    await world.accepted("bad", texts=("poison for the model",), **example)
    await world.accepted("good")

    def poisoned(known: dict[str, str]) -> None:
        if "poison for the model" in known:
            known.pop("where is my parcel")
            known.pop("hello you")

    world.spoil = poisoned
    run = await world.learn()()
    assert (run.status, run.learned, len(world.trained)) == (RunStatus.PROMOTED, 1, 2)
    assert [path.is_file() for path in world.trained] == [False, True]
    assert (await world.learn()()).status is RunStatus.REFUSED
    assert await world.understands(GIFT) == GIFT_INTENT


async def test_a_topic_must_answer_its_own_question(world: World):
    await world.accepted("mute", texts=("an odd question here",), intent="learned_mute")

    def mute(known: dict[str, str]) -> None:
        known.pop("an odd question here", None)

    world.spoil = mute
    run = await world.learn()()
    assert run.status is RunStatus.REFUSED
    assert "does not answer its own question “an odd question here”" in run.verdict
    await world.accepted("good")
    run = await world.learn()()
    assert run.status is RunStatus.PROMOTED and run.learned == 1


async def test_a_live_run_keeps_others_out(world: World):
    learn = world.learn()
    await learn._begin()
    world.clock.advance(RUN_LEASE_SECONDS - 1)
    with pytest.raises(RunInProgress, match="going on since"):
        await world.learn()()
    world.clock.advance(2)
    assert (await world.learn()()).status is RunStatus.NOTHING_TO_LEARN


async def test_of_two_runs_started_at_once_one_begins(world: World, tmp_path: Path):
    async with world.store() as work:
        assert await work.runs.latest() is None
    first = await world.learn()._begin()
    async with world.store() as work:
        with pytest.raises(StaleVersion):
            await work.runs.add(first)


async def test_a_run_that_was_declared_dead_promotes_nothing(world: World):
    await world.accepted("a")

    async def overtaken(learned: Path | None, out: Path) -> Path:
        world.clock.advance(RUN_LEASE_SECONDS + 1)
        await world.learn()()
        return await world.train(learned, out)

    slow = world.learn()
    slow.train = overtaken
    with pytest.raises(StaleVersion):
        await slow()
    async with world.store() as work:
        current = await work.releases.current()
        assert current is not None
        (learned,) = await work.candidates.with_status(CandidateStatus.LEARNED)
    assert learned.release_id == current.id == (await world.latest()).id
    assert await world.understands(GIFT) == GIFT_INTENT


async def test_a_rollback_meanwhile_stops_the_promotion(world: World):
    await world.accepted("a")
    await world.learn()()
    await world.accepted("b", texts=("is there a loyalty programme",), intent="learned_loyalty")
    learn = world.learn()

    async def rolled_back(learned: Path | None, out: Path) -> Path:
        await world.rollback()()
        return await world.train(learned, out)

    learn.train = rolled_back
    with pytest.raises(StaleVersion):
        await learn()
    assert (await world.latest()).status is RunStatus.FAILED
    assert await world.understands(GIFT) == "nothing"
    assert (await world.learn()()).status is RunStatus.PROMOTED
    assert await world.understands("is there a loyalty programme") == "learned_loyalty"
    assert await world.understands(GIFT) == "nothing"


async def test_a_failure_is_told_and_the_next_run_does_the_work(world: World):
    await world.accepted("a")
    learn = world.learn()

    async def broken(learned: Path | None, out: Path) -> Path:
        raise AssistantUnavailable(why="no memory")

    learn.train = broken
    with pytest.raises(AssistantUnavailable):
        await learn()
    run = await world.latest()
    assert run.status is RunStatus.FAILED
    assert run.verdict == (
        "It stopped at the step “Training a new model”: The assistant did not answer: no memory."
    )
    assert [i.payload["run_id"] for i in await world.owed()] == [run.id]
    assert (await world.learn()()).status is RunStatus.PROMOTED


async def test_a_dead_assistant_takes_the_model_when_it_is_back(world: World):
    await world.accepted("a")
    world.live.down = "connection refused"
    run = await world.learn()()
    assert run.status is RunStatus.PROMOTED and "connection refused" in run.verdict
    assert await world.understands(GIFT) == "nothing"
    world.live.down = ""
    await heal(world.store, world.learned, world.live)
    assert await world.understands(GIFT) == GIFT_INTENT
    loads = world.live.loads
    await heal(world.store, world.learned, world.live)
    assert world.live.loads == loads


async def test_another_assistant_that_came_while_a_model_was_trained_is_let_alone(world: World):
    """Nothing is promoted either: what was accepted is learned once the right one answers."""
    await world.accepted("a")
    came: list[NotOurAssistant] = []
    world.spoil = lambda known: came.append(NotOurAssistant(why="another one answers"))

    async def whose() -> NotOurAssistant | None:
        return came[-1] if came else None

    before, loads = world.live.path, world.live.loads
    learn = world.learn()
    learn.whose = whose
    with pytest.raises(NotOurAssistant, match="another one answers"):
        await learn()
    assert (world.live.path, world.live.loads) == (before, loads) and world.files() == {}
    run = await world.latest()
    assert run.status is RunStatus.FAILED and "because another one answers" in run.verdict
    assert (await world.candidates())["key-a"].status is CandidateStatus.ACCEPTED
    async with world.store() as work:
        current = await work.releases.current()
    assert current is not None and current.run_id is None
    came.clear()
    world.spoil = lambda known: None
    assert (await learn()).status is RunStatus.PROMOTED and world.live.loads == loads + 1


async def test_without_a_release_the_run_says_so(tmp_path: Path):
    with pytest.raises(NotFound, match="no release in use: train a model first"):
        await World(tmp_path).learn()()


# -- dying -----------------------------------------------------------------------------------------


async def prepare(world: World) -> None:
    """Two handoffs to mine, one accepted topic and one accepted example to learn."""
    await world.gift_handoff("h-1", "do gift cards ever expire?")
    said = (Author.CUSTOMER, "my lamp never came")
    await world.resolved("h-2", said, truth=Truth.INTENT, intent="track_order")
    await world.accepted("a")
    example = {"kind": CandidateKind.EXAMPLE, "intent": "track_order", "answer": ""}
    await world.accepted("b", texts=("parcel gone astray",), **example)


async def outcome(world: World) -> dict[str, object]:
    """Return everything that must not depend on whether a run died."""
    owed = await world.owed()
    told = [await world.run(i.payload["run_id"]) for i in owed if i.kind is OutboxKind.DIGEST]
    candidates = await world.candidates()
    async with world.store() as work:
        current = await work.releases.current()
        assert current is not None and current.previous_id is not None
        first = await work.releases.get(current.previous_id)
        left = await work.handoffs.to_mine()
    assert {c.release_id for c in candidates.values()} <= {None, current.id}
    assert world.live.path is not None
    assert Path(current.model_path) == world.live.path.resolve()
    return {
        "candidates": {k: (c.status, c.intent, c.texts, c.answer) for k, c in candidates.items()},
        "cards": sorted(i.dedupe_key for i in owed if i.kind is OutboxKind.REVIEW),
        "promotions told": [r.learned for r in told if r.status is RunStatus.PROMOTED],
        "mined, as told": sum(r.mined for r in told),
        "waiting, as told": told[-1].pending_review,
        "unfinished": (await world.latest()).finished_at is None,
        "releases": (current.status, first.status, first.previous_id),
        "unread": left,
        "files": world.files(),
        "beside the files": sorted(p.name for p in world.data.iterdir()),
        "folders": len(list(world.releases.iterdir())),
        "model": world.live.path.read_text(),
    }


async def undisturbed(tmp_path: Path) -> tuple[dict[str, object], World]:
    (tmp_path / "undisturbed").mkdir()
    world = await World(tmp_path / "undisturbed").begin()
    await prepare(world)
    run = await world.learn()()
    assert (run.status, run.mined, run.learned) == (RunStatus.PROMOTED, 2, 2)
    return await outcome(world), world


STEPS = (
    "Reading resolved conversations for something to learn",
    "Choosing what to learn from what was accepted",
    "Measuring the model in use",
    "Training a new model",
    "Measuring the new model",
    "Taking the new model into use",
    "Loading the new model into the running assistant",
    "Telling the leads",
)


async def test_the_steps_are_these(tmp_path: Path):
    _, world = await undisturbed(tmp_path)
    assert tuple(world.steps) == STEPS


async def dies(world: World, learn) -> None:
    with pytest.raises(Killed):
        await learn()
    with pytest.raises(RunInProgress):
        await world.learn()()
    world.on_step = lambda step: None
    world.clock.advance(RUN_LEASE_SECONDS + 1)
    await world.learn()()


@pytest.mark.parametrize("step", STEPS)
async def test_death_at_a_step(world: World, tmp_path: Path, step: str):
    expected, _ = await undisturbed(tmp_path)
    await prepare(world)

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    world.on_step = kill
    await dies(world, world.learn())
    assert await outcome(world) == expected
    again = await world.learn()()
    assert again.status is RunStatus.NOTHING_TO_LEARN and again.mined == 0


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_death_around_every_commit(tmp_path: Path, before: bool):
    expected, _ = await undisturbed(tmp_path)
    for number in range(1, 100):
        (tmp_path / str(number)).mkdir()
        world = await World(tmp_path / str(number)).begin()
        await prepare(world)
        learn = world.learn(KillingStore(world.store, number, before))
        try:
            await learn()
        except Killed:
            world.clock.advance(RUN_LEASE_SECONDS + 1)
            await world.learn()()
        else:
            assert number > 10
            return
        assert await outcome(world) == expected, number
    raise AssertionError("the run never came to its end")


def killing_train(world: World, learn, when: str) -> None:
    async def train(learned: Path | None, out: Path) -> Path:
        if when == "after":
            await world.train(learned, out)
        raise Killed

    learn.train = train


def killing_load(world: World, learn, when: str) -> None:
    load = world.live.load_model

    async def dying(path: Path) -> None:
        world.live.load_model = load  # type: ignore[method-assign]
        if when == "after":
            await load(path)
        raise Killed

    world.live.load_model = dying  # type: ignore[method-assign]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", [killing_train, killing_load])
async def test_death_inside_a_part(world: World, tmp_path: Path, part: Callable, when: str):
    expected, _ = await undisturbed(tmp_path)
    await prepare(world)
    learn = world.learn()
    part(world, learn, when)
    await dies(world, learn)
    assert await outcome(world) == expected


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
async def test_death_between_the_renames_that_swap_the_files(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
):
    """Renames: staged files; then, the second time, the old folder away and the new one there."""
    await world.accepted("zero", texts=("is there a loyalty card",), intent="learned_loyalty")
    await world.learn()()
    first = world.files()
    await world.accepted("a")
    rename, count = Path.rename, 0

    def dying(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == nth:
            raise Killed
        return rename(self, target)

    monkeypatch.setattr(training_files.Path, "rename", dying)
    learn = world.learn()
    if nth == 4:
        await learn()
        assert count == 3
    else:
        with pytest.raises(Killed):
            await learn()
        monkeypatch.undo()
        await heal(world.store, world.learned, world.live)
        promoted = nth > 1
        assert (world.files() != first) is promoted
        world.clock.advance(RUN_LEASE_SECONDS + 1)
        await world.learn()()
    assert await world.understands(GIFT) == GIFT_INTENT
    assert await world.understands("is there a loyalty card") == "learned_loyalty"
    assert sorted(p.name for p in world.data.iterdir()) == ["golden", "learned", "nlu"]
