"""The Rasa assistant of Handoff Desk. It runs in its own Python 3.10 environment."""
