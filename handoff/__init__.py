"""Handoff Desk: a Rasa assistant, people in Telegram, and one owner of a conversation at a time."""

__version__ = "0.1.0"
