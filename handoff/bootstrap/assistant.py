"""Whose the assistant is that answers at RASA_URL, and what follows from it.

The desk changes only a Rasa that it started or whose model it trained. Which that is says the name
of the model in use: each of the desk's own has one that nobody else's has.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from handoff.adapters.rasa import RasaAssistant
from handoff.core.assistant import OF_RASA, RASA_THRESHOLD, AssistantDomain
from handoff.core.errors import AssistantUnavailable, NotOurAssistant
from handoff.core.mining import LEARNED_PREFIX
from handoff.core.policy import Policy
from handoff.learning.project import Project
from handoff.learning.rollback import not_trained_here
from handoff.learning.training_files import intents_in
from handoff.ports import Store
from handoff.settings import Settings

PROBE = "zxqv wjkpf qqzzk"
"""A message no assistant knows: where its own fallback steps in, it tells its threshold."""

TRIES, PAUSE_SECONDS = 5, 2.0
"""How often, and how many seconds apart, an assistant that listens is asked before it is not one:
while Rasa swaps a model it answers nobody."""

log = logging.getLogger(__name__)


def project_of(settings: Settings) -> Project:
    """Return the folders of the assistant's project."""
    return Project(settings.bot.absolute(), settings.training_data.absolute())


def learned_folder(settings: Settings) -> Path:
    """Return the folder of the learned training files in use; an owner's own are not written to."""
    beside = settings.training_data if settings.is_shop else settings.var
    return beside.absolute() / "learned"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether something answers at RASA_URL, and why the desk must not change it, if so."""

    answers: bool
    refusal: NotOurAssistant | None = None

    @property
    def own(self) -> bool:
        """Say whether the desk may train the assistant and swap its model."""
        return self.refusal is None


async def standing(settings: Settings, store: Store) -> Standing:
    """Say whose the assistant at RASA_URL is."""
    if settings.assistant == "foreign":
        return Standing(True, NotOurAssistant(why="HANDOFF_ASSISTANT is “foreign”"))
    if not await asyncio.to_thread(_listens, settings.rasa_url):
        return Standing(False)
    async with open_live(settings) as live:
        try:
            domain = await _told(live)
        except AssistantUnavailable as error:
            why = f"what answers at RASA_URL is no Rasa this desk can ask ({error})"
            remedy = "an address where nobody listens, or where its own Rasa does, turns them on"
            return Standing(True, NotOurAssistant(why=why, remedy=remedy))
    if domain.model in await models_of(store):
        return Standing(True)
    if settings.assistant == "own":
        return Standing(True, _not_of_this_project(settings, domain))
    return Standing(True, not_trained_here(domain.model))


async def refusal_now(settings: Settings, store: Store) -> NotOurAssistant | None:
    """Return why the desk must not change the assistant that answers now, None where it may."""
    return (await standing(settings, store)).refusal


def open_live(settings: Settings) -> RasaAssistant:
    """Return the live assistant."""
    return RasaAssistant(settings.rasa_url, settings.rasa_token.get_secret_value())


async def models_of(store: Store) -> set[str]:
    """Return the names of the models this desk has trained."""
    async with store() as work:
        return {Path(path).name for path in await work.releases.model_paths()}


def _listens(url: str) -> bool:
    """Say whether anybody takes connections at an address."""
    address = httpx.URL(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.host, port), timeout=2.0):
            return True
    except OSError:
        return False


async def _told(live: RasaAssistant) -> AssistantDomain:
    for _ in range(TRIES - 1):
        try:
            return await live.domain()
        except AssistantUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await live.domain()


def _not_of_this_project(settings: Settings, live: AssistantDomain) -> NotOurAssistant | None:
    """Return why the project cannot be the live assistant's: it must know all its intents."""
    known = project_of(settings).domain().intents | OF_RASA
    lacking = [i for i in sorted(live.intents - known) if not i.startswith(LEARNED_PREFIX)]
    if not lacking:
        return None
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    why = (
        f"the project in HANDOFF_BOT does not know the intent {lacking[0]}{more} of the assistant "
        "at RASA_URL"
    )
    remedy = "HANDOFF_BOT and HANDOFF_TRAINING_DATA with the project of that assistant turn them on"
    return NotOurAssistant(why=why, remedy=remedy)


@dataclass(slots=True)
class DeskPolicy:
    """The policy for the assistant that answers: the shop's before its own, else a careful start.

    Call it as often as you like: the assistant is only asked now and then. `is_shop` says whose the
    assistant is, as last known, or as the settings have it where it never answered.
    """

    settings: Settings
    store: Store
    assistant: RasaAssistant
    domain: AssistantDomain | None = None
    is_shop: bool = field(init=False)
    _made: Policy | None = None

    def __post_init__(self) -> None:
        self.is_shop = self.settings.is_shop and self.settings.assistant != "foreign"

    async def __call__(self) -> Policy | None:
        """Return it, as last known while the assistant is away; None where it never answered."""
        try:
            domain = await self.assistant.domain()
            if self._made is None or domain != self.domain:
                self._made = await self._policy(domain)
                self.domain = domain
        except AssistantUnavailable:
            return self._made
        return self._made

    async def to_start_from(self) -> Policy:
        """Return it for a command: where the assistant never answered, what its project says.

        Of an assistant that told its domain and could not be asked for more, `is_shop` is known.
        """
        found = await self()
        if found is not None:
            return found
        if self.is_shop:
            return self.settings.policy()
        foreign = self.settings.is_shop  # the project is the shop's, and the assistant is not
        domain = AssistantDomain() if foreign else project_of(self.settings).domain()
        return self.settings.policy_before(domain, RASA_THRESHOLD)

    async def _policy(self, domain: AssistantDomain) -> Policy:
        """Return the shop's policy before a model trained on the shop, else one for the domain."""
        maybe = self.settings.is_shop and self.settings.assistant != "foreign"
        own = self.settings.assistant == "own"
        ours = own and _not_of_this_project(self.settings, domain) is None
        self.is_shop = maybe and (ours or domain.model in await models_of(self.store))
        if self.is_shop:
            return self.settings.policy()
        return self.settings.policy_before(domain, await self._threshold())

    async def _threshold(self) -> float:
        """Return the confidence below which the assistant falls back, Rasa's own where unknown."""
        best = (await self.assistant.parse(PROBE)).best
        return best.confidence if best.intent == "nlu_fallback" else RASA_THRESHOLD

    def labels(self) -> list[str]:
        """Return the intents agents may label with; none where the assistant never answered.

        The shop has intents that cannot be taught: of its own those count that have examples.
        """
        if self.is_shop:
            return intents_in(self.settings.training_data, learned_folder(self.settings))
        return self.domain.labels if self.domain else []
