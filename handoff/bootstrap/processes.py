"""Every process of the desk on one machine."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx

from handoff.bootstrap.encoders import prepare_encoder
from handoff.bootstrap.jobs import current_model, prepare_feelings, prepare_model
from handoff.bootstrap.parts import check_exposure
from handoff.core.errors import BadSetting
from handoff.learning import rasa_process
from handoff.settings import Settings
from handoff.supervisor import Part, Say, Supervisor, python_module, stop_on_signals


def processes(settings: Settings, model: Callable[[], Awaitable[Sequence[str]]]) -> list[Part]:
    """Return every process of the desk on this machine; `model` ends Rasa's command line."""
    python = str(rasa_process.python_of(settings.rasa_venv.absolute()))
    bot = settings.bot.absolute()
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
    actions = [python, "-m", "rasa_sdk", "--actions", "bot.actions.actions"]
    actions += ["--port", str(settings.actions_port)]
    rasa = [python, "-m", "rasa", "run", "--enable-api", "-i", "127.0.0.1"]
    rasa += ["-p", str(httpx.URL(settings.rasa_url).port or 5005)]
    for name in ("endpoints", "credentials"):
        rasa += [f"--{name}", str(bot / f"{name}.yml")]
    status = f"{settings.rasa_url}/status"
    if token := settings.rasa_token.get_secret_value():
        rasa += ["--auth-token", token]
        status += f"?token={token}"
    secrets = rasa_process.SECRETS
    order_store_token = settings.order_store_token.get_secret_value()
    for_actions = {**environment, "ORDER_STORE_TOKEN": order_store_token}
    gateway = python_module("handoff", "serve")
    parts = [
        Part("rasa", rasa, status, environment, bot.parent, model, secrets),
        Part("actions", actions, f"{actions_url}/health", for_actions, bot.parent, hidden=secrets),
        Part("gateway", gateway, f"{settings.local_url}/healthz"),
    ]
    return parts + ([_simulator(settings)] if own_simulator(settings) else [])


def own_simulator(settings: Settings) -> bool:
    """Say whether this desk starts the Bot API simulator itself."""
    return settings.simulated and not settings.telegram_api_url


def _simulator(settings: Settings) -> Part:
    command = python_module("agent_console.sandbox", "--port", str(settings.sandbox_port))
    command += ["--token", settings.bot_token, "--state", str(settings.var / "simulator.db")]
    return Part("simulator", command, f"{settings.bot_api_url}/sim/users")


async def run_everything(settings: Settings, say: Say) -> None:
    """Prepare the model, start every process, and stay until told to stop."""
    check_exposure(settings)
    _check_rasa_environment(settings)
    check_ports(settings)
    settings.var.mkdir(parents=True, exist_ok=True)
    await prepare_encoder(settings, say, only_news=True)  # `make setup` has told the rest
    await prepare_feelings(settings, say)
    await prepare_model(settings, say)

    async def model() -> Sequence[str]:
        return ("--model", str(await current_model(settings)))

    say("→ Starting")
    supervisor = Supervisor(processes(settings, model), settings.var / "logs", say)
    stop_on_signals(supervisor)
    await supervisor.run(lambda: _announce(settings, say))
    say("Everything has stopped.")


def check_ports(settings: Settings) -> None:
    """Refuse to start beside somebody who listens on a port of the desk already."""
    ports = {
        "HANDOFF_PORT": settings.port,
        "RASA_URL": httpx.URL(settings.rasa_url).port or 5005,
        "ACTIONS_PORT": settings.actions_port,
    }
    if own_simulator(settings):
        ports["SANDBOX_PORT"] = settings.sandbox_port
    for name, port in ports.items():
        with socket.socket() as probe:
            # As the servers themselves do: a port that is only cooling down is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                why = f"port {port} is taken; perhaps the desk is running already"
                raise BadSetting(name=name, why=why) from None


def _check_rasa_environment(settings: Settings) -> None:
    if not rasa_process.python_of(settings.rasa_venv).exists():
        raise BadSetting(name="RASA_VENV", why=f"there is no environment at {settings.rasa_venv}")


def _announce(settings: Settings, say: Say) -> None:
    console = f"{settings.bot_api_url}/" if settings.simulated else "your Telegram group"
    say("")
    say(f"  Shop page with the chat   {settings.local_url}/")
    say(f"  Agents' console           {console}")
    say(f"  Logs                      {settings.var / 'logs'}")
    say("")
    say("Ctrl-C stops everything.")
