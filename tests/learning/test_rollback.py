"""Going back a release, and making everything agree with the release in use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from handoff.core.errors import BadData, NothingToRollBack, NotOurAssistant
from handoff.core.model import CandidateStatus, OutboxKind, ReleaseStatus, RunStatus
from handoff.learning.rollback import Rollback, heal, register_initial
from tests.learning.world import GIFT, GIFT_INTENT, Killed, KillingStore, World

LOYALTY = "is there a loyalty card"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await World(tmp_path).begin()


@pytest.fixture
async def learned(world: World) -> World:
    """A desk that has learned gift cards in one night and loyalty cards in the next."""
    await world.accepted("a")
    await world.learn()()
    await world.accepted("b", texts=(LOYALTY,), intent="learned_loyalty", answer="Not yet.")
    await world.learn()()
    await world.owed()
    return world


async def statuses(world: World) -> dict[str, CandidateStatus]:
    return {key: c.status for key, c in (await world.candidates()).items()}


async def test_the_first_release_has_an_empty_folder_of_its_own(world: World):
    async with world.store() as work:
        first = await work.releases.current()
    assert first is not None and first.previous_id is None and first.run_id is None
    assert list(Path(first.learned_path).iterdir()) == []
    with pytest.raises(NothingToRollBack):
        await world.rollback()()


async def test_registering_again_changes_nothing_and_a_new_model_supersedes(learned: World):
    async with learned.store() as work:
        before = await work.releases.current()
    assert before is not None
    folder = learned.releases / "initial" / "learned"
    again = await register_initial(
        learned.store, learned.clock, Path(before.model_path), learned.releases / "other"
    )
    assert again.id == before.id
    retrained = learned._write({"something else": "greet"}, learned.folder / "second.tar.gz")
    second = await register_initial(learned.store, learned.clock, retrained, folder)
    assert (second.previous_id, second.learned_path) == (before.id, before.learned_path)
    files = learned.files()
    await heal(learned.store, learned.learned, learned.live)
    assert learned.files() == files and learned.live.path == retrained.resolve()


async def test_back_to_yesterday(learned: World):
    yesterday_knows = learned.files()["nlu.yml"]
    done = await learned.rollback()()
    assert done.forgotten == 1 and "1 candidate was unlearned" in done.sentence
    assert (done.left.status, done.now.status) == (
        ReleaseStatus.ROLLED_BACK,
        ReleaseStatus.CURRENT,
    )
    assert await learned.understands(GIFT) == GIFT_INTENT
    assert await learned.understands(LOYALTY) == "nothing"
    assert learned.files()["nlu.yml"] != yesterday_knows and LOYALTY not in str(learned.files())
    assert await statuses(learned) == {
        "key-a": CandidateStatus.LEARNED,
        "key-b": CandidateStatus.ROLLED_BACK,
    }
    (notice,) = await learned.owed()
    assert (notice.kind, notice.topic) == (OutboxKind.NOTICE, "digest")
    assert "Rolled back" in notice.payload["text"]


async def test_several_in_a_row_walk_back_to_the_first(learned: World):
    await learned.rollback()()
    await learned.rollback()()
    assert learned.files() == {} and learned.learned.is_dir()
    assert await learned.understands(GIFT) == "nothing"
    assert set((await statuses(learned)).values()) == {CandidateStatus.ROLLED_BACK}
    with pytest.raises(NothingToRollBack):
        await learned.rollback()()


async def test_what_was_rolled_back_is_not_learned_again_by_itself(learned: World):
    await learned.rollback()()
    assert (await learned.learn()()).status is RunStatus.NOTHING_TO_LEARN
    await learned.accepted("c", texts=("do you ship to the moon",), intent="learned_moon")
    run = await learned.learn()()
    assert run.status is RunStatus.PROMOTED
    assert LOYALTY not in str(learned.files())
    await learned.rollback()()
    assert await learned.understands(GIFT) == GIFT_INTENT


async def test_a_customer_who_asks_again_brings_it_back_to_the_reviewers(learned: World):
    await learned.rollback()()
    await learned.rollback()()
    await learned.gift_handoff()
    assert (await learned.learn()()).mined == 1


async def test_a_dead_assistant_follows_later(learned: World):
    learned.live.down = "connection refused"
    done = await learned.rollback()()
    assert "connection refused" in done.sentence
    assert LOYALTY not in str(learned.files())
    learned.live.down = ""
    await heal(learned.store, learned.learned, learned.live)
    assert await learned.understands(LOYALTY) == "nothing"


async def test_a_release_whose_files_are_gone_is_not_gone_back_to(learned: World):
    async with learned.store() as work:
        current = await work.releases.current()
        assert current is not None
        before = await work.releases.get(current.previous_id or "")
    Path(before.model_path).unlink()
    with pytest.raises(BadData, match="is missing"):
        await learned.rollback()()
    assert await learned.understands(LOYALTY) == "learned_loyalty"
    assert (await statuses(learned))["key-b"] is CandidateStatus.LEARNED


async def test_lost_learned_files_of_the_release_in_use_do_not_empty_the_training_data(
    learned: World,
):
    async with learned.store() as work:
        current = await work.releases.current()
    assert current is not None
    shutil.rmtree(current.learned_path)
    files = learned.files()
    with pytest.raises(BadData):
        await heal(learned.store, learned.learned, learned.live)
    assert learned.files() == files


@pytest.mark.parametrize("harm", ["gone", "edited", "older"])
async def test_healing_makes_files_agree_with_the_release(learned: World, harm: str):
    files = learned.files()
    if harm == "gone":
        shutil.rmtree(learned.learned)
    elif harm == "edited":
        (learned.learned / "nlu.yml").write_text("version: '3.1'\n")
    else:
        (learned.learned / "domain.yml").unlink()
    await heal(learned.store, learned.learned)
    assert learned.files() == files


async def test_healing_before_the_first_release_does_nothing(tmp_path: Path):
    world = World(tmp_path)
    assert await heal(world.store, world.learned, world.live) is None
    assert not world.learned.exists()


@pytest.mark.parametrize("before", [True, False])
async def test_death_around_the_commit(learned: World, before: bool):
    rollback = learned.rollback()
    dying = type(rollback)(
        KillingStore(learned.store, 1, before), learned.clock, learned.learned, learned.live
    )
    with pytest.raises(Killed):
        await dying()
    await heal(learned.store, learned.learned, learned.live)
    expected = "learned_loyalty" if before else "nothing"
    assert await learned.understands(LOYALTY) == expected
    assert (LOYALTY in str(learned.files())) is before


async def test_a_model_of_somebody_elses_is_not_replaced(learned: World):
    theirs = learned._write({"hello": "greet"}, learned.folder / "theirs.tar.gz")
    learned.live.path, loads = theirs, learned.live.loads
    with pytest.raises(NotOurAssistant, match=r"theirs\.tar\.gz"):
        await heal(learned.store, learned.learned, learned.live)
    with pytest.raises(NotOurAssistant):
        await learned.learn()()
    assert (learned.live.path, learned.live.loads) == (theirs, loads)


async def test_whose_the_assistant_is_is_asked_where_the_model_is_put(learned: World):
    """With “own” a model of nobody here may be replaced, unless another assistant's came."""
    theirs = learned._write({"hello": "greet"}, learned.folder / "theirs.tar.gz")
    learned.live.path, loads = theirs, learned.live.loads
    refusal: NotOurAssistant | None = NotOurAssistant(why="another one answers")

    async def whose() -> NotOurAssistant | None:
        return refusal

    with pytest.raises(NotOurAssistant, match="another one answers"):
        await heal(learned.store, learned.learned, learned.live, whose)
    assert (learned.live.path, learned.live.loads) == (theirs, loads)
    done = await Rollback(learned.store, learned.clock, learned.learned, learned.live, whose)()
    assert "another one answers" in done.sentence and learned.live.path == theirs
    refusal = None
    await heal(learned.store, learned.learned, learned.live, whose)
    assert learned.live.loads == loads + 1
