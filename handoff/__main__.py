"""The command line of the desk. Every command is described in README.md; a test checks that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from handoff.core.errors import DeskError, NotOurAssistant
from handoff.settings import Settings, check_real_desk, load_settings, settings_table, told_at_start

# Threads that fight for the cores of a small machine make everything slower (FACTS: 11.8 → 273 ms).
os.environ.setdefault("OMP_NUM_THREADS", "1")

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
evaluate = typer.Typer(no_args_is_help=True, help="Measure the shipped models on anyone's data.")
app.add_typer(evaluate, name="eval")
policy = typer.Typer(help="Which policy decides, and which one runs beside it in the shadow.")
app.add_typer(policy, name="policy")

out = Console(highlight=False, soft_wrap=True)

Bootstrap = Annotated[
    bool, typer.Option("--bootstrap", help="Add 95 % intervals from 1 000 resamples.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


# `up` and `serve` say themselves what they read, once it is certain that they start.
# Each command reads the settings, and the files it is given, before it imports what takes seconds:
# a wrong one is told at once.


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a command to its end and return its result.

    SIGTERM and SIGHUP end it as Ctrl-C does, so that it takes Rasa and its folders with it; the
    exit code is 128 and the signal's number then.
    """
    told: list[int] = []
    try:
        result = uvloop.run(_until_told(work, told))
    except asyncio.CancelledError:
        if not told:
            raise
    if told:
        sys.exit(128 + told[0])
    return result


async def _until_told(work: Coroutine[Any, Any, Any], told: list[int]) -> Any:
    """Await `work`; the first signal to end goes into `told` and cancels it."""
    task = asyncio.current_task()
    assert task is not None

    def end(number: int) -> None:
        if not told:  # a second one must not interrupt the ending
            told.append(number)
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` wants it
            asyncio.get_running_loop().add_signal_handler(number, end, number)
    return await work


def _settings() -> Settings:
    """Read the settings for a command; what in them means nothing is said on standard error."""
    given = load_settings()
    for sentence in told_at_start(given):
        if sentence.startswith("!"):
            print(sentence, file=sys.stderr)
    return given


def _say(text: str) -> None:
    out.print(text, markup=False)


@app.command()
def up() -> None:
    """Start everything on this machine, training a model first when something changed."""
    given = load_settings()
    check_real_desk(given)
    from handoff.bootstrap.processes import run_everything

    _run(run_everything(given, _say))


@app.command()
def serve() -> None:
    """Start the gateway alone: channels, encoder, console, scheduler."""
    given = load_settings()
    check_real_desk(given)
    from handoff.bootstrap.gateway import serve_gateway

    uvloop.run(serve_gateway(given))  # its server takes the signals itself


@app.command()
def migrate() -> None:
    """Create the database or bring it to the newest schema."""
    given = _settings()
    from handoff.adapters.db.migrate import upgrade

    _run(upgrade(given.database))
    _say("The database is up to date.")


@app.command()
def encoder() -> None:
    """Export the encoder for ONNX Runtime where that was not done yet; say what was measured."""
    given = _settings()
    from handoff.bootstrap.encoders import prepare_encoder

    _run(prepare_encoder(given, _say))


@app.command()
def train(
    force: Annotated[bool, typer.Option(help="Train although nothing has changed.")] = False,
) -> None:
    """Train the assistant on the training data and take the model into use."""
    given = _settings()
    from handoff.bootstrap.jobs import prepare_model

    release = _run(prepare_model(given, _say, force))
    _say(f"In use: {release.model_path}")


@app.command()
def learn(
    by_itself: Annotated[bool, typer.Option("--by-itself", hidden=True)] = False,
    night: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], hidden=True, help="As the night of this local date."),
    ] = None,
) -> None:
    """Do now what happens every night: candidates from resolved conversations, a better model."""
    given = _settings()
    from handoff.bootstrap.jobs import learn_by_night, learn_now

    if night is None:
        run = learn_now(given, _say)
    else:
        run = learn_by_night(given, night.date().isoformat(), _say)
    try:
        _say(_run(run))
    except NotOurAssistant:
        if not by_itself:  # the gateway has said it, once
            raise


@app.command()
def rollback() -> None:
    """Go back to the model and training files of the release before."""
    given = _settings()
    from handoff.bootstrap.jobs import roll_back_now

    _say(_run(roll_back_now(given)))


@app.command()
def explain(
    message: Annotated[
        str, typer.Argument(metavar="MESSAGE_ID", help="Its beginning will do.")
    ] = "",
    last: Annotated[
        int, typer.Option(min=1, max=1000, help="Without an id: how many to list.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Say why a message was answered or handed over, and decide it again from what is stored.

    Without an id the messages decided last are listed.

    Exit code: 0 the same came out, 1 something else, 2 there is nothing to decide again from.
    """
    given = _settings()
    if not message:
        _list_decided(given, last, as_json)
        return
    from handoff.bootstrap.policy_jobs import (
        exit_code,
        explain_message,
        explained_as_json,
        explained_in_words,
    )

    explained = _run(explain_message(given, message))
    if as_json:
        print(json.dumps(explained_as_json(explained)))
    else:
        _say(explained_in_words(explained))
    raise typer.Exit(exit_code(explained))


def _list_decided(given: Settings, last: int, as_json: bool) -> None:
    from handoff.bootstrap.policy_jobs import decided_as_json, decided_in_words, newest_decided

    decided = _run(newest_decided(given, last))
    if as_json:
        print(json.dumps(decided_as_json(decided)))
    else:
        _say(decided_in_words(decided, out.width))


@policy.callback(invoke_without_command=True)
def policies(context: typer.Context) -> None:
    """Which policy decides, which one runs in the shadow, and which ones did before."""
    if context.invoked_subcommand is None:
        given = _settings()
        from handoff.bootstrap.policy_jobs import list_policies

        _say(_run(list_policies(given)))


@policy.command("disagreements")
def policy_disagreements(
    id: Annotated[str, typer.Argument(help="A policy; without it the one in the shadow.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
) -> None:
    """Where the policy in the shadow would have decided differently, newest first."""
    given = _settings()
    from handoff.bootstrap.policy_jobs import list_disagreements

    _say(_run(list_disagreements(given, id, limit)))


@policy.command("set")
def policy_set(
    floor: Annotated[float, typer.Option(help="The risk limit never falls below, 0 to 1.")],
    ceiling: Annotated[float, typer.Option(help="The risk limit never rises above, 0 to 1.")],
    risk: Annotated[float | None, typer.Option(help="The risk limit itself, 0 to 1.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Switch it on at once.")] = False,
) -> None:
    """Make a policy with other limits; it runs in the shadow until it is switched on."""
    given = _settings()
    from handoff.app.switch_policy import Move
    from handoff.bootstrap.policy_jobs import move_limits

    _say(_run(move_limits(given, Move(floor, ceiling, risk), now)))


@policy.command("switch-on")
def policy_switch_on(id: Annotated[str, typer.Argument(help="A stored policy.")]) -> None:
    """Let a policy decide, from the next message on; a retired one is the way back."""
    given = _settings()
    from handoff.bootstrap.policy_jobs import switch_on_policy

    _say(_run(switch_on_policy(given, id)))


@policy.command("refit")
def policy_refit() -> None:
    """Fit risk and limit to judged episodes, as every night; a better policy goes to the shadow."""
    given = _settings()
    from handoff.bootstrap.jobs import refit_now

    _say(_run(refit_now(given)))


@policy.command("drop")
def policy_drop(id: Annotated[str, typer.Argument(help="The policy in the shadow.")]) -> None:
    """Take a policy out of the shadow."""
    given = _settings()
    from handoff.bootstrap.policy_jobs import drop_policy

    _say(_run(drop_policy(given, id)))


@app.command()
def diagram() -> None:
    """Print the diagram of conversation ownership, as it stands in ARCHITECTURE.md."""
    from handoff.core.lifecycle import mermaid

    print(mermaid(), end="")


@app.command()
def settings() -> None:
    """Print the table of settings, as it stands in README.md."""
    print(settings_table(), end="")


@evaluate.command("intents")
def eval_intents(
    train: Annotated[Path, typer.Option(help="CSV with columns text,intent.")],
    test: Annotated[Path, typer.Option(help="CSV with columns text,intent.")],
    valid: Annotated[
        Path | None, typer.Option(help="The same form; the threshold is tuned on it.")
    ] = None,
    oos: Annotated[list[str] | None, typer.Option(help="A label that means out of scope.")] = None,
    bootstrap: Bootstrap = False,
    as_json: AsJson = False,
) -> None:
    """Train and measure the shipped Rasa pipeline on a data set."""
    given = _settings()
    from handoff.evals.intents import read_intent_sets
    from handoff.evals.tables import intents_table

    sets = read_intent_sets(train, valid, test, oos or [])
    from handoff.bootstrap.jobs import measure_intents

    say = (lambda text: None) if as_json else _say
    found = _run(measure_intents(given, sets, _samples(bootstrap), say))
    _print(found, as_json, intents_table)


@evaluate.command("sentiment")
def eval_sentiment(
    data: Annotated[Path, typer.Option(help="CSV with columns text,negative[,angry], 0 or 1.")],
    bootstrap: Bootstrap = False,
    as_json: AsJson = False,
) -> None:
    """Measure the sentiment model on labelled messages."""
    given = _settings()
    from handoff.evals.sentiment import read_sentiment
    from handoff.evals.tables import sentiment_table

    labelled = read_sentiment(data)
    from handoff.bootstrap.jobs import measure_sentiment

    _print(_run(measure_sentiment(given, labelled, _samples(bootstrap))), as_json, sentiment_table)


@evaluate.command("requests")
def eval_requests(
    data: Annotated[Path, typer.Option(help="CSV with columns text,handoff, 0 or 1.")],
    bootstrap: Bootstrap = False,
    as_json: AsJson = False,
) -> None:
    """Measure how well requests for a person are recognised."""
    given = _settings()
    from handoff.evals.sentiment import read_requests
    from handoff.evals.tables import requests_table

    labelled = read_requests(data)
    from handoff.bootstrap.jobs import measure_requests

    _print(_run(measure_requests(given, labelled, _samples(bootstrap))), as_json, requests_table)


@evaluate.command("handoff")
def eval_handoff(
    train: Annotated[Path, typer.Option(help="JSON Lines whose intents are learned.")],
    dev: Annotated[Path, typer.Option(help="The same form; the policy is tuned on it, by cost.")],
    test: Annotated[Path, typer.Option(help="The same form; it is replayed turn by turn.")],
    bootstrap: Bootstrap = False,
    as_json: AsJson = False,
) -> None:
    """Replay labelled conversations: when would the desk have called a person, at what cost?

    The files are JSON Lines in UTF-8, a customer's turn a line, in order:

    {"conversation": "c1", "turn": 1, "text": "hi", "intent": "greet", "handoff": 0}

    "handoff" is 1 where the turn needs a person, else 0. "conversation" and
    "intent" are text or whole numbers, "turn" is a number that grows within its
    conversation, and "text" may be empty.
    """
    given = _settings()
    from handoff.evals.handoff import read_conversation_sets
    from handoff.evals.tables import handoff_table

    sets = read_conversation_sets(train, dev, test)
    from handoff.bootstrap.jobs import measure_handoff

    say = (lambda text: None) if as_json else _say
    found = _run(measure_handoff(given, sets, _samples(bootstrap), say))
    _print(found, as_json, handoff_table)


def _samples(bootstrap: bool) -> int:
    """Return how many resamples the intervals are drawn from."""
    from handoff.evals.metrics import BOOTSTRAP_SAMPLES

    return BOOTSTRAP_SAMPLES if bootstrap else 0


def _print(found: dict[str, Any], as_json: bool, table: Any) -> None:
    if as_json:
        print(json.dumps(found))
    else:
        out.print(table(found))


def main() -> None:
    """Run the command line; a refusal is one sentence and exit code 2."""
    try:
        app()
    except DeskError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
