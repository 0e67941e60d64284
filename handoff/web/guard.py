"""Who may call the endpoints that are not for customers."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import urlsplit

from fastapi import Request

from handoff.core.errors import DeskError


class Unauthorised(DeskError):
    """This needs the header Authorization: Bearer and the internal token."""

    status = 401


class OnlyHere(DeskError):
    """Without HANDOFF_INTERNAL_TOKEN only this machine may call this address."""

    status = 403


PLAIN = frozenset(
    {
        *("accept", "accept-charset", "accept-encoding", "accept-language", "authorization"),
        *("baggage", "cache-control", "connection", "content-length", "content-type", "cookie"),
        *("dnt", "expect", "host", "if-modified-since", "if-none-match", "keep-alive", "pragma"),
        *("priority", "te", "traceparent", "tracestate", "transfer-encoding", "user-agent"),
        *("upgrade-insecure-requests", "x-prometheus-scrape-timeout-seconds"),
    }
)
"""Headers that programs and browsers send of their own accord, in lower case.

What a proxy adds has too many names to list, so any header that is not one of these tells of one.
"""

PLAIN_BEGINNING = "sec-"
"""Headers that only a browser itself can set begin so."""


class Guard:
    """With a token, asks for it; without one, lets only this machine in.

    A request that a proxy passed on does not count as from this machine. It is told by a header
    that no plain client sends, by a `Host` that is not this machine's, or by HTTP/1.0, which nginx
    speaks to what is behind it. A proxy on this machine that names it as the host, in HTTP/1.1 and
    without a word of its own, cannot be told from a local caller: there a token is needed.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def __call__(self, request: Request) -> None:
        """Raise `Unauthorised` or `OnlyHere` unless the caller may come in."""
        if self._token:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            right = secrets.compare_digest(given.strip().encode(), self._token)
            if scheme.lower() != "bearer" or not right:
                raise Unauthorised()
        elif not _is_local(request):
            raise OnlyHere()


def _is_local(request: Request) -> bool:
    names = {name.lower() for name in request.headers}
    added = [name for name in names - PLAIN if not name.startswith(PLAIN_BEGINNING)]
    return (
        request.client is not None
        and _is_loopback(request.client.host)
        and "host" in names
        and all(_is_this_machine(host) for host in request.headers.getlist("host"))
        and not added
        and request.scope["http_version"] != "1.0"
    )


def _is_this_machine(host: str) -> bool:
    """Say whether a `Host`, with or without a port, names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
