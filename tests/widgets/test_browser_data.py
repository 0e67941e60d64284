"""The desk's own widget against what is known of every browser function, not against a short list.

MDN's data say since when Safari has what. Everything that came after version 15.0 is taken away.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from handoff.channels.page import STATIC
from handoff.web.app import create_app
from tests.fakes import FakeDesk
from tests.web.conftest import serving
from tests.web.test_old_browsers import one_conversation, without
from tests.widgets.public import from_npm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OLDEST = (15, 0)
WIDGET = STATIC / "widget.js"

HARMLESS = {
    "overscroll-behavior", "scrollbar-width", "scrollbar-color", "text-wrap", "animation",
    "transition", "box-shadow",
}  # fmt: skip
"""Properties that may be missing: without them the chat looks plainer and works the same."""


def data() -> dict[str, Any]:
    folder = from_npm("@mdn/browser-compat-data", "8.1.9")
    return json.loads((folder / "data.json").read_text(encoding="utf-8"))


def younger(feature: dict[str, Any]) -> bool:
    """Say whether Safari got a feature after the oldest version, or never."""
    support = feature["__compat"]["support"].get("safari", {})
    plain = [s for s in (support if isinstance(support, list) else [support]) if "flags" not in s]
    return not any(
        _reached(s.get("version_added")) and not _reached(s.get("version_removed")) for s in plain
    )


def _reached(version: str | bool | None) -> bool:
    found = re.match(r"≤?(\d+)(?:\.(\d+))?", str(version))
    return found is not None and (int(found[1]), int(found[2] or 0)) <= OLDEST


def members(tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the features below one, named as they stand in the data."""
    return ((k, v) for k, v in tree.items() if k != "__compat" and "__compat" in v)


def taken_away() -> list[str]:
    """Return every function and interface a page would miss in the oldest browser."""
    found, everything = [], data()
    builtins = everything["javascript"]["builtins"]
    for tree in (everything["api"], builtins):
        for name, interface in members(tree):
            if younger(interface):
                found.append(name)
                continue
            for member, feature in members(interface):
                own, static = member.removesuffix("_static"), member.endswith("_static")
                if younger(feature) and (static or tree is builtins):
                    found.append(f"{name}.{own}")  # of the language the data do not say which
                if younger(feature) and not static:
                    found.append(f"{name}.prototype.{own}")
    return [name for name in found if re.fullmatch(r"[A-Za-z_$][\w$.]*", name)]


async def test_it_works_without_anything_that_safari_got_later(browser) -> None:
    gone = taken_away()
    assert len(gone) > 500 and "URL.canParse" in gone and "AbortSignal.timeout" in gone
    desk = FakeDesk()
    context = await browser.new_context()
    await without(context, *gone)
    async with serving(create_app(desk.services())) as address:
        found = await one_conversation(context, address, desk)
    assert found["place"] == "fixed"
    await context.close()


def test_its_syntax_is_of_2021() -> None:
    acorn = from_npm("acorn", "8.15.0") / "bin" / "acorn"
    node = shutil.which("node")
    assert node, "where there is npm there is node"
    done = subprocess.run(
        [node, str(acorn), "--ecma2021", "--silent", str(WIDGET)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_its_style_needs_nothing_that_safari_got_later() -> None:
    properties = data()["css"]["properties"]
    style = WIDGET.read_text(encoding="utf-8").split("dress(`")[1].split("`);")[0]
    used = set(re.findall(r"(?<=[{;\s])([a-z-]+)\s*:\s*[^;{}]+[;}]", style)) & set(properties)
    assert len(used) > 40
    late = {name for name in used if younger(properties[name])}
    assert late <= HARMLESS
