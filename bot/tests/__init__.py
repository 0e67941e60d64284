"""Tests of the assistant, run by pytest in the Rasa environment."""
