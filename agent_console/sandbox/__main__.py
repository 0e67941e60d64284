"""`python -m agent_console.sandbox`: the simulator and its page on this machine."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

import uvicorn

from .app import create_sandbox, listen
from .limits import LIMITS


def main(arguments: list[str] | None = None) -> int:
    """Run until interrupted; 2 and one sentence when it cannot start."""
    parser = argparse.ArgumentParser(prog="agent_console.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8081, help="TCP port on 127.0.0.1")
    parser.add_argument("--token", default="1:SIM", help="the bot's token, 123456:secret")
    parser.add_argument("--state", type=Path, help="file that keeps chats over a restart")
    parser.add_argument("--limits", choices=sorted(LIMITS), default="relaxed")
    given = parser.parse_args(arguments)
    try:
        app = create_sandbox(token=given.token, state=given.state, limits=given.limits)
        listener = listen(given.port)
    except (ValueError, OSError, sqlite3.Error) as error:
        print(f"The sandbox cannot start: {error}.", file=sys.stderr)
        return 2
    print(f"Telegram sandbox: http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    # No access log: every path of the Bot API holds the token. Long polls end with the process.
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    try:
        uvicorn.Server(config).run([listener])
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
