"""Typed refusals. An error's message is its docstring, filled in; `status` is its HTTP status."""

from __future__ import annotations


class DeskError(Exception):
    """Something was refused."""

    status = 400

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__((self.__doc__ or "").format(**facts))


class EmptyText(DeskError):
    """A message must contain text."""

    status = 422


class TextTooLong(DeskError):
    """A message may hold {limit} characters at most; this one has {length}."""

    status = 413


class UnreadableText(DeskError):
    """A message must be valid Unicode text without control characters; this one holds {what}."""

    status = 422


class InvalidKey(DeskError):
    """{what} must be 1 to {limit} printable characters."""

    status = 422


class NotFound(DeskError):
    """There is no {what} {id}."""

    status = 404


class Ambiguous(DeskError):
    """More than one {what} begins with {beginning}: {ids}."""

    status = 409


class NotDecided(DeskError):
    """Nothing was decided about message {id}: {why}."""

    status = 409


_COMES_BACK = "It comes back here when the customer needs a person"

_NOT_NOW = {
    ("claim", "bot"): f"The assistant has this conversation: nothing to claim. {_COMES_BACK}",
    ("claim", "agent"): "A person has this conversation already",
    ("claim", "closed"): "This conversation is closed: reopen it to take it back",
    ("release", "bot"): "The assistant has this conversation: nothing to release",
    ("release", "waiting"): "Nobody has this conversation: nothing to release",
    ("release", "closed"): "This conversation is closed: nothing to release",
    ("return_to_bot", "bot"): "The assistant has this conversation already",
    ("return_to_bot", "closed"): (
        "This conversation is closed. The assistant answers when the customer writes again"
    ),
    ("resolve", "bot"): f"The assistant has this conversation: nothing to resolve. {_COMES_BACK}",
    ("resolve", "waiting"): "Nobody has this conversation yet: claim it first",
    ("resolve", "closed"): "This conversation is closed already",
    ("reopen", "bot"): f"The assistant has this conversation: nothing to reopen. {_COMES_BACK}",
    ("reopen", "waiting"): "This conversation is open and waits for a person: claim it",
    ("reopen", "agent"): "This conversation is open: a person has it",
}
"""What an agent is told who wants something in a state that does not allow it."""


class IllegalTransition(DeskError):
    """{why}."""

    status = 409

    def __init__(self, event: str, state: str) -> None:
        otherwise = f"{event} is not possible while the conversation is in the state {state}"
        why = _NOT_NOW.get((event, state), otherwise)
        super().__init__(event=event, state=state, why=why)


class AlreadyClaimed(DeskError):
    """{name} already has this conversation."""

    status = 409


class NotYours(DeskError):
    """This conversation belongs to {name}."""

    status = 409


class NotClaimed(DeskError):
    """Nobody has this conversation yet: claim it first."""

    status = 409


class NotAllowed(DeskError):
    """This needs the role {role}."""

    status = 403


class AlreadyReviewed(DeskError):
    """{name} has already decided: {status}."""

    status = 409


class StaleVersion(DeskError):
    """{what} {id} was changed by somebody else in the meantime."""

    status = 409


class AssistantUnavailable(DeskError):
    """The assistant did not answer: {why}."""

    status = 503


class NotOurAssistant(DeskError):
    """Learning and training are off, because {why}; {remedy}."""

    status = 409

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why=why, remedy=remedy or _TURNED_ON)


_TURNED_ON = (
    "HANDOFF_ASSISTANT=own, with that assistant's project in HANDOFF_BOT and "
    "HANDOFF_TRAINING_DATA, turns them on"
)


class EncoderUnavailable(DeskError):
    """The sentence encoder cannot be used: {why}."""

    status = 503


class RunInProgress(DeskError):
    """A learning run has been going on since {since}."""

    status = 409


class NothingToRollBack(DeskError):
    """There is no earlier release to go back to."""

    status = 409


class TrainingFailed(DeskError):
    """Training the assistant failed: {why}."""

    status = 500


class DecisionNotReplayable(DeskError):
    """The decision about message {id} cannot be made again from its evidence: {why}."""

    status = 409


class PolicyConflict(DeskError):
    """The policy {id} cannot be {wanted}: it is {status}."""

    status = 409


class TooFewEpisodes(DeskError):
    """The policy stays as it is: {counted} been judged, {needed} are needed."""

    status = 409

    def __init__(self, judged: int, needed: int) -> None:
        counted = "1 episode has" if judged == 1 else f"{judged} episodes have"
        super().__init__(judged=judged, needed=needed, counted=counted)


class BadLimits(DeskError):
    """These limits cannot be set: {why}."""

    status = 400


class SameLimits(DeskError):
    """These are the limits already."""

    status = 409


class BadSetting(DeskError):
    """The setting {name} is not usable: {why}."""


class BadData(DeskError):
    """{path}: {why}."""
