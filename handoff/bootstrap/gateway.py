"""The gateway: channels, use cases, console and scheduler around one store."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import uvicorn
from fastapi import FastAPI

from agent_console.console import Console, ConsoleDeps, build_console
from handoff.adapters.clock import WallClock
from handoff.adapters.doorbell import LocalDoorbell
from handoff.adapters.encoder import SentenceEncoder
from handoff.adapters.feelings import FeelingsModel, load_feelings
from handoff.adapters.rasa import RasaAssistant
from handoff.app.receive import Receive
from handoff.app.sweep import Sweep
from handoff.app.take_turn import TakeTurn
from handoff.bootstrap.parts import (
    check_exposure,
    known_intents,
    log_to_stderr,
    open_assistant,
    open_store,
)
from handoff.core.policy import Desk
from handoff.ports import Store
from handoff.settings import Settings
from handoff.web.app import WebServices, create_app


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
    persons, humans = settings.intents_for_people
    take_turn = TakeTurn(
        store=store,
        clock=clock,
        bell=bell,
        assistant=assistant,
        encoder=encoder,
        feelings=feelings,
        limits=settings.policy_limits(),
        desk=Desk(person_intents=persons, human_intents=humans),
    )
    sweep = Sweep(store, clock, bell, take_turn, settings.reminder_minutes)
    console = build_console(
        ConsoleDeps(
            store=store,
            clock=clock,
            bell=bell,
            people=settings.staff,
            group_id=settings.telegram_group_id,
            token=settings.bot_token,
            api_url=settings.bot_api_url,
            per_minute=settings.telegram_per_minute,
            known_intents=lambda: known_intents(settings),
            request_learning=lambda: request_learning(settings),
            zone=ZoneInfo(settings.timezone),
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
        encoder_name=encoder.name,
    )
    return Gateway(create_app(services), console, sweep)


async def serve_gateway(settings: Settings) -> None:
    """Run the gateway until it is told to stop."""
    check_exposure(settings)
    log_to_stderr(settings)
    encoder = SentenceEncoder(settings.encoder)
    async with (
        contextlib.AsyncExitStack() as stack,
        open_store(settings) as store,
        open_assistant(settings) as assistant,
    ):
        stack.callback(encoder.close)
        await encoder.load()
        feelings = await load_feelings(encoder, settings.training_data, settings.var / "models")
        gateway = build_gateway(settings, store, encoder, feelings, assistant)
        scheduler = start_scheduler(settings, gateway.sweep)
        stack.callback(scheduler.shutdown, wait=False)
        await gateway.sweep.pay_owed_turns(0)
        await gateway.console.start()
        stack.push_async_callback(gateway.console.stop)
        await _serve(gateway.app, settings.host, settings.port)


async def _serve(app: FastAPI, host: str, port: int) -> None:
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=3
    )
    await uvicorn.Server(config).serve()
