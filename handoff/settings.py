"""Every setting of the desk, typed, from the environment or a `.env` file. Secrets stay secret."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from handoff.addresses import (
    bind_host,
    database_address,
    http_address,
    is_loopback,
    reached_at,
    sqlite_address,
)
from handoff.app import phrases
from handoff.app.greet import OPENINGS
from handoff.core.assistant import AssistantDomain, Named, policy_before
from handoff.core.costs import Costs
from handoff.core.errors import BadSetting
from handoff.core.evidence import named
from handoff.core.languages import ENGLISH, LANGUAGES
from handoff.core.limits import PolicyLimits
from handoff.core.model import Person, Role
from handoff.core.policy import Desk, Policy
from handoff.env_file import PROJECT, EnvFile, looked_in, misspelt, read_env_file

DEMO_PEOPLE = "1001:Ana:agent; 1002:Bo:agent; 1003:Rita:reviewer; 1004:Lea:lead"
"""Who works at the simulated desk."""

REAL = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_GROUP_ID", "TELEGRAM_API_URL", "HANDOFF_PEOPLE")
"""The settings that make a desk a real one."""

SIMULATED_GROUP = -1001000000001
"""The agents' group in the simulator."""

SIMULATED_TOKEN = "100:SIMULATED-BOT-TOKEN"
"""The token of the simulated bot; it opens nothing but the simulator."""


SIGNED_BY = (
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
    *("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"),
)
"""Ways to sign a token; `none` is no signature."""


class _FileSource(DotEnvSettingsSource):
    """Reads the `.env` that `handoff.env_file` finds; pydantic's own reads UTF-8 only, or ends.

    A relative path in the file begins in the file's folder, wherever the desk is started from.
    """

    def __call__(self) -> dict[str, Any]:
        file = read_env_file()
        found: dict[str, Any] = {}
        for field in self.settings_cls.model_fields.values():
            name = str(field.alias)
            if file is None or name not in file.values:
                continue
            found[name] = file.values[name]
            if field.annotation is Path:
                found[name] = file.path.parent / Path(found[name]).expanduser()
            elif name == "DATABASE_URL" and found[name].strip():
                # A wrong one is refused where it is used, as one from the environment is.
                with suppress(ValueError):
                    found[name] = database_address(found[name], file.path.parent)
        return found


class Settings(BaseSettings):
    """The settings; each field's alias is its environment variable, its description its meaning."""

    # No file for pydantic to read; tests say `_env_file=None`, and none is looked for either.
    model_config = SettingsConfigDict(env_file=(), extra="ignore")

    telegram_bot_token: SecretStr = Field(
        SecretStr(""),
        alias="TELEGRAM_BOT_TOKEN",
        description="Token from @BotFather. Empty: the Bot API simulator.",
    )
    telegram_group_id: int = Field(
        SIMULATED_GROUP,
        alias="TELEGRAM_GROUP_ID",
        description="The agents' group: a supergroup with topics where the bot is admin.",
    )
    telegram_api_url: str = Field(
        "",
        alias="TELEGRAM_API_URL",
        description="Bot API server. Empty: Telegram's own, or the simulator without a token.",
    )
    telegram_per_minute: int = Field(
        20,
        alias="TELEGRAM_PER_MINUTE",
        ge=1,
        description="Calls a minute the group's budget allows (Telegram allows about 20).",
    )
    people: str = Field(
        DEMO_PEOPLE,
        alias="HANDOFF_PEOPLE",
        description="Who may work: `id:name:role[,role]` separated by `;`. "
        "Roles: agent, reviewer, lead.",
    )
    database_url: str = Field(
        "",
        alias="DATABASE_URL",
        repr=False,
        description="`sqlite:///path` or `postgresql://user:password@host/name`. "
        "Empty: `handoff.db` in HANDOFF_VAR.",
    )
    host: str = Field(
        "127.0.0.1",
        alias="HANDOFF_HOST",
        description="Address or host name the gateway binds; `::` is every address.",
    )
    port: int = Field(
        8000, alias="HANDOFF_PORT", ge=1, le=65535, description="Port of the gateway."
    )
    internal_token: SecretStr = Field(
        SecretStr(""),
        alias="HANDOFF_INTERNAL_TOKEN",
        description="Opens `/v1/embed` and `/metrics`. Empty: only this machine may call them.",
    )
    rasa_url: str = Field("http://127.0.0.1:5005", alias="RASA_URL", description="The Rasa server.")
    rasa_token: SecretStr = Field(
        SecretStr(""), alias="RASA_TOKEN", description="Rasa's `--auth-token`."
    )
    assistant: Literal["auto", "own", "foreign"] = Field(
        "auto",
        alias="HANDOFF_ASSISTANT",
        description="Whose the assistant at RASA_URL is. `own`: the desk trains it from "
        "HANDOFF_BOT and HANDOFF_TRAINING_DATA and swaps its model. `foreign`: the desk neither "
        "starts, trains nor changes it. `auto`: own where the desk has started it or trained its "
        "model, or where nobody answers yet.",
    )
    rasa_venv: Path = Field(
        PROJECT / ".venv-rasa",
        alias="RASA_VENV",
        description="The Python 3.10 environment Rasa runs in.",
    )
    actions_port: int = Field(
        5055, alias="ACTIONS_PORT", ge=1, le=65535, description="Port of the action server."
    )
    sandbox_port: int = Field(
        8081, alias="SANDBOX_PORT", ge=1, le=65535, description="Port of the Bot API simulator."
    )
    order_store_url: str = Field(
        "",
        alias="ORDER_STORE_URL",
        description="HTTP address of your order store. Empty: the sample shop.",
    )
    order_store_token: SecretStr = Field(
        SecretStr(""),
        alias="ORDER_STORE_TOKEN",
        description="Sent to your order store as a bearer token.",
    )
    encoder: str = Field(
        "",
        alias="HANDOFF_ENCODER",
        description="Name or folder of a sentence-transformers model. "
        "Empty: the packaged all-MiniLM-L6-v2.",
    )
    encoder_backend: Literal["auto", "onnx", "onnx-int8", "torch"] = Field(
        "auto",
        alias="HANDOFF_ENCODER_BACKEND",
        description="What computes it: `torch`, `onnx` (ONNX Runtime, the same vectors), "
        "`onnx-int8` (8 bits, other vectors: models are trained anew), or `auto`: `onnx-int8` "
        "where its measured loss of accuracy is at most 0.5 points, else `onnx`.",
    )
    encoder_folder: Path = Field(
        PROJECT / "var" / "encoders",
        alias="HANDOFF_ENCODER_FOLDER",
        description="Folder for encoders exported for ONNX Runtime; "
        "desks on like processors may share it.",
    )
    var: Path = Field(
        PROJECT / "var", alias="HANDOFF_VAR", description="Folder for database, models and logs."
    )
    training_data: Path = Field(
        PROJECT / "training_data",
        alias="HANDOFF_TRAINING_DATA",
        description="Folder with the assistant's training data. Beside a HANDOFF_BOT of your own: "
        "its folder `data`.",
    )
    bot: Path = Field(
        PROJECT / "bot", alias="HANDOFF_BOT", description="Folder with the assistant's project."
    )
    nightly_at: str = Field(
        "03:00", alias="HANDOFF_NIGHTLY_AT", description="When the nightly learning starts, HH:MM."
    )
    timezone: str = Field(
        "UTC", alias="HANDOFF_TIMEZONE", description="Time zone of the nightly job."
    )
    reminder_minutes: int = Field(
        5,
        alias="HANDOFF_REMINDER_MINUTES",
        ge=1,
        description="The topic is reminded of a waiting customer every so many minutes.",
    )
    confidence: float = Field(
        PolicyLimits().confidence,
        alias="HANDOFF_CONFIDENCE",
        ge=0,
        le=1,
        description="Below this confidence of the best intent the bot asks what was meant, or a "
        "person is asked.",
    )
    angry: float = Field(
        PolicyLimits().angry,
        alias="HANDOFF_ANGRY",
        ge=0,
        le=1,
        description="At or above this probability of anger a person is asked.",
    )
    missed_handoff_cost: float = Field(
        Costs().missed,
        alias="MISSED_HANDOFF_COST",
        gt=0,
        le=1000,
        description="What it costs when the bot goes on where a person was needed.",
    )
    needless_handoff_cost: float = Field(
        Costs().needless,
        alias="NEEDLESS_HANDOFF_COST",
        gt=0,
        le=1000,
        description="What it costs when a person is asked although the bot could have gone on.",
    )
    late_turn_cost: float = Field(
        Costs().late,
        alias="LATE_TURN_COST",
        ge=0,
        le=1000,
        description="What every customer turn costs that a needed handoff comes too late.",
    )
    places_per_agent: int = Field(
        4,
        alias="HANDOFF_PLACES_PER_AGENT",
        ge=1,
        description="Conversations an agent can have at once; when few places are free, "
        "a handoff needs a higher risk.",
    )
    human_intents: str = Field(
        "complaint",
        alias="HANDOFF_HUMAN_INTENTS",
        description="Intents that always need a person, separated by commas.",
    )
    person_intents: str = Field(
        "contact_human_agent",
        alias="HANDOFF_PERSON_INTENTS",
        description="Intents that mean “I want a person”, separated by commas. Before another "
        "assistant than the sample shop's, where this is not set: guessed from names.",
    )
    courtesy_intents: str = Field(
        "",
        alias="HANDOFF_COURTESY_INTENTS",
        description="Intents that may be said any number of times, such as thanks, separated by "
        "commas. Empty: guessed from names.",
    )

    cors: str = Field(
        "",
        alias="HANDOFF_CORS",
        description="Origins whose pages may use Rasa's channels, separated by commas; `*`: any, "
        "as Rasa's `--cors`. The desk's own chat is open to any.",
    )
    jwt_key: SecretStr = Field(
        SecretStr(""),
        alias="HANDOFF_JWT_KEY",
        description="Key that tokens of Rasa's channels are signed with (Rasa's `jwt_key`). Empty: "
        "whoever knows or guesses a sender reads that customer's answers.",
    )
    jwt_method: str = Field(
        "HS256",
        alias="HANDOFF_JWT_METHOD",
        description="How they are signed (Rasa's `jwt_method`).",
    )
    openings: str = Field(
        ", ".join(f"/{name}" for name in sorted(OPENINGS)),
        alias="HANDOFF_OPENING_PAYLOADS",
        description="What widgets open a chat with, separated by commas: the assistant greets, and "
        "nothing counts as written.",
    )
    acknowledgement: str = Field(
        phrases.PASSED_ON,
        alias="HANDOFF_REST_ACKNOWLEDGEMENT",
        description="Answer over Rasa's REST channel while a person has the conversation and "
        "nothing else is to be said. Empty: an empty list.",
    )
    metadata_shown: str = Field(
        "",
        alias="HANDOFF_METADATA_SHOWN",
        description="What agents see of the metadata a page sends along: names separated by "
        "commas, `customer.tier` for a field inside an object. Empty: nothing.",
    )

    languages: str = Field(
        ENGLISH,
        alias="HANDOFF_LANGUAGES",
        description="Languages the assistant speaks, as two letters (ISO 639-1) separated by "
        "commas, its first one first. Of a message in another the agents are told the language.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what the settings come from: arguments, the environment, the file."""
        if getattr(dotenv_settings, "env_file", None) is None:
            return init_settings, env_settings
        return init_settings, env_settings, _FileSource(settings_cls, env_file=())

    @field_validator("languages")
    @classmethod
    def _are_languages(cls, value: str) -> str:
        codes = _listed(value)
        unknown = next((code for code in codes if code not in LANGUAGES), None)
        if unknown or not codes:
            known = ", ".join(LANGUAGES)
            raise ValueError(f"“{unknown or value}” is none of the languages known here: {known}")
        return ",".join(codes)

    @field_validator("nightly_at")
    @classmethod
    def _is_time(cls, value: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError(f"“{value}” is not a time such as 03:00")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"“{value}” is not a time zone such as Europe/Berlin") from None
        return value

    @field_validator("rasa_url", "telegram_api_url", "order_store_url")
    @classmethod
    def _is_address(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name != "rasa_url":
            return value
        return http_address(value)

    @field_validator("host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        return bind_host(value)

    @field_validator("rasa_venv", "encoder_folder", "var", "training_data", "bot", mode="after")
    @classmethod
    def _is_path(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("cors")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in _listed(value):
            try:
                url = urlsplit(origin)
                whole = f"{url.scheme}://{url.netloc}" == origin and url.hostname and url.port != 0
            except ValueError:
                whole = False
            if origin not in ("*", "null") and not whole:
                raise ValueError(f"“{origin}” is not an origin such as https://shop.example")
        return value

    @field_validator("jwt_method")
    @classmethod
    def _is_method(cls, value: str) -> str:
        if value not in SIGNED_BY:
            raise ValueError(f"“{value}” is not one of {', '.join(SIGNED_BY)}")
        return value

    @field_validator("openings")
    @classmethod
    def _are_payloads(cls, value: str) -> str:
        for payload in _listed(value):
            if not re.fullmatch(r"/[^/{}@\s][^{}@]*", payload):
                raise ValueError(f"“{payload}” is not a payload such as /get_started")
        return value

    @field_validator("people")
    @classmethod
    def _is_staff(cls, value: str) -> str:
        parse_people(value)
        return value

    @field_validator("telegram_bot_token")
    @classmethod
    def _is_token(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if secret and not re.fullmatch(r"\d+:[\w-]+", secret):
            raise ValueError("it does not look like the token @BotFather gives")
        return value

    @model_validator(mode="after")
    def _has_the_projects_data(self) -> Self:
        """Take the data from beside a project of the owner's: the shop's would train it wrongly."""
        if not self.is_shop and "training_data" not in self.model_fields_set:
            data = self.bot / "data"
            self.training_data = data if data.is_dir() else self.training_data
        return self

    @property
    def is_shop(self) -> bool:
        """Say whether the assistant's project is the sample shop's, perhaps changed in place."""
        return self.bot.resolve() == PROJECT / "bot"

    @property
    def simulated(self) -> bool:
        """Say whether the console talks to the simulator."""
        return not self.telegram_bot_token.get_secret_value()

    @property
    def bot_token(self) -> str:
        """Return the token of the bot, simulated or real. Never log it."""
        return self.telegram_bot_token.get_secret_value() or SIMULATED_TOKEN

    @property
    def bot_api_url(self) -> str:
        """Return the address of the Bot API server, without a slash at the end."""
        if self.telegram_api_url:
            return self.telegram_api_url
        if self.simulated:
            return f"http://127.0.0.1:{self.sandbox_port}"
        return "https://api.telegram.org"

    @property
    def database(self) -> str:
        """Return the address of the database; raise `BadSetting` when DATABASE_URL is none."""
        if not self.database_url.strip():
            return sqlite_address(self.var / "handoff.db")
        try:
            return database_address(self.database_url)
        except ValueError as error:
            raise BadSetting(name="DATABASE_URL", why=str(error)) from None

    @property
    def local_url(self) -> str:
        """Return where processes of this machine find the gateway and its encoder."""
        return reached_at(self.host, self.port)

    @cached_property
    def staff(self) -> dict[int, Person]:
        """Return who works here, by Telegram user id: never the made-up agents at a real desk."""
        if "people" not in self.model_fields_set and self.signs_of_a_real_desk:
            return {}
        return parse_people(self.people)

    @property
    def signs_of_a_real_desk(self) -> list[str]:
        """Return the names of the settings that only somebody with a Telegram bot has set."""
        there = {
            "TELEGRAM_BOT_TOKEN": not self.simulated,
            "TELEGRAM_GROUP_ID": self.telegram_group_id != SIMULATED_GROUP,
            "TELEGRAM_API_URL": bool(self.telegram_api_url)
            and not is_loopback(urlsplit(self.telegram_api_url).hostname or ""),
            "HANDOFF_PEOPLE": not parse_people(self.people).keys()
            <= parse_people(DEMO_PEOPLE).keys(),
        }
        return [name for name, real in there.items() if real]

    @property
    def own_simulator(self) -> bool:
        """Say whether this desk starts the Bot API simulator itself."""
        return self.simulated and not self.telegram_api_url

    @property
    def shown_fields(self) -> tuple[str, ...]:
        """Return the names of the metadata that agents see, in the owner's order."""
        return _listed(self.metadata_shown)

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the origins whose pages may use Rasa's channels, as browsers write them."""
        return tuple(origin.lower() for origin in _listed(self.cors))

    @property
    def opening_intents(self) -> frozenset[str]:
        """Return the intents that widgets open a chat with."""
        return frozenset(payload.removeprefix("/") for payload in _listed(self.openings))

    def policy(self) -> Policy:
        """Return the policy as this desk's settings have it, before anything was learned."""
        desk = Desk(
            person_intents=_names(self.person_intents), human_intents=_names(self.human_intents)
        )
        if self.courtesy_intents:
            desk = replace(desk, courtesy_intents=_names(self.courtesy_intents))
        return named(
            Policy(
                limits=PolicyLimits(confidence=self.confidence, angry=self.angry),
                desk=desk,
                costs=Costs(
                    self.missed_handoff_cost, self.needless_handoff_cost, self.late_turn_cost
                ),
            )
        )

    def policy_before(self, domain: AssistantDomain, threshold: float) -> Policy:
        """Return the same before an assistant other than the sample shop's; see `core.assistant`.

        Args:
            domain: what the assistant tells of itself.
            threshold: below this confidence it falls back by itself.
        """
        own = self.model_fields_set
        names = Named(
            courtesy=_names(self.courtesy_intents) if self.courtesy_intents else None,
            person=_names(self.person_intents) if "person_intents" in own else None,
            human=_names(self.human_intents),
        )
        confidence = self.confidence if "confidence" in own else min(threshold, self.confidence)
        return named(policy_before(self.policy(), domain, names, confidence))

    @property
    def spoken(self) -> list[str]:
        """Return the codes of the languages the assistant speaks, its first one first."""
        return [*_listed(self.languages)]

    @property
    def places(self) -> int:
        """Return how many conversations the people who may take one can have at once."""
        agents = [person for person in self.staff.values() if person.may(Role.AGENT)]
        return max(1, len(agents)) * self.places_per_agent


def _listed(text: str) -> tuple[str, ...]:
    """Return what stands between commas, in order, each once."""
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))


def _names(text: str) -> frozenset[str]:
    return frozenset(_listed(text))


def parse_people(text: str) -> dict[int, Person]:
    """Parse `id:name:role[,role]; …`; raise ValueError with a sentence naming the wrong entry."""
    people: dict[int, Person] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        match = re.fullmatch(r"(\d+):([^:]+):([a-z, ]+)", entry)
        name, roles = (match[2].strip(), _names(match[3])) if match else ("", frozenset())
        if not (match and name and roles):
            raise ValueError(f"“{entry}” is not of the form id:name:role")
        number = int(match[1])
        unknown = roles - {role.value for role in Role}
        if unknown:
            raise ValueError(f"“{sorted(unknown)[0]}” is not a role (agent, reviewer, lead)")
        if number in people:
            raise ValueError(f"{number} is listed twice")
        people[number] = Person(number, name, frozenset(Role(role) for role in roles))
    return people


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; raise `BadSetting` naming the first one that is wrong."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        why = first["msg"].removeprefix("Value error, ")
        raise BadSetting(name=str(first["loc"][0]), why=why[:1].lower() + why[1:]) from None


def check_real_desk(settings: Settings) -> None:
    """Refuse to start the simulator, with its made-up agents, where a real desk was meant."""
    signs = settings.signs_of_a_real_desk
    if not settings.simulated or (settings.telegram_api_url and "TELEGRAM_API_URL" not in signs):
        return
    if signs:
        why = f"it is missing, but {signs[0]} is set; without {signs[0]} the simulator starts"
        raise BadSetting(name="TELEGRAM_BOT_TOKEN", why=why)
    for wrong in misspelt(read_env_file(), _environment(), _variables()):
        if wrong.meant in REAL or wrong.name.startswith("TELEGRAM_"):
            why = f"it is missing, and {str(wrong).rstrip('.')}"
            raise BadSetting(name="TELEGRAM_BOT_TOKEN", why=why)


def told_at_start(settings: Settings) -> list[str]:
    """Return sentences on what was read, and what in it means nothing."""
    file = read_env_file()
    if file is None:
        places = " or ".join(str(path.parent) for path in looked_in())
        told = [f"Settings come from the environment alone: there is no .env in {places}."]
    else:
        told = [f"Settings come from {file.path} and the environment."]
        told += [f"! {sentence}" for sentence in _unread(file)]
    told += [f"! {wrong}" for wrong in misspelt(file, _environment(), _variables())]
    if settings.own_simulator:
        told.append("TELEGRAM_BOT_TOKEN is not set: the simulator runs, with made-up agents.")
    elif not settings.staff:
        told.append(
            "! HANDOFF_PEOPLE names nobody, so that nobody can answer customers. Everybody who "
            "shall writes /whoami to the bot; put the numbers into "
            "HANDOFF_PEOPLE=NUMBER:NAME:agent; NUMBER:NAME:lead"
        )
    return told


def _unread(file: EnvFile) -> list[str]:
    return [
        f"Line {line} of {file.path} is not of the form NAME=VALUE and was passed over."
        for line in file.unread
    ]


def _environment() -> set[str]:
    """Return the names in the environment, in upper case."""
    return {name.upper() for name in EnvSettingsSource(Settings).env_vars}


def _variables() -> list[str]:
    return [str(field.alias) for field in Settings.model_fields.values()]


def settings_table() -> str:
    """Return a Markdown table of all settings: variable, default, meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        value = field.default
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, Path):
            value = value.relative_to(PROJECT)
        shown = f"`{value}`" if str(value) else ""
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{field.alias}` | {shown} | {meaning} |")
    return "\n".join(lines) + "\n"
