"""The figures of the desk as a picture for a phone: pure, from Statistics to PNG bytes."""

from __future__ import annotations

from io import BytesIO

import matplotlib

# Set before the figure classes are used: no window system is needed or looked for.
matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from agent_console.views import duration
from handoff.core.reasons_in_words import SHORT, human, percent
from handoff.core.statistics import Statistics

INK, FAINT, PAPER, TILE = "#1d2733", "#6b7785", "#ffffff", "#f2f5f8"
BLUE, GREEN = "#2f6fde", "#2e9e6b"

DPI = 120
INCHES = (7.5, 9.0)
"""900 × 1080 pixels: fills a phone held upright without being scaled down much."""

REASONS = 8
"""Bars at most; the rest are counted together."""


def stats_picture(figures: Statistics, days: int) -> bytes:
    """Return the figures as a PNG."""
    figure = Figure(figsize=INCHES, dpi=DPI, facecolor=PAPER)
    period = "the last 24 hours" if days == 1 else f"the last {days} days"
    figure.text(0.06, 0.945, "The desk", fontsize=24, weight="bold", color=INK)
    figure.text(0.06, 0.913, period, fontsize=14, color=FAINT)
    _shares(figure.add_axes((0.06, 0.75, 0.88, 0.13)), figures)
    _tiles(figure.add_axes((0.06, 0.46, 0.88, 0.25)), figures)
    _reasons(figure.add_axes((0.36, 0.05, 0.58, 0.32)), figures)
    figure.text(0.06, 0.405, "Handoffs by reason", fontsize=15, weight="bold", color=INK)
    figure.text(0.94, 0.02, "Times are medians.", fontsize=11, color=FAINT, ha="right")
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": ""})
    return out.getvalue()


def _blank(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.axis("off")


def _shares(axes: Axes, figures: Statistics) -> None:
    """One bar of all conversations: those the bot resolved alone, and those handed over."""
    _blank(axes)
    share = figures.resolved_by_bot
    if share is None:
        axes.text(0, 0.5, "No conversations yet", fontsize=16, color=FAINT, va="center")
        return
    axes.barh(0.38, 1, height=0.34, color=BLUE)
    axes.barh(0.38, share, height=0.34, color=GREEN)
    axes.text(0, 0.12, "by the bot", fontsize=11.5, color=GREEN, va="top")
    axes.text(1, 0.12, "with people", fontsize=11.5, color=BLUE, ha="right", va="top")
    axes.text(0, 0.72, percent(share), fontsize=30, weight="bold", color=GREEN, va="bottom")
    axes.text(0.22, 0.75, "without a person", fontsize=14, color=INK, va="bottom")
    alone = "conversation" if figures.episodes == 1 else "conversations"
    axes.text(1, 0.75, f"{figures.episodes} {alone}", fontsize=14, color=FAINT, ha="right",
              va="bottom")  # fmt: skip


def _tiles(axes: Axes, figures: Statistics) -> None:
    """Six figures, each large with what it is below."""
    _blank(axes)
    judged = f"needless (of {figures.judged} judged)" if figures.judged else "needless"
    tiles = [
        (str(figures.handoffs), "handoffs"),
        (str(figures.open_now), "open now"),
        ("—" if figures.needless is None else percent(figures.needless), judged),
        (_time(figures.waiting_seconds), "waiting time"),
        (_time(figures.first_response_seconds), "first response"),
        (_time(figures.handling_seconds), "handling time"),
    ]
    for number, (value, name) in enumerate(tiles):
        left, bottom = 0.345 * (number % 3), 0.53 - 0.53 * (number // 3)
        box = FancyBboxPatch(
            (left, bottom), 0.31, 0.46, boxstyle="round,pad=0,rounding_size=0.03", fc=TILE, lw=0
        )
        axes.add_patch(box)
        size = 22 if len(value) < 11 else 18
        axes.text(left + 0.155, bottom + 0.29, value, fontsize=size, weight="bold", color=INK,
                  ha="center", va="center")  # fmt: skip
        axes.text(left + 0.155, bottom + 0.1, name, fontsize=11.5, color=FAINT,
                  ha="center", va="center")  # fmt: skip


def _time(seconds: float | None) -> str:
    return "—" if seconds is None else duration(seconds)


def _reasons(axes: Axes, figures: Statistics) -> None:
    """Horizontal bars, most frequent on top, each with its count."""
    if not figures.reasons:
        _blank(axes)
        axes.text(-0.5, 0.85, "No handoffs", fontsize=14, color=FAINT)
        return
    rows = [(SHORT.get(name, human(name)), count) for name, count in figures.reasons]
    if len(rows) > REASONS:
        rest = sum(count for _, count in rows[REASONS - 1 :])
        rows = [*rows[: REASONS - 1], ("other reasons", rest)]
    most = max(count for _, count in rows)
    # A fixed scale of eight rows keeps one bar from filling the picture.
    axes.set_ylim(REASONS - 0.4, -0.6)
    axes.set_xlim(0, most * 1.12)
    axes.barh(range(len(rows)), [count for _, count in rows], height=0.62, color=BLUE)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=13, color=INK)
    axes.tick_params(length=0)
    axes.set_xticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    for place, (_, count) in enumerate(rows):
        axes.text(count + most * 0.02, place, str(count), fontsize=13, color=INK, va="center")
