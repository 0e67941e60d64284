"""Every process of the desk on one machine."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from urllib.parse import quote, urlsplit

import httpx

from handoff.bootstrap.assistant import project_of, standing
from handoff.bootstrap.encoders import prepare_encoder
from handoff.bootstrap.jobs import current_model, prepare_feelings, prepare_model
from handoff.bootstrap.parts import LOOPBACK, check_listening, check_port, check_start, open_store
from handoff.core.errors import BadSetting
from handoff.learning import rasa_process
from handoff.settings import Settings, told_at_start
from handoff.supervisor import Part, Say, Supervisor, python_module, stop_on_signals

LOOK_SECONDS = 5.0
"""Pause between two looks at what the gateway says of the console, in seconds."""

SAY_SECONDS = 300.0
"""What keeps people from being reached is said again after so many seconds."""


def processes(settings: Settings, model: Callable[[], Awaitable[Sequence[str]]]) -> list[Part]:
    """Return every process of the desk on this machine; `model` ends Rasa's command line.

    An assistant at an address that is more than a port here runs elsewhere.
    """
    if not own_assistant(settings):
        return around(settings)
    python = str(rasa_process.python_of(settings.rasa_venv.absolute()))
    bot, project = settings.bot.absolute(), project_of(settings)
    # The shipped project is imported as a package, an owner's is where its own actions run.
    folder = bot.parent if settings.is_shop else bot
    actions_url = f"http://127.0.0.1:{settings.actions_port}"
    environment = {
        **rasa_process.environment(
            bot, settings.local_url, settings.internal_token.get_secret_value()
        ),
        "ACTION_ENDPOINT_URL": f"{actions_url}/webhook",
        "RASA_TRACKER_DB": str(settings.var.absolute() / "tracker.db"),
        "SHOP_DB": str(settings.var.absolute() / "shop.db"),
        "ORDER_STORE_URL": settings.order_store_url,
        "SANIC_HOST": "127.0.0.1",
    }
    actions = [python, "-m", "rasa_sdk", "--actions", project.action_module]
    actions += ["--port", str(settings.actions_port)]
    rasa = [python, "-m", "rasa", "run", "--enable-api", "-i", _listens_at(settings.rasa_url)]
    rasa += ["-p", str(_port_of(settings.rasa_url))]
    rasa += project.serving(settings.var.absolute() / "rasa")
    status = f"{settings.rasa_url}/status"
    if token := settings.rasa_token.get_secret_value():
        rasa += ["--auth-token", token]
        status += f"?token={quote(token, safe='')}"
    secrets = rasa_process.SECRETS
    order_store_token = settings.order_store_token.get_secret_value()
    for_actions = {**environment, "ORDER_STORE_TOKEN": order_store_token}
    parts = [Part("rasa", rasa, status, environment, folder, model, secrets)]
    if project.action_module:
        health = f"{actions_url}/health"
        parts.append(Part("actions", actions, health, for_actions, folder, hidden=secrets))
    return parts + around(settings)


def around(settings: Settings) -> list[Part]:
    """Return the processes of the desk around an assistant that runs elsewhere."""
    gateway = Part("gateway", python_module("handoff", "serve"), f"{settings.local_url}/healthz")
    return [gateway, *([_simulator(settings)] if settings.own_simulator else [])]


def own_assistant(settings: Settings) -> bool:
    """Say whether this desk starts Rasa itself: where RASA_URL is nothing but a port here."""
    url = urlsplit(settings.rasa_url)
    return url.scheme == "http" and url.hostname in LOOPBACK and not url.path


def _listens_at(rasa_url: str) -> str:
    return "::1" if urlsplit(rasa_url).hostname == "::1" else "127.0.0.1"


def _port_of(address: str) -> int:
    url = urlsplit(address)
    return url.port or {"http": 80, "https": 443}[url.scheme]


def _simulator(settings: Settings) -> Part:
    command = python_module("agent_console.sandbox", "--port", str(settings.sandbox_port))
    command += ["--token", settings.bot_token, "--state", str(settings.var / "simulator.db")]
    return Part("simulator", command, f"{settings.bot_api_url}/sim/users")


async def run_everything(settings: Settings, say: Say) -> None:
    """Prepare the model, start every process, and stay until told to stop.

    Before an assistant that answers already, and is not the desk's, only the rest is started.
    """
    check_start(settings)
    async with open_store(settings) as store:
        found = await standing(settings, store)
    # One of the desk's own that answers is left over from another start: its port is told as taken.
    left = found.own and not (found.answers and settings.assistant == "own")
    elsewhere = not (left and own_assistant(settings))
    if not elsewhere:
        _check_rasa_environment(settings)
    check_ports(settings, elsewhere)
    for sentence in told_at_start(settings):
        say(sentence)
    settings.var.mkdir(parents=True, exist_ok=True)
    await prepare_encoder(settings, say, only_news=True)  # `make setup` has told the rest
    await prepare_feelings(settings, say)
    if elsewhere:
        say(f"→ The assistant at {settings.rasa_url} is not started here.")
        if found.refusal:
            say(f"  {found.refusal}")
        parts = around(settings)
    else:
        await prepare_model(settings, say)
        parts = processes(settings, partial(_model_in_use, settings))
    say("→ Starting")
    supervisor = Supervisor(parts, settings.var / "logs", say)
    stop_on_signals(supervisor)
    watching: list[asyncio.Task[None]] = []

    def ready() -> None:
        _announce(settings, say)
        watching.append(asyncio.create_task(tell_of_console(settings, say)))

    try:
        await supervisor.run(ready)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    say("Everything has stopped.")


async def _model_in_use(settings: Settings) -> Sequence[str]:
    return ("--model", str(await current_model(settings)))


async def tell_of_console(settings: Settings, say: Say) -> None:
    """Say for ever what keeps people from being reached: when it is news, and every few minutes."""
    told, told_at = "", 0.0
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        while True:
            try:
                answer = (await client.get(f"{settings.local_url}/readyz")).json()
            except (httpx.HTTPError, ValueError):
                answer = {"console": told}  # The supervisor tells of a gateway that is away.
            sentence = answer.get("console", "")
            due = time.monotonic() - told_at >= SAY_SECONDS
            if sentence and (sentence != told or due):
                say(f"! {sentence}")
                told_at = time.monotonic()
            elif told and not sentence:
                say("  The agents' group is in order now.")
            told = sentence
            await asyncio.sleep(LOOK_SECONDS)


def check_ports(settings: Settings, elsewhere: bool = False) -> None:
    """Refuse to start beside somebody who listens on a port of the desk already.

    With `elsewhere` the assistant and its actions run somewhere else: their ports are not the
    desk's.
    """
    check_listening(settings)
    ports: dict[str, int] = {}
    if not elsewhere and own_assistant(settings):
        ports["RASA_URL"] = _port_of(settings.rasa_url)
        if project_of(settings).action_module:
            ports["ACTIONS_PORT"] = settings.actions_port
    if settings.own_simulator:
        ports["SANDBOX_PORT"] = settings.sandbox_port
    whose = {settings.port: "HANDOFF_PORT"}
    for name, port in ports.items():
        if port in whose:
            why = f"port {port} is the one of {whose[port]}; each needs its own"
            raise BadSetting(name=name, why=why)
        whose[port] = name
        host = _listens_at(settings.rasa_url) if name == "RASA_URL" else "127.0.0.1"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        check_port(name, port, family, (host, port))


def _check_rasa_environment(settings: Settings) -> None:
    if not rasa_process.python_of(settings.rasa_venv).exists():
        raise BadSetting(name="RASA_VENV", why=f"there is no environment at {settings.rasa_venv}")


def _announce(settings: Settings, say: Say) -> None:
    console = f"{settings.bot_api_url}/" if settings.simulated else "your Telegram group"
    say("")
    say(f"  Shop page with the chat   {settings.local_url}/")
    say(f"  Agents' console           {console}")
    if not own_assistant(settings):
        say(f"  Assistant (not started)   {settings.rasa_url}")
    say(f"  Logs                      {settings.var / 'logs'}")
    say("")
    say("Ctrl-C stops everything.")
