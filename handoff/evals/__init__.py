"""Measuring on labelled data: intents, sentiment, requests for a person."""
