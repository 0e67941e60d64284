"""Assistants that are not the desk's: public ones, trained and run as their owners would."""
