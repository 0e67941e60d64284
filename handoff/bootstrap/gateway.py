"""The gateway: channels, use cases, console and scheduler around one store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import uvicorn
from fastapi import FastAPI

from agent_console.console import Console, ConsoleDeps, build_console
from handoff.adapters.clock import WallClock
from handoff.adapters.doorbell import LocalDoorbell
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import FeelingsModel
from handoff.adapters.language import LanguageDetector
from handoff.adapters.rasa import RasaAssistant
from handoff.app.receive import Receive
from handoff.app.sweep import Sweep
from handoff.app.take_turn import TakeTurn
from handoff.bootstrap.assistant import (
    DeskPolicy,
    learned_folder,
    open_live,
    refusal_now,
)
from handoff.bootstrap.encoders import open_encoder, open_feelings
from handoff.bootstrap.parts import (
    check_listening,
    check_start,
    log_to_stderr,
    open_store,
    sockets_of,
)
from handoff.channels.widgets import Senders, WidgetOptions
from handoff.core.errors import BadSetting
from handoff.learning.schedule import request_learning, start_scheduler
from handoff.learning.titles import Titles
from handoff.ports import Store
from handoff.settings import Settings, told_at_start
from handoff.web.app import WebServices, create_app
from handoff.web.server import DeskServer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Gateway:
    """A wired gateway, ready to be served."""

    app: FastAPI
    console: Console
    sweep: Sweep


def build_gateway(
    settings: Settings,
    store: Store,
    encoder: SentenceEncoder,
    feelings: FeelingsModel,
    assistant: RasaAssistant,
) -> Gateway:
    """Wire channels, use cases and console around one store."""
    clock, bell = WallClock(), LocalDoorbell()
    of_assistant = DeskPolicy(settings, store, assistant)
    titles = Titles(settings.training_data, learned_folder(settings))
    take_turn = TakeTurn(
        store=store,
        clock=clock,
        bell=bell,
        assistant=assistant,
        encoder=encoder,
        feelings=feelings,
        configured=settings.policy(),
        of_assistant=of_assistant,
        places=settings.places,
        # The shop's own words for its intents say nothing of another assistant's.
        titles=lambda: titles() if of_assistant.is_shop or not settings.is_shop else {},
        language=settings.spoken[0],
        foreign=LanguageDetector(settings.spoken),
        reachable=lambda: console.watch.reachable,
    )
    sweep = Sweep(store, clock, bell, take_turn, settings.reminder_minutes)
    console = build_console(
        ConsoleDeps(
            store=store,
            clock=clock,
            bell=bell,
            people=settings.staff,
            group_id=settings.telegram_group_id,
            group_given=settings.simulated or "telegram_group_id" in settings.model_fields_set,
            token=settings.bot_token,
            api_url=settings.bot_api_url,
            per_minute=settings.telegram_per_minute,
            known_intents=of_assistant.labels,
            request_learning=lambda: _request_learning(settings, store),
            zone=ZoneInfo(settings.timezone),
            shown_fields=settings.shown_fields,
        )
    )
    services = WebServices(
        store=store,
        clock=clock,
        bell=bell,
        receive=Receive(store, clock, bell),
        take_turn=take_turn,
        encoder=encoder,
        assistant=assistant,
        internal_token=settings.internal_token.get_secret_value(),
        widgets=widget_options(settings),
        encoder_name=encoder.name,
        obstacle=lambda: console.watch.obstacle,
    )
    return Gateway(create_app(services), console, sweep)


def widget_options(settings: Settings) -> WidgetOptions:
    """Return how Rasa's channels are opened; raise `BadSetting` for a key that is none."""
    senders = Senders(settings.jwt_key.get_secret_value(), settings.jwt_method)
    try:
        senders.check()
    except ValueError as error:
        raise BadSetting(name="HANDOFF_JWT_KEY", why=str(error)) from None
    return WidgetOptions(
        origins=settings.origins,
        senders=senders,
        openings=settings.opening_intents,
        acknowledgement=settings.acknowledgement.strip(),
    )


async def _request_learning(settings: Settings, store: Store) -> str:
    """Have the desk learn now, or say why it does not."""
    refusal = await refusal_now(settings, store)
    return str(refusal) if refusal else await request_learning(settings)


async def serve_gateway(settings: Settings) -> None:
    """Run the gateway until it is told to stop."""
    check_start(settings)
    check_listening(settings)
    log_to_stderr(settings)
    for sentence in told_at_start(settings):
        log.log(logging.WARNING if sentence.startswith("!") else logging.INFO, "%s", sentence)
    encoder = open_encoder(settings)
    async with (
        contextlib.AsyncExitStack() as stack,
        open_store(settings) as store,
        open_live(settings) as assistant,
    ):
        stack.callback(encoder.close)
        await encoder.load()
        feelings = await open_feelings(settings, encoder)
        gateway = build_gateway(settings, store, encoder, feelings, assistant)
        await gateway.sweep.take_turn.adopt()
        if refusal := await refusal_now(settings, store):
            log.warning("%s", refusal)  # once: the night says no more about it

        async def once_up() -> None:
            # Rasa finds its encoder in this server, so nothing asks Rasa before it listens.
            schedule = start_scheduler(settings, gateway.sweep)
            stack.callback(schedule.shutdown, wait=False)
            await gateway.console.start()
            stack.push_async_callback(gateway.console.stop)
            stack.push_async_callback(_ended, asyncio.create_task(_pay_debts(gateway.sweep)))

        config = uvicorn.Config(
            gateway.app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
        )
        await DeskServer(config, once_up).serve(sockets_of(settings))


async def _pay_debts(sweep: Sweep) -> None:
    """Decide about what the process before left undecided, without waiting for the sweep."""
    await sweep.recover()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
