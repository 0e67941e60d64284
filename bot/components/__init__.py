"""Graph components of the assistant's NLU pipeline; see `bot/config.yml` for their order."""
