"""The command line of the desk. Every command is described in README.md; a test checks that."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from handoff.core.errors import DeskError
from handoff.settings import load_settings, settings_table

# Threads that fight for the cores of a small machine make everything slower (FACTS: 11.8 → 273 ms).
os.environ.setdefault("OMP_NUM_THREADS", "1")

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
evaluate = typer.Typer(no_args_is_help=True, help="Measure the shipped models on anyone's data.")
app.add_typer(evaluate, name="eval")

out = Console(highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


# Each command reads the settings before it imports what takes seconds: a wrong one is told at once.


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def _say(text: str) -> None:
    out.print(text, markup=False)


@app.command()
def up() -> None:
    """Start everything on this machine, training a model first when something changed."""
    given = load_settings()
    from handoff.bootstrap.processes import run_everything

    _run(run_everything(given, _say))


@app.command()
def serve() -> None:
    """Start the gateway alone: channels, encoder, console, scheduler."""
    given = load_settings()
    from handoff.bootstrap.gateway import serve_gateway

    _run(serve_gateway(given))


@app.command()
def migrate() -> None:
    """Create the database or bring it to the newest schema."""
    given = load_settings()
    from handoff.adapters.db.migrate import upgrade

    _run(upgrade(given.database))
    _say("The database is up to date.")


@app.command()
def encoder() -> None:
    """Export the encoder for ONNX Runtime where that was not done yet; say what was measured."""
    given = load_settings()
    from handoff.bootstrap.encoders import prepare_encoder

    _run(prepare_encoder(given, _say))


@app.command()
def train(
    force: Annotated[bool, typer.Option(help="Train although nothing has changed.")] = False,
) -> None:
    """Train the assistant on the training data and take the model into use."""
    given = load_settings()
    from handoff.bootstrap.jobs import prepare_model

    release = _run(prepare_model(given, _say, force))
    _say(f"In use: {release.model_path}")


@app.command()
def learn() -> None:
    """Do now what happens every night: candidates from resolved conversations, a better model."""
    given = load_settings()
    from handoff.bootstrap.jobs import learn_now

    _say(_run(learn_now(given, _say)))


@app.command()
def rollback() -> None:
    """Go back to the model and training files of the release before."""
    given = load_settings()
    from handoff.bootstrap.jobs import roll_back_now

    _say(_run(roll_back_now(given)))


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
    valid: Annotated[Path | None, typer.Option(help="CSV the threshold is tuned on.")] = None,
    oos: Annotated[list[str] | None, typer.Option(help="A label that means out of scope.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train and measure the shipped Rasa pipeline on a data set."""
    given = load_settings()
    from handoff.bootstrap.jobs import measure_intents
    from handoff.evals.tables import intents_table

    say = (lambda text: None) if as_json else _say
    found = _run(measure_intents(given, train, valid, test, oos or [], say))
    _print(found, as_json, intents_table)


@evaluate.command("sentiment")
def eval_sentiment(
    data: Annotated[Path, typer.Option(help="CSV with columns text,negative[,angry].")],
    as_json: AsJson = False,
) -> None:
    """Measure the sentiment model on labelled messages."""
    given = load_settings()
    from handoff.bootstrap.jobs import measure_sentiment
    from handoff.evals.tables import sentiment_table

    _print(_run(measure_sentiment(given, data)), as_json, sentiment_table)


@evaluate.command("requests")
def eval_requests(
    data: Annotated[Path, typer.Option(help="CSV with columns text,handoff.")],
    as_json: AsJson = False,
) -> None:
    """Measure how well requests for a person are recognised."""
    given = load_settings()
    from handoff.bootstrap.jobs import measure_requests
    from handoff.evals.tables import requests_table

    _print(_run(measure_requests(given, data)), as_json, requests_table)


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
