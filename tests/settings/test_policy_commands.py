"""`handoff explain` and `handoff policy` as processes, on a database that a desk has filled."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from handoff.__main__ import app
from handoff.adapters.db.engine import make_engine
from handoff.adapters.db.migrate import upgrade
from handoff.adapters.db.store import DatabaseStore
from handoff.app.policies import propose
from handoff.core.errors import DeskError
from handoff.core.evidence import named
from handoff.core.limits import PolicyLimits
from handoff.core.policy import POLICY_VERSION, Policy
from handoff.core.risk import RiskModel
from tests.fakes import FakeDesk
from tests.settings.test_command_line import VARIABLES, assert_one_sentence, handoff

T = TypeVar("T")
Say = Callable[..., str]
CALM = RiskModel(-3.0, {"negative": 0.5}, {"negative": 0.1})
POLICY = named(Policy(PolicyLimits(risk=0.27, risk_floor=0.05, risk_ceiling=0.6), risk=CALM))
EAGER = named(replace(POLICY, limits=replace(POLICY.limits, risk=0.1)))


def on_desk(folder: Path, act: Callable[[FakeDesk], Awaitable[T]]) -> T:
    """Let a desk do something on the database of the commands, in a loop of its own."""

    async def run() -> T:
        url = f"sqlite:///{folder}/var/handoff.db"
        await upgrade(url)
        engine = make_engine(url)
        desk = FakeDesk(DatabaseStore(engine))
        desk.take_turn.configured = POLICY
        await desk.take_turn.adopt()
        try:
            return await act(desk)
        finally:
            await engine.dispose()

    return asyncio.run(run())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    on_desk(tmp_path, lambda desk: desk.handoffs())
    return tmp_path


@pytest.fixture
def say(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Return what runs a command in this process, where a start costs nothing."""
    monkeypatch.chdir(folder)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HANDOFF_VAR", str(folder / "var"))

    def run(*command: str) -> str:
        app(list(command), standalone_mode=False)
        return capsys.readouterr().out

    return run


async def ask_beside_a_shadow(desk: FakeDesk) -> str:
    """Let a policy run in the shadow while a customer writes; return the message's id."""
    async with desk.store() as work:
        note = "a try"
        await propose(work, EAGER, desk.clock.now(), "refit", note, {"cost_after": 0.3125})
        await work.commit()
    return (await desk.ask("this is [b]bad[/b]")).message.id


def test_a_decision_is_explained_and_made_again(folder: Path) -> None:
    id = on_desk(folder, ask_beside_a_shadow)
    done = handoff(folder, "explain", id[:10])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"Message {id}, 2024-05-01 12:00:00 UTC",
        "  this is [b]bad[/b]",
        "The bot answered. What spoke for a person:",
        "  1. The message sounds negative: 70 % (usually 10 %)",
        "Risk that a person is needed: 18.6 %, the limit is 27 %.",
        "Likely meant: faq 95 %.",
        f"Policy {POLICY.id}, rules version {POLICY_VERSION}, model fake-model.",
        "Decided again from what was stored: the same, to the last bit.",
    ]
    done = handoff(folder, "explain", id, "--json")
    (decision,) = json.loads(done.stdout)["decisions"]
    assert (done.returncode, decision["action"], decision["same"]) == (0, "answer", True)


def test_without_an_id_the_newest_messages_are_listed(folder: Path) -> None:
    done = handoff(folder, "explain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Nothing has been decided about any message yet.\n"
    id = on_desk(folder, ask_beside_a_shadow)
    done = handoff(folder, "explain", "--last", "1", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    line = done.stdout.splitlines()[1]
    assert line == f"{id[:8]}  2024-05-01 12:00  answered (negative)  this is [b]bad[/b]"
    assert handoff(folder, "explain", line.split()[0]).returncode == 0
    done = handoff(folder, "explain", "--json")
    (one,) = json.loads(done.stdout)["decided"]
    assert (done.returncode, one["message"]) == (0, id)


def test_a_decision_that_comes_out_otherwise_has_its_own_exit_code(folder: Path) -> None:
    async def changed(desk: FakeDesk) -> str:
        id = await ask_beside_a_shadow(desk)
        engine = make_engine(f"sqlite:///{folder}/var/handoff.db")
        async with engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE decisions SET action = 'hand_off'")
        await engine.dispose()
        return id

    done = handoff(folder, "explain", on_desk(folder, changed))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-4:] == [
        "Decided again from what was stored: not the same.",
        "  • action: hand_off then, answer now",
        "It came out as: the bot answered.",
        "  • The message sounds negative: 70 % (usually 10 %)",
    ]


def test_a_message_that_is_not_there_is_one_sentence(folder: Path) -> None:
    assert_one_sentence(handoff(folder, "explain", "feed"), "There is no message feed.")


def test_policies_are_listed_proposed_switched_and_dropped(folder: Path, say: Say) -> None:
    id = on_desk(folder, ask_beside_a_shadow)
    me = f"{getpass.getuser()} (command line)"
    listed = say("policy").splitlines()
    assert listed[0] == f"{POLICY.id}  active since 2024-05-01 12:00:00 UTC, by settings"
    assert listed[2].startswith("  limit 27 %, floor 5 %, ceiling 60 %; counts most: negative")
    assert listed[3] == f"{EAGER.id}  in the shadow since 2024-05-01 12:00:00 UTC, by refit"
    assert listed[4] == "  made 2024-05-01 12:00:00 UTC by refit: a try"
    assert listed[6:] == [
        "  measured: cost after 0.3125",
        "  It has judged 1 message and disagreed on 1 (100 %).",
    ]
    wrong = say("policy", "disagreements").splitlines()
    assert wrong == [
        f"Policy {EAGER.id}. It has judged 1 message and disagreed on 1 (100 %).",
        f"{id}  2024-05-01 12:00:00 UTC  “this is [b]bad[/b]”",
        "  The bot answered: risk 18.6 %, limit 27 %",
        "  It would have asked a person: risk 18.6 %, limit 10 %",
        "  The message sounds negative: 70 % (usually 10 %)",
    ]
    assert (
        say("policy", "switch-on", EAGER.id)
        == f"The policy {EAGER.id} decides from the next message on.\n"
    )
    listed = say("policy")
    assert f"{EAGER.id}  active since" in listed and f"by {me}" in listed
    assert f"{POLICY.id}  retired since" in listed
    moved = ("policy", "set", "--floor", "0.02", "--ceiling", "0.5")
    done = say(*moved, "--risk", "0.3")
    proposed = done.split()[2]
    assert f"The policy {proposed} runs in the shadow" in done
    assert f"{proposed}  in the shadow since" in say("policy")
    assert say("policy", "drop", proposed) == f"The policy {proposed} is out of the shadow.\n"
    assert "decides from the next message on" in say(*moved, "--now")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["set", "--floor", "0.6", "--ceiling", "0.1"],
            "the floor 60 % lies above the ceiling 10 %",
        ),
        (["switch-on", POLICY.id], f"The policy {POLICY.id} cannot be switched on: it is active."),
        (["drop", POLICY.id], f"The policy {POLICY.id} cannot be dropped: it is active."),
        (["drop", "nobody"], "There is no policy nobody."),
        (["disagreements"], "There is no policy in the shadow."),
        (["disagreements", "nobody"], "There is no policy nobody."),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_done_is_one_sentence(
    folder: Path, say: Say, command: list[str], said: str
) -> None:
    with pytest.raises(DeskError, match=said):
        say("policy", *command)


def test_a_desk_that_never_ran_has_no_policy(tmp_path: Path) -> None:
    done = handoff(tmp_path, "policy")
    assert done.stdout == "No policy is stored yet: the desk stores one when it starts.\n"
    refused = handoff(tmp_path, "policy", "set", "--floor", "0.1", "--ceiling", "0.5")
    assert_one_sentence(refused, "There is no active policy; the desk has to run once.")
