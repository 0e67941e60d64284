"""Addresses as people write them, in the one form that every part of the desk can use.

Several libraries read the same address (httpx, aiohttp, requests, http.client, SQLAlchemy), each
with rules of its own. What is accepted here means the same to all of them; anything else is a
`ValueError` with half a sentence, which never quotes a password.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpx
import yarl
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

EVERYWHERE = ("0.0.0.0", "::")
"""Bind addresses that mean every address of the machine."""

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
"""One label of a host name, in lower-case ASCII. Compose names its hosts with underscores."""

_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"}
_SQLITE = {"sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"}

DATABASE_FORMS = "use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"


def http_address(text: str) -> str:
    """Return an HTTP address in ASCII, its host in lower case, without a slash at the end."""
    text = text.strip()
    shown = "it" if "@" in text else f"“{text}”"
    wrong = ValueError(f"{shown} is not an address such as http://127.0.0.1:5005")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise wrong
    if "@" in parts.netloc:
        raise ValueError("it must not hold a user name or password: there are settings for tokens")
    if "?" in text or "#" in text:
        raise ValueError(f"“{text}” must end with its path, without anything behind ? or #")
    if re.search(r"[\s\x00-\x1f\x7f\\]", text):
        raise wrong
    try:
        host = _ascii_host(parts.hostname)
        address = str(httpx.URL(_with_host(parts, host))).rstrip("/")
        if _read_by_httpx(address) != _read_by_aiohttp(address) or "//" in parts.path.rstrip("/"):
            raise wrong
    except (ValueError, httpx.InvalidURL):
        raise wrong from None
    return address


def _read_by_httpx(address: str) -> tuple[str, str, str]:
    url = httpx.URL(address)
    return url.host, url.raw_host.decode(), url.raw_path.decode()


def _read_by_aiohttp(address: str) -> tuple[str | None, str | None, str]:
    url = yarl.URL(address)
    return url.host, url.raw_host, url.raw_path


def _with_host(parts: SplitResult, host: str) -> str:
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{bracketed(host)}{port}{parts.path}"


def bind_host(text: str) -> str:
    """Return an address to listen on, as sockets take it: without brackets, a name in ASCII."""
    text = text.strip()
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        if not host:
            return "0.0.0.0"
        if host.isascii() and host.isdigit():
            # As sockets read it: 0 is every address.
            return str(ipaddress.IPv4Address(int(host)))
        return _ascii_host(host)
    except (ValueError, httpx.InvalidURL):
        why = f"“{text}” is not an address or a host name such as 127.0.0.1; the port is apart"
        raise ValueError(why) from None


def _ascii_host(host: str) -> str:
    """Return a host name or IP address in ASCII; raise ValueError unless it is one."""
    if ":" in host or re.fullmatch(r"[\d.]+\.[\d.]+", host):
        address = ipaddress.ip_address(host)
        if getattr(address, "scope_id", None):
            raise ValueError("an address with an interface means nothing elsewhere")
        return str(getattr(address, "ipv4_mapped", None) or address)
    if re.search(r"[\s/?#@\\%\[\]]", host):
        raise ValueError("not a host name")
    name = httpx.URL(f"http://{host}").raw_host.decode()
    if len(name) > 253 or not all(_NAME.fullmatch(label) for label in name.split(".")):
        raise ValueError("not a host name")
    # Both write a host in Unicode too, which not every label that begins with xn-- can be.
    _ = _read_by_httpx(f"http://{name}"), _read_by_aiohttp(f"http://{name}")
    return name


def bracketed(host: str) -> str:
    """Return a host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def reached_at(host: str, port: int) -> str:
    """Return the address at which this machine finds a server that listens on `host`."""
    near = "127.0.0.1" if host in (*EVERYWHERE, "localhost") else host
    return f"http://{bracketed(near)}:{port}"


def database_address(text: str, folder: Path | None = None) -> str:
    """Return the address of a database as `make_engine` takes it.

    Args:
        text: with any of the usual names of the two kinds, `~` and relative paths allowed.
        folder: what a relative path begins in; the current folder unless given.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        # Not chained: the original message can quote a part of the address, password included.
        raise ValueError(f"it cannot be read as a database address: {DATABASE_FORMS}") from None
    name = url.drivername.lower()
    if name in _POSTGRESQL:
        if text.partition("?")[0].count("@") > 1:
            raise ValueError("an @ in a user name, password or database must be written %40")
        return _postgresql_address(url)
    if name in _SQLITE:
        return _sqlite_address(url, folder or Path.cwd())
    raise ValueError(f"{url.get_backend_name()} databases are not supported: {DATABASE_FORMS}")


def _postgresql_address(url: URL) -> str:
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError(f"{url.port} is not a port")
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _sqlite_address(url: URL, folder: Path) -> str:
    if url.host:
        raise ValueError("a SQLite address has three slashes before the path: sqlite:///PATH")
    if not url.database or ":memory:" in url.database or "mode" in url.query or "uri" in url.query:
        raise ValueError("SQLite needs the path of a file: sqlite:///PATH")
    return sqlite_address(folder / Path(url.database).expanduser(), url)


def sqlite_address(path: Path, url: URL | None = None) -> str:
    """Return the address of a SQLite file; options are those of `url`."""
    url = (url or URL.create("sqlite")).set(drivername="sqlite", database=str(path))
    return url.render_as_string(hide_password=False)
