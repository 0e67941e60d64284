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


class IllegalTransition(DeskError):
    """{event} is not possible while the conversation is in state {state}."""

    status = 409


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
    """The policy stays as it is: {judged} episodes have been judged, {needed} are needed."""

    status = 409


class BadLimits(DeskError):
    """These limits cannot be set: {why}."""

    status = 400


class BadSetting(DeskError):
    """The setting {name} is not usable: {why}."""


class BadData(DeskError):
    """{path}: {why}."""
