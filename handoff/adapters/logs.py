"""Logging to standard error, one line an event, with every secret blotted out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

BLOT = "•••"


class BlottingFormatter(logging.Formatter):
    """Formats a record (message and trace back) and replaces every secret in the result."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        # The longest first: a secret that begins another must not leave the other's end to read.
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the finished line without secrets."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, BLOT)
        return line


def configure_logging(secrets: Sequence[str], level: int = logging.INFO) -> None:
    """Send all logging of this process through one blotting handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(BlottingFormatter(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # httpx logs full addresses, bot token included, at INFO (FACTS).
    for noisy in ("httpx", "httpcore", "telegram", "apscheduler.executors", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
