"""Whose the assistant at RASA_URL is: what the desk changes, and what it says where it does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from handoff.adapters.clock import WallClock
from handoff.adapters.feelings import CONVERSATIONS
from handoff.adapters.memory import MemoryStore
from handoff.adapters.rasa import RasaAssistant
from handoff.bootstrap import assistant as whose
from handoff.bootstrap import jobs
from handoff.bootstrap.assistant import DeskPolicy, standing
from handoff.bootstrap.jobs import (
    FINGERPRINT,
    fingerprint_of,
    learn_now,
    prepare_model,
    refit_now,
    roll_back_now,
)
from handoff.bootstrap.parts import open_store
from handoff.bootstrap.processes import around, check_ports, processes
from handoff.core.assistant import WAY_OUT
from handoff.core.errors import BadSetting, NotOurAssistant, TooFewEpisodes
from handoff.core.model import Release, ReleaseStatus, RunStatus
from handoff.core.policy import OTHERS_RISK
from handoff.learning.rasa_server import free_port
from handoff.learning.refit import Refit, RefitPolicy
from handoff.learning.rollback import register_initial
from handoff.settings import PROJECT, Settings, load_settings
from tests.adapters.test_rasa import RasaServer, serving
from tests.fakes import START
from tests.json_server import JsonHandler, served
from tests.learning.world import ListModel, World, examples_of

THEIRS = {
    "model_file": "models/20260101-theirs.tar.gz",
    "intents": ["greet", "order", "talk_to_human", {"faq": {"is_retrieval_intent": True}}],
    "responses": {"utter_faq/hours": []},
    # Of a parse: the assistant's own fallback tells its threshold.
    "intent": {"name": "nlu_fallback", "confidence": 0.7},
}
OURS = {**THEIRS, "model_file": "/somewhere/base-0123456789ab.tar.gz"}


@pytest.fixture
async def rasa(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RasaServer]:
    monkeypatch.setattr(whose, "PAUSE_SECONDS", 0.0)
    async with serving() as server:
        server.answers(THEIRS)
        yield server


@pytest.fixture
def given(rasa: RasaServer, tmp_path: Path) -> Settings:
    return at(rasa.url, tmp_path)


def at(url: str, folder: Path, **more: Any) -> Settings:
    return load_settings(_env_file=None, RASA_URL=url, HANDOFF_VAR=folder / "var", **more)


def project(folder: Path, *intents: str) -> Path:
    """Write a project as `rasa init` does."""
    bot = folder / "theirs"
    (bot / "data").mkdir(parents=True)
    (bot / "config.yml").write_text("pipeline: []\npolicies:\n- name: RulePolicy\n")
    (bot / "domain.yml").write_text("intents:\n" + "".join(f"- {name}\n" for name in intents))
    examples = "".join(f"- intent: {i}\n  examples: |\n    - {i} please\n" for i in intents)
    (bot / "data" / "nlu.yml").write_text("nlu:\n" + examples)
    return bot


async def with_release(store: Any) -> None:
    async with store() as work:
        path = "/var/releases/base-0123456789ab.tar.gz"
        await work.releases.add(Release("r1", START, path, "/learned", ReleaseStatus.ROLLED_BACK))
        await work.commit()


async def test_where_nobody_listens_the_desk_starts_its_own(tmp_path: Path) -> None:
    found = await standing(at(f"http://127.0.0.1:{free_port()}", tmp_path), MemoryStore())
    assert (found.answers, found.own) == (False, True)


async def test_a_model_the_desk_trained_is_its_own_whatever_became_of_it(rasa, given) -> None:
    store = MemoryStore()
    rasa.answers(OURS)
    assert not (await standing(given, store)).own
    await with_release(store)
    assert (await standing(given, store)).own


@pytest.mark.parametrize("status", [401, 404, 409, 500])
async def test_what_cannot_be_asked_is_not_changed(rasa, given, status) -> None:
    rasa.answers({"reason": "no"}, status)
    found = await standing(given, MemoryStore())
    assert found.answers and f"status {status}" in str(found.refusal)


async def test_the_setting_says_so_without_a_look(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert not (await standing(at(url, tmp_path, HANDOFF_ASSISTANT="foreign"), MemoryStore())).own


async def test_a_project_that_cannot_be_the_assistants_turns_nothing_on(rasa, tmp_path) -> None:
    """The shop's project is the usual one: “own” alone must not make everybody's bot a shop."""
    found = await standing(at(rasa.url, tmp_path, HANDOFF_ASSISTANT="own"), MemoryStore())
    assert "the intent faq and 2 more" in str(found.refusal)
    for more, own in (((), False), (("faq",), True)):
        bot = project(tmp_path / str(own), "greet", "order", "talk_to_human", *more)
        settings = at(rasa.url, tmp_path, HANDOFF_ASSISTANT="own", HANDOFF_BOT=bot)
        assert (await standing(settings, MemoryStore())).own is own


@pytest.mark.parametrize(
    "command",
    [
        lambda settings: learn_now(settings, print),
        lambda settings: prepare_model(settings, print),
        lambda settings: prepare_model(settings, print, force=True),
        lambda settings: roll_back_now(settings),
    ],
    ids=["learn", "train", "train by force", "rollback"],
)
async def test_nothing_changes_somebody_elses_assistant(rasa, given, command, capsys) -> None:
    with pytest.raises(NotOurAssistant) as refusal:
        await command(given)
    sentence = str(refusal.value)
    assert "20260101-theirs.tar.gz" in sentence and "HANDOFF_ASSISTANT=own" in sentence
    assert sentence.endswith(".") and sentence.count(". ") == 0
    assert capsys.readouterr().out == ""
    assert {method for method, *_ in rasa.asked} <= {"GET", "POST"}
    async with open_store(given) as store, store() as work:
        assert await work.releases.current() is None and await work.runs.latest() is None


class ChangingRasa(JsonHandler):
    """A Rasa in whose place another assistant answers once `asked` requests have been read.

    A test makes a subclass, which has figures of its own.
    """

    told: ClassVar[list[dict[str, Any]]]
    asked: ClassVar[list[str]]
    puts: ClassVar[list[dict[str, Any]]]
    changes_after: ClassVar[int]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send(200, self.told[len(self.asked) > self.changes_after])

    def do_POST(self) -> None:
        self.body()
        self.do_GET()

    def do_PUT(self) -> None:
        self.puts.append(json.loads(self.body()))
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def changing() -> Iterator[tuple[str, type[ChangingRasa]]]:
    """Yield a Rasa's address and its handler: THEIRS, and after a while a bot for flights."""

    class Handler(ChangingRasa):
        told: ClassVar = [
            THEIRS,
            {**THEIRS, "model_file": "flights.tar.gz", "intents": ["greet", "book_flight"]},
        ]
        asked: ClassVar = []
        puts: ClassVar = []
        changes_after = 10**9

    with served(Handler) as url:
        yield url, Handler


def own_project(url: str, folder: Path) -> Settings:
    """Return the settings of a desk that may train the assistant THEIRS."""
    bot = project(folder, "greet", "order", "talk_to_human", "faq")
    return at(url, folder, HANDOFF_ASSISTANT="own", HANDOFF_BOT=bot)


async def test_another_assistant_that_came_during_the_training_is_let_alone(
    changing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training takes minutes; who answers by then was not asked before it."""
    url, rasa = changing
    settings, trained = own_project(url, tmp_path), []

    async def train(settings: Settings, learned: Path, out: Path, say: Any) -> Path:
        out.parent.mkdir(parents=True)
        out.write_bytes(b"a model")
        (out.parent / FINGERPRINT).write_text(fingerprint_of(settings, learned))
        trained.append(out)
        rasa.changes_after = len(rasa.asked)
        return out

    monkeypatch.setattr(jobs, "train_release", train)
    with pytest.raises(NotOurAssistant, match="does not know the intent book_flight of the"):
        await prepare_model(settings, print)
    assert len(trained) == 1 and not rasa.puts
    # Once the right one is back the same command gives it the model, which is trained already.
    rasa.changes_after = 10**9
    await prepare_model(settings, print)
    assert len(trained) == 1 and rasa.puts == [{"model_file": str(trained[0])}]


async def test_another_assistant_that_came_meanwhile_is_not_rolled_back(
    changing, tmp_path: Path
) -> None:
    url, rasa = changing
    settings = own_project(url, tmp_path)
    async with open_store(settings) as store:
        for name in ("first", "second"):
            model = tmp_path / f"{name}.tar.gz"
            model.write_bytes(b"a model")
            await register_initial(store, WallClock(), model, tmp_path / "learned")
        rasa.changes_after = 2  # the command itself has looked: GET /status, GET /domain
        said = await roll_back_now(settings)
        assert "does not know the intent book_flight" in said and not rasa.puts


async def test_another_assistant_that_came_during_the_night_is_let_alone(
    changing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, rasa = changing
    settings = own_project(url, tmp_path)
    knows = {f"{name} please": name for name in ("greet", "order", "talk_to_human", "faq")}

    async def train(settings: Settings, learned: Path, out: Path, say: Any) -> Path:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({**knows, **examples_of(learned)}))
        rasa.changes_after = len(rasa.asked)
        return out

    @asynccontextmanager
    async def beside(settings: Settings, url: str, model: Path) -> AsyncIterator[ListModel]:
        yield ListModel(model)

    @asynccontextmanager
    async def no_encoder(settings: Settings) -> AsyncIterator[str]:
        yield "http://127.0.0.1:9"

    monkeypatch.setattr(jobs, "train_release", train)
    monkeypatch.setattr(jobs, "serve_beside", beside)
    monkeypatch.setattr(jobs, "encoder_service", no_encoder)
    async with open_store(settings) as store:
        first = await train(settings, tmp_path / "nothing", tmp_path / "first.tar.gz", None)
        rasa.changes_after = 10**9
        await register_initial(store, WallClock(), first, tmp_path / "learned")
        await World(tmp_path / "world", store).accepted("a")
    with pytest.raises(NotOurAssistant, match="does not know the intent book_flight of the"):
        await learn_now(settings, print)
    # The model in use was put where this began; the new one is neither put nor promoted.
    assert rasa.puts == [{"model_file": str(first)}]
    async with open_store(settings) as store, store() as work:
        run, current = await work.runs.latest(), await work.releases.current()
        assert run is not None and run.status is RunStatus.FAILED and "book_flight" in run.verdict
        assert current is not None and current.model_path == str(first)


async def test_the_policy_before_somebody_else(rasa, given) -> None:
    async with RasaAssistant(rasa.url) as live:
        ask = DeskPolicy(given, MemoryStore(), live)
        policy = await ask()
        assert policy is not None and not ask.is_shop
        assert policy.risk == OTHERS_RISK and not policy.desk.precedents
        assert policy.desk.person_intents == {"talk_to_human", WAY_OUT}
        assert policy.desk.courtesy_intents == {"greet"}
        assert policy.limits.confidence == 0.45  # no stricter than its own 0.7, nor than ours
        assert ask.labels() == ["faq/hours", "greet", "order", "talk_to_human"]
        rasa.answers({}, 500)
        live._told_until = 0.0
        assert await ask() == policy


async def test_the_policy_starts_from_the_owners_threshold_unless_told(rasa, tmp_path) -> None:
    rasa.answers({**THEIRS, "intent": {"name": "nlu_fallback", "confidence": 0.25}})
    for told, wanted in ({}, 0.25), ({"HANDOFF_CONFIDENCE": 0.6}, 0.6):
        async with RasaAssistant(rasa.url) as live:
            settings = at(rasa.url, tmp_path, **told)
            policy = await DeskPolicy(settings, MemoryStore(), live).to_start_from()
            assert policy.limits.confidence == wanted


async def test_an_assistant_that_only_tells_its_domain_is_known_not_to_be_the_shop(
    changing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threshold cannot be asked for: the shop's policy would hand over its every courtesy."""
    url, handler = changing
    monkeypatch.setattr(handler, "do_POST", lambda self: (self.body(), self.send(500, {})))
    async with RasaAssistant(url) as live:
        ask = DeskPolicy(at(url, tmp_path), MemoryStore(), live)
        policy = await ask.to_start_from()
        assert not ask.is_shop and policy.risk == OTHERS_RISK and not policy.desk.precedents


@pytest.mark.parametrize("told", [OURS, THEIRS], ids=["the shop", "another"])
async def test_the_shops_conversations_count_in_a_refit_before_the_shop_alone(
    rasa, given, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the policy looks like: whose the assistant is decides."""
    refits: list[RefitPolicy] = []

    async def looked_at(refit: RefitPolicy) -> Refit:
        refits.append(refit)
        raise TooFewEpisodes(judged=0, needed=1)

    monkeypatch.setattr(RefitPolicy, "__call__", looked_at)
    monkeypatch.setattr(Settings, "policy_before", lambda self, *_: self.policy())
    rasa.answers(told)
    async with open_store(given) as store:
        await with_release(store)
    assert "judged" in await refit_now(given)
    shop = given.training_data / CONVERSATIONS if told is OURS else None
    assert [refit.conversations for refit in refits] == [shop]


async def test_before_its_own_model_the_shop_is_the_shop(rasa, given) -> None:
    rasa.answers(OURS)
    store = MemoryStore()
    await with_release(store)
    async with RasaAssistant(rasa.url) as live:
        ask = DeskPolicy(given, store, live)
        assert await ask() == given.policy() and ask.is_shop
        # Somebody puts another assistant there: from now on nothing of the shop's counts.
        rasa.answers(THEIRS)
        live._told_until = 0.0
        policy = await ask()
        assert policy is not None and not policy.desk.precedents and not ask.is_shop


async def test_an_owners_data_lies_beside_the_project(tmp_path: Path) -> None:
    bot = project(tmp_path, "greet")
    assert load_settings(_env_file=None, HANDOFF_BOT=bot).training_data == bot / "data"
    elsewhere = load_settings(_env_file=None, HANDOFF_BOT=bot, HANDOFF_TRAINING_DATA=tmp_path)
    assert elsewhere.training_data == tmp_path
    assert load_settings(_env_file=None).training_data == PROJECT / "training_data"


async def test_what_is_started_around_an_assistant_that_answers(rasa, given) -> None:
    assert [part.name for part in around(given)] == ["gateway", "simulator"]
    with pytest.raises(BadSetting, match="RASA_URL"):
        check_ports(given)
    check_ports(given, elsewhere=True)


async def test_an_owners_project_is_started_with_what_the_desk_needs(tmp_path: Path) -> None:
    async def model() -> tuple[str, ...]:
        return ()

    bot = project(tmp_path, "greet")
    settings = load_settings(_env_file=None, HANDOFF_VAR=tmp_path / "var", HANDOFF_BOT=bot)
    names = [part.name for part in processes(settings, model)]
    assert names == ["rasa", "gateway", "simulator"]
    (bot / "actions").mkdir()
    rasa, actions, *_ = processes(settings, model)
    assert (actions.name, actions.folder) == ("actions", bot) and "actions" in actions.command
    assert str(tmp_path / "var/rasa/endpoints.yml") in rasa.command
