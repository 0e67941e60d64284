"""The agents' console in Telegram, and the Bot API simulator it can be tried against."""
