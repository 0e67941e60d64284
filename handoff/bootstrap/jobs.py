"""What the commands do beside the running desk: train, learn, roll back, measure."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from handoff.adapters.clock import WallClock
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import CONVERSATIONS, FeelingsModel
from handoff.adapters.rasa import RasaAssistant
from handoff.adapters.redaction import PresidioRedactor
from handoff.bootstrap.assistant import (
    DeskPolicy,
    learned_folder,
    open_live,
    project_of,
    refusal_now,
)
from handoff.bootstrap.encoders import (
    encoder_model,
    feelings_are_trained,
    open_encoder,
    open_feelings,
)
from handoff.bootstrap.parts import encoder_service, log_to_stderr, open_store
from handoff.core.errors import AssistantUnavailable, DeskError, NotFound
from handoff.core.learning import in_words
from handoff.core.model import LearningRun, Release, RunStatus, new_id
from handoff.core.policy import Policy
from handoff.evals.handoff import ConversationSets, evaluate_handoff
from handoff.evals.intents import IntentSets, evaluate_intents
from handoff.evals.sentiment import Flagged, evaluate_requests, evaluate_sentiment
from handoff.learning.gate import GoldenReading, read_messages, to_measure
from handoff.learning.mine import Mine
from handoff.learning.nightly import Learn, once_a_night
from handoff.learning.rasa_server import RasaServer
from handoff.learning.refit import RefitPolicy
from handoff.learning.rollback import Rollback, heal, register_initial
from handoff.learning.trainer import Trainer
from handoff.learning.training_files import read_known
from handoff.learning.workspace import fingerprint
from handoff.ports import Assistant, Store
from handoff.settings import Settings
from handoff.supervisor import Say

FINGERPRINT = "fingerprint"
"""File beside a model that says what it was trained from."""


def releases_folder(settings: Settings) -> Path:
    """Return the folder with a folder for each release."""
    return settings.var.absolute() / "releases"


def trainer_for(settings: Settings, encoder_url: str) -> Trainer:
    """Return a trainer that finds the encoder at `encoder_url`."""
    return Trainer(
        settings.bot.absolute(),
        settings.training_data.absolute(),
        settings.rasa_venv.absolute(),
        encoder_url,
        settings.internal_token.get_secret_value(),
    )


def fingerprint_of(settings: Settings, learned: Path) -> str:
    """Return the digest of all that a model trained now would depend on."""
    requirements = settings.bot / "requirements.txt"
    digest = encoder_model(settings).digest()
    return fingerprint(settings.bot, settings.training_data, learned, digest, requirements)


async def train_release(settings: Settings, learned: Path, out: Path, say: Say) -> Path:
    """Train a model on the shipped data and `learned`, and note what it was made from."""
    async with encoder_service(settings) as url:
        model = await trainer_for(settings, url).train(learned, out, progress=say)
    (model.parent / FINGERPRINT).write_text(fingerprint_of(settings, learned))
    return model


async def prepare_feelings(settings: Settings, say: Say) -> None:
    """Train the feelings model unless there is one of exactly this data."""
    if feelings_are_trained(settings):
        return
    say("→ Training the reader of feelings, about a minute")
    began = time.monotonic()
    async with open_readers(settings, os.cpu_count() or 1):
        say(f"  trained in {time.monotonic() - began:.0f} s")


async def prepare_model(settings: Settings, say: Say, force: bool = False) -> Release:
    """Train and take into use a new model, unless the one in use is of exactly this data.

    Raises `NotOurAssistant` where the assistant is somebody else's.
    """
    learned = learned_folder(settings)
    async with open_store(settings) as store:
        if refusal := await refusal_now(settings, store):
            raise refusal
        release = await heal(store, learned)
        if force or release is None or not _is_fresh(settings, release, learned):
            shop = settings.is_shop
            how_long = "about half a minute" if shop else "as long as its pipeline takes"
            say(f"→ Training the assistant, {how_long}")
            began = time.monotonic()
            folder = releases_folder(settings) / f"base-{new_id()[:12]}"
            model = folder / f"{folder.name}.tar.gz"
            await train_release(settings, learned, model, lambda line: None)
            release = await register_initial(store, WallClock(), model, folder / "learned")
            say(f"  trained in {time.monotonic() - began:.0f} s")
        async with open_live(settings) as assistant:
            # A model that was trained before may not have been put: nobody answered, or another.
            with contextlib.suppress(AssistantUnavailable):
                await heal(store, learned, assistant, partial(refusal_now, settings, store))
    return release


def _is_fresh(settings: Settings, release: Release, learned: Path) -> bool:
    note = Path(release.model_path).parent / FINGERPRINT
    return note.is_file() and note.read_text() == fingerprint_of(settings, learned)


async def current_model(settings: Settings) -> Path:
    """Return the model file of the release in use."""
    async with open_store(settings) as store, store() as work:
        release = await work.releases.current()
    if release is None:
        raise NotFound(what="trained model; run", id="handoff train")
    return Path(release.model_path)


@asynccontextmanager
async def serve_beside(settings: Settings, encoder_url: str, model: Path) -> AsyncIterator[Any]:
    """Serve a model on a Rasa server of its own and yield the assistant that talks to it."""
    token = settings.internal_token.get_secret_value()
    bot, venv = settings.bot.absolute(), settings.rasa_venv.absolute()
    async with (
        RasaServer(model, bot, venv, encoder_url, token) as server,
        RasaAssistant(server.url, server.token) as assistant,
    ):
        yield assistant


async def learn_now(settings: Settings, say: Say) -> str:
    """Run the learning job; return its verdict.

    Raises `NotOurAssistant` where the assistant is somebody else's; the policy is refitted there
    too.
    """
    log_to_stderr(settings, logging.WARNING)
    async with open_store(settings) as store, open_live(settings) as live:
        of_assistant = DeskPolicy(settings, store, live)
        policy = await of_assistant.to_start_from()
        refit = _refit(settings, store, live, policy, of_assistant.is_shop)
        if refusal := await refusal_now(settings, store):
            with contextlib.suppress(DeskError):  # of the two refusals one is told
                say((await refit()).sentence)
            raise refusal
        run = await _learn(settings, store, live, policy, say)
        return f"{_in_words(run)} {await _in_a_sentence(refit)}"


async def _learn(
    settings: Settings, store: Store, live: RasaAssistant, policy: Policy, say: Say
) -> LearningRun:
    """Learn what reviewers accepted, with the project the settings name."""
    project_of(settings).check_learnable()
    messages, note = to_measure(settings.training_data)

    async def read(assistant: Assistant) -> GoldenReading:
        return await read_messages(assistant, messages, policy.limits, policy.desk.unknown_intents)

    async def train(learned: Path, out: Path) -> Path:
        return await train_release(settings, learned, out, lambda line: None)

    async with encoder_service(settings) as url:
        clock = WallClock()
        learn = Learn(
            store=store,
            clock=clock,
            mine=Mine(
                store,
                clock,
                PresidioRedactor("my"),
                PresidioRedactor("your", public_contacts(settings)),
                partial(read_known, settings.training_data),
                policy.desk,
            ),
            train=train,
            serve=partial(serve_beside, settings, url),
            read=read,
            assistant=live,
            releases=releases_folder(settings),
            learned=learned_folder(settings),
            policy=policy,
            whose=partial(refusal_now, settings, store),
            measured_on=note,
            on_step=lambda step: say(f"→ {step}"),
        )
        return await learn()


async def learn_by_night(settings: Settings, night: str, say: Say) -> str:
    """Run the learning job as the night of a local date, once; return its verdict."""
    async with open_store(settings) as store:
        return await once_a_night(store, WallClock(), night, partial(learn_now, settings, say))


async def refit_now(settings: Settings) -> str:
    """Refit the policy now; say what came of it."""
    log_to_stderr(settings, logging.WARNING)
    async with open_store(settings) as store, open_live(settings) as live:
        of_assistant = DeskPolicy(settings, store, live)
        policy = await of_assistant.to_start_from()
        return await _in_a_sentence(_refit(settings, store, live, policy, of_assistant.is_shop))


async def _in_a_sentence(refit: RefitPolicy) -> str:
    """Refit the policy and say what came of it; what was learned stays whatever that is."""
    try:
        return (await refit()).sentence
    except DeskError as refusal:
        return str(refusal)


def _refit(
    settings: Settings, store: Store, assistant: Assistant, configured: Policy, is_shop: bool
) -> RefitPolicy:
    """Return the refit of the policy; the shipped conversations count before the shop alone."""
    return RefitPolicy(
        store=store,
        clock=WallClock(),
        assistant=assistant,
        readers=partial(open_readers, settings, workers=1),
        configured=configured,
        conversations=settings.training_data / CONVERSATIONS if is_shop else None,
    )


def _in_words(run: LearningRun) -> str:
    """Return what came of a learning run, as the command prints it."""
    said = {
        RunStatus.NOTHING_TO_LEARN: "Nothing to learn.",
        RunStatus.PROMOTED: f"Learned {run.learned}; the new model is in use.",
        RunStatus.REFUSED: "The new model was refused; the one in use stays.",
    }.get(run.status, f"The run is {run.status.value}.")
    waiting = f"Waiting for review: {run.pending_review}." if run.pending_review else ""
    figures = "; ".join(in_words(run.figures_before, run.figures_after))
    return " ".join(filter(None, (said, run.verdict, figures, waiting)))


def public_contacts(settings: Settings) -> set[str]:
    """Return the shop's own addresses and numbers, which a learned answer may hold."""
    redactor = PresidioRedactor()
    answers = project_of(settings).answers()
    return {contact for answer in answers for contact in redactor.found(answer)}


async def roll_back_now(settings: Settings) -> str:
    """Go back to the release before; return what was done."""
    log_to_stderr(settings, logging.WARNING)
    async with open_store(settings) as store, open_live(settings) as live:
        whose = partial(refusal_now, settings, store)
        if refusal := await whose():
            raise refusal
        rollback = Rollback(store, WallClock(), learned_folder(settings), live, whose)
        return (await rollback()).sentence


async def measure_intents(
    settings: Settings,
    sets: IntentSets,
    samples: int,
    say: Say,
) -> dict[str, Any]:
    """Train and measure the shipped pipeline on somebody's data."""
    encoder = open_encoder(settings, os.cpu_count() or 1)
    async with encoder_service(settings, encoder) as url:
        return await evaluate_intents(
            sets,
            trainer=trainer_for(settings, url),
            serve=partial(serve_beside, settings, url),
            encoder=encoder,
            progress=say,
            samples=samples,
        )


@asynccontextmanager
async def open_readers(
    settings: Settings, workers: int
) -> AsyncIterator[tuple[SentenceEncoder, FeelingsModel]]:
    """Load encoder and feelings; `workers` are threads that encode."""
    encoder = open_encoder(settings, workers)
    await encoder.load()
    try:
        yield encoder, await open_feelings(settings, encoder)
    finally:
        encoder.close()


async def measure_sentiment(settings: Settings, data: Flagged, samples: int) -> dict[str, Any]:
    """Measure the sentiment model on labelled messages."""
    async with open_readers(settings, os.cpu_count() or 1) as (_, feelings):
        return await evaluate_sentiment(data, feelings, samples)


async def measure_requests(settings: Settings, data: Flagged, samples: int) -> dict[str, Any]:
    """Measure the recognition of requests for a person on labelled messages."""
    async with open_readers(settings, os.cpu_count() or 1) as (_, feelings):
        return await evaluate_requests(data, feelings, settings.policy().limits, samples)


async def measure_handoff(
    settings: Settings, sets: ConversationSets, samples: int, say: Say
) -> dict[str, Any]:
    """Learn from somebody's conversations, tune the policy on them, and replay others."""
    encoder = open_encoder(settings, os.cpu_count() or 1)
    async with encoder_service(settings, encoder) as url:
        return await evaluate_handoff(
            sets,
            trainer=trainer_for(settings, url),
            serve=partial(serve_beside, settings, url),
            encoder=encoder,
            feelings=await open_feelings(settings, encoder),
            policy=settings.policy(),
            progress=say,
            samples=samples,
        )
