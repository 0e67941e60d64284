"""Nightly learning: from resolved conversations to a better model, measured before it is used."""
