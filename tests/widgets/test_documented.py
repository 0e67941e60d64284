"""What docs/your-assistant.md says of the widgets is what the script finds out about them."""

from __future__ import annotations

from tests.environment import PROJECT
from tests.widgets.test_public_widgets import WIDGETS


def test_the_table_says_what_the_script_expects() -> None:
    text = (PROJECT / "docs" / "your-assistant.md").read_text(encoding="utf-8")
    _, rest = text.split("|---|---|---|---|---|\n", 1)
    rows = [line.strip("| ").split(" | ") for line in rest.split("\n\n")[0].splitlines()]
    said = {name: tuple(cells) for name, _, *cells in rows}
    expected = {
        "the desk's own" if name == "own" else name: (
            "at once" if widget.pushes else "with the next message",
            "everything" if widget.remembers else "what comes new",
            "yes" if widget.links else "no",
        )
        for name, widget in WIDGETS.items()
    }
    assert said == expected
