"""Who may call the endpoints that are not for customers."""

from __future__ import annotations

import ipaddress
import secrets

from fastapi import Request

from handoff.core.errors import DeskError


class Unauthorised(DeskError):
    """This needs the header Authorization: Bearer and the internal token."""

    status = 401


class OnlyHere(DeskError):
    """Without HANDOFF_INTERNAL_TOKEN only this machine may call this address."""

    status = 403


class Guard:
    """With a token, asks for it; without one, lets only this machine in.

    A request that a proxy passed on does not count as from this machine.
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
            return
        passed_on = "forwarded" in request.headers or "x-forwarded-for" in request.headers
        if passed_on or request.client is None or not _is_loopback(request.client.host):
            raise OnlyHere()


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
