"""A strict simulator of Telegram's Bot API with a page on which people play the agents.

It imports nothing of the rest of the project. See README.md in this folder.
"""
