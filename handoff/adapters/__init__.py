"""Everything that touches the world: databases, the assistant, the encoder, files."""

from __future__ import annotations

from handoff.core.errors import DeskError


class StoreBusy(DeskError):
    """The database is busy: another writer has held it for more than {seconds} seconds."""

    status = 503
